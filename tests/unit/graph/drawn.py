"""Services whose workflows the tests of drawings read; nothing here ever runs."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

from counterpoint import BusinessError, Service, workflow

shop, pay = Service("shop"), Service("pay")


class Late(BusinessError):
    order: str


@shop.activity
async def create(order: str) -> str:
    return order


@create.compensation
async def discard(order: str) -> None: ...


@pay.activity
async def charge(order: str) -> str:
    return order


@charge.compensation
async def refund(order: str) -> None: ...


@shop.activity
async def notify(order: str) -> bool:
    return bool(order)


@shop.workflow
async def child(order: str) -> str:
    return order


STEPS = (create, charge, notify)
BY_NAME = {"create": create, "charge": charge}
late_charge = functools.partial(charge, order="late")
APPROVAL = "approval"


async def pays(step: Callable[[str], Awaitable[Any]], order: str) -> None:
    if not order:
        return
    await step(order)
    await notify(order)


async def again(order: str) -> None:
    await notify(order)
    if order:
        await again(order[1:])


def later(order: str) -> Coroutine[Any, Any, str]:
    return charge(order)


@contextlib.asynccontextmanager
async def announced(order: str) -> AsyncGenerator[None]:
    await create(order)
    yield
    await notify(order)


async def pages(order: str) -> AsyncGenerator[str]:
    for page in order:
        await create(page)
        yield page


class Desk:
    async def serve(self, order: str) -> None:
        await self.greet(order)
        await charge(order)

    async def greet(self, order: str) -> None:
        await notify(order)


desk = Desk()
hidden: dict[str, Any] = {}


def decide(order: str) -> Any:
    return hidden.get(order)


@contextlib.asynccontextmanager
async def nothing(order: str) -> AsyncGenerator[None]:
    yield


# ---- workflows --------------------------------------------------------------------------------


@shop.saga(deadline=timedelta(minutes=5))
async def straight(order: str) -> str:
    await create(order)
    await charge(order)
    await notify(order)
    return order


@shop.workflow
async def chooses(order: str) -> str:
    if order == "vip":
        await charge(order)
    elif not order:
        raise Late(order=order)
    match order:
        case "a" | "b":
            await create(order)
        case str(name) if name > "z":
            return "early"
    return "late"


@shop.workflow
async def loops(order: str) -> None:
    for page in order:
        if page == "x":
            continue
        await notify(page)
    while not await notify(order):
        await asyncio.sleep(60)
        if order:
            break
    while True:
        await workflow.sleep(timedelta(days=1))


@shop.workflow
async def guards(order: str) -> str:
    try:
        async with asyncio.timeout(3600):
            await workflow.signal(APPROVAL, bool, timeout=timedelta(days=3))
    except TimeoutError:
        await notify(order)
    else:
        await charge(order)
    finally:
        await create(order)
    with contextlib.suppress(Late):
        await asyncio.wait_for(notify(order), 5)
    return order


@shop.workflow
async def gathers(order: str) -> None:
    await asyncio.gather(charge(order), *(create(page) for page in order))
    calls = [notify(order)]
    calls.append(notify(order))
    await asyncio.gather(*calls)


@shop.workflow
async def groups(order: str) -> None:
    async with asyncio.TaskGroup() as group:
        for page in order:
            group.create_task(create(page))
        group.create_task(charge(order))
        await notify(order)


@shop.workflow
async def spawns(order: str) -> None:
    task = asyncio.create_task(charge(order))
    await notify(order)
    await task
    one, two = asyncio.create_task(create(order)), asyncio.create_task(notify(order))
    await asyncio.wait({one, two}, return_when=asyncio.FIRST_COMPLETED, timeout=9)
    asyncio.create_task(charge(order))  # noqa: RUF006 - what a user forgets


@shop.workflow
async def follows(order: str) -> None:
    await pays(charge, order)
    await again(order)
    await later(order)
    await desk.serve(order)
    async with announced(order):
        await charge(order)
    async for page in pages(order):
        await notify(page)

    async def inside(one: str) -> None:
        await notify(one)

    await inside(order)


@shop.workflow
async def aliases(order: str) -> None:
    book = create
    await book(order)
    await BY_NAME["charge"](order)
    await BY_NAME[order](order)
    await late_charge()
    for step in STEPS:
        await step(order)
    chosen = create if order else charge
    await chosen(order)


@shop.workflow
async def unclear(order: str) -> None:
    await decide(order)
    await decide(order).later()
    async with asyncio.Lock():
        await notify(order)
    charge(order)
    forgotten = notify(order)  # noqa: F841 - what a user forgets
    hidden[order] = functools.reduce(lambda a, _: a, [1], charge)


@shop.saga
async def steers(order: str) -> None:
    workflow.compensate_with(notify, order)
    await create(order)
    if workflow.patched("fraud"):
        await charge(order)
    for _ in order:
        await charge(order)
    await child(order)
    workflow.pivot()
    await create(order)
    workflow.continue_as_new(order)


@shop.workflow
async def quiet(order: str) -> str:
    total = sum(len(page) for page in order)
    if total > 3:
        order = order.strip()
    workflow.log.info("counted")
    return f"{workflow.now()} {order}"
