"""An app whose reactions write down what they take, for several nodes in one process."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg

from counterpoint import App, Event, Retry, Service, workflow
from counterpoint.stores.postgres_url import read_url

orders, stock = Service("orders"), Service("stock")


@orders.event(key="key")
class Placed(Event):
    key: str
    number: int


@stock.event(key="key")
class Reserved(Event):
    key: str
    number: int


class Seen:
    """What reactions and activities did, in one test."""

    def __init__(self) -> None:
        self.taken: dict[str, list[int]] = defaultdict(list)
        self.now: dict[str, int] = defaultdict(int)
        self.overlaps: list[str] = []
        self.calls: list[str] = []
        self.poison: set[int] = set()
        self.gate: asyncio.Event | None = None


seen = Seen()


@stock.on(Placed, retry=Retry(max_attempts=1))
async def reserve(event: Placed) -> Reserved:
    seen.now[event.key] += 1
    if seen.now[event.key] > 1:
        seen.overlaps.append(event.key)
    try:
        if seen.gate is not None:
            await seen.gate.wait()
        await asyncio.sleep(0)
        if event.number in seen.poison:
            raise RuntimeError("poison")
        seen.taken[event.key].append(event.number)
    finally:
        seen.now[event.key] -= 1
    return Reserved(key=event.key, number=event.number)


@orders.activity(timeout=timedelta(seconds=30))
async def work(name: str) -> str:
    seen.calls.append(name)
    if seen.gate is not None:
        await seen.gate.wait()
    return name


@orders.workflow()
async def waits(key: str) -> int:
    await work(key)
    met = await workflow.event(Reserved, key=key, keep=timedelta(hours=1))
    return met.number


@orders.workflow()
async def signalled(name: str) -> str:
    await work(name)
    return await workflow.signal("go", str)


@orders.workflow()
async def steps(name: str) -> str:
    for number in range(3):
        await work(f"{name}.{number}")
    return name


class Parade:
    """Nodes that come and go, and a look behind the store."""

    def __init__(self, url: str, back_door: asyncpg.Connection, stack: AsyncExitStack) -> None:
        self.url = url
        self.schema = read_url(url).schema
        self.back_door = back_door
        self._stack = stack

    async def node(self, **settings: Any) -> App:
        """Return an app that hosts the store beside others, stopped in the end."""
        app = App("parade", services=[orders, stock], store=self.url, **settings)
        await app.__aenter__()
        self._stack.push_async_callback(app.stop, timedelta(0))
        return app

    async def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        rows = await self.back_door.fetch(text.replace("{schema}", self.schema), *values)
        return [tuple(row) for row in rows]

    async def freeze(self, app: App) -> None:
        """Let a node's lease be over until it is declared lost, as if its process stood still.

        The node is running, and may renew its lease at any moment: it is ended as often.
        """
        await self._keep_ended(app, self._is_lost)

    async def lose(self, app: App, *, by: App) -> None:
        """Have a node declared lost by another one."""
        assert by.node.cluster is not None
        await self._keep_ended(app, by.node.cluster.declare_lost)

    async def _keep_ended(self, app: App, over: Callable[[int], Awaitable[bool]]) -> None:
        assert app.node.cluster is not None
        incarnation = app.node.cluster.incarnation

        async def ended() -> bool:
            await self._end_lease(incarnation)
            return await over(incarnation)

        await until(ended)

    async def _end_lease(self, incarnation: int) -> None:
        await self.sql(
            "UPDATE {schema}.leases SET until = 2000, seen_at = 1000 WHERE incarnation = $1",
            incarnation,
        )

    async def _is_lost(self, incarnation: int) -> bool:
        rows = await self.sql(
            "SELECT 1 FROM {schema}.nodes WHERE incarnation = $1 AND lost_at IS NOT NULL",
            incarnation,
        )
        return bool(rows)


async def until(holds: Any, seconds: float = 30) -> None:
    """Wait until something holds: a function of no arguments, perhaps async."""
    async with asyncio.timeout(seconds):
        while True:
            found = holds()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.01)


def slots_of(app: App, service: str) -> set[int]:
    sharing = app.node.messaging.sharing
    assert sharing is not None
    return sharing.shares.owned.get(service, set())


def shared_by(apps: Sequence[App], service: str) -> bool:
    """Whether nodes own each slot of a service once, and about equally many."""
    owned = [slots_of(app, service) for app in apps]
    together = set().union(*owned)
    sizes = [len(one) for one in owned]
    return len(together) == sum(sizes) == 256 and max(sizes) - min(sizes) <= 1


@asynccontextmanager
async def parade(url: str) -> AsyncIterator[Parade]:
    """Give nodes of the store at *url*."""
    global seen
    seen = Seen()
    back_door = await asyncpg.connect(read_url(url).dsn)
    try:
        async with AsyncExitStack() as stack:
            yield Parade(url, back_door, stack)
    finally:
        await back_door.close()
