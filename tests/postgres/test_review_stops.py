"""Stops, idleness and health of nodes that share one server."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from tests.runtime.remote_shop import order_by_wire, orders, payments, terminal, until

from counterpoint import App, NodeState
from counterpoint.model.cluster import CallRow, Limit
from counterpoint.stores.postgres import PostgresStore


class SlowClaims(PostgresStore):
    """The answer to a claim is on its way until it is let in."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.claimed = asyncio.Event()
        self.arrive = asyncio.Event()

    async def claim(
        self, activities: Sequence[str], limits: Sequence[Limit], limit: int
    ) -> list[CallRow]:
        rows = await super().claim(activities, limits, limit)
        if rows:
            self.claimed.set()
            await self.arrive.wait()
        return rows


def app(url: str, host: str, store: PostgresStore | None = None) -> App:
    """Return an app that is a node of the store at *url* when it is entered."""
    return App(
        "shop",
        services=[orders, payments],
        hosts=[host],
        store=PostgresStore(url) if store is None else store,
        block_warning=timedelta(0),
    )


async def test_a_claim_that_is_under_way_when_its_node_stops_is_given_back(url: str) -> None:
    terminal.begin()
    slow = SlowClaims(url)
    async with app(url, "orders") as here:
        async with app(url, "payments", slow) as there:
            execution = await here.start(order_by_wire, "one")
            await slow.claimed.wait()
            stopping = asyncio.create_task(there.stop())
            await until(lambda: there.node.stopping)
            asyncio.get_running_loop().call_soon(slow.arrive.set)
            await stopping
        async with app(url, "payments"):
            result = await execution.result(timeout=30)

        assert result == "wired"
        assert terminal.calls == ["wire one"]


async def test_a_node_that_began_again_is_not_idle_while_its_call_is_out(url: str) -> None:
    terminal.begin()
    terminal.open.clear()
    async with app(url, "payments"):
        async with app(url, "orders") as here:
            await here.start(order_by_wire, "one", id="one")
            await terminal.entered.wait()
        async with app(url, "orders") as again:
            with pytest.raises(TimeoutError):
                await again.idle(timeout=0.3)
            terminal.open.set()
            await again.idle(timeout=30)

            assert await again.execution("one").result(timeout=30) == "wired"


async def test_health_names_the_calls_that_no_node_hosts(url: str) -> None:
    async with app(url, "orders") as here:
        await here.start(order_by_wire, "one")
        await until(lambda: here.node.remote.waiting)
        unhosted = here.node.remote.unhosted
        assert unhosted is not None
        async with asyncio.timeout(30):
            while not unhosted.found:
                await unhosted.look()

        (problem,) = here.health().problems
        assert problem.startswith("no node hosts payments.wire: 1 call waits since ")


async def test_others_see_that_a_node_stops_by_itself(url: str) -> None:
    terminal.begin()
    terminal.open.clear()
    async with app(url, "orders") as here, app(url, "payments") as there:
        await here.start(order_by_wire, "one")
        await terminal.entered.wait()
        stopping = asyncio.create_task(there.stop())
        await until(lambda: there.node.stopping)
        membership = there.node.membership
        assert membership is not None
        membership.poke()
        async with asyncio.timeout(30):
            while NodeState.DRAINING not in [one.state for one in await here.nodes()]:  # noqa: ASYNC110 - other nodes do
                await asyncio.sleep(0)
        terminal.open.set()
        await stopping

        states = {tuple(one.services): one.state for one in await here.nodes(all_of_them=True)}
        assert states == {("orders",): NodeState.ALIVE, ("payments",): NodeState.STOPPED}
