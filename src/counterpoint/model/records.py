"""The records of a journal: the only things that are ever written about what an execution did.

Three families, by who causes them and who reads them on replay:

* `Input`: what reaches the workflow's code from outside. Applied to the code one at a time, in
  journal order, live as on replay.
* `Decision`: what the code (or the saga, once the code has failed) decided. On replay the code must
  decide the same again.
* `Progress`: what happened to a step on the way to its outcome. The code never sees these; they
  survive a restart.

Every record is a `msgspec.Struct` (frozen, array-like, tagged): the cheapest immutable type that
was measured, and a journal row stays readable JSON. User values are `msgspec.Raw`: their own
recorded bytes, never decoded by the engine. Times are integer microseconds UTC. A `step` is a
call's number, or minus it for the call's compensation (see `model.ids`).
"""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

Payload: TypeAlias = msgspec.Raw
NULL = msgspec.Raw(b"null")


class Failure(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An error as recorded: enough to raise the same type with the same facts again."""

    type: str
    """The recorded name: `payments.PaymentDeclined`, or `builtins.ValueError` for others."""
    message: str
    business: bool = False
    """The error is a `BusinessError`: `facts` are its own fields."""
    facts: Payload = NULL
    """JSON null where there are none."""
    traceback: str | None = None
    """Where it was raised, bounded in length; for people only."""


class _Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Common settings of all records."""


# ---- inputs -----------------------------------------------------------------------------------


class Started(_Record, frozen=True, tag="started"):
    """The execution exists; always the first record."""

    at: int
    workflow: str
    version: int
    arguments: Payload


class CallCompleted(_Record, frozen=True, tag="completed"):
    """A call returned."""

    at: int
    call: int
    result: Payload


class CallFailed(_Record, frozen=True, tag="failed"):
    """A call failed for good; the code sees the error."""

    at: int
    call: int
    error: Failure
    attempts: int
    outcome_unknown: bool


class TimerFired(_Record, frozen=True, tag="fired"):
    """A timer came due while the code still waited for it."""

    at: int
    timer: int


class SignalReceived(_Record, frozen=True, tag="signalled"):
    """Somebody sent a value under a name."""

    at: int
    name: str
    value: Payload
    request_id: str


class CancelRequested(_Record, frozen=True, tag="cancel-requested"):
    """Somebody asked the execution to stop and, if it is a saga, to undo itself."""

    at: int
    request_id: str
    actor: str | None = None
    reason: str | None = None


# ---- decisions --------------------------------------------------------------------------------


class CallScheduled(_Record, frozen=True, tag="scheduled"):
    """The code called an activity."""

    call: int
    name: str
    arguments: Payload
    compensable: bool = False
    """The activity had a compensation when it was called, in a saga."""


class CallCancelled(_Record, frozen=True, tag="call-cancelled"):
    """The code no longer waits for a call; its attempt is cancelled and its outcome awaited."""

    call: int


class TimerSet(_Record, frozen=True, tag="timer"):
    """The code waits for a moment."""

    timer: int
    due_at: int


class TimerCancelled(_Record, frozen=True, tag="timer-cancelled"):
    """The code no longer waits for the timer."""

    timer: int


class SignalAwaited(_Record, frozen=True, tag="awaits"):
    """The code waits for a signal that has not come yet."""

    wait: int
    name: str


class SignalTaken(_Record, frozen=True, tag="taken"):
    """The code took a signal that had already come."""

    name: str


class SignalWaitEnded(_Record, frozen=True, tag="wait-ended"):
    """The code no longer waits for a signal."""

    wait: int


class CompensationStarted(_Record, frozen=True, tag="compensating"):
    """The saga failed or was cancelled: what happened is going to be undone."""

    at: int
    error: Failure
    cancelled: bool = False


class CompensationScheduled(_Record, frozen=True, tag="compensate"):
    """The newest call that may have happened and is not undone yet is undone now."""

    call: int
    name: str


class Ended(_Record, frozen=True, tag="ended"):
    """The execution is over; the last record unless somebody retries it."""

    at: int
    status: str
    result: Payload = NULL
    error: Failure | None = None
    failed_call: int | None = None
    """The call whose failure ended a workflow, when there is one."""


# ---- progress ---------------------------------------------------------------------------------


class AttemptStarted(_Record, frozen=True, tag="attempt"):
    """A later attempt of a step begins; the first one is implied by the step's own record."""

    at: int
    step: int
    attempt: int


class AttemptFailed(_Record, frozen=True, tag="attempt-failed"):
    """An attempt ended without a result."""

    at: int
    step: int
    attempt: int
    error: Failure
    may_have_happened: bool
    retry_at: int | None
    """When the next attempt may begin; None if there is none."""


class AttemptLost(_Record, frozen=True, tag="attempt-lost"):
    """The node died while the attempt was under way; counts like a timeout."""

    at: int
    step: int
    attempt: int
    retry_at: int | None


class AttemptPostponed(_Record, frozen=True, tag="attempt-postponed"):
    """The node stopped before the attempt began; it does not count."""

    at: int
    step: int
    attempt: int


class HeartbeatRecorded(_Record, frozen=True, tag="heartbeat"):
    """The newest detail that an attempt reported; the next attempt reads it."""

    at: int
    step: int
    detail: Payload


class CompensationCompleted(_Record, frozen=True, tag="compensated"):
    """A call is undone."""

    at: int
    call: int


class IncidentRaised(_Record, frozen=True, tag="incident"):
    """The execution needs a person; it keeps everything that it had."""

    at: int
    cause: str
    """A word: `non-determinism`, `lost-attempts`, `settle`, `patience`, `unknown-outcome`, …"""
    message: str
    step: int | None = None


class IncidentResolved(_Record, frozen=True, tag="incident-resolved"):
    """What stopped the execution is over."""

    at: int


class RetryRequested(_Record, frozen=True, tag="retry-requested"):
    """Somebody asked for another try of what stopped or failed the execution."""

    at: int
    request_id: str
    actor: str | None = None
    reason: str | None = None


Input: TypeAlias = (
    Started | CallCompleted | CallFailed | TimerFired | SignalReceived | CancelRequested
)
Decision: TypeAlias = (
    CallScheduled
    | CallCancelled
    | TimerSet
    | TimerCancelled
    | SignalAwaited
    | SignalTaken
    | SignalWaitEnded
    | CompensationStarted
    | CompensationScheduled
    | Ended
)
Progress: TypeAlias = (
    AttemptStarted
    | AttemptFailed
    | AttemptLost
    | AttemptPostponed
    | HeartbeatRecorded
    | CompensationCompleted
    | IncidentRaised
    | IncidentResolved
    | RetryRequested
)
Record: TypeAlias = Input | Decision | Progress

INPUTS = (Started, CallCompleted, CallFailed, TimerFired, SignalReceived, CancelRequested)
"""The input types, for `isinstance`."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[Record])


def encode_records(records: Iterable[Record]) -> bytes:
    """Return one journal body: a JSON array of records, each an array that begins with its tag."""
    return _encoder.encode(records if isinstance(records, list) else list(records))


def decode_records(body: bytes) -> list[Record]:
    """Return the records of one journal body.

    Raises:
        msgspec.DecodeError: the body is not what `encode_records` writes.
    """
    return _decoder.decode(body)
