"""A store that fails: the node takes no work and says why, recovers, and loses nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.hearing import hearing

from counterpoint import App, NodeStoppedError, Service, StoreError, workflow
from counterpoint.errors import (
    StoreBrokenError,
    StoreBusyError,
    StoreCorruptError,
    StoreFullError,
    StoreReadOnlyError,
)
from counterpoint.model.rows import Commit, DueRow
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing.faults import FaultyStore

shop = Service("shop")
SECONDS = 30
OPEN_AGAIN = "the store is open again"


@shop.activity
async def pack(item: str) -> str:
    return f"{item} packed"


@shop.workflow
async def ship(item: str) -> str:
    await workflow.signal("go")
    return await pack(item)


@shop.workflow
async def send(item: str) -> str:
    return await pack(item)


@asynccontextmanager
async def running() -> AsyncIterator[tuple[App, FaultyStore]]:
    store = FaultyStore(MemoryStore())
    async with App("shop", services=[shop], store=store) as app:
        yield app, store


def fatal() -> StoreBrokenError:
    error = StoreBrokenError("fsync failed")
    error.fatal = True
    return error


@pytest.mark.parametrize(
    "error",
    [
        StoreFullError("the disk is full"),
        StoreReadOnlyError("the file cannot be written"),
        StoreBusyError("somebody holds the file"),
        StoreBrokenError("the outcome is unknown"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_node_whose_store_fails_stops_accepting_says_why_and_recovers_by_itself(
    error: StoreError, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as (app, store):
        acknowledged = await app.start(ship, "book", id="acknowledged")
        result = asyncio.create_task(acknowledged.result(timeout=SECONDS))
        store.fail_commits(error, times=None)
        with pytest.raises(type(error)):
            await app.start(ship, "pen", id="refused")
        health = app.health()
        with pytest.raises(NodeStoppedError, match=str(error)):
            await app.start(ship, "ink", id="refused at once")
        with pytest.raises(NodeStoppedError, match=str(error)):
            await acknowledged.signal("go")

        async with hearing(OPEN_AGAIN):
            store.heal()
        await acknowledged.signal("go")

        assert await result == "book packed"
        assert app.health().problems == ()

    assert not health.accepting
    assert str(error) in health.problems[0]
    assert str(error) in caplog.text


async def test_result_of_an_end_that_was_written_though_reported_as_failed_is_told() -> None:
    async with running() as (app, store):
        execution = await app.start(ship, "book", id="one")
        result = asyncio.create_task(execution.result(timeout=SECONDS))
        await execution.signal("go")
        store.fail_commits(StoreBrokenError("reported as broken"), times=None, applied=True)
        done, _ = await asyncio.wait([result], timeout=0.5)
        store.heal()

        assert not done or result.result() == "book packed"
        assert await result == "book packed"
        entries = await app.execution("one").journal()

    assert sum(entry.type == "completed" for entry in entries) == 1


async def test_every_commit_of_a_workflow_may_be_reported_as_failed_though_applied() -> None:
    async with running() as (app, store):
        for number in (1, 2):
            name = f"{number}"
            store.crash_at(number, when="applied-but-failed")
            async with hearing(OPEN_AGAIN):
                with contextlib.suppress(StoreError):
                    await app.start(send, "book", id=name)

            assert await app.execution(name).result(timeout=SECONDS) == "book packed"
            entries = await app.execution(name).journal()
            assert sum(entry.type == "completed" for entry in entries) == 1


async def test_node_stays_down_after_an_error_of_fsync_and_everybody_learns_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running() as (app, store):
        acknowledged = await app.start(ship, "book", id="acknowledged")
        result = asyncio.create_task(acknowledged.result())
        await asyncio.sleep(0)
        store.fail_commits(fatal())
        with pytest.raises(StoreBrokenError):
            await app.start(send, "pen")

        with pytest.raises(NodeStoppedError, match="stays down"):
            await asyncio.wait_for(result, SECONDS)
        with pytest.raises(NodeStoppedError, match="fsync failed"):
            await app.start(send, "ink")
        with pytest.raises(NodeStoppedError, match="fsync failed"):
            await acknowledged.result(timeout=SECONDS)
        with pytest.raises(NodeStoppedError, match="fsync failed"):
            await app.idle()
        health = app.health()

    assert not health.accepting
    assert health.problems[0].startswith("the store failed, start a new process: fsync failed")
    assert "the node stays down" in caplog.text


async def test_failed_read_of_what_is_due_does_not_end_the_search_for_it() -> None:
    class Blind(MemoryStore):
        failures = 0

        async def due(self, *, after: tuple[int, int], until: int, limit: int) -> list[DueRow]:
            if self.failures:
                self.failures -= 1
                raise StoreBusyError("somebody holds the file")
            return await super().due(after=after, until=until, limit=limit)

    store = Blind()
    async with App("shop", services=[shop], store=store, max_resident=1) as app:
        await app.idle(SECONDS)
        async with hearing(OPEN_AGAIN, times=2):
            store.failures = 2
            app.node.due.poke()
        names = ["a", "b", "c"]
        await asyncio.gather(*(app.start(send, name, id=name) for name in names))

        results = [await app.execution(name).result(timeout=SECONDS) for name in names]

    assert results == [f"{name} packed" for name in names]


async def test_letter_to_an_execution_that_cannot_be_read_now_is_kept() -> None:
    async with running() as (app, store):
        execution = await app.start(ship, "book", id="one")
        await app.idle(SECONDS)
        app.node.evict(app.node.residents["one"])
        store.hold_commits()
        posted = asyncio.create_task(execution.signal("go"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        async with hearing(OPEN_AGAIN):
            store.release_commits()
            store.fail_reads(StoreBusyError("somebody holds the file"))
            await posted

        assert await app.execution("one").result(timeout=SECONDS) == "book packed"


async def test_one_damaged_journal_stops_its_execution_and_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inner = MemoryStore()
    async with App("shop", services=[shop], store=inner) as app:
        for name in ("damaged", "sound"):
            await app.start(ship, name, id=name)
    rows = next(iter(inner._journal.values()))
    rows[1] = rows[1]._replace(body=rows[1].body.replace(b"ship", b"skip"))

    async with App("shop", services=[shop], store=inner) as app:
        for name in ("damaged", "sound"):
            await app.execution(name).signal("go")
        assert await app.execution("sound").result(timeout=SECONDS) == "sound packed"
        with pytest.raises(StoreCorruptError, match="record 1"):
            await app.execution("damaged").result(timeout=SECONDS)
        health = app.health()
        letters = [request async for request in app.posted()]

    assert health.accepting
    assert "execution damaged is left alone" in health.problems[0]
    assert "execution damaged is left alone" in caplog.text
    assert [letter.execution_id for letter in letters] == ["damaged"]


async def test_write_that_the_store_refuses_stops_its_execution_and_no_other() -> None:
    class Picky(MemoryStore):
        async def commit(self, commit: Commit) -> int:
            if any(b"poison" in row.body for row in commit.journal):
                raise StoreError("one of the values cannot be held")
            return await super().commit(commit)

    async with App("shop", services=[shop], store=Picky()) as app:
        started = await asyncio.gather(
            *(app.start(ship, name, id=name) for name in ("a", "poison", "b")),
            return_exceptions=True,
        )
        for name in ("a", "b"):
            await app.execution(name).signal("go")
        results = [await app.execution(name).result(timeout=SECONDS) for name in ("a", "b")]

    assert [isinstance(one, StoreError) for one in started] == [False, True, False]
    assert results == ["a packed", "b packed"]
