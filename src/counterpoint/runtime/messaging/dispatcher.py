"""Puts events into queues, and lets each queue go on when it may.

See `queues` for the order, `deliveries` for the attempts, `streams` for where events come from.
"""

import asyncio
import functools
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from counterpoint.errors import StoreError
from counterpoint.model import records as r
from counterpoint.model.messages import EventRow, ReactionRow, slot_of
from counterpoint.runtime.host import Host
from counterpoint.runtime.messaging import writing
from counterpoint.runtime.messaging.deliveries import Deliveries
from counterpoint.runtime.messaging.log_pages import page_of_key
from counterpoint.runtime.messaging.queues import (
    NOTHING_KNOWN,
    QUEUE_MAX,
    Delivery,
    Item,
    KeyQueue,
    Lane,
    Stream,
    Subscription,
)

PENDING_MAX = 5_000
"""Events in memory that wait for their reactions; the others wait in the log."""
CAREFUL_MAX = 2 * PENDING_MAX
"""Keys of which an event may have been under way when a node died: each had one in memory."""


class Dispatcher:
    """The queues of a node's lanes, and what is under way in them."""

    def __init__(
        self, node: Host, progressed: Callable[[], None], left: Callable[[], None] = lambda: None
    ) -> None:
        self.node = node
        self._left = left
        """Called when a queue that leaves may be at rest."""
        self.lanes: dict[tuple[str, str], Lane] = {}
        self.pending = 0
        """Events in memory, counted once for each lane; those that block their key do not count:
        however many they are, others are taken from the log."""
        self.deliveries = Deliveries(node, self)
        self.reading = 0
        """Queues that read from the log what they left there."""
        self.held: dict[KeyQueue, None] = {}
        """Queues that the store holds and that were not read yet."""
        self.unmet: list[KeyQueue] = []
        """Queues that are held from a place to which no stream has come."""
        self.writing: dict[tuple[str, int], int] = {}
        """By service and slot, what is being written about keys in which nothing is under way."""
        self.moved = 0
        """Events that were done since positions were written."""
        self.careful_until = 0
        """Events up to this position may have been under way when a node died,"""
        self.careful_left = 0
        """but for those that are held at most so many of them."""
        self._progressed = progressed
        self.generation = 0
        """Grows when everything in memory is forgotten; what was begun before has no effect."""

    @property
    def quiet(self) -> bool:
        """Whether nothing is under way but attempts; what waits for a retry does not count."""
        return self.deliveries.quiet and not (self.reading or self.held)

    @property
    def full(self) -> bool:
        """Whether no more events should be taken from the log."""
        return self.pending >= PENDING_MAX

    def be_careful(self, until: int) -> None:
        """Record the attempts at events up to a position before they begin."""
        self.careful_until = max(self.careful_until, until)
        self.careful_left = CAREFUL_MAX

    def lane(self, service: str, name: str) -> Lane:
        """Return a lane, made if need be."""
        lane = self.lanes.get((service, name))
        if lane is None:
            lane = self.lanes[service, name] = Lane(service, name)
        return lane

    def forget_all(self) -> None:
        """Forget everything in memory: the store is read again."""
        self.generation += 1
        self.deliveries.forget_all()
        self.lanes.clear()
        self.held.clear()
        self.unmet.clear()
        self.writing.clear()
        self.pending = self.reading = self.moved = self.careful_until = 0

    # ---- slots go to other nodes --------------------------------------------------------------

    def leave(self, service: str, slots: Container[int]) -> None:
        """Begin nothing more of the events of some slots; what is under way goes on."""
        for queue in self._queues_of(service, slots):
            queue.leaving = True
            if queue.blocked is not None:
                self.deliveries.retrying.pop(queue.blocked, None)

    def under_way(self, service: str, slots: Container[int]) -> set[int]:
        """Return the slots, among some, of which something is under way, or being written."""
        return {
            slot_of(queue.key) for queue in self._queues_of(service, slots) if not queue.at_rest
        } | {slot for of, slot in self.writing if of == service and slot in slots}

    def occupy(self, service: str, key: str) -> Callable[[object], None]:
        """Keep the slot of a key here until what is returned is called, after a commit.

        What this node writes about a key after another one has begun to deliver its events would
        take away what that one relies on.
        """
        place = service, slot_of(key)
        self.writing[place] = self.writing.get(place, 0) + 1
        return functools.partial(self._vacate, self.generation, place)

    def _vacate(self, generation: int, place: tuple[str, int], _: object = None) -> None:
        if generation != self.generation:
            return
        self.writing[place] -= 1
        if not self.writing[place]:
            del self.writing[place]
            self._left()

    def forget(self, service: str, slots: Container[int]) -> None:
        """Forget the queues of slots in which nothing is under way: they are another node's."""
        gone = self._queues_of(service, slots)
        if any(queue.unmet for queue in gone):
            left = set(gone)
            self.unmet = [queue for queue in self.unmet if queue not in left]
        for queue in gone:
            self.pending -= len(queue.items) - (queue.blocked is not None)
            self.held.pop(queue, None)
            if queue.blocked is not None:  # since it began to leave
                self.deliveries.retrying.pop(queue.blocked, None)
            del queue.lane.queues[queue.key]

    def _queues_of(self, service: str, slots: Container[int]) -> list[KeyQueue]:
        return [
            queue
            for lane in self.lanes.values()
            if lane.service == service
            for queue in lane.queues.values()
            if slot_of(queue.key) in slots
        ]

    # ---- events come --------------------------------------------------------------------------

    def offer(
        self,
        stream: Stream,
        event: EventRow,
        known: Mapping[int, ReactionRow] = NOTHING_KNOWN,
    ) -> None:
        """Put an event into the queues of those that take it from this stream.

        *known* has the rows of their reactions to it that are in the store.
        """
        for lane, takers in stream.routes.get(event.type, ()):
            if stream.slots is not None and not stream.brings(lane.service, event):
                continue
            left = takers
            if stream.selective:
                left = tuple(s for s in left if s.takes(event.position, event.key))
            if known:
                left = tuple(s for s in left if not _is_over(known.get(s.number)))
            if left:
                queue = lane.queue(event.key)
                item = Item(event, stream, left, known)
                if queue.offer(item):
                    self.pending += 1
                    if event.position <= self.careful_until and self.careful_left > 0:
                        item.careful = _may_have_begun(queue, item)
                        self.careful_left -= item.careful
                    if queue.active is None:
                        self.advance(queue)

    def advance(self, queue: KeyQueue) -> None:
        """Begin the next delivery of a queue, if it may begin."""
        if queue.active is not None or queue.blocked is not None or self.node.stopping:
            return
        if queue.leaving:
            self._left()
            return
        if queue.thread is not None:
            return  # and when it is back this is called again
        if queue.items:
            item = queue.items[0]
            self.deliveries.begin(queue, item, item.left[0])
        elif queue.cursors:
            self.read_behind(queue)
        elif queue.hold is None:
            queue.lane.drop_if_resting(queue)
        elif not queue.unmet:
            self._release(queue)

    # ---- deliveries end -----------------------------------------------------------------------

    def passed(self, delivery: Delivery) -> None:
        """A delivery is over: the next one of its key may begin."""
        queue, item = delivery.queue, delivery.item
        queue.active = None
        item.left = item.left[1:]
        if not item.left:
            queue.items.popleft()
            self.pending -= 1
            self.moved += 1
        self.advance(queue)
        self._progressed()

    def block(self, delivery: Delivery) -> None:
        """A delivery's failure is written: its key waits, and what is behind it goes to the log."""
        queue = delivery.queue
        queue.active = None
        queue.blocked = delivery
        if delivery.holds_from is not None:
            queue.hold = delivery.holds_from
        self.pending -= queue.leave_in_log() + 1
        if queue.leaving:
            self._left()
        self._progressed()

    def unblock(self, delivery: Delivery) -> None:
        """What blocked its key is under way again, or over."""
        queue = delivery.queue
        queue.blocked = None
        queue.active = delivery
        self.pending += 1

    def outlived(self, queue: KeyQueue, thread: "asyncio.Future[Any]") -> None:
        """A thread goes on after its attempt: nothing else of the key begins before it ends."""
        queue.thread = thread
        thread.add_done_callback(functools.partial(self._thread_back, self.generation, queue))

    def _thread_back(self, generation: int, queue: KeyQueue, thread: "asyncio.Future[Any]") -> None:
        if generation == self.generation and queue.thread is thread:
            queue.thread = None
            self.advance(queue)

    # ---- dead letters again -------------------------------------------------------------------

    def redrive(
        self,
        subscription: Subscription,
        stream: Stream,
        event: EventRow,
        row: ReactionRow,
        records: Sequence[r.Record],
    ) -> None:
        """Try a dead letter again, for which the store says that it waits for a retry now."""
        subscription.passed_over.discard(event.position)
        stream = subscription.stream_of(event) or stream
        queue = subscription.lane.queue(event.key)
        queue.hold = event.position if queue.hold is None else min(queue.hold, event.position)
        blocked = queue.blocked
        if blocked is not None and _is_of(blocked, subscription, event.position):
            blocked.recall(row, records)
            blocked.lost = 0
            self.deliveries.try_again(blocked)
            return
        if queue.active is not None and _is_of(queue.active, subscription, event.position):
            queue.active.stale = True  # it is being read from the store, and is read again
            return
        queue.items.append(Item(event, stream, (subscription,), {subscription.number: row}))
        self.pending += 1
        self.advance(queue)

    def discarded(self, subscription: Subscription, event: EventRow) -> None:
        """A dead letter does not matter any more: what waits behind it may pass."""
        subscription.passed_over.discard(event.position)
        queue = subscription.lane.queue(event.key)
        blocked = queue.blocked
        if blocked is not None and _is_of(blocked, subscription, event.position):
            self.unblock(blocked)
            self.passed(blocked)
            return
        if queue.active is not None and _is_of(queue.active, subscription, event.position):
            queue.active.stale = True
            return
        self.advance(queue)
        self._progressed()

    # ---- what was left in the log -------------------------------------------------------------

    def read_behind(self, queue: KeyQueue) -> None:
        """Read what a queue left in the log, now that it has room."""
        if not queue.reading:
            queue.reading = True
            self.reading += 1
            self.node.spawn(self._safely(queue, self.generation))

    async def _read_behind(self, queue: KeyQueue) -> None:
        generation = self.generation
        after = min(cursor.last for cursor in queue.cursors.values())
        until = max(stream.offered for stream in queue.cursors)
        limit = 1 if self.full else QUEUE_MAX  # each key goes on, however many there are
        events, known = await page_of_key(
            self.node.store, tuple(queue.lane.types), queue.key, after, until, limit
        )
        if generation != self.generation:
            return
        # A stream that has left something further below meanwhile is read the next time.
        read = {s: cursor for s, cursor in queue.cursors.items() if cursor.last >= after}
        for event in events:
            rows = known.get(event.position, NOTHING_KNOWN)
            for stream, cursor in read.items():
                if cursor.last < event.position <= stream.offered:
                    self._take_behind(queue, stream, event, rows)
        reached = events[-1].position if len(events) == limit else until
        for stream, cursor in read.items():
            cursor.last = max(cursor.last, min(reached, stream.offered))
            if cursor.missed <= cursor.last and reached >= stream.offered:
                del queue.cursors[stream]
        queue.reading = False
        self.reading -= 1
        self.advance(queue)
        self._progressed()

    def _take_behind(
        self,
        queue: KeyQueue,
        stream: Stream,
        event: EventRow,
        rows: Mapping[int, ReactionRow],
    ) -> None:
        takers = stream.takers(queue.lane, event)
        left = tuple(s for s in takers if not _is_over(rows.get(s.number)))
        if left:
            item = Item(event, stream, left, rows)
            queue.items.append(item)
            self.pending += 1
            if event.position <= self.careful_until:
                item.careful = _may_have_begun(queue, item)

    def _release(self, queue: KeyQueue) -> None:
        """Delete the hold of a queue in which nothing is left to do."""
        lane, queue.hold = queue.lane, None
        if not lane.keeps_holds:
            vacate = self.occupy(lane.service, queue.key)
            self.node.committer.add(writing.release(lane.service, lane.name, queue.key, vacate))
        lane.drop_if_resting(queue)

    async def read_held(self) -> None:
        """Read what the store holds, one key after the other."""
        while self.held:
            queue, _ = self.held.popitem()
            if queue.cursors and not (queue.reading or queue.items or queue.leaving):
                queue.reading = True
                self.reading += 1
                await self._safely(queue, self.generation)
            await asyncio.sleep(0)  # a store may answer without ever giving others a turn

    def look_for_unmet(self, frontier: int) -> None:
        """Release what is held up to a place to which every stream has come, if nothing is open."""
        met = [queue for queue in self.unmet if (queue.hold or 0) <= frontier]
        if met:
            self.unmet = [queue for queue in self.unmet if (queue.hold or 0) > frontier]
        for queue in met:
            queue.unmet = False
            self.advance(queue)

    async def _safely(self, queue: KeyQueue, generation: int) -> None:
        try:
            if generation == self.generation:
                await self._read_behind(queue)
        except StoreError as error:
            self.node.store_failed(error)


def _may_have_begun(queue: KeyQueue, item: Item) -> bool:
    """Whether an event of the log may have been under way when a node died, and no row says so.

    It is so at most for the first of a key of which the store does not know how it stands.
    """
    return not item.all_known and all(one.all_known for one in queue.items if one is not item)


def _is_over(row: ReactionRow | None) -> bool:
    return row is not None and row.status.over


def _is_of(delivery: Delivery, subscription: Subscription, position: int) -> bool:
    return delivery.subscription is subscription and delivery.event.position == position
