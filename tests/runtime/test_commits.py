"""What is written when: one commit a step, and nothing performed before its commit."""

import asyncio

import pytest
from tests.runtime.shop import GOOD, TOO_MUCH, called, place_order, shop

from counterpoint import ExecutionFailed, NodeStoppedError, Service
from counterpoint.model.rows import Query
from counterpoint.testing import Harness

service = Service("service")


@service.activity
async def step(number: int) -> int:
    return number


@service.workflow
async def in_time(number: int) -> int:
    async with asyncio.timeout(60):
        return await step(number)


@service.workflow
async def hasty() -> None:
    task = asyncio.ensure_future(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()


async def test_lone_saga_of_three_activities_takes_four_commits() -> None:
    async with Harness(services=[shop]) as harness:
        await harness.run(place_order, "tea", GOOD, id="one")

        assert harness.store.commits == 4


async def test_failing_twin_takes_six_commits() -> None:
    async with Harness(services=[shop]) as harness:
        with pytest.raises(ExecutionFailed):
            await harness.run(place_order, "tea", TOO_MUCH, id="one")

        assert harness.store.commits == 6
        assert called(harness) == ["create", "reserve", "charge", "release", "withdraw"]


async def test_each_commit_writes_one_journal_row_of_an_execution() -> None:
    async with Harness(services=[shop]) as harness:
        await harness.run(place_order, "tea", GOOD, id="one")
        (row,) = await harness.store.executions(Query())
        rows = await harness.store.journal(row.key)

        assert [(r.first_seq, r.records) for r in rows] == [(1, 2), (3, 2), (5, 2), (7, 2)]


async def test_executions_that_are_ready_together_share_commits() -> None:
    async with Harness(services=[shop]) as harness:
        ids = [f"order-{number}" for number in range(100)]
        await asyncio.gather(*(harness.app.run(place_order, "tea", GOOD, id=id) for id in ids))

        assert harness.store.commits <= 8


@pytest.mark.parametrize(
    ("commit", "performed"),
    [
        (1, []),
        (2, ["create"]),
        (3, ["create", "reserve"]),
        (4, ["create", "reserve", "charge"]),
        (5, ["create", "reserve", "charge", "release"]),
        (6, ["create", "reserve", "charge", "release", "withdraw"]),
    ],
)
async def test_nothing_is_performed_before_the_commit_of_its_cause(
    commit: int, performed: list[str]
) -> None:
    async with Harness(services=[shop]) as harness:
        harness.crash_at_commit(commit, when="before")

        with pytest.raises(NodeStoppedError):
            await harness.run(place_order, "tea", TOO_MUCH, id="one")

        assert called(harness) == performed


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("commit", [1, 2, 3, 4, 5, 6])
async def test_saga_that_crashed_at_any_commit_is_undone_once_and_in_order(
    commit: int, when: str
) -> None:
    async with Harness(services=[shop]) as harness:
        harness.crash_at_commit(commit, when="before" if when == "before" else "after")
        with pytest.raises(NodeStoppedError):
            await harness.run(place_order, "tea", TOO_MUCH, id="one")
        recorded = await recorded_keys(harness)
        before = len(harness.calls)

        await harness.restart()
        execution = await harness.start(place_order, "tea", TOO_MUCH, id="one")
        with pytest.raises(ExecutionFailed, match="over the limit"):
            await harness.result(execution)

        assert not recorded & {call.idempotency_key for call in harness.calls[before:]}
        undone = [name for name in called(harness) if name in ("release", "withdraw", "refund")]
        doubt = ["refund"] if (commit, when) in ((3, "after"), (4, "before")) else []
        assert list(dict.fromkeys(undone)) == [*doubt, "release", "withdraw"]


async def recorded_keys(harness: Harness) -> set[str]:
    """Return the idempotency keys of the steps whose end is in the store; the node is down."""
    async with harness.app.client() as client:
        known = [await client.execution(e.id).describe() async for e in client.executions()]
    calls = [call for execution in known for call in execution.calls]
    keys = {call.idempotency_key for call in calls if call.settled_at}
    return keys | {call.compensation_key or "" for call in calls if call.compensated_at}


async def test_timer_that_is_cancelled_before_its_commit_leaves_no_record() -> None:
    async with Harness(services=[service]) as harness:
        await harness.run(hasty, id="one")
        journal = await harness.execution("one").journal()

        assert [entry.type for entry in journal] == ["started", "ended"]


async def test_timeout_that_was_not_needed_is_recorded_as_cancelled() -> None:
    async with Harness(services=[service]) as harness:
        await harness.run(in_time, 3, id="one")
        journal = await harness.execution("one").journal()

        assert [entry.type for entry in journal] == [
            "started",
            "timer",
            "scheduled",
            "completed",
            "timer-cancelled",
            "ended",
        ]
