"""Calls between nodes on one server: what runs where, and what limits mean for all of them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from tests.postgres.several import Several, several
from tests.runtime.remote_shop import (
    order,
    order_and_fail,
    order_beating,
    order_by_wire,
    order_patiently,
    orders,
    payments,
    terminal,
    until,
)

from counterpoint import App, ExecutionFailed, NotDone, Rate, Retry, Service
from counterpoint.model.messages import EventQuery
from counterpoint.model.states import Status
from counterpoint.postgres import Transaction
from counterpoint.stores.postgres import PostgresStore

bank = Service("bank", concurrency=2)
QUICK = Retry(max_attempts=3, first=timedelta(milliseconds=1))


@bank.activity(retry=QUICK)
async def book(name: str) -> str:
    await terminal.take(f"book {name}")
    return name


@bank.activity(retry=QUICK, concurrency=1)
async def audit(name: str) -> str:
    await terminal.take(f"audit {name}")
    return name


@bank.activity(retry=QUICK, rate=Rate(10))
async def notify(name: str) -> str:
    await terminal.take(f"notify {name}")
    return name


@bank.activity(retry=QUICK)
async def enter(tx: Transaction, name: str) -> str:
    await tx.execute("INSERT INTO entries VALUES ($1)", name)
    await terminal.take(f"enter {name}")
    return name


@orders.workflow
async def entered(name: str) -> str:
    return await enter(name)


@orders.workflow
async def booked(name: str) -> str:
    return await book(name)


@orders.workflow
async def audited(name: str) -> str:
    return await audit(name)


@orders.workflow
async def notified(name: str) -> str:
    return await notify(name)


class Nodes:
    """Apps that are nodes of one store."""

    def __init__(self, url: str, stack: AsyncExitStack, behind: Several) -> None:
        self.url = url
        self.stack = stack
        self.behind = behind

    async def enter(self, *hosts: str, **settings: Any) -> App:
        """Let another node begin, that hosts these services."""
        app = App(
            "shop",
            services=[orders, payments, bank],
            hosts=hosts,
            store=PostgresStore(self.url),
            block_warning=timedelta(0),
            **settings,
        )
        return await self.stack.enter_async_context(app)

    async def calls(self) -> list[tuple[Any, ...]]:
        """Return activity, attempt, claimed_by, ended of what is in the table."""
        text = "SELECT activity, attempt, claimed_by, ended, cancelled FROM {schema}.calls"
        return await self.behind.sql(text)

    async def is_empty(self) -> None:
        """Wait until no call and no letter is left over."""
        async with asyncio.timeout(30):
            while await self._left():  # noqa: ASYNC110 - a table has no signal
                await asyncio.sleep(0.002)

    async def _left(self) -> bool:
        letters = await self.behind.sql("SELECT 1 FROM {schema}.mailbox")
        return bool(letters or await self.calls())

    async def offered(self, count: int) -> None:
        """Wait until so many calls are in the table."""
        async with asyncio.timeout(30):
            while len(await self.calls()) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.002)


@asynccontextmanager
async def shop(url: str) -> AsyncGenerator[Nodes]:
    """Give nodes of the store at *url*."""
    terminal.begin()
    async with several(url) as behind, AsyncExitStack() as stack:
        nodes = Nodes(url, stack, behind)
        try:
            yield nodes
        finally:
            terminal.open.set()
            terminal.give_up.set()


async def test_calls_and_compensations_run_where_they_are_hosted(url: str) -> None:
    async with shop(url) as nodes:
        here = await nodes.enter("orders")
        there = await nodes.enter("payments")
        terminal.fail = [NotDone("not yet")]
        good = await here.start(order, "one", id="one")
        result = await good.result(timeout=30)
        bad = await here.start(order_and_fail, "two", id="two")
        with pytest.raises(ExecutionFailed) as caught:
            await bad.result(timeout=30)
        events = await there.node.store.events(EventQuery())

        assert result == {"cents": 250}
        assert caught.value.status == Status.COMPENSATED
        assert terminal.calls == [
            "charge one",
            "charge one",
            "charge two",
            "refund two {'cents': 250}",
            "release two",
        ]
        assert [event.key for event in events] == ["one", "two"]
        await nodes.is_empty()


async def test_many_calls_between_three_nodes_each_happen_once(url: str) -> None:
    async with shop(url) as nodes:
        apps = [
            await nodes.enter("orders"),
            await nodes.enter("payments", max_running=4),
            await nodes.enter("payments", "orders", max_running=4),
        ]
        started = [await apps[n % 3].start(order, str(n)) for n in range(60)]
        for execution in started:
            assert await execution.result(timeout=20) == {"cents": 250}

        assert sorted(terminal.calls) == sorted(f"charge {n}" for n in range(60))
        await nodes.is_empty()


async def test_a_cancelled_call_is_cancelled_where_it_runs(url: str) -> None:
    async with shop(url) as nodes:
        here = await nodes.enter("orders")
        await nodes.enter("payments")
        terminal.open.clear()
        execution = await here.start(order_patiently, "one")

        assert await execution.result(timeout=30) == "too late"
        await until(lambda: terminal.cancelled == len(terminal.calls))
        await nodes.is_empty()


async def test_a_call_is_withdrawn_that_nobody_has_claimed(url: str) -> None:
    async with shop(url) as nodes:
        here = await nodes.enter("orders")
        execution = await here.start(order_patiently, "one")

        assert await execution.result(timeout=30) == "too late"
        await nodes.is_empty()


async def test_heartbeats_reach_the_next_attempt(url: str) -> None:
    async with shop(url) as nodes:
        here = await nodes.enter("orders")
        await nodes.enter("payments")
        terminal.fail = [ConnectionError("no route")]
        execution = await here.start(order_beating, "one")

        assert await execution.result(timeout=30) == "{'page': 7}"


async def test_a_lost_call_is_made_again_unless_it_may_be_made_only_once(url: str) -> None:
    async with shop(url) as nodes:
        here = await nodes.enter("orders")
        there = await nodes.enter("payments")
        terminal.open.clear()
        again = await here.start(order, "one")
        once = await here.start(order_by_wire, "two")
        await until(lambda: len(terminal.calls) == 2)
        await there.node.crash()
        terminal.open.set()
        await nodes.enter("payments")

        assert await again.result(timeout=30) == {"cents": 250}
        with pytest.raises(ExecutionFailed, match="outcome unknown"):
            await once.result(timeout=30)
        assert sorted(terminal.calls) == ["charge one", "charge one", "wire two"]
        await nodes.is_empty()


async def test_the_outcome_of_a_call_finds_the_new_owner_of_its_execution(url: str) -> None:
    async with shop(url) as nodes:
        here = await nodes.enter("orders")
        await nodes.enter("payments")
        terminal.open.clear()
        await here.start(order_by_wire, "one", id="one")
        await terminal.entered.wait()
        await here.node.crash()
        other = await nodes.enter("orders")
        terminal.open.set()

        assert await other.execution("one").result(timeout=30) == "wired"
        assert terminal.calls == ["wire one"]
        await nodes.is_empty()


async def test_a_services_concurrency_holds_over_all_nodes(url: str) -> None:
    async with shop(url) as nodes:
        apps = [await nodes.enter("orders", "bank"), await nodes.enter("bank")]
        terminal.open.clear()
        started = [await apps[0].start(booked, str(n)) for n in range(6)]
        await until(lambda: terminal.running == 2)
        terminal.open.set()
        for execution in started:
            await execution.result(timeout=30)

        assert terminal.most == 2
        await nodes.is_empty()


async def test_an_activitys_concurrency_holds_over_all_nodes(url: str) -> None:
    async with shop(url) as nodes:
        apps = [await nodes.enter("orders", "bank"), await nodes.enter("bank")]
        started = [await apps[0].start(audited, str(n)) for n in range(8)]
        for execution in started:
            await execution.result(timeout=30)

        assert terminal.most == 1
        assert len(terminal.calls) == 8


async def test_a_rate_holds_over_all_nodes(url: str) -> None:
    async with shop(url) as nodes:
        apps = [await nodes.enter("orders", "bank"), await nodes.enter("bank")]
        clock = apps[0].node.clock
        began = clock.now()
        started = [await apps[0].start(notified, str(n)) for n in range(5)]
        for execution in started:
            await execution.result(timeout=30)

        assert clock.now() - began > 350_000  # four of them had to wait for 0.1 s each
        assert len(terminal.calls) == 5


async def test_claims_are_fair_between_workflows(url: str) -> None:
    async with shop(url) as nodes:
        here = await nodes.enter("orders")
        for n in range(30):
            await here.start(order_by_wire, f"flood {n}")
        late = await here.start(order, "late")
        await nodes.offered(31)
        await nodes.enter("payments", max_running=2)
        await late.result(timeout=30)

        assert terminal.calls.index("charge late") < 8


async def test_what_a_call_writes_in_a_transaction_is_committed_with_its_outcome(url: str) -> None:
    async with shop(url) as nodes:
        await nodes.behind.sql("DROP TABLE IF EXISTS public.entries")
        await nodes.behind.sql("CREATE TABLE public.entries (name text)")
        here = await nodes.enter("orders")
        there = await nodes.enter("bank")
        terminal.fail = [ConnectionError("no route")]  # after it has written
        first = await here.start(entered, "one")
        await first.result(timeout=30)
        terminal.open.clear()
        terminal.entered.clear()
        second = await here.start(entered, "two")
        await terminal.entered.wait()
        await there.node.crash()
        terminal.open.set()
        await nodes.enter("bank")
        await second.result(timeout=30)
        rows = await nodes.behind.sql("SELECT name FROM public.entries ORDER BY name")
        await nodes.behind.sql("DROP TABLE public.entries")

        assert rows == [("one",), ("two",)]
        assert terminal.calls == ["enter one", "enter one", "enter two", "enter two"]
        await nodes.is_empty()


async def test_a_node_that_was_declared_dead_does_not_report_what_it_ran(url: str) -> None:
    async with shop(url) as nodes:
        here = await nodes.enter("orders")
        there = await nodes.enter("payments")
        terminal.open.clear()
        await here.start(order_by_wire, "one", id="one")
        await terminal.entered.wait()
        await nodes.behind.lose(_store(there), by=_store(here))
        terminal.open.set()
        with pytest.raises(ExecutionFailed, match="outcome unknown"):
            await here.execution("one").result(timeout=30)

        assert terminal.calls == ["wire one"]


def _store(app: App) -> PostgresStore:
    store = app.node.store
    assert isinstance(store, PostgresStore)
    return store
