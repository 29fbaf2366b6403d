"""What a store keeps of events and of those who react to them, as plain tuples.

Times are integer microseconds UTC; None where there is none. Bytes are opaque to every store.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

SLOTS = 256


def slot_of(key: str) -> int:
    """Return the slot of an event key: a stable hash (CRC-32 of its UTF-8) into 256."""
    return zlib.crc32(key.encode()) % SLOTS


class ReactionStatus(StrEnum):
    """How the execution of a reaction stands."""

    RUNNING = "running"
    """It may be under way; written before an attempt only after a crash."""
    RETRYING = "retrying"
    COMPLETED = "completed"
    DEAD = "dead"
    """It is a dead letter."""
    DISCARDED = "discarded"

    @property
    def live(self) -> bool:
        """Whether an attempt may begin by itself."""
        return self in (ReactionStatus.RUNNING, ReactionStatus.RETRYING)

    @property
    def over(self) -> bool:
        """Whether later events of its key may pass."""
        return self in (ReactionStatus.COMPLETED, ReactionStatus.DISCARDED)


class EventRow(NamedTuple):
    """One event of the log: what CloudEvents calls context attributes, and the data."""

    position: int
    """Its place in the log; 0 until it is written."""
    source: str
    id: str
    """Unique together with `source`."""
    type: str
    """The recorded name: `service.EventClass`."""
    version: int
    key: str
    slot: int
    correlation_id: str
    causation_id: str | None
    """The id of the event, or of the execution, that led to it."""
    publisher: str | None
    """The recorded name of the reaction, activity or workflow that published it."""
    hops: int
    """How many events led to it, one after the other."""
    traceparent: str | None
    time: int
    """When it happened, as its publisher says."""
    recorded_at: int
    """When it was appended to this log."""
    codec: str
    data: bytes


class ReactionRow(NamedTuple):
    """The execution of a reaction to one event: the mark in the inbox, keyed by the first two."""

    subscription: int
    position: int
    status: ReactionStatus
    created_at: int
    """When its first attempt began."""
    finished_at: int | None = None
    key: int | None = None
    """Whose journal its failed attempts are in; None if none has failed."""
    attempts: int = 1
    due_at: int | None = None
    """When the next attempt may begin."""


class SubscriptionRow(NamedTuple):
    """How far a reaction, or a workflow that events start, has come in the log."""

    number: int
    """Never used twice."""
    service: str
    name: str
    """The recorded name of the reaction or workflow."""
    type: str
    lane: str
    replay: int
    """0, or the number of the replay, which is an inbox of its own."""
    position: int
    """Every event up to here is done, parked, waiting for a retry, or dead."""
    created_at: int
    until: int | None = None
    """The last position of a replay."""
    publishes: bool = True
    """Whether the events that it returns are published; a replay's are not unless asked for."""
    event_key: str | None = None
    """The only key that a replay is about; None for all."""
    first: int = 0
    """It began above this position; what it takes later may be held below `position`, not here."""


class DeadLetterRow(NamedTuple):
    """An event that a reaction gave up on."""

    subscription: int
    position: int
    service: str
    lane: str
    name: str
    type: str
    event_key: str
    correlation_id: str
    attempts: int
    died_at: int
    cause: str
    """The recorded name of the error's type."""
    codec: str
    error: bytes


class HoldRow(NamedTuple):
    """A key of a lane whose events, from a position on, have to be looked at again."""

    service: str
    lane: str
    event_key: str
    position: int


class EventWaitRow(NamedTuple):
    """A wait of a workflow for an event."""

    execution_key: int
    wait: int
    execution_id: str
    type: str
    event_key: str
    position: int
    """It is about events above this position,"""
    since: int
    """recorded at this time or later."""


class ContractRow(NamedTuple):
    """What was really published: the contract of one version of a type."""

    type: str
    version: int
    service: str
    key_field: str
    schema: str
    """JSON Schema, as text, in canonical form."""
    published_at: int


class ActRow(NamedTuple):
    """What somebody did, and why."""

    at: int
    kind: str
    subject: str
    run: int | None
    request_id: str
    actor: str | None
    reason: str | None
    codec: str
    detail: bytes
    number: int = 0
    """Given by the store; grows."""


class DeadLetterGroup(NamedTuple):
    """Dead letters of one reaction with one cause."""

    name: str
    cause: str
    letters: int
    """How many there are."""
    first_died_at: int
    last_died_at: int


@dataclass(frozen=True, slots=True)
class Messages:
    """What a commit writes about events; every part may be empty."""

    events: Sequence[EventRow] = ()
    """Appended to the log in this order; the store gives them their positions. A commit takes its
    parts in this order: revived before dead, released before held, waits before those that are
    over, done before unsubscribed, and that before new subscriptions and positions."""
    done: Sequence[ReactionRow] = ()
    """New rows, of reactions that no row is about yet."""
    changed: Sequence[ReactionRow] = ()
    """Rows that replace those with the same subscription and position, if there are any."""
    positions: Sequence[tuple[int, int]] = ()
    """(subscription, position): how far it has come; never back."""
    dead: Sequence[DeadLetterRow] = ()
    """New dead letters, or what replaces those with the same subscription and position."""
    revived: Sequence[tuple[int, int]] = ()
    """(subscription, position) of dead letters that are none any more."""
    held: Sequence[HoldRow] = ()
    """Holds; the lower position counts where a key of a lane is held already."""
    released: Sequence[tuple[str, str, str]] = ()
    """(service, lane, key) of holds that are over."""
    waits: Sequence[EventWaitRow] = ()
    waits_over: Sequence[tuple[int, int]] = ()
    """(execution key, wait) of waits that are over."""
    contracts: Sequence[ContractRow] = ()
    """Contracts that are published for the first time; one that is there already stays."""
    subscriptions: Sequence[SubscriptionRow] = ()
    """New subscriptions; their numbers are reserved like execution keys."""
    redeclared: Sequence[SubscriptionRow] = ()
    """Subscriptions, by number, whose service, lane or type is another one now; so are those of
    their dead letters."""
    unsubscribed: Sequence[int] = ()
    """Numbers of subscriptions that are deleted, with their reactions and dead letters."""
    acts: Sequence[ActRow] = ()
    """Acts; one whose request id is there already is not written twice."""


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events to read, in the order of the log."""

    after: int = 0
    """Those above this position."""
    until: int | None = None
    """Those up to this position."""
    types: Sequence[str] = ()
    key: str | None = None
    correlation_id: str | None = None
    since: int | None = None
    """Those recorded then or later."""
    limit: int = 100
    newest_first: bool = False
    """From the end of the range backwards."""


@dataclass(frozen=True, slots=True)
class DeadLetterQuery:
    """Which dead letters to read, in the order of (subscription, position)."""

    name: str | None = None
    """Those of one reaction."""
    service: str | None = None
    cause: str | None = None
    event_key: str | None = None
    subscription: int | None = None
    after: tuple[int, int] = (0, 0)
    limit: int = 100
