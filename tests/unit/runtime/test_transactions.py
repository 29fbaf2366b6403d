"""When an execution's transaction is committed, and what of it has to wait meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from counterpoint import Execution, NotDone, Service, Transaction, workflow
from counterpoint.errors import StoreBrokenError, StoreError
from counterpoint.model.rows import Commit
from counterpoint.ports.store import StoreFeatures
from counterpoint.runtime.resident import Resident
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing import Harness

PATIENCE = 20
TURNS = 200


class Books(MemoryStore):
    """A store in memory with a list that users write to; commits wait where a test says so."""

    def __init__(self, *, alone: bool = False) -> None:
        super().__init__()
        self.features = StoreFeatures(
            durable=False,
            shared=False,
            transactions=True,
            connection="sqlite",
            transactions_at_once=1 if alone else 3,
            transactions_alone=alone,
        )
        self.entries: list[str] = []
        self.begun = 0
        self.may_group = asyncio.Event()
        self.may_commit = asyncio.Semaphore(1000)
        self.closed = asyncio.Event()
        self.may_undo = asyncio.Event()
        self.may_group.set()
        self.may_undo.set()

    async def commit(self, commit: Commit) -> int:
        await self.may_group.wait()
        while self.begun and self.features.transactions_alone:
            await self.closed.wait()
        return await super().commit(commit)

    async def begin(self) -> Any:
        self.begun += 1
        self.closed.clear()
        return BooksTransaction(self)

    async def write(self, commit: Commit) -> int:
        await self.may_commit.acquire()
        return await super().commit(commit)


class BooksTransaction:
    """What a user writes is in the books once it is committed."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.entries: list[str] = []
        self.over = False

    @property
    def connection(self) -> Any:
        return self

    async def execute(self, entry: str) -> str:
        self.entries.append(entry)
        return entry

    def expires(self, expired: Callable[[StoreError], None]) -> None:
        """It has all the time that it wants."""

    async def check(self) -> None:
        """Everything may be written."""

    async def commit(self, commit: Commit) -> int:
        first = await self.books.write(commit)
        self.books.entries += self.entries
        await self.rollback()
        return first

    async def rollback(self) -> None:
        await self.books.may_undo.wait()
        if not self.over:
            self.over = True
            self.books.begun -= 1
            self.books.closed.set()


class Shop:
    """A service whose functions wait where a test says so."""

    def __init__(self) -> None:
        self.service = Service("shop")
        self.inside = asyncio.Event()
        self.go_on = asyncio.Event()
        self.may_look = asyncio.Event()
        self.go_on.set()
        self.may_look.set()
        service = self.service

        @service.activity
        async def charge(tx: Transaction, entry: str) -> str:
            await tx.execute(entry)
            self.inside.set()
            await self.go_on.wait()
            if entry == "wrong":
                raise NotDone(entry)
            result: Any = object() if entry == "odd" else entry
            return result  # type: ignore[no-any-return]

        @service.activity
        async def look() -> str:
            await self.inside.wait()
            await self.may_look.wait()
            return "looked"

        @service.workflow
        async def both(first: str, second: str) -> str:
            return "".join(await asyncio.gather(charge(first), charge(second)))

        @service.workflow
        async def beside() -> str:
            return "".join(await asyncio.gather(charge("a"), look()))

        @service.workflow
        async def signalled() -> str:
            charged, told = await asyncio.gather(charge("a"), workflow.signal("go", str))
            return charged + told

        self.both, self.beside, self.signalled = both, beside, signalled


@asynccontextmanager
async def opened(shop: Shop, books: Books) -> AsyncIterator[Harness]:
    async with (
        asyncio.timeout(PATIENCE),
        Harness(services=[shop.service], store=books) as harness,
    ):
        yield harness


async def until(happened: Callable[[], object]) -> None:
    """Let the loop turn until something has happened."""
    for _ in range(100 * TURNS):
        if happened():
            return
        await asyncio.sleep(0)
    raise AssertionError("it does not happen")


async def turns() -> None:
    """Let happen what can."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


def resident(harness: Harness, execution: Execution[Any]) -> Resident:
    return harness.app.node.residents[execution.id]


async def completed(execution: Execution[Any]) -> int:
    return [entry.type for entry in await execution.journal()].count("completed")


async def failed(execution: Execution[Any]) -> bool:
    """Whether it is recorded that an attempt, or with it its call, has failed."""
    return any(entry.type in {"attempt-failed", "failed"} for entry in await execution.journal())


async def test_what_is_recorded_while_the_transaction_commits_is_written_after_it() -> None:
    shop, books = Shop(), Books()
    books.may_commit = asyncio.Semaphore(0)
    async with opened(shop, books) as harness:
        execution = await harness.app.start(shop.signalled)
        await until(lambda: resident(harness, execution).transaction is not None)
        await execution.signal("go", "!")
        await until(lambda: resident(harness, execution).execution.pending)
        await turns()
        assert await completed(execution) == 0
        assert "signalled" not in [entry.type for entry in await execution.journal()]
        books.may_commit.release()

        assert await harness.result(execution) == "a!"
        assert books.entries == ["a"]


async def test_a_transaction_waits_for_the_group_commit_that_its_execution_is_in() -> None:
    shop, books = Shop(), Books()
    shop.go_on.clear()
    shop.may_look.clear()
    async with opened(shop, books) as harness:
        execution = await harness.app.start(shop.beside)
        await shop.inside.wait()
        books.may_group.clear()
        shop.may_look.set()
        await until(lambda: len(resident(harness, execution).attempts) == 1)
        await turns()
        shop.go_on.set()
        await until(lambda: resident(harness, execution).transaction is not None)
        await turns()
        assert books.entries == []
        books.may_group.set()

        assert await harness.result(execution) == "alooked"
        assert books.entries == ["a"]


async def test_a_second_transaction_of_an_execution_is_applied_after_the_first() -> None:
    shop, books = Shop(), Books()
    books.may_commit = asyncio.Semaphore(0)
    async with opened(shop, books) as harness:
        execution = await harness.app.start(shop.both, "a", "b")
        await until(lambda: resident(harness, execution).later)
        books.may_commit.release()
        await until(lambda: books.entries)
        await turns()
        assert books.entries == ["a"]
        assert await completed(execution) == 1
        books.may_commit.release()

        assert await harness.result(execution) == "ab"
        assert books.entries == ["a", "b"]


@pytest.mark.parametrize("entry", ["wrong", "odd"])
async def test_an_attempt_has_failed_when_its_transaction_is_undone(entry: str) -> None:
    shop, books = Shop(), Books()
    books.may_undo.clear()
    async with opened(shop, books) as harness:
        execution = await harness.app.start(shop.both, "a", entry)
        await shop.inside.wait()
        await turns()
        before = await failed(execution)
        books.may_undo.set()
        await turns()
        after = await failed(execution)
        left = harness.app.node.transactions.open

    assert (before, after) == (False, True)
    assert left == books.begun == 0
    assert books.entries == ["a"]


async def test_a_failure_of_the_store_leaves_no_transaction_open() -> None:
    shop, books = Shop(), Books()
    books.may_commit = asyncio.Semaphore(0)
    async with opened(shop, books) as harness:
        execution = await harness.app.start(shop.both, "a", "b")
        await until(lambda: resident(harness, execution).later)
        harness.app.node.store_failed(StoreBrokenError("the outcome is unknown"))
        await turns()
        assert harness.app.node.transactions.open == books.begun == 0
        books.may_commit = asyncio.Semaphore(1000)
        await harness.advance(minutes=1)

        assert await harness.result(execution) == "ab"
        assert sorted(books.entries) == ["a", "b"]


async def test_the_committer_waits_for_its_turn_before_it_gathers() -> None:
    shop, books = Shop(), Books(alone=True)
    shop.go_on.clear()
    async with opened(shop, books) as harness:
        execution = await harness.app.start(shop.beside)
        await shop.inside.wait()
        await until(lambda: resident(harness, execution).execution.pending)
        await turns()
        assert resident(harness, execution).execution.pending
        shop.go_on.set()

        assert await harness.result(execution) == "alooked"
        assert books.entries == ["a"]
        assert await completed(execution) == 2


async def test_an_execution_whose_transaction_is_being_committed_stays_in_memory() -> None:
    shop, books = Shop(), Books()
    books.may_commit = asyncio.Semaphore(0)
    async with opened(shop, books) as harness:
        execution = await harness.app.start(shop.signalled)
        await until(lambda: resident(harness, execution).transaction is not None)
        await turns()
        harness.app.node.settle(resident(harness, execution))
        assert execution.id not in harness.app.node.idle_residents
        books.may_commit.release()
        await until(lambda: books.entries)
        await turns()
        assert execution.id in harness.app.node.idle_residents

        await harness.evict()
        await execution.signal("go", "!")
        assert await harness.result(execution) == "a!"
        assert books.entries == ["a"]
