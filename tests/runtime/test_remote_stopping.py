"""What a node does with calls of others when it stops: what it never began is not lost."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from tests.runtime.remote_shop import (
    is_empty,
    node,
    order_by_wire,
    shop,
    terminal,
    until,
)

from counterpoint import App
from counterpoint.model.cluster import CallRow, Limit
from counterpoint.model.states import Status
from counterpoint.ports.cluster import ClusterStore
from counterpoint.runtime.cluster import cluster_of


class SlowClaims:
    """Claims of a node that are written, and whose answer is on its way until it is let in."""

    def __init__(self, app: App) -> None:
        store = cluster_of(app.node.store)
        assert store is not None
        self._claim = store.claim
        self.claimed = asyncio.Event()
        self.arrive = asyncio.Event()
        _replace_claim(store, self)

    async def claim(
        self, activities: Sequence[str], limits: Sequence[Limit], limit: int
    ) -> list[CallRow]:
        """Claim, and wait if anything was."""
        rows = await self._claim(activities, limits, limit)
        if rows:
            self.claimed.set()
            await self.arrive.wait()
        return rows


def _replace_claim(store: ClusterStore, slow: SlowClaims) -> None:
    store.claim = slow.claim  # type: ignore[method-assign]


async def journal(app: App, execution_id: str) -> list[str]:
    return [entry.type for entry in await app.execution(execution_id).journal()]


async def turns() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_call_whose_claim_is_under_way_when_the_node_stops_is_given_back() -> None:
    async with shop("orders", "payments") as (world, (here, there)):
        slow = SlowClaims(there)
        execution = await here.start(order_by_wire, "one", id="one")
        await slow.claimed.wait()
        stopping = asyncio.create_task(there.stop())
        await turns()
        assert not stopping.done()
        slow.arrive.set()
        await stopping
        async with node(world, "payments"):
            result = await execution.result(timeout=30)

        assert result == "wired"
        assert terminal.calls == ["wire one"]
        assert "attempt-lost" not in await journal(here, "one")
        await is_empty(world)


async def test_a_call_that_waits_for_its_turn_is_given_back_when_the_stop_begins() -> None:
    async with shop("orders", "payments", max_running=2) as (world, (here, there)):
        terminal.open.clear()
        there.node.activities.max_running = 1  # it claims two, and runs one
        await here.start(order_by_wire, "one", id="one")
        await here.start(order_by_wire, "two", id="two")
        await until(lambda: there.node.activities.waiting == 1)
        stopping = asyncio.create_task(there.stop())
        async with node(world, "payments"):
            await until(lambda: len(terminal.calls) == 2)
            assert not stopping.done()
            terminal.open.set()
            results = [await here.execution(id).result(timeout=30) for id in ("one", "two")]
            await stopping

        assert results == ["wired", "wired"]
        assert sorted(terminal.calls) == ["wire one", "wire two"]
        await is_empty(world)


async def test_a_stopping_node_cancels_a_claimed_call_that_nobody_waits_for() -> None:
    async with shop("orders", "payments") as (world, (here, there)):
        terminal.open.clear()
        execution = await here.start(order_by_wire, "one", id="one")
        await terminal.entered.wait()
        stopping = asyncio.create_task(there.stop(timedelta(minutes=1)))
        await until(lambda: there.node.stopping)
        await execution.cancel()
        async with asyncio.timeout(10):
            await stopping

        assert terminal.cancelled == 1
        await until(lambda: not world.shared.live())
        assert (await execution.describe()).status == Status.CANCELLED


async def test_a_stopping_node_takes_a_cancellation_of_what_it_runs() -> None:
    async with shop("orders,payments", "orders") as (world, (here, other)):
        terminal.open.clear()
        await here.start(order_by_wire, "one", id="one")
        await terminal.entered.wait()
        stopping = asyncio.create_task(here.stop(timedelta(minutes=1)))
        await until(lambda: here.node.stopping)
        await other.execution("one").cancel()
        async with asyncio.timeout(10):
            await stopping

        assert terminal.cancelled == 1
        assert (await journal(other, "one"))[-1] == "ended"
        assert not world.calls
