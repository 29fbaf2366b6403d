"""Activities, compensations and reactions that write in a transaction of PostgreSQL."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import asyncpg
import pytest
from tests.design.services_transactions import Plan, bank, work
from tests.postgres.server import BackDoor

from counterpoint import (
    App,
    ExecutionFailed,
    NodeStoppedError,
    Retry,
    Service,
    Status,
    StoreError,
    Transaction,
    postgres,
)
from counterpoint.errors import StoreBrokenError
from counterpoint.model.messages import EventQuery
from counterpoint.model.rows import Commit
from counterpoint.stores.postgres import PostgresStore
from counterpoint.stores.postgres_connections import SHARED_MAX
from counterpoint.stores.postgres_url import read_url

PATIENCE = 60
T = TypeVar("T")


class Ledger:
    """The bank's table, seen from behind."""

    def __init__(self, url: str, back_door: BackDoor) -> None:
        self.table = f"{read_url(url).schema}_books"
        self._back_door = back_door
        back_door.execute(f"CREATE TABLE {self.table} (entry text, cents integer)")

    def entries(self) -> list[str]:
        query = f"SELECT entry FROM {self.table} ORDER BY entry"
        return [entry for (entry,) in self._back_door.rows(query)]

    def drop(self) -> None:
        self._back_door.execute(f"DROP TABLE {self.table}")


class Flaky(PostgresStore):
    """Breaks at some commits: before they are written, or after."""

    before: int | None = None
    after: int | None = None
    commits = 0

    async def commit(self, commit: Commit) -> int:
        return await self.perhaps(lambda: super(Flaky, self).commit(commit))

    async def begin(self) -> Any:
        return FlakyTransaction(self, await super().begin())

    async def perhaps(self, commit: Callable[[], Awaitable[int]]) -> int:
        number = self.commits = self.commits + 1
        if number == self.before:
            raise StoreBrokenError("injected: it was not written")
        first = await commit()
        if number == self.after:
            raise StoreBrokenError("injected: it was written")
        return first


class FlakyTransaction:
    def __init__(self, store: Flaky, inner: Any) -> None:
        self._store = store
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def commit(self, commit: Commit) -> int:
        try:
            return await self._store.perhaps(lambda: self._inner.commit(commit))
        except StoreBrokenError:
            await self._inner.rollback()
            raise


@pytest.fixture
def ledger(url: str, back_door: BackDoor) -> Iterator[Ledger]:
    made = Ledger(url, back_door)
    yield made
    made.drop()


@asynccontextmanager
async def opened(
    url: str, plan: Plan, ledger: Ledger, *, breaks: int | None = None
) -> AsyncIterator[App]:
    """Host a bank; its store breaks before that commit, and after the sixth that follows."""
    plan.books = ledger.table
    store = Flaky(url)
    async with (
        asyncio.timeout(PATIENCE),
        App("bank", services=bank(plan), store=store) as app,
    ):
        if breaks is not None:
            store.before, store.after = store.commits + breaks, store.commits + breaks + 6
        yield app
        store.before = store.after = None


async def published(app: App) -> list[str]:
    found = await app.node.store.events(EventQuery(types=("bank.Paid",)))
    return sorted(f"{row.key}" for row in found)


async def insisted(act: Callable[[], Awaitable[T]]) -> T:
    """Do something as often as it takes, however often the store fails."""
    while True:
        try:
            return await act()
        except (StoreError, NodeStoppedError):
            await asyncio.sleep(0.01)


async def ended(app: App, execution_id: str) -> Status:
    """Wait for the end of an execution, and return how it is."""

    async def look() -> Status:
        row = await app.node.store.execution(execution_id)
        if row is None or row.status.live:
            raise NodeStoppedError("not yet")
        return row.status

    return await insisted(look)


# ---- exactly once -----------------------------------------------------------------------------


@pytest.mark.parametrize("breaks", [1, 3, 5, 6])
async def test_entries_are_there_once_wherever_the_store_breaks(
    url: str, ledger: Ledger, breaks: int
) -> None:
    async with opened(url, Plan(), ledger, breaks=breaks) as app:
        buy = work(app, "buy")
        for order in ("o", "bad"):
            await insisted(functools.partial(app.start, buy, order, id=order))

        assert await ended(app, "o") is Status.COMPLETED
        assert await ended(app, "bad") is Status.COMPENSATED
        assert ledger.entries() == [
            "charge bad 5",
            "charge bad 7",
            "charge o 5",
            "charge o 7",
            "give back bad 5",
            "give back bad 7",
        ]
        assert await published(app) == ["bad", "bad", "o", "o"]


async def taken(app: App, ledger: Ledger, count: int) -> None:
    """Raise unless so many entries are there, and what follows from them."""
    if len(ledger.entries()) < count or len(await published(app)) < count:
        raise NodeStoppedError("not yet")


@pytest.mark.parametrize("breaks", [1, 3, 5, 6])
async def test_a_reaction_writes_once_for_each_event_wherever_the_store_breaks(
    url: str, ledger: Ledger, breaks: int
) -> None:
    async with opened(url, Plan(), ledger, breaks=breaks) as app:
        ordered = work(app, "Ordered")
        for number in range(6):
            event = ordered(order_id=f"o{number % 3}")
            await insisted(functools.partial(app.publish, event, id=f"e{number}"))
        await insisted(functools.partial(taken, app, ledger, 6))

        assert ledger.entries() == sorted(f"take o{number % 3}" for number in range(6))
        assert await published(app) == sorted(f"o{number % 3}" for number in range(6))


# ---- beside others ----------------------------------------------------------------------------


async def test_others_go_on_while_transactions_are_open_and_no_more_begin_than_have_room(
    url: str, ledger: Ledger
) -> None:
    plan, go_on = Plan(), asyncio.Event()
    count = SHARED_MAX + 3

    async def pause(_: Any) -> None:
        if len(plan.began) == SHARED_MAX:
            full.set()
        await go_on.wait()

    full = asyncio.Event()
    for number in range(count):
        plan.next(f"charge o{number} 5", pause)
    async with opened(url, plan, ledger) as app:
        leaving = work(app, "buy_or_leave")
        executions = [await app.start(leaving, f"o{number}") for number in range(count)]
        await full.wait()
        other = await app.start(work(app, "wait"), "!")
        await other.signal("go", "on")
        assert await other.result() == "on!"
        assert len(plan.began) == SHARED_MAX
        assert ledger.entries() == []
        go_on.set()

        assert [await one.result() for one in executions] == ["paid"] * count
        assert ledger.entries() == sorted(f"charge o{number} 5" for number in range(count))


async def test_two_transactions_of_one_execution_are_open_at_once_and_recorded_one_after_the_other(
    url: str, ledger: Ledger
) -> None:
    plan, both = Plan(), asyncio.Barrier(2)

    async def meet(_: Any) -> None:
        await both.wait()

    for cents in (5, 7):
        plan.next(f"charge o {cents}", meet)
    async with opened(url, plan, ledger) as app:
        execution = await app.start(work(app, "buy"), "o")

        assert await execution.result() == 12
        assert ledger.entries() == ["charge o 5", "charge o 7"]
        assert [entry.type for entry in await execution.journal()].count("completed") == 5


async def test_many_executions_with_transactions_and_without_end_well(
    url: str, ledger: Ledger
) -> None:
    async with opened(url, Plan(), ledger) as app:
        executions = [await app.start(work(app, "buy"), f"o{number}") for number in range(30)]

        assert [await one.result() for one in executions] == [12] * 30
        assert len(ledger.entries()) == len(set(ledger.entries())) == 60


# ---- what fails leaves nothing ----------------------------------------------------------------


def slow_bank(table: str, *, cut_off: int) -> tuple[Service, Any]:
    """Return a service of which so many attempts are cut off in the middle of a statement.

    Where the machine is slow others run out of time before, or after: they are made again.
    """
    service, tried = Service("slow"), list[int]()
    retry = Retry(max_attempts=1_000, first=timedelta(milliseconds=1), cap=timedelta(seconds=0.05))

    @service.activity(timeout=timedelta(milliseconds=100), retry=retry)
    async def book(tx: postgres.Transaction, entry: str) -> str:
        await tx.execute(f"INSERT INTO {table} VALUES ($1, 1)", entry)
        async with tx.transaction():
            await tx.execute(f"INSERT INTO {table} VALUES ($1, 2)", entry + " inside")
        tried.append(1)
        if len(tried) <= cut_off:
            await tx.execute("SELECT pg_sleep(60)")
        return "booked"

    @service.workflow
    async def run(entry: str) -> str:
        return await book(entry)

    @service.workflow
    async def leave(entry: str) -> str:
        try:
            async with asyncio.timeout(0.02):
                await book(entry)
        except TimeoutError:
            return "left"
        return "booked"

    return service, (run, leave)


@pytest.mark.parametrize(
    ("which", "cut_off", "result", "entries"),
    [(0, 1, "booked", ["e", "e inside"]), (1, 1_000, "left", [])],
)
async def test_an_attempt_that_is_cut_off_in_a_statement_leaves_nothing(
    url: str, ledger: Ledger, which: int, cut_off: int, result: str, entries: list[str]
) -> None:
    service, workflows = slow_bank(ledger.table, cut_off=cut_off)
    async with (
        asyncio.timeout(PATIENCE),
        App("bank", services=[service], store=PostgresStore(url)) as app,
    ):
        assert await app.run(workflows[which], "e") == result

        assert ledger.entries() == entries


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("COMMIT", "leave COMMIT"),
        ("SELECT 1/0", "current transaction is aborted"),
    ],
)
async def test_a_transaction_that_its_user_has_ended_or_broken_fails_the_attempt(
    url: str, ledger: Ledger, statement: str, says: str
) -> None:
    plan = Plan()

    async def break_it(tx: Transaction) -> None:
        with suppress(asyncpg.DivisionByZeroError):  # what was broken stays broken
            await tx.execute(statement)

    plan.next("charge o 5", break_it)
    async with opened(url, plan, ledger) as app:
        execution = await app.start(work(app, "buy"), "o")
        assert await execution.result() == 12

        (failed,) = (await execution.describe()).calls[1].failed_attempts
        assert says in str(failed.error)


async def test_an_isolation_that_its_user_has_changed_fails_the_attempt(
    url: str, ledger: Ledger
) -> None:
    service, tried = Service("bank"), list[int]()

    @service.activity
    async def look(tx: Transaction) -> str:
        tried.append(1)
        if len(tried) == 1:
            await tx.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        return str(await tx.fetchval("SHOW transaction_isolation"))

    @service.workflow
    async def run() -> str:
        return await look()

    async with App("bank", services=[service], store=PostgresStore(url)) as app:
        assert await app.run(run) == "read committed"

        assert len(tried) == 2


# ---- on another node --------------------------------------------------------------------------


async def test_an_attempt_on_another_node_is_committed_with_the_letter_that_says_how_it_ended(
    url: str, ledger: Ledger
) -> None:
    orders, payments, tried = Service("orders"), Service("payments"), list[str]()

    @payments.activity(retry=Retry(first=timedelta(milliseconds=1), jitter=0))
    async def charge(tx: Transaction, order_id: str) -> str:
        tried.append(order_id)
        await tx.execute(f"INSERT INTO {ledger.table} VALUES ($1, 1)", order_id)
        if tried == [order_id]:
            raise ValueError("once")
        return order_id

    @charge.compensation
    async def give_back(order_id: str, tx: Transaction) -> None:
        await tx.execute(f"DELETE FROM {ledger.table} WHERE entry = $1", order_id)

    @orders.saga
    async def buy(order_id: str) -> str:
        charged = await charge(order_id)
        if order_id == "bad":
            raise ValueError("nobody is there")
        return charged

    services = [orders, payments]
    async with (
        asyncio.timeout(PATIENCE),
        App("a", services=services, store=PostgresStore(url), hosts=["orders"]) as here,
        App("b", services=services, store=PostgresStore(url), hosts=["payments"]),
    ):
        assert await here.run(buy, "o") == "o"
        with pytest.raises(ExecutionFailed, match="compensated"):
            await here.run(buy, "bad")

        assert tried == ["o", "o", "bad"]
        assert ledger.entries() == ["o"]
