"""The records of a journal that are about events: waits for them, and what is published.

See `model.records`, which has all the others.
"""

from counterpoint.model.payloads import NULL, Failure, Payload, RecordBase


class EventReceived(RecordBase, frozen=True, tag="event"):
    """An event for which the code waits is in the log (an input)."""

    at: int
    wait: int
    event_type: str
    key: str
    position: int
    source: str
    id: str
    version: int
    data: Payload


class EventAwaited(RecordBase, frozen=True, tag="awaits-event"):
    """The code waits for the next event of a type and key (a decision)."""

    wait: int
    event_type: str
    key: str
    position: int
    """It is about events above this position of the log,"""
    since: int
    """recorded at this time or later."""


class EventWaitEnded(RecordBase, frozen=True, tag="event-wait-ended"):
    """The code no longer waits for an event (a decision)."""

    wait: int


class Published(RecordBase, frozen=True, tag="published"):
    """The code published an event, which is appended to the log with this record (a decision)."""

    id: str
    event_type: str
    version: int
    key: str
    data: Payload


class CausedBy(RecordBase, frozen=True, tag="caused-by"):
    """The event that started this execution, in its preamble.

    An activity of another execution may have started it, too: then `event_type` is empty, `id` is
    that execution's, and the position is 0.
    """

    event_type: str
    source: str
    id: str
    position: int
    recorded_at: int
    hops: int
    """How many events led to that event."""


class Hops(RecordBase, frozen=True, tag="hops"):
    """How many events led to this execution, which none of them started itself, in its preamble."""

    count: int


class Redriven(RecordBase, frozen=True, tag="redriven"):
    """Somebody asked for another try of a reaction that is a dead letter."""

    at: int
    request_id: str
    data: Payload = NULL
    """What the reaction gets instead of the event's own data; null for that."""
    actor: str | None = None
    reason: str | None = None

    @property
    def edited(self) -> bytes | None:
        """The data that somebody has put in the place of the event's; None for the event's own."""
        return None if self.data == NULL else bytes(self.data)


class Died(RecordBase, frozen=True, tag="died"):
    """A reaction was given up: the event is a dead letter."""

    at: int
    attempts: int
    error: Failure


class Discarded(RecordBase, frozen=True, tag="discarded"):
    """Somebody said that a dead letter does not matter; later events of its key may pass."""

    at: int
    request_id: str
    actor: str | None = None
    reason: str | None = None


class EventCursor(RecordBase, frozen=True):
    """How far an execution has read the events of a type and key."""

    event_type: str
    key: str
    position: int
