"""What an activity can learn about the attempt that runs it: `counterpoint.activity`."""

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from counterpoint.errors import NotInActivityError


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


class RunningAttempt(Protocol):
    """The attempt behind `info` and `heartbeat`, as its runner sees it."""

    def info(self) -> AttemptInfo:
        """Return facts about the attempt."""
        ...

    def beat(self, detail: Any) -> None:
        """Take a heartbeat."""
        ...

    def previous_detail(self) -> Any:
        """Return the newest detail of an earlier attempt, or None."""
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
