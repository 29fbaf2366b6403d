"""Attempts that take too long, and the heartbeats that prolong them."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from counterpoint import ExecutionFailed, Retry, Service, activity
from counterpoint.errors import DeadlineExceeded
from counterpoint.testing import Harness

service = Service("service")
AT_ONCE = Retry(max_attempts=3, first=timedelta(0), jitter=0)


@service.activity(retry=AT_ONCE, timeout=timedelta(seconds=10))
async def copy_files(count: int) -> int:
    return count


@service.activity(retry=AT_ONCE, timeout=timedelta(seconds=10))
def copy_in_thread(count: int) -> int:
    return count


@service.activity(timeout=None)
async def endless() -> None: ...


@service.activity
async def ordinary() -> str:
    return "done"


@service.workflow
async def copy(count: int) -> int:
    return await copy_files(count)


@service.workflow
async def copy_threaded(count: int) -> int:
    return await copy_in_thread(count)


@service.workflow
async def wait_endlessly() -> None:
    await endless()


@service.workflow
async def wait_ordinarily() -> str:
    return await ordinary()


@service.workflow(deadline=timedelta(minutes=1))
async def in_a_minute() -> None:
    await asyncio.sleep(90)


@service.saga(deadline=timedelta(minutes=1))
async def copied_in_a_minute() -> None:
    await copy_files(1)
    await asyncio.sleep(90)


def copier(harness: Harness, *, beats: int, hang: bool = False) -> Callable[..., object]:
    """Return a function that copies a file every 8 seconds, and goes on where it stopped."""

    async def copying(count: int) -> int:
        done = activity.last_heartbeat() or 0
        for number in range(done + 1, done + beats + 1):
            await harness.sleep(8)
            activity.heartbeat(number)
        if hang:
            await harness.sleep(3600)
        return done + beats

    return copying


async def test_attempt_that_takes_too_long_is_cut_off_and_followed_by_another() -> None:
    async with Harness(services=[service]) as harness:
        harness.hang(copy_files)
        execution = await harness.start(copy, 1)
        await harness.advance(seconds=9.999)
        before = len(harness.calls)
        await harness.advance(seconds=0.001)

        assert await execution.result() == 1
        assert before == 1
        assert [call.attempt for call in harness.calls] == [1, 2]


async def test_timeout_is_an_error_in_the_journal_with_an_unknown_outcome() -> None:
    async with Harness(services=[service]) as harness:
        harness.hang(copy_files, times=None)
        execution = await harness.start(copy, 1)
        await harness.advance(minutes=1)
        description = await execution.describe()

        assert description.error == (
            "service.copy_files failed after 3 attempts, outcome unknown: "
            "builtins.TimeoutError: the attempt took longer than 10 s"
        )


async def test_attempt_has_five_minutes_unless_told_otherwise() -> None:
    async with Harness(services=[service]) as harness:
        harness.hang(ordinary)
        await harness.start(wait_ordinarily)
        await harness.advance(seconds=299)
        (call,) = harness.calls
        await harness.advance(seconds=2)

        assert call.attempt == 1
        assert len(harness.calls) == 2


async def test_attempt_without_a_timeout_has_all_the_time() -> None:
    async with Harness(services=[service]) as harness:
        hold = harness.hang(endless)
        execution = await harness.start(wait_endlessly)
        await harness.advance(days=300)
        assert hold.waiting == 1

        hold.release()

        await harness.result(execution)
        assert len(harness.calls) == 1


async def test_heartbeat_starts_the_timeout_anew() -> None:
    async with Harness(services=[service]) as harness:
        harness.replace(copy_files, copier(harness, beats=5))

        assert await harness.run(copy, 1) == 5
        assert len(harness.calls) == 1


async def test_attempt_times_out_when_its_heartbeats_end() -> None:
    async with Harness(services=[service]) as harness:
        harness.replace(copy_files, copier(harness, beats=2, hang=True))
        await harness.start(copy, 1)
        await harness.advance(seconds=25)
        before = len(harness.calls)
        await harness.advance(seconds=2)

        assert before == 1
        assert len(harness.calls) == 2


async def test_next_attempt_reads_the_newest_heartbeat() -> None:
    async with Harness(services=[service]) as harness:
        harness.replace(copy_files, copier(harness, beats=2, hang=True))
        execution = await harness.start(copy, 1)
        await harness.advance(seconds=27)
        harness.replace(copy_files, copier(harness, beats=1))

        assert await harness.result(execution) == 5  # the second one hung too


async def test_heartbeat_is_recorded_at_most_once_a_second() -> None:
    async def hasty(count: int) -> int:
        for number in range(100):
            activity.heartbeat(number)
            await harness.sleep(0.1)
        return 1

    async with Harness(services=[service]) as harness:
        harness.replace(copy_files, hasty)
        await harness.run(copy, 1, id="one")
        journal = await harness.execution("one").journal()
        beats = [entry.data["detail"] for entry in journal if entry.type == "heartbeat"]

        assert 9 <= len(beats) <= 12
        assert beats == sorted(beats)


async def test_heartbeat_outlives_a_crash() -> None:
    async with Harness(services=[service]) as harness:
        harness.replace(copy_files, copier(harness, beats=2, hang=True))
        execution = await harness.start(copy, 1)
        await harness.advance(seconds=18)
        heartbeat = (await execution.describe()).calls[0].heartbeat
        await harness.crash()
        harness.replace(copy_files, copier(harness, beats=1))
        await harness.restart()

        assert heartbeat == 2
        assert await harness.result(execution) == 3


async def test_heartbeat_of_a_failed_attempt_is_recorded_with_its_failure() -> None:
    async def failing(count: int) -> int:
        if (done := activity.last_heartbeat()) is not None:
            return int(done)
        activity.heartbeat(7)
        raise ConnectionError("no route")

    async with Harness(services=[service]) as harness:
        harness.replace(copy_files, failing)

        assert await harness.run(copy, 1) == 7


async def test_thread_sends_heartbeats_too() -> None:
    def failing(count: int) -> int:
        if (done := activity.last_heartbeat()) is not None:
            return int(done)
        activity.heartbeat(7)
        raise ConnectionError("no route")

    async with Harness(services=[service]) as harness:
        harness.replace(copy_in_thread, failing)

        assert await harness.run(copy_threaded, 1) == 7


async def test_attempt_in_a_thread_times_out_and_its_thread_is_counted_as_lost() -> None:
    async with Harness(services=[service]) as harness:
        hold = harness.hang(copy_in_thread)
        execution = await harness.start(copy_threaded, 1)
        await harness.advance(seconds=10)
        lost = harness.app.health().threads_lost
        hold.release()

        assert await harness.result(execution) == 1
        assert lost == 1
        await harness.settle()
        assert [call.attempt for call in harness.calls] == [1, 2]


async def test_attempt_that_ends_well_when_it_is_cut_off_has_completed() -> None:
    async def stubborn(count: int) -> int:
        try:
            await harness.sleep(3600)
        except asyncio.CancelledError:
            return -1
        return 0

    async with Harness(services=[service]) as harness:
        harness.replace(copy_files, stubborn)
        execution = await harness.start(copy, 1)
        await harness.advance(seconds=10)

        assert await execution.result() == -1


async def test_deadline_of_a_workflow_raises_in_it() -> None:
    async with Harness(services=[service]) as harness:
        with pytest.raises(ExecutionFailed, match="deadline of 60 s") as caught:
            await harness.run(in_a_minute)

    assert caught.value.status == "failed"
    assert f"{DeadlineExceeded.__module__}.DeadlineExceeded" in str(caught.value.error)


async def test_deadline_counts_from_the_start_also_over_a_restart() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(copied_in_a_minute)
        await harness.advance(seconds=50)
        await harness.restart()
        await harness.advance(seconds=9)
        before = (await execution.describe()).status
        await harness.advance(seconds=1)

        assert before == "running"
        assert (await execution.describe()).status == "failed"  # nothing has a compensation
