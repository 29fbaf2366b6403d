"""Sagas over a store that fails: no step is repeated that was recorded, nothing is lost."""

import contextlib
from pathlib import Path

import pytest
from tests.runtime.shop import GOOD, TOO_MUCH, called, place_order, shop

from counterpoint import ExecutionFailed, NodeStoppedError, StoreError
from counterpoint.errors import StoreBrokenError, StoreFullError, StoreReadOnlyError
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing import Harness

FAILURES = [
    StoreFullError("the disk is full"),
    StoreReadOnlyError("the file cannot be written"),
    StoreBrokenError("the outcome is unknown"),
]


async def outcome(harness: Harness, id: str) -> str:
    """Let the node recover and return how an execution ends, starting it if it is unknown."""
    await harness.advance(minutes=1)
    execution = await harness.start(place_order, "tea", TOO_MUCH, id=id)
    try:
        return await harness.result(execution)
    except ExecutionFailed as failed:
        return failed.status


def repeated(harness: Harness) -> list[str]:
    """Return the keys of the steps that were performed more than once."""
    keys = [call.idempotency_key for call in harness.calls]
    return sorted({key for key in keys if keys.count(key) > 1})


@pytest.mark.parametrize("commit", [1, 2, 3, 4, 5, 6])
async def test_commit_that_was_written_but_reported_as_failed_repeats_no_recorded_step(
    commit: int,
) -> None:
    async with Harness(services=[shop]) as harness:
        harness.crash_at_commit(commit, when="applied-but-failed")
        with contextlib.suppress(StoreError, ExecutionFailed):
            await harness.run(place_order, "tea", TOO_MUCH, id="one")

        assert await outcome(harness, "one") == "compensated"
        assert repeated(harness) == []
        assert len(called(harness)) == (6 if commit == 3 else 5)


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("commit", [2, 4, 6])
async def test_commit_that_failed_repeats_only_the_step_that_it_did_not_record(
    commit: int, error: StoreError, tmp_path: Path
) -> None:
    store = SqliteStore(tmp_path / "shop.db")
    async with Harness(services=[shop], store=store) as harness:
        harness.store.fail_commits(error, after=commit - 1)
        with contextlib.suppress(StoreError, ExecutionFailed):
            await harness.run(place_order, "tea", TOO_MUCH, id="one")

        assert await outcome(harness, "one") == "compensated"
        assert len(repeated(harness)) <= 1


async def test_store_that_fails_for_long_is_tried_ever_less_often_and_used_again() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await harness.app.start(place_order, "tea", GOOD, id="one")
        harness.store.fail_commits(StoreFullError("the disk is full"), times=None)
        await harness.advance(minutes=5)
        with pytest.raises(NodeStoppedError, match="the disk is full"):
            await harness.start(place_order, "milk", GOOD)
        tried = harness.store.commits
        harness.store.heal()

        assert tried < 80
        assert await harness.result(execution) == "tea confirmed"


async def test_node_recovers_although_its_store_cannot_be_opened_at_first() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await harness.app.start(place_order, "tea", GOOD, id="one")
        harness.store.fail_commits(StoreBrokenError("the outcome is unknown"))
        harness.store.fail_opens(StoreReadOnlyError("the file cannot be opened"), times=3)
        await harness.settle()
        fault = harness.app.health().problems

        assert "the outcome is unknown" in fault[0]
        await harness.advance(minutes=1)
        assert await execution.result() == "tea confirmed"


async def test_every_acknowledged_start_ends_while_the_store_fails_again_and_again() -> None:
    async with Harness(services=[shop]) as harness:
        acknowledged: list[str] = []
        for number in range(30):
            harness.store.fail_commits(FAILURES[number % 3], after=number % 5)
            with contextlib.suppress(StoreError, NodeStoppedError):
                execution = await harness.app.start(place_order, "tea", GOOD, id=f"n-{number}")
                acknowledged.append(execution.id)
            await harness.advance(seconds=20)
        await harness.advance(minutes=1)

        assert len(acknowledged) == 24
        for id in acknowledged:
            assert await harness.execution(id).result() == "tea confirmed"
