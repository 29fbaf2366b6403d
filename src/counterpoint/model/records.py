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

from counterpoint.model.event_records import CausedBy as CausedBy
from counterpoint.model.event_records import Died as Died
from counterpoint.model.event_records import Discarded as Discarded
from counterpoint.model.event_records import EventAwaited as EventAwaited
from counterpoint.model.event_records import EventCursor as EventCursor
from counterpoint.model.event_records import EventReceived as EventReceived
from counterpoint.model.event_records import EventWaitEnded as EventWaitEnded
from counterpoint.model.event_records import Hops as Hops
from counterpoint.model.event_records import Published as Published
from counterpoint.model.event_records import Redriven as Redriven
from counterpoint.model.payloads import NULL as NULL
from counterpoint.model.payloads import Failure as Failure
from counterpoint.model.payloads import Payload as Payload
from counterpoint.model.payloads import RecordBase as _Record
from counterpoint.model.request_records import CancelRefused as CancelRefused
from counterpoint.model.request_records import ResetFrom as ResetFrom
from counterpoint.model.request_records import RetryRequested as RetryRequested
from counterpoint.model.request_records import StepResolved as StepResolved
from counterpoint.model.request_records import TerminateRequested as TerminateRequested
from counterpoint.model.request_records import UndoRequested as UndoRequested

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


class Begun(_Record, frozen=True, tag="begun"):
    """The moment has come for which a delayed execution waited: its code begins."""

    at: int


class ChildCompleted(_Record, frozen=True, tag="child-completed"):
    """A child returned."""

    at: int
    call: int
    result: Payload
    pivoted: bool
    """It passed its pivot: it stays when its parent is undone."""


class ChildFailed(_Record, frozen=True, tag="child-failed"):
    """A child ended without a result; the code sees the error."""

    at: int
    call: int
    error: Failure
    status: str
    outcome_unknown: bool
    """Something of it may be left: it is not a saga that undid itself."""


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


class ChildScheduled(_Record, frozen=True, tag="child"):
    """The code called a workflow: a child execution, which is a step of this one."""

    call: int
    id: str
    name: str
    arguments: Payload
    saga: bool
    """It undoes itself when this execution is undone."""
    compensable: bool
    """It declared a compensation of its own when it was called, in a saga."""


class UndoRegistered(_Record, frozen=True, tag="undo-registered"):
    """The code named an activity that undoes what it did otherwise (`compensate_with`)."""

    call: int
    name: str
    arguments: Payload


class PivotPassed(_Record, frozen=True, tag="pivot"):
    """From here on nothing is undone: the execution goes forward, by itself or with a person."""


class Patched(_Record, frozen=True, tag="patched"):
    """The code of this execution has a change from its beginning (`patched`)."""

    change: str


class AttributesSet(_Record, frozen=True, tag="attributes"):
    """What the execution says about itself, to be found by; None takes one back."""

    values: dict[str, str | None]


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


class ChildUndoScheduled(_Record, frozen=True, tag="undo-child"):
    """The newest call that is not undone yet is a child saga: it undoes itself now."""

    call: int


class CompensationSkipped(_Record, frozen=True, tag="stays"):
    """A call that happened is not undone."""

    call: int
    why: str


class Stopped(_Record, frozen=True, tag="stopped"):
    """The code failed past its pivot: a person is needed, and `retry()` takes this back."""

    at: int
    error: Failure
    failed_call: int | None = None


class Ended(_Record, frozen=True, tag="ended"):
    """The execution is over; the last record unless somebody retries it.

    Of one that continues as new, `result` holds the arguments of the next run.
    """

    at: int
    status: str
    result: Payload = NULL
    error: Failure | None = None
    failed_call: int | None = None
    """The call whose failure ended a workflow, when there is one."""


# ---- progress ---------------------------------------------------------------------------------


class ChildOf(_Record, frozen=True, tag="child-of"):
    """Whose step this execution is; the newest one counts."""

    id: str
    run: int
    call: int
    attempt: int = 1
    """Which attempt of the call; the answer names it."""


class Delayed(_Record, frozen=True, tag="delayed"):
    """The code begins at that moment, not before."""

    until: int


class CarriedSignal(_Record, frozen=True):
    """A signal that an earlier run has not read."""

    name: str
    value: Payload


class Continued(_Record, frozen=True, tag="continued"):
    """This run goes on where an earlier one of the same id left off; what it takes over."""

    run: int
    deadline_at: int | None
    attributes: dict[str, str]
    signals: list[CarriedSignal]
    pivoted: bool
    """An earlier run passed its pivot."""
    events: list[EventCursor] = msgspec.field(default_factory=list)
    """How far it has read the events that it waited for."""
    caused_by: CausedBy | None = None
    """The event that started its first run."""
    since: int | None = None
    """When its first run began."""
    hops: int = 0
    """How many events led to it."""


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
    """A word: see `model.states.Cause`."""
    message: str
    step: int | None = None
    wait: int | None = None
    """The wait for an event that came, and that the code could not read."""


class IncidentResolved(_Record, frozen=True, tag="incident-resolved"):
    """What stopped the execution (or one of its steps) is over."""

    at: int
    step: int | None = None


Input: TypeAlias = (
    Started
    | Begun
    | CallCompleted
    | CallFailed
    | ChildCompleted
    | ChildFailed
    | TimerFired
    | SignalReceived
    | CancelRequested
    | EventReceived
)
Decision: TypeAlias = (
    CallScheduled
    | ChildScheduled
    | UndoRegistered
    | PivotPassed
    | Patched
    | AttributesSet
    | CallCancelled
    | TimerSet
    | TimerCancelled
    | SignalAwaited
    | SignalTaken
    | SignalWaitEnded
    | EventAwaited
    | EventWaitEnded
    | Published
    | CompensationStarted
    | CompensationScheduled
    | ChildUndoScheduled
    | CompensationSkipped
    | Stopped
    | Ended
)
Progress: TypeAlias = (
    ChildOf
    | Delayed
    | Continued
    | ResetFrom
    | AttemptStarted
    | AttemptFailed
    | AttemptLost
    | AttemptPostponed
    | HeartbeatRecorded
    | CompensationCompleted
    | IncidentRaised
    | IncidentResolved
    | RetryRequested
    | CancelRefused
    | TerminateRequested
    | StepResolved
    | UndoRequested
    | CausedBy
    | Hops
    | Redriven
    | Died
    | Discarded
)
Record: TypeAlias = Input | Decision | Progress

INPUTS = (
    Started,
    Begun,
    CallCompleted,
    CallFailed,
    ChildCompleted,
    ChildFailed,
    TimerFired,
    SignalReceived,
    CancelRequested,
    EventReceived,
)
"""The input types, for `isinstance`."""
PREAMBLE = (Started, ChildOf, Delayed, Continued, CausedBy, Hops)
"""What a journal holds of an execution whose code has not run yet."""

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
