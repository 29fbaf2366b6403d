"""What a description adds to the folded state: attempts, the cancellation, the deadline."""

from datetime import timedelta

import msgspec

from counterpoint.model import records as r
from counterpoint.model.rows import ExecutionRow
from counterpoint.model.states import Status
from counterpoint.runtime.describing import describe
from counterpoint.runtime.description import AttemptDescription, Description, time_of

SECOND = 1_000_000
DEADLINE = 3600 * SECOND
ROW = ExecutionRow(
    1, "o-1", 1, "saga", "s", "s.w", 1, Status.RUNNING, b"", 0, None, deadline_at=DEADLINE
)
STARTED = r.Started(0, "s.w", 1, msgspec.Raw(b"{}"))
CALL = r.CallScheduled(1, "s.a", msgspec.Raw(b"{}"))
BOOM = r.Failure("builtins.ValueError", "boom", traceback="Traceback: here")
LOST = r.Failure("counterpoint.NodeLost", "the node died")
EMPTY = r.Failure("builtins.KeyError", "")


def described(*records: r.Record) -> Description:
    return describe(ROW, [STARTED, *records])


def failed(at: int, attempt: int, step: int = 1) -> r.AttemptFailed:
    return r.AttemptFailed(at * SECOND, step, attempt, BOOM, False, at * SECOND)


def told(attempt: int, at: int, error: str | None, *, lost: bool = False) -> AttemptDescription:
    return AttemptDescription(attempt, time_of(at * SECOND), error, lost)


def test_attempts_of_a_call_that_succeeded_later_are_kept() -> None:
    (call,) = described(
        CALL,
        failed(1, 1),
        r.AttemptStarted(1 * SECOND, 1, 2),
        r.AttemptLost(2 * SECOND, 1, 2, 2 * SECOND),
        r.AttemptStarted(2 * SECOND, 1, 3),
        r.CallCompleted(3 * SECOND, 1, msgspec.Raw(b"1")),
    ).calls

    assert (call.state, call.error, call.traceback) == ("completed", None, None)
    assert call.failed_attempts == [
        told(1, 1, "builtins.ValueError: boom"),
        told(2, 2, None, lost=True),
    ]


def test_the_attempt_that_failed_the_call_is_the_last_one() -> None:
    (call,) = described(CALL, failed(1, 1), r.CallFailed(2 * SECOND, 1, EMPTY, 2, False)).calls

    assert call.error == "builtins.KeyError"
    assert [attempt.error for attempt in call.failed_attempts][1:] == ["builtins.KeyError"]


def test_a_call_that_failed_because_its_last_attempt_was_lost_says_so() -> None:
    (call,) = described(CALL, r.CallFailed(2 * SECOND, 1, LOST, 1, True)).calls

    assert [attempt.lost for attempt in call.failed_attempts] == [True]


def test_a_cancelled_call_has_no_failed_attempt() -> None:
    (call,) = described(CALL, r.CallCancelled(1), r.CallFailed(2 * SECOND, 1, BOOM, 1, True)).calls

    assert (call.state, call.failed_attempts) == ("cancelled", [])


def test_attempts_of_a_compensation_are_told_apart() -> None:
    description = described(
        CALL,
        r.CallCompleted(1 * SECOND, 1, msgspec.Raw(b"1")),
        r.CompensationStarted(2 * SECOND, BOOM),
        r.CompensationScheduled(1, "s.u"),
        failed(3, 1, step=-1),
    )

    assert description.traceback == "Traceback: here"
    assert description.calls[0].failed_attempts == []
    assert description.calls[0].compensation_failed_attempts == [
        told(1, 3, "builtins.ValueError: boom")
    ]


def test_the_first_cancellation_is_told_with_who_and_why() -> None:
    none = described()
    asked = described(
        r.CancelRequested(5 * SECOND, "r-1", "root", "late"),
        r.CancelRequested(6 * SECOND, "r-2", "Ada"),
    )

    assert (none.cancel_requested_at, none.cancel_requested_by) == (None, None)
    assert asked.cancel_requested_at == time_of(5 * SECOND)
    assert (asked.cancel_requested_by, asked.cancel_reason) == ("root", "late")


def test_the_timer_of_the_deadline_is_named_and_no_other() -> None:
    description = described(r.TimerSet(1, DEADLINE + 1), r.TimerSet(2, 7 * SECOND))

    assert description.deadline_at == time_of(0) + timedelta(hours=1)
    assert description.waits_for == [
        "a timer at 1970-01-01T00:00:07+00:00",
        "the deadline at 1970-01-01T01:00:00.000001+00:00",
    ]
