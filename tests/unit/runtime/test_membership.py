"""A node keeps its own lease whatever it does about others."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from counterpoint.errors import StoreError
from counterpoint.model.cluster import Adopted, Hosting, Pulse
from counterpoint.runtime import membership
from counterpoint.runtime.membership import Membership

SOON = 0.01


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "LOOK_EVERY_SECONDS", SOON)


class Store:
    """Several nodes' store, whose answers the test decides."""

    def __init__(self) -> None:
        self.incarnation = 1
        self.did: list[str] = []
        self.beaten = asyncio.Event()
        self.expired: Sequence[int] = ()
        self.orphans = 0
        """Executions of nodes that are gone."""
        self.draining = False
        self.closed = False

    async def announce(self, _: Hosting) -> None: ...

    def listen(self, _: object) -> None: ...

    async def beat(self) -> Pulse:
        if self.closed:
            raise StoreError("not open")
        self.did.append("beat")
        self.beaten.set()
        return Pulse(draining=self.draining, expired=self.expired, orphans=self.orphans > 0)

    async def drain(self, incarnation: int) -> bool:
        self.did.append(f"drain {incarnation}")
        self.draining = True
        return True

    async def declare_lost(self, _: int) -> bool:
        """A frozen node's transaction is in the way."""
        self.did.append("declare")
        await asyncio.sleep(SOON)
        return False

    async def adopt(self, limit: int) -> Adopted:
        taken = min(limit, self.orphans)
        self.orphans -= taken
        await asyncio.sleep(SOON if taken else 0)
        return Adopted(taken, None, (), more=self.orphans > 0)

    async def route(self, _: int) -> int:
        return 0


class Node:
    """The parts that hear of other nodes."""

    def __init__(self) -> None:
        self.adopted = 0
        self.fault = None
        self.stopping = False
        self.drained = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []
        self.messaging = SimpleNamespace(
            adopted=self._adopted,
            streams=SimpleNamespace(reaches=_hear),
            members_changed=lambda: None,
        )
        self.due = SimpleNamespace(reconsider=_hear, poke=lambda: None)
        self.intake = SimpleNamespace(poke=lambda: None)
        self.loading = SimpleNamespace(try_stopped=lambda: None)

    def _adopted(self) -> None:
        self.adopted += 1

    def spawn(self, _: object) -> None: ...

    def check_idle(self) -> None: ...

    def drain(self) -> None:
        raise AssertionError("it is stopping already")

    def keep(self, task: asyncio.Task[None]) -> None:
        self.tasks.append(task)


def _hear(_: object) -> None: ...


def member() -> tuple[Node, Store, Membership]:
    node: Any = Node()
    store: Any = Store()
    return node, store, Membership(node, store, Hosting("n"))


async def test_the_lease_is_renewed_while_a_node_opens() -> None:
    node, store, members = member()
    await members.open()

    async with asyncio.timeout(30):
        await store.beaten.wait()
    store.closed = True

    async with asyncio.timeout(30):
        await asyncio.wait(node.tasks)  # it ends with the store


async def test_the_lease_is_renewed_before_many_frozen_nodes_were_asked_for() -> None:
    node, store, members = member()
    await members.open()
    store.expired = range(100)
    running = asyncio.create_task(members.run())

    async with asyncio.timeout(30):
        while store.did.count("beat") < 3:  # noqa: ASYNC110 - a few turns
            await asyncio.sleep(0)
    running.cancel()

    assert 0 < store.did.count("declare") < 100
    for task in node.tasks:
        task.cancel()


async def test_what_waits_for_events_is_looked_for_once_when_all_is_taken_over() -> None:
    node, store, members = member()
    await members.open()
    store.orphans = 10 * membership.ADOPT_BATCH
    running = asyncio.create_task(members.run())

    async with asyncio.timeout(30):
        while not node.adopted:  # noqa: ASYNC110 - a few turns
            await asyncio.sleep(0)
    running.cancel()

    assert (store.orphans, node.adopted) == (0, 1)
    assert store.did.count("beat") > 1
    for task in node.tasks:
        task.cancel()


async def test_a_node_that_stops_by_itself_is_seen_to_drain_and_says_so_once() -> None:
    node, store, members = member()
    await members.open()
    node.stopping = True
    running = asyncio.create_task(members.run())

    async with asyncio.timeout(30):
        while store.did.count("beat") < 4:  # noqa: ASYNC110 - a few turns
            await asyncio.sleep(0)
    running.cancel()

    assert [what for what in store.did if what != "beat"] == ["drain 1"]
    for task in node.tasks:
        task.cancel()
