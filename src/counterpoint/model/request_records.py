"""The records of a journal that say what somebody asked for; the code itself never sees them.

See `model.records`, which has all the others.
"""

from counterpoint.model.payloads import RecordBase


class ResetFrom(RecordBase, frozen=True, tag="reset"):
    """The records above, up to `seq`, are of an earlier run; `run` is the one they began in."""

    at: int
    run: int
    seq: int
    request_id: str
    actor: str | None = None
    reason: str | None = None


class RetryRequested(RecordBase, frozen=True, tag="retry-requested"):
    """Somebody asked for another try of what stopped or failed the execution."""

    at: int
    request_id: str
    actor: str | None = None
    reason: str | None = None


class CancelRefused(RecordBase, frozen=True, tag="cancel-refused"):
    """Somebody asked the execution to stop, and it had passed its pivot."""

    at: int
    request_id: str
    actor: str | None = None
    reason: str | None = None


class TerminateRequested(RecordBase, frozen=True, tag="terminate-requested"):
    """Somebody ended the execution at once; nothing is undone."""

    at: int
    request_id: str
    actor: str | None = None
    reason: str | None = None


class StepResolved(RecordBase, frozen=True, tag="resolved"):
    """Somebody who has looked stated the outcome of a step; it is in the record that follows."""

    at: int
    step: int
    request_id: str
    actor: str | None = None
    reason: str | None = None


class UndoRequested(RecordBase, frozen=True, tag="undo-requested"):
    """The parent is being undone, and this completed child with it."""

    at: int
    request_id: str
