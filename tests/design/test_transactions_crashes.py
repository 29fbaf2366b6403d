"""Transactions of users where the node dies or the store fails: each entry is there once."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.design.services_events import live_on
from tests.design.services_transactions import Declined, entries
from tests.design.test_transactions import BOUGHT, at, opened, published

from counterpoint import ExecutionFailed, NodeStoppedError, StoreError
from counterpoint.errors import StoreBrokenError
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

CRASHES: list[When] = ["before", "after", "applied-but-failed"]
COMMITS_MAX = 40
UNDONE = ["charge bad 5", "charge bad 7", "give back bad 5", "give back bad 7"]


async def ends(harness: Harness, workflow: Any, *args: Any) -> Any:
    """Start an execution and see it end, whatever becomes of the node meanwhile."""
    for _ in range(3):
        try:
            return await harness.run(workflow, *args, id="it")
        except ExecutionFailed as failed:
            return failed
        except Exception:  # noqa: BLE001 - the node crashed
            if not harness.running:
                await harness.restart()
            await harness.advance(minutes=1)
    raise AssertionError("it does not end")


async def thanked(harness: Harness) -> list[str]:
    found = [e.id async for e in harness.app.executions() if e.id.startswith("thanks")]
    return sorted(found)


@pytest.mark.parametrize("when", CRASHES)
async def test_entries_events_and_starts_are_there_once_across_a_crash_at_every_commit(
    when: When, tmp_path: Path
) -> None:
    for commit in range(1, COMMITS_MAX):
        path = tmp_path / f"{commit}.db"
        async with opened(path) as harness:
            before = harness.store.commits
            harness.crash_at_commit(commit, when=when)
            result = await ends(harness, at(harness, "buy"), "o")
            await harness.idle()

            assert result == 12, commit
            assert entries(path) == BOUGHT, commit
            assert await published(harness) == [5, 7], commit
            assert await thanked(harness) == ["thanks o 5", "thanks o 7"], commit
            if harness.store.commits - before < commit:
                assert commit > 6
                return
    raise AssertionError("it takes more commits than were tried")


@pytest.mark.parametrize("when", CRASHES)
async def test_what_was_charged_is_given_back_once_across_a_crash_at_every_commit(
    when: When, tmp_path: Path
) -> None:
    for commit in range(1, COMMITS_MAX):
        path = tmp_path / f"{commit}.db"
        async with opened(path) as harness:
            before = harness.store.commits
            harness.crash_at_commit(commit, when=when)
            error = await ends(harness, at(harness, "buy"), "bad")

            assert isinstance(error.error, Declined), commit
            assert error.status == "compensated", commit
            assert entries(path) == UNDONE, commit
            if harness.store.commits - before < commit:
                assert commit > 8
                return
    raise AssertionError("it takes more commits than were tried")


@pytest.mark.parametrize("when", CRASHES)
@pytest.mark.parametrize("commit", range(1, 8))
async def test_a_reaction_writes_once_for_each_event_across_a_crash_at_every_commit(
    commit: int, when: When, tmp_path: Path
) -> None:
    path = tmp_path / "bank.db"
    async with opened(path) as harness:
        ordered = at(harness, "Ordered")
        await harness.publish(*(ordered(order_id=one) for one in "aba"))
        harness.crash_at_commit(commit, when=when)
        with suppress(StoreError, NodeStoppedError):
            await harness.publish(*(ordered(order_id=one) for one in "cc"))
        await live_on(harness)

        logged = await harness.published(ordered)
        assert entries(path) == sorted(f"take {event.order_id}" for event in logged)
        assert await published(harness) == [3] * len(logged)


async def test_a_commit_that_meets_a_failure_of_the_store_is_made_once(tmp_path: Path) -> None:
    for after in range(10):
        path = tmp_path / f"{after}.db"
        async with opened(path) as harness:
            for applied in (False, True):
                broken = StoreBrokenError("the outcome is unknown")
                harness.store.fail_commits(broken, after=after, applied=applied)
            await ends(harness, at(harness, "buy"), "o")
            await live_on(harness)

            assert entries(path) == BOUGHT, after
            assert await published(harness) == [5, 7], after
