"""Defects that a review found in the runtime: each is kept from coming back."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from counterpoint import (
    App,
    ExecutionFailed,
    NodeStoppedError,
    Retry,
    Service,
    StoreError,
    workflow,
)
from counterpoint.errors import StoreFullError
from counterpoint.model.rows import Commit
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing import VirtualClock

shop = Service("shop")
QUICK = Retry(max_attempts=2, first=timedelta(milliseconds=1))
begun: list[str] = []


@shop.activity(timeout=timedelta(seconds=30))
async def act(name: str, seconds: float = 0) -> str:
    begun.append(name)
    await asyncio.sleep(seconds)
    return name


@shop.activity(retry=QUICK)
async def breaks() -> None:
    raise ConnectionError("no answer")


@shop.workflow
async def sleeps(seconds: float) -> str:
    await workflow.sleep(seconds)
    return await act("after the sleep")


@shop.workflow
async def runs(name: str, seconds: float) -> str:
    return await act(name, seconds)


@shop.workflow
async def runs_two() -> list[str]:
    return list(await asyncio.gather(act("short", 0.05), act("long", 0.3)))


@shop.workflow
async def breaking() -> None:
    await breaks()


@shop.workflow
async def works_then_waits(name: str) -> str:
    await act(name)
    return await workflow.signal("go", str)


@shop.activity(timeout=timedelta(milliseconds=50), retry=Retry(max_attempts=1))
async def stubborn() -> None:
    """Swallow the timeout's cancellation; only the end of the test's loop ends it."""
    with suppress(asyncio.CancelledError):
        await asyncio.get_running_loop().create_future()
    await asyncio.get_running_loop().create_future()


@shop.workflow
async def calls_stubborn() -> None:
    await stubborn()


class Flaky(SqliteStore):
    """Full while `full` holds, or once when `fails` says so."""

    full = False
    fails = 0

    async def commit(self, commit: Commit) -> int:
        if self.full:
            raise StoreFullError("the disk is full")
        if self.fails and commit.journal:
            self.fails -= 1
            raise StoreFullError("the disk is full")
        return await super().commit(commit)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    begun.clear()


def app_on(store: SqliteStore, **settings: Any) -> App:
    return App("shop", services=[shop], store=store, **settings)


async def test_nothing_is_loaded_while_the_store_cannot_be_written(tmp_path: Path) -> None:
    path, clock = tmp_path / "shop.db", VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    async with app_on(SqliteStore(path), clock=clock) as app:
        await app.start(sleeps, 0.5, id="x")
        await app.idle(timeout=30)
    store = Flaky(path)
    async with app_on(store, clock=clock) as app:
        store.full = True
        with pytest.raises(StoreError):
            await app.start(runs, "refused", 0.0)
        for _ in range(8):  # the timer comes due meanwhile
            clock.move_to(clock.now() + 100_000)
            await asyncio.sleep(0.01)

        assert "x" not in app.node.residents
        store.full = False
        result = asyncio.ensure_future(app.execution("x").result(timeout=30))
        while not result.done():
            clock.move_to(clock.now() + 100_000)
            await asyncio.wait([result], timeout=0.01)
        assert await result == "after the sleep"
        assert [entry.seq for entry in await app.execution("x").journal()]


async def test_a_commit_that_fails_during_the_stop_leaves_no_gap(tmp_path: Path) -> None:
    store = Flaky(tmp_path / "shop.db")
    async with app_on(store) as app:
        execution = await app.start(runs_two, id="x")
        store.fails = 1
        await app.stop(timedelta(seconds=1))

    async with app_on(SqliteStore(tmp_path / "shop.db")) as app:
        assert await app.execution("x").result(timeout=30) == ["short", "long"]
        assert await app.execution(execution.id).journal()


class Failing(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise OSError("the log is gone")


async def test_a_log_handler_that_raises_stops_nothing(tmp_path: Path) -> None:
    handler = Failing()
    logging.getLogger("counterpoint").addHandler(handler)
    try:
        async with app_on(SqliteStore(tmp_path / "shop.db")) as app:
            with pytest.raises(ExecutionFailed):
                await app.run(breaking, timeout=30)
            assert await app.run(runs, "next", 0.0, timeout=30) == "next"
    finally:
        logging.getLogger("counterpoint").removeHandler(handler)


async def test_the_end_of_a_part_of_the_node_is_no_secret(tmp_path: Path) -> None:
    async with app_on(SqliteStore(tmp_path / "shop.db")) as app:
        waiting = await app.start(works_then_waits, "a")

        async def gather_fails() -> None:
            raise RuntimeError("a defect")

        app.node.committer._flush_ready = gather_fails  # type: ignore[method-assign]
        start = asyncio.ensure_future(app.start(runs, "b", 0.0))
        with pytest.raises(NodeStoppedError):
            await asyncio.wait_for(start, timeout=30)

        assert not app.health().accepting
        assert any("a defect" in problem for problem in app.health().problems)
        with pytest.raises(Exception, match="node"):
            await waiting.result(timeout=30)


async def test_room_that_comes_from_waiting_lets_stored_executions_run(tmp_path: Path) -> None:
    async with app_on(SqliteStore(tmp_path / "shop.db"), max_resident=2) as app:
        for number in range(5):
            await app.start(works_then_waits, f"w-{number}", id=f"w-{number}")
        await app.idle(timeout=30)

        assert sorted(begun) == [f"w-{number}" for number in range(5)]


async def test_second_starts_of_an_id_take_no_room(tmp_path: Path) -> None:
    async with app_on(SqliteStore(tmp_path / "shop.db"), max_resident=3) as app:
        await app.start(works_then_waits, "w", id="w")
        await app.idle(timeout=30)
        before = app.node.room()
        for _ in range(5):
            await app.start(works_then_waits, "w", id="w")
        await app.idle(timeout=30)

        assert app.node.room() == before
        assert await app.run(runs, "next", 0.0, timeout=30) == "next"


async def test_an_attempt_that_swallows_its_cancellation_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("counterpoint.runtime.activities.GRACE", 50_000)
    async with App("shop", services=[shop], store="memory:", stop_within=timedelta(0)) as app:
        with pytest.raises(ExecutionFailed, match=r"took longer than 0\.05 s"):
            await app.run(calls_stubborn, timeout=30)


async def test_the_highest_version_that_advanced_an_execution_is_kept(tmp_path: Path) -> None:
    def versioned(version: int) -> App:
        service = Service("shop")

        @service.workflow(name="shop.flow", version=version)
        async def flow() -> str:
            await workflow.signal("first", str)
            return await workflow.signal("second", str)

        return App("shop", services=[service], store=f"sqlite:///{tmp_path / 'shop.db'}")

    first, second = versioned(1), versioned(2)
    flow = first.registry.workflows["shop.flow"]
    async with first as app:
        await app.start(flow, id="x")
        await app.idle(timeout=30)
    async with second as app:
        await app.execution("x").signal("first", "a")
        await app.idle(timeout=30)
        assert (await app.execution("x").describe()).version == 2
    async with versioned(1) as app:
        await app.execution("x").signal("second", "b")
        await app.idle(timeout=30)

        assert (await app.execution("x").describe()).status == "running"
