"""DESIGN 3.1, Failure: when a failed call may have happened, and what `NotDone` says."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.runtime.shop import called

from counterpoint import (
    ActivityFailed,
    BusinessError,
    NotDone,
    Retry,
    RetryAfter,
    Service,
    Status,
)
from counterpoint.testing import Harness

desk = Service("desk")
SECOND = timedelta(seconds=1)


class Declined(BusinessError):
    reason: str


DECLINED = Declined(reason="limit")
ERROR = OSError("no route")
FINAL = TypeError("wrong")
LATER = RetryAfter(SECOND)


@desk.activity(retry=Retry(max_attempts=3, first=SECOND, factor=1, jitter=0), timeout=SECOND)
async def act(text: str) -> int:
    return 1


@act.compensation
async def undo(text: str, result: int | None) -> None: ...


@desk.activity(retry=Retry(max_attempts=1))
async def unrecordable(text: str) -> int:
    value: Any = text
    return value  # type: ignore[no-any-return]


@unrecordable.compensation
async def undo_unrecordable(result: int | None) -> None: ...


@desk.activity(concurrency=1)
async def one_at_a_time(text: str) -> int:
    return 1


@one_at_a_time.compensation
async def undo_one(text: str) -> None: ...


@desk.workflow
async def look() -> bool | None:
    """Say whether the code is told that the call may have happened; None for a business error."""
    try:
        await act("text")
    except ActivityFailed as failed:
        return failed.outcome_unknown
    except Declined:
        return None
    raise AssertionError("it was to fail")


@desk.saga
async def saga() -> None:
    await act("text")


@desk.saga
async def saga_of_what_cannot_be_recorded() -> None:
    await unrecordable("not a number")


@desk.saga
async def saga_in_a_queue() -> None:
    await asyncio.wait_for(one_at_a_time("second"), 1)


@desk.workflow
async def holder() -> int:
    return await one_at_a_time("first")


# ---- each way to end -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("errors", "unknown"),
    [
        ([NotDone(), NotDone(), NotDone()], False),
        ([ERROR, ERROR, ERROR], True),
        ([FINAL], True),
        ([LATER, LATER, LATER], True),
        ([ERROR, NotDone(), NotDone()], True),
        ([NotDone(), NotDone(), ERROR], True),
        ([NotDone(), NotDone(), FINAL], True),
        ([asyncio.CancelledError(), NotDone(), NotDone()], True),
        ([SystemExit(1)], True),
        ([DECLINED], None),
        ([NotDone(), DECLINED], None),
        ([ERROR, DECLINED], None),
    ],
)
async def test_the_code_is_told_whether_a_failed_call_may_have_happened(
    errors: list[BaseException], unknown: bool | None
) -> None:
    async with Harness(services=[desk]) as harness:
        for error in errors:
            harness.fail(act, error)
        execution = await harness.start(look)
        result = await harness.result(execution)
        (call,) = (await execution.describe()).calls

        assert result is unknown
        assert len(harness.calls) == len(errors)
        if unknown is not None:
            assert call.outcome_unknown is unknown


@pytest.mark.parametrize(
    ("errors", "undone"),
    [
        ([NotDone(), NotDone(), NotDone()], False),
        ([DECLINED], False),
        ([NotDone(), DECLINED], False),
        ([ERROR, DECLINED], True),
        ([LATER, DECLINED], True),
        ([ERROR, ERROR, ERROR], True),
        ([FINAL], True),
        ([NotDone(), ERROR, NotDone()], True),
    ],
)
async def test_a_call_is_undone_unless_every_attempt_said_that_it_did_not_happen(
    errors: list[BaseException], undone: bool
) -> None:
    async with Harness(services=[desk]) as harness:
        for error in errors:
            harness.fail(act, error)
        execution = await harness.start(saga)
        await harness.advance(minutes=1)
        known = await execution.describe()

        assert known.status is (Status.COMPENSATED if undone else Status.FAILED)
        assert called(harness) == ["act"] * len(errors) + ["undo"] * undone


async def test_an_exception_leaves_it_open() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(act, ERROR, times=None, after=True)

        assert await harness.run(look) is True


async def test_a_timeout_leaves_it_open() -> None:
    async with Harness(services=[desk]) as harness:
        harness.hang(act, times=None)
        execution = await harness.start(saga)
        await harness.advance(minutes=1)
        (call,) = (await execution.describe()).calls

        assert (call.outcome_unknown, call.state) == (True, "undone")
        assert harness.calls[-1].arguments["result"] is None


async def test_a_lost_node_leaves_it_open() -> None:
    async with Harness(services=[desk]) as harness:
        harness.hang(act)
        harness.fail(act, DECLINED)
        execution = await harness.start(saga)
        await harness.crash()
        await harness.restart()
        await harness.advance(minutes=1)

        assert (await execution.describe()).status is Status.COMPENSATED
        assert called(harness) == ["act", "act", "undo"]


async def test_an_attempt_whose_end_was_not_written_leaves_it_open() -> None:
    async with Harness(services=[desk]) as harness:
        harness.crash_at_commit(2)  # what the first attempt said is not written
        harness.fail(act, DECLINED, times=None)
        execution = await harness.start(saga)
        await harness.restart()
        await harness.advance(minutes=1)

        # The attempt of the dead node may have done anything: a second one is made, and all undone.
        assert (await execution.describe()).status is Status.COMPENSATED
        assert called(harness) == ["act", "act", "undo"]


async def test_a_result_that_cannot_be_recorded_leaves_it_open() -> None:
    async with Harness(services=[desk]) as harness:
        execution = await harness.start(saga_of_what_cannot_be_recorded)
        await harness.settle()
        (call,) = (await execution.describe()).calls

        assert call.outcome_unknown
        assert called(harness) == ["unrecordable", "undo_unrecordable"]
        assert harness.calls[-1].arguments["result"] is None


async def test_a_result_that_is_too_large_leaves_it_open() -> None:
    service = Service("service")

    @service.activity
    async def big() -> str:
        return "x" * 5_000

    @big.compensation
    async def shrink() -> None: ...

    @service.saga
    async def flow() -> None:
        await big()

    async with Harness(services=[service], payload_bytes_max=1_000) as harness:
        execution = await harness.start(flow)

        assert (await execution.describe()).calls[0].outcome_unknown
        assert called(harness) == ["big", "shrink"]


async def test_an_attempt_that_never_began_leaves_nothing_open() -> None:
    async with Harness(services=[desk]) as harness:
        hold = harness.hang(one_at_a_time)
        await harness.start(holder)
        execution = await harness.start(saga_in_a_queue)
        await harness.advance(seconds=2)
        known = await execution.describe()
        hold.release()
        await harness.settle()

        assert not known.status.live
        assert not known.calls[0].outcome_unknown
        assert called(harness) == ["one_at_a_time"]


async def test_arguments_that_an_activity_cannot_take_leave_nothing_open() -> None:
    stricter = Service("desk")

    @stricter.activity(name="desk.act")
    async def act_on_a_number(text: int) -> int:
        return text

    @act_on_a_number.compensation(name="desk.undo")
    async def undo_a_number() -> None: ...

    stricter.workflows["desk.saga"] = saga
    async with Harness(services=[desk]) as harness:
        harness.fail(act, NotDone())
        execution = await harness.start(saga)
        await harness.restart(services=[stricter])
        await harness.advance(minutes=1)
        known = await execution.describe()

        assert known.status is Status.FAILED
        assert known.calls[0].outcome_unknown is False
        assert called(harness) == ["act"]


# ---- NotDone -------------------------------------------------------------------------------------


async def test_not_done_is_retried_like_any_other_error() -> None:
    async with Harness(services=[desk]) as harness:
        harness.fail(act, NotDone(), times=2)
        execution = await harness.start(saga)
        await harness.result(execution)

        assert [call.attempt for call in harness.calls] == [1, 2, 3]
        assert len({call.idempotency_key for call in harness.calls}) == 1


@pytest.mark.parametrize("cause", [TypeError("wrong"), KeyError("name"), AssertionError("no")])
async def test_not_done_is_retried_also_from_an_error_that_would_stop_the_call(
    cause: Exception,
) -> None:
    async def not_done(text: str) -> int:
        raise NotDone from cause

    async with Harness(services=[desk]) as harness:
        harness.replace(act, not_done)

        assert await harness.run(look) is False
        assert len(harness.calls) == 3


async def test_not_done_from_an_error_fails_with_that_error() -> None:
    async def not_done(text: str) -> int:
        try:
            raise ConnectionRefusedError("nobody there")
        except ConnectionRefusedError as error:
            raise NotDone from error

    async with Harness(services=[desk]) as harness:
        harness.replace(act, not_done)
        execution = await harness.start(saga)
        await harness.advance(minutes=1)
        known = await execution.describe()

        assert known.status is Status.FAILED
        assert str(known.error).endswith("builtins.ConnectionRefusedError: nobody there")
        assert not known.calls[0].outcome_unknown


async def test_not_done_works_in_a_thread() -> None:
    def not_done(text: str) -> int:
        raise NotDone

    async with Harness(services=[desk]) as harness:
        harness.replace(act, not_done)

        assert await harness.run(look) is False
