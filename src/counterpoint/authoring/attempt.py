"""What an activity can learn about the attempt that runs it: `counterpoint.activity`."""

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar, TypeVarTuple, Unpack

from counterpoint.authoring.event import Event
from counterpoint.authoring.workflow import Workflow
from counterpoint.errors import ArgumentsError, NotInActivityError
from counterpoint.model.ids import check_execution_id

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True)
class EventInfo:
    """The envelope of an event: what is known of it besides its data."""

    source: str
    """The service that published it."""
    id: str
    """Unique together with `source`."""
    type: str
    """The recorded name: `service.EventClass`."""
    version: int
    """The version of the contract under which it was published."""
    key: str
    time: datetime
    """When it happened (UTC)."""
    correlation_id: str
    """The flow that it belongs to."""
    causation_id: str | None
    """The id of the event or execution that led to it; None for the first of a flow."""
    position: int
    """Its place in the log."""
    hops: int
    """How many events led to it, one after the other."""


@dataclass(frozen=True, slots=True)
class AttemptInfo:
    """One attempt of an activity or of a compensation."""

    activity: str
    """The recorded name, `service.function`."""
    attempt: int
    """1 for the first attempt."""
    idempotency_key: str
    """The same for every attempt of this call and no other: at most 64 ASCII characters."""
    execution_id: str
    correlation_id: str
    deadline: datetime | None
    """When this attempt times out (UTC), or None if it has all the time that it wants."""
    is_replay: bool = False
    """Whether an event is being replayed into a reaction; always False in an activity."""
    undoes_key: str | None = None
    """In a compensation: the idempotency key of the call that it undoes, to ask a provider by what
    became of it where `result` is None. None in an activity."""
    event: EventInfo | None = None
    """In a reaction: the envelope of the event."""


class RunningAttempt(Protocol):
    """The attempt behind `info`, `heartbeat`, `publish` and `start`, as its runner sees it."""

    def info(self) -> AttemptInfo:
        """Return facts about the attempt."""
        ...

    def beat(self, detail: Any) -> None:
        """Take a heartbeat."""
        ...

    def previous_detail(self) -> Any:
        """Return the newest detail of an earlier attempt, or None."""
        ...

    def publish(self, event: Event) -> None:
        """Take an event that is published if the step is committed."""
        ...

    def start(self, workflow: Any, args: tuple[Any, ...], execution_id: str | None) -> str:
        """Take a workflow that is started if the step is committed; return its id."""
        ...


current_attempt: ContextVar[RunningAttempt | None] = ContextVar(
    "counterpoint_attempt", default=None
)


def _attempt(what: str) -> RunningAttempt:
    attempt = current_attempt.get()
    if attempt is None:
        raise NotInActivityError(
            f"activity.{what} works while an app runs the activity; "
            "in a unit test of the function, wrap the call in `counterpoint.testing.attempt()`"
        )
    return attempt


def info() -> AttemptInfo:
    """Return facts about the running attempt, such as the idempotency key to send to a provider.

    Raises:
        NotInActivityError: no attempt is running here.
    """
    return _attempt("info()").info()


def heartbeat(detail: Any = None) -> None:
    """Say that the attempt is alive, and how far it got: the next attempt reads *detail*.

    A heartbeat starts the attempt's timeout anew. Details are JSON values; the newest one is
    recorded at most once a second and with a failed attempt.

    Raises:
        NotInActivityError: no attempt is running here.
        PayloadError: *detail* is not a JSON value.
    """
    _attempt("heartbeat()").beat(detail)


def last_heartbeat() -> Any:
    """Return the newest detail that an earlier attempt of this call reported, or None.

    Raises:
        NotInActivityError: no attempt is running here.
    """
    return _attempt("last_heartbeat()").previous_detail()


def publish(*events: Event) -> None:
    """Publish events, if this step is committed: if the attempt fails, nothing is published.

    A reaction rather returns its events; what it publishes has to be in its return annotation.

    Raises:
        NotInActivityError: no attempt is running here.
        DefinitionError: it is no event of the app, or not among those that are declared.
        ArgumentsError: it has no usable key, or does not fit its own fields.
        PayloadError: it cannot be written, or is too large.
    """
    attempt = _attempt("publish()")
    for event in events:
        attempt.publish(event)


def start(workflow: Workflow[R, Unpack[Ts]], *args: Unpack[Ts], id: str | None = None) -> str:
    """Start a workflow, if this step is committed; return the id of its execution.

    It is no child of anything: nothing waits for it or undoes it. An id that was started before is
    left as it is.

    Raises:
        NotInActivityError: no attempt is running here.
        DefinitionError: it is no workflow of the app.
        ArgumentsError: the arguments do not fit its parameters, or the id cannot be one.
        PayloadError: they cannot be recorded, or are too large.
    """
    wrong = check_execution_id(id) if id is not None else None
    if wrong is not None:
        raise ArgumentsError(wrong, fields=["id"])
    return _attempt("start()").start(workflow, args, id)


def refuse_in_attempt(what: str, instead: str) -> None:
    """Refuse what would happen whether the step is committed or not.

    Raises:
        NotInActivityError: an attempt is running here; says what to write instead.
    """
    if current_attempt.get() is not None:
        raise NotInActivityError(
            f"{what} in an activity or reaction would happen although the attempt fails, and again "
            f"with the next one: use {instead}, which is committed with the step's result"
        )
