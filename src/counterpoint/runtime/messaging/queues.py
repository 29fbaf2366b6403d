"""One queue for each key of a lane that has something to do.

Safety argument (P6, P10):

1. A lane is a service and a lane name; all its reactions and the workflows that its events start
   share its queues. A queue delivers one event to one subscription at a time, and goes on when the
   commit of that delivery has returned. Its items are in the order of the log.
2. A queue that is blocked (its head waits for a retry, or is a dead letter) or long keeps no more
   events in memory: they stay in the log behind a `Cursor`, and are read from there, in order, once
   the queue has room. While a queue has a cursor, nothing is appended to it from elsewhere, so what
   is read later never comes after what was published later. Cursors of several streams are read
   together, in the order of the log; a subscription that has gone from one stream to another takes
   from the new one only what is above the place where it joined.
3. Keys do not touch each other: what blocks is an entry of one queue.
4. What is not in memory is found again after a crash: a position moves over an event only if it is
   done, or if a *hold* in the store says that this key has to be looked at again from there or from
   further below. A hold is written in the commit of the first failure and deleted in the commit
   with which the queue becomes empty. From the moment at which that is decided it covers nothing.
5. Whoever reads the log, a stream or a queue, looks up which of the events were taken already. So
   an event that is read twice is delivered once, and one that failed goes on where it stood.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from counterpoint.authoring.event import Contract
from counterpoint.model import records as r
from counterpoint.model.ids import event_execution_id
from counterpoint.model.messages import (
    EventRow,
    ReactionRow,
    ReactionStatus,
    SubscriptionRow,
)
from counterpoint.runtime.attempt import Attempt
from counterpoint.runtime.messaging.targets import Target, contract_of_target

NOTHING_KNOWN: Mapping[int, ReactionRow] = MappingProxyType({})
QUEUE_MAX = 64
"""Events of one key in memory; the rest stays in the log."""


class Subscription:
    """A reaction, a workflow that events start, or the replay of events into one of them."""

    __slots__ = (
        "first",
        "lane",
        "number",
        "passed_over",
        "position",
        "row",
        "streams",
        "target",
        "type",
    )

    def __init__(self, row: SubscriptionRow, target: Target, lane: "Lane") -> None:
        self.row = row
        self.number = row.number
        self.target = target
        self.type = row.type
        self.lane = lane
        self.first = row.first
        """It takes what is above this position, also where its key was held back."""
        self.position = row.position
        """As it is in the store."""
        self.streams: list[Stream] = []
        """Where its events come from; the last one is the one that goes on."""
        self.passed_over: set[int] = set()
        """Positions of its dead letters that park nothing; known of replays only, which stay until
        somebody has dealt with them."""

    @property
    def is_replay(self) -> bool:
        """Whether it replays events that were delivered before."""
        return self.row.replay > 0

    def stream_of(self, event: EventRow) -> "Stream | None":
        """Return the stream that brings it an event."""
        service = self.row.service
        streams = [one for one in self.streams if one.brings(service, event)]
        for stream in streams:
            if stream.joined.get(self, -1) < event.position <= stream.offered:
                return stream
        return streams[-1] if streams else None

    def takes(self, position: int, key: str) -> bool:
        """Whether an event of its type is meant for it."""
        row = self.row
        return (
            position > self.first
            and (row.until is None or position <= row.until)
            and (row.event_key is None or row.event_key == key)
        )


Route: TypeAlias = tuple["Lane", tuple[Subscription, ...]]


class Stream:
    """A way in which events come from the log: the live one, a catching up, a replay."""

    __slots__ = (
        "backlog",
        "ends_at",
        "frontier",
        "joined",
        "joins",
        "merged",
        "routes",
        "selective",
        "slots",
        "subscriptions",
    )

    def __init__(
        self,
        frontier: int,
        ends_at: int | None = None,
        slots: "dict[str, set[int]] | None" = None,
    ) -> None:
        self.frontier = frontier
        """Everything up to this position was offered to the queues."""
        self.ends_at = ends_at
        """The last position of a replay."""
        self.subscriptions: list[Subscription] = []
        self.joined: dict[Subscription, int] = {}
        """Above which position a subscription takes events from here that had another stream
        before: what is below comes from that one."""
        self.routes: dict[str, list[Route]] = {}
        """By type of event: each lane with those in it that take the type."""
        self.selective = False
        """Whether a subscription does not take every event of its type from here on."""
        self.backlog = True
        """There may be more in the log."""
        self.slots = slots
        """By service, the slots whose events it brings; None for all of them."""
        self.merged = False
        """Another stream has taken over what it brought, from its frontier on."""
        self.joins: Stream | None = None
        """Which stream takes over what it brings once they have come equally far, if that is not
        the live one: of slots that came together each event comes from one stream."""

    def brings(self, service: str, event: EventRow) -> bool:
        """Whether events of this one's slot come to a service from here."""
        return self.slots is None or event.slot in self.slots.get(service, ())

    def add(self, subscription: Subscription) -> None:
        """Offer to a subscription what comes from now on."""
        self.subscriptions.append(subscription)
        if subscription.streams and self.slots is None:
            self.joined[subscription] = self.frontier
        subscription.streams.append(self)
        self.refresh()

    def take_over(self, subscription: Subscription) -> None:
        """Offer to a subscription what comes from now on; what came before, another one brought."""
        self.subscriptions.append(subscription)
        self.joined[subscription] = self.frontier
        subscription.streams.append(self)
        self.refresh()

    def remove(self, subscription: Subscription) -> None:
        """Offer nothing to a subscription any more."""
        self.subscriptions.remove(subscription)
        self.refresh()

    def refresh(self) -> None:
        """Find the routes anew."""
        routes: dict[str, dict[Lane, list[Subscription]]] = {}
        for one in self.subscriptions:
            routes.setdefault(one.type, {}).setdefault(one.lane, []).append(one)
        self.routes = {
            of: [(lane, tuple(found)) for lane, found in lanes.items()]
            for of, lanes in routes.items()
        }
        self.selective = any(
            one.first > self.frontier or one.is_replay for one in self.subscriptions
        )

    @property
    def offered(self) -> int:
        """The position up to which everything that it is about was offered."""
        return self.frontier if self.ends_at is None else min(self.frontier, self.ends_at)

    def takers(self, lane: "Lane", event: EventRow) -> tuple[Subscription, ...]:
        """Return the subscriptions of a lane that take an event from this stream."""
        for of, found in self.routes.get(event.type, ()):
            if of is lane and self.brings(lane.service, event):
                place = event.position
                return tuple(
                    s for s in found if s.takes(place, event.key) and place > self.joined.get(s, -1)
                )
        return ()


class Item:
    """An event, and the subscriptions of a lane that have not taken it."""

    __slots__ = ("careful", "event", "known", "left", "stream")

    def __init__(
        self,
        event: EventRow,
        stream: Stream,
        subscriptions: tuple[Subscription, ...],
        known: Mapping[int, ReactionRow] = NOTHING_KNOWN,
    ) -> None:
        self.event = event
        self.stream = stream
        self.left = subscriptions
        self.known = known
        """Rows of reactions that have begun, by subscription."""
        self.careful = False
        """It may have been under way when a node died: attempts are recorded before they begin."""

    @property
    def all_known(self) -> bool:
        """Whether the store has a row of each reaction that has not taken it."""
        return all(one.number in self.known for one in self.left)


class Cursor:
    """How far a queue has read the events that it left in the log."""

    __slots__ = ("last", "missed")

    def __init__(self, last: int, missed: int) -> None:
        self.last = last
        """What is above has not been in memory."""
        self.missed = missed
        """The newest event of the key that was left in the log."""


class KeyQueue:
    """The events of one key of a lane."""

    __slots__ = (
        "active",
        "blocked",
        "cursors",
        "hold",
        "items",
        "key",
        "lane",
        "leaving",
        "reading",
        "thread",
        "unmet",
    )

    def __init__(self, lane: "Lane", key: str) -> None:
        self.lane = lane
        self.key = key
        self.items: deque[Item] = deque()
        self.active: Delivery | None = None
        """The delivery that is under way, or whose outcome is being written."""
        self.blocked: Delivery | None = None
        """The delivery that waits for a retry, or is a dead letter."""
        self.cursors: dict[Stream, Cursor] = {}
        self.hold: int | None = None
        """The position of its hold in the store."""
        self.thread: asyncio.Future[Any] | None = None
        """A thread that has outlived the attempt which it ran: the next one waits for it."""
        self.unmet = False
        """No stream has come to its hold since the node started: it is not to be released."""
        self.reading = False
        self.leaving = False
        """Its slot goes to another node: nothing of it begins here any more."""

    @property
    def at_rest(self) -> bool:
        """Whether nothing of it is under way, here and now."""
        return not (self.active or self.reading or self.thread)

    @property
    def resting(self) -> bool:
        """Whether nothing of it is left to do, now or later."""
        return not (self.items or self.active or self.blocked or self.cursors or self.thread)

    @property
    def next_is_last(self) -> bool:
        """Whether nothing comes after the delivery that is under way."""
        return not (self.cursors or self.blocked or self.unmet) and (
            not self.items or (len(self.items) == 1 and len(self.items[0].left) <= 1)
        )

    def leave_in_log(self) -> int:
        """Forget the events behind the head, which is blocked; return how many they were."""
        behind = list(self.items)[1:]
        for item in behind:
            position = item.event.position
            cursor = self.cursors.get(item.stream)
            if cursor is None:
                self.cursors[item.stream] = Cursor(position - 1, position)
            else:
                cursor.last = min(cursor.last, position - 1)
                cursor.missed = max(cursor.missed, position)
        while len(self.items) > 1:
            self.items.pop()
        return len(behind)

    @property
    def first_position(self) -> int:
        """The lowest position of an event of it that is not done."""
        positions = [item.event.position for item in self.items]
        positions += [cursor.last + 1 for cursor in self.cursors.values()]
        return min(positions)

    def offer(self, item: Item) -> bool:
        """Append an item, or leave its event in the log; return whether it is in memory."""
        if not self.cursors and self.blocked is None and len(self.items) < QUEUE_MAX:
            self.items.append(item)
            return True
        position = item.event.position
        cursor = self.cursors.get(item.stream)
        if cursor is None:
            self.cursors[item.stream] = Cursor(position - 1, position)
        else:
            cursor.missed = max(cursor.missed, position)
        return False


class Lane:
    """The reactions of a service that share an order."""

    __slots__ = ("keeps_holds", "name", "queues", "service", "types")

    def __init__(self, service: str, name: str) -> None:
        self.service = service
        self.name = name
        self.queues: dict[str, KeyQueue] = {}
        self.types: dict[str, None] = {}
        """The types of events that anything in it subscribes to."""
        self.keeps_holds = False
        """A reaction that the app no longer has may come back and look behind the holds."""

    def queue(self, key: str) -> KeyQueue:
        """Return the queue of a key, made if need be."""
        queue = self.queues.get(key)
        if queue is None:
            queue = self.queues[key] = KeyQueue(self, key)
        return queue

    def drop_if_resting(self, queue: KeyQueue) -> None:
        """Forget a queue that has nothing left to do."""
        if queue.resting and queue.hold is None and self.queues.get(queue.key) is queue:
            del self.queues[queue.key]


class Delivery:
    """One event on its way to one subscription; the execution of a reaction."""

    __slots__ = (
        "attempt",
        "attempts",
        "created_at",
        "damaged",
        "data",
        "due_at",
        "holds_from",
        "item",
        "key",
        "lost",
        "queue",
        "refused",
        "seq",
        "stale",
        "status",
        "subscription",
        "thread",
    )

    def __init__(
        self, queue: KeyQueue, item: Item, subscription: Subscription, created_at: int
    ) -> None:
        self.queue = queue
        self.item = item
        self.subscription = subscription
        self.created_at = created_at
        self.attempt: Attempt | None = None
        self.attempts = 0
        """Attempts that have begun."""
        self.lost = 0
        """Attempts in a row during which the node died."""
        self.key: int | None = None
        """Whose journal its failures are in; None while no row is about it."""
        self.seq = 0
        """Records in that journal."""
        self.data: bytes | None = None
        """What somebody has put in the place of the event's data."""
        self.status: ReactionStatus | None = None
        """As it is in the store; None while no row is about it."""
        self.due_at: int | None = None
        self.holds_from: int | None = None
        """The position of the hold that is being written with its failure."""
        self.thread: asyncio.Future[Any] | None = None
        """The thread of its last attempt, which may outlive that."""
        self.damaged = False
        """Its journal cannot be read."""
        self.stale = False
        """Somebody has acted on it since the store was read for it."""
        self.refused = False
        """The store has refused its outcome once."""

    @property
    def event(self) -> EventRow:
        """The event."""
        return self.item.event

    @property
    def id(self) -> str:
        """The id of the reaction's execution."""
        row, event = self.subscription.row, self.item.event
        return event_execution_id(row.name, event.source, event.id, row.replay)

    @property
    def run(self) -> int:
        """Reactions have one run; a replay is an execution of its own."""
        return 1

    @property
    def correlation_id(self) -> str:
        """The flow that it belongs to."""
        return self.item.event.correlation_id

    @property
    def contract(self) -> Contract:
        """The contract of the event as today's code declares it."""
        return contract_of_target(self.subscription.target)

    def decode(self) -> Any:
        """Return the event as today's code sees it.

        Raises:
            InvalidEventError, UnknownVersionError: it cannot.
        """
        contract = self.contract
        if self.data is not None:
            return contract.decode(self.data, contract.version)
        return contract.decode(self.item.event.data, self.item.event.version)

    def row(
        self, status: ReactionStatus, *, finished_at: int | None = None, due_at: int | None = None
    ) -> ReactionRow:
        """Return its row in the store, with that status."""
        return ReactionRow(
            self.subscription.number,
            self.item.event.position,
            status,
            self.created_at,
            finished_at,
            self.key,
            max(1, self.attempts),
            due_at,
        )

    def recall(self, row: ReactionRow, records: Sequence[r.Record]) -> None:
        """Take over what the store says of it."""
        self.created_at = row.created_at
        self.attempts = row.attempts
        self.key = row.key
        self.status = row.status
        self.due_at = row.due_at
        self.seq = len(records)
        for record in records:
            if isinstance(record, r.AttemptLost):
                self.lost += 1
            elif isinstance(record, (r.AttemptFailed, r.Redriven)):
                self.lost = 0
            if isinstance(record, r.Redriven) and record.edited is not None:
                self.data = record.edited
