"""What a retry takes back, where calls end later than the code that cancelled them."""

import msgspec

from counterpoint.kernel.replay import History
from counterpoint.model import records as r

NO = r.Failure("s.No", "no", business=True)
CANCELLED = r.Failure("asyncio.CancelledError", "the call was cancelled")
ARGUMENTS = msgspec.Raw(b"{}")


def test_a_call_whose_cancellation_was_taken_back_fails_only_an_attempt_after_the_retry() -> None:
    journal: list[r.Record] = [
        r.Started(1, "s.saga", 1, ARGUMENTS),
        r.PivotPassed(),
        r.CallScheduled(1, "s.a", ARGUMENTS),
        r.CallScheduled(2, "s.b", ARGUMENTS),
        r.CallFailed(2, 1, NO, 1, outcome_unknown=False),
        r.CallCancelled(2),
        r.Stopped(2, NO, 1),
        r.RetryRequested(3, "request"),
        r.CallFailed(4, 2, CANCELLED, 1, outcome_unknown=True),
    ]

    state = History(journal).fold(keep_calls=True)

    assert state.unsettled == state.uncancelled == 2
    assert state.open_steps[2].retry_at is not None
    assert [len(turn.inputs) for turn in History(journal).turns()] == [1]


def test_what_its_next_attempts_do_counts() -> None:
    journal: list[r.Record] = [
        r.Started(1, "s.saga", 1, ARGUMENTS),
        r.PivotPassed(),
        r.CallScheduled(1, "s.a", ARGUMENTS),
        r.CallScheduled(2, "s.b", ARGUMENTS),
        r.CallFailed(2, 1, NO, 1, outcome_unknown=False),
        r.CallCancelled(2),
        r.Stopped(2, NO, 1),
        r.RetryRequested(3, "request"),
        r.AttemptStarted(3, 2, 1),
        r.CallFailed(4, 2, NO, 1, outcome_unknown=False),
    ]

    state = History(journal).fold(keep_calls=True)

    assert state.calls[2].step is None
    assert [len(turn.inputs) for turn in History(journal).turns()] == [2]
