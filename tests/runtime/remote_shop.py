"""A workflow of one service that calls another one, on two nodes."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from tests.runtime.remote_cluster import World

from counterpoint import App, BusinessError, Event, Retry, Service, activity, workflow
from counterpoint.model.messages import EventQuery, EventRow

orders, payments = Service("orders"), Service("payments")


class Declined(BusinessError):
    reason: str


class Refused(BusinessError):
    why: str


@payments.event(key="order_id")
class Charged(Event):
    order_id: str


class Terminal:
    """What happens at the payment provider, as a test wants it."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget everything."""
        self.calls: list[str] = []
        self.keys: list[str] = []
        self.fail: list[BaseException] = []
        """What the next calls raise."""
        self.fail_when: dict[str, BaseException] = {}
        """What the next call raises whose name begins so."""
        self.open = asyncio.Event()
        self.open.set()
        self.entered = asyncio.Event()
        self.hold = ""
        """Calls whose name begins so wait for ever."""
        self.give_up = asyncio.Event()
        self.cancelled = 0
        self.running = 0
        self.most = 0

    async def take(self, what: str) -> None:
        """Note a call, wait until the terminal is open, fail if that was ordered."""
        self.calls.append(what)
        self.keys.append(activity.info().idempotency_key)
        self.running += 1
        self.most = max(self.most, self.running)
        self.entered.set()
        try:
            if self.fail:
                raise self.fail.pop(0)
            if what.split()[0] in self.fail_when:
                raise self.fail_when.pop(what.split()[0])
            if self.hold and what.startswith(self.hold):
                await asyncio.Future[None]()
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1


terminal = Terminal()
QUICK = Retry(max_attempts=3, first=timedelta(milliseconds=1))


@payments.activity(retry=QUICK, timeout=timedelta(minutes=5))  # no test waits as long
async def charge(order_id: str, cents: int) -> dict[str, int]:
    await terminal.take(f"charge {order_id}")
    activity.publish(Charged(order_id=order_id))
    return {"cents": cents}


@charge.compensation(retry=QUICK)
async def refund(order_id: str, result: dict[str, int] | None) -> None:
    await terminal.take(f"refund {order_id} {result}")


@payments.activity(retry=QUICK)
async def release(order_id: str) -> None:
    await terminal.take(f"release {order_id}")


@payments.activity(retry=QUICK, at_most_once=True, on_unknown="fail")
async def wire(order_id: str) -> str:
    await terminal.take(f"wire {order_id}")
    return "wired"


@payments.activity(timeout=timedelta(milliseconds=50), retry=Retry(max_attempts=1))
async def slow(order_id: str) -> str:
    await terminal.take(f"slow {order_id}")
    return "done"


@payments.activity(retry=QUICK)
async def stubborn(order_id: str) -> None:
    terminal.entered.set()
    while not terminal.give_up.is_set():
        with suppress(asyncio.CancelledError):
            await terminal.give_up.wait()


@stubborn.compensation
async def soften(order_id: str) -> None:
    await terminal.take(f"soften {order_id}")


@payments.activity(retry=QUICK)
async def beating(order_id: str) -> str:
    before = activity.last_heartbeat()
    activity.heartbeat({"page": 7 if before is None else before["page"] + 1})
    await terminal.take(f"beating {order_id} after {before}")
    return str(before)


@orders.activity(retry=QUICK)
async def note(order_id: str) -> str:
    return order_id


@orders.workflow
async def order(order_id: str) -> dict[str, int]:
    await note(order_id)
    return await charge(order_id, 250)


@orders.workflow
async def order_by_wire(order_id: str) -> str:
    return await wire(order_id)


@orders.workflow
async def order_slowly(order_id: str) -> str:
    return await slow(order_id)


@orders.workflow
async def order_beating(order_id: str) -> str:
    return await beating(order_id)


@orders.workflow
async def order_and_stay(order_id: str) -> str:
    try:
        await charge(order_id, 250)
    except Refused as refused:
        return refused.why
    return "accepted"


@orders.saga
async def order_stubbornly(order_id: str) -> None:
    await stubborn(order_id)


@orders.saga
async def order_and_fail(order_id: str) -> None:
    workflow.compensate_with(release, order_id)
    await charge(order_id, 250)
    raise Declined(reason="changed their mind")


@orders.workflow
async def order_patiently(order_id: str) -> str:
    try:
        async with asyncio.timeout(0.05):
            await charge(order_id, 250)
    except TimeoutError:
        return "too late"
    return "in time"


@asynccontextmanager
async def shop(
    *hosts: str, world: World | None = None, **settings: Any
) -> AsyncGenerator[tuple[World, list[App]]]:
    """Run one node for each of *hosts*: the services that it hosts, divided by commas."""
    terminal.begin()
    world = World() if world is None else world
    async with AsyncExitStack() as stack:
        apps: list[App] = []
        for names in hosts:
            app = node(world, names, **settings)
            await stack.enter_async_context(app)
            apps.append(app)
        try:
            yield world, apps
        finally:
            terminal.give_up.set()


def node(world: World, names: str, **settings: Any) -> App:
    """Return an app that is another node when it is entered."""
    return App(
        "shop",
        services=[orders, payments],
        hosts=names.split(","),
        store=world.store(),
        block_warning=timedelta(0),
        **settings,
    )


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what it looks at has no signal
            await asyncio.sleep(0.002)


async def events(world: World) -> list[EventRow]:
    """Return what is in the log."""
    return await world.shared.events(EventQuery())


async def is_empty(world: World) -> None:
    """Wait until no call and no letter is left over."""
    await until(lambda: not world.calls and not world.shared.letters())
