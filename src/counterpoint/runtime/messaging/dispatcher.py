"""Delivers events: begins attempts of reactions, and writes how they ended.

See `queues` for the order, `writing` for what is written, `streams` for where events come from.
"""

import functools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from counterpoint.authoring.failures import failure_of, in_words
from counterpoint.authoring.workflow import Workflow
from counterpoint.errors import (
    AttemptsLostError,
    HopLimitError,
    StoreCorruptError,
    StoreError,
    UnknownVersionError,
)
from counterpoint.kernel.retry import LOST_IN_A_ROW_MAX
from counterpoint.model import records as r
from counterpoint.model.messages import EventRow, ReactionRow, ReactionStatus
from counterpoint.model.outcomes import Outcome, Outgoing, Raised, Returned, StartRequest
from counterpoint.model.times import microseconds
from counterpoint.runtime.host import Host
from counterpoint.runtime.journals import journal_records
from counterpoint.runtime.log import logger
from counterpoint.runtime.messaging import writing
from counterpoint.runtime.messaging.delivery import Delivery, ReactionAttempt
from counterpoint.runtime.messaging.log_pages import page_of_key
from counterpoint.runtime.messaging.queues import (
    NOTHING_KNOWN,
    QUEUE_MAX,
    Item,
    KeyQueue,
    Lane,
    Stream,
)
from counterpoint.runtime.messaging.subscription import Subscription

PENDING_MAX = 5_000
"""Events in memory that wait for their reactions; the others wait in the log."""


class Dispatcher:
    """The queues of a node's lanes, and what is under way in them."""

    def __init__(self, node: Host, progressed: Callable[[], None]) -> None:
        self.node = node
        self.lanes: dict[tuple[str, str], Lane] = {}
        self.pending = 0
        """Events in memory, counted once for each lane."""
        self.under_way: dict[Delivery, None] = {}
        """Deliveries whose outcome is not written."""
        self.retrying: dict[Delivery, None] = {}
        """Deliveries that wait for their next attempt."""
        self.reading = 0
        """Queues that read from the log what they left there."""
        self.held: list[KeyQueue] = []
        """Queues that the store holds and that were not read yet."""
        self.moved = 0
        """Events that were done since positions were written."""
        self._progressed = progressed
        self.generation = 0
        """Grows when everything in memory is forgotten; what was begun before has no effect."""

    @property
    def quiet(self) -> bool:
        """Whether nothing is under way; what waits for a retry or a person does not count."""
        return not (self.under_way or self.reading or self.held)

    @property
    def full(self) -> bool:
        """Whether no more events should be taken from the log."""
        return self.pending >= PENDING_MAX

    def lane(self, service: str, name: str) -> Lane:
        """Return a lane, made if need be."""
        lane = self.lanes.get((service, name))
        if lane is None:
            lane = self.lanes[service, name] = Lane(service, name)
        return lane

    def forget_all(self) -> None:
        """Forget everything in memory: the store is read again."""
        self.generation += 1
        for delivery in self.under_way:
            if delivery.attempt is not None:
                self.node.activities.forget(delivery.attempt)
        self.lanes.clear()
        self.held.clear()
        self.under_way.clear()
        self.retrying.clear()
        self.pending = self.reading = self.moved = 0

    # ---- events come --------------------------------------------------------------------------

    def offer(
        self,
        stream: Stream,
        event: EventRow,
        known: Mapping[int, ReactionRow] = NOTHING_KNOWN,
        *,
        careful: bool = False,
    ) -> None:
        """Put an event into the queues of those that take it from this stream.

        *known* has the rows of their reactions to it that are in the store.
        """
        for lane, takers in stream.routes.get(event.type, ()):
            left = takers
            if stream.selective:
                left = tuple(s for s in left if s.takes(event.position, event.key))
            if known:
                left = tuple(s for s in left if not _is_over(known.get(s.number)))
            if left:
                queue = lane.queue(event.key)
                if queue.offer(Item(event, stream, left, known, careful=careful)):
                    self.pending += 1
                    if queue.active is None:
                        self.advance(queue)

    def advance(self, queue: KeyQueue) -> None:
        """Begin the next delivery of a queue, if it may begin."""
        if queue.active is not None or queue.blocked is not None or self.node.stopping:
            return
        if queue.items:
            item = queue.items[0]
            self._begin(queue, item, item.left[0])
        elif queue.cursors:
            self.read_behind(queue)
        elif queue.hold is not None:
            self._release(queue)
        else:
            queue.lane.drop_if_resting(queue)

    # ---- a delivery ---------------------------------------------------------------------------

    def _begin(self, queue: KeyQueue, item: Item, subscription: Subscription) -> None:
        now = self.node.clock.now()
        delivery = Delivery(queue, item, subscription, now)
        queue.active = delivery
        self.under_way[delivery] = None
        row = item.known.get(subscription.number)
        if row is not None:
            self._spawn(self._resume(delivery, row))
        elif not self._may_not_begin(delivery, now):
            if item.careful:
                self._spawn(self._begin_carefully(delivery))
            else:
                self._start(delivery)

    def _may_not_begin(self, delivery: Delivery, now: int) -> bool:
        """Whether an event cannot be delivered to anybody here; it is dealt with then."""
        event, node = delivery.event, self.node
        if event.hops > node.settings.hop_limit:
            limit = node.settings.hop_limit
            self._give_up(delivery, [], HopLimitError(event.type, event.hops, limit))
            return True
        declared = delivery.contract.version
        if event.version > declared and delivery.data is None:
            error = UnknownVersionError(event.type, event.version, declared)
            patience = event.recorded_at + microseconds(node.settings.newer_version_wait)
            if now >= patience:
                self._give_up(delivery, [], error)
            else:
                failed = failure_of(error, delivery.subscription.row.service)
                self._spawn(self._fail(delivery, failed, patience))
            return True
        return False

    def _start(self, delivery: Delivery) -> None:
        """Begin an attempt now; its row, if it has to have one, is written."""
        node, target = self.node, delivery.subscription.target
        delivery.attempts += 1
        if isinstance(target, Workflow):
            self._start_workflow(delivery, target)
            return
        attempt = ReactionAttempt(delivery, target, node.registry, self._beat)
        delivery.attempt = attempt
        node.activities.start(attempt)

    def _start_workflow(self, delivery: Delivery, workflow: Any) -> None:
        event = delivery.event
        try:
            decoded = delivery.decode()
            row = delivery.subscription.row
            execution_id = workflow.on.execution_id(
                workflow.name, event.source, event.id, decoded, row.replay
            )
            arguments = workflow.signature.encode_arguments((decoded,), {})
            workflow.signature.decode_arguments(arguments)
        except Exception as error:  # noqa: BLE001 - whatever a user's code raises
            self._give_up(delivery, [], error)
            return
        self._succeed(delivery, [StartRequest(workflow.name, execution_id, arguments)])

    def attempt_ended(self, attempt: ReactionAttempt, outcome: Outcome) -> None:
        """An attempt of a reaction reported how it ended."""
        delivery: Delivery = attempt.owner
        delivery.attempt = None
        if delivery not in self.under_way:
            return
        if isinstance(outcome, Returned):
            self._succeed(delivery, outcome.outbox)
            return
        retry = attempt.reaction.retry
        if outcome.final or delivery.attempts >= retry.max_attempts:
            self._spawn(self._die(delivery, [], outcome.error))
            return
        delay = outcome.retry_after
        if delay is None:
            delay = retry.delay_after(delivery.attempts, self.node.dice.random())
        retry_at = self.node.clock.now() + microseconds(delay)
        self._spawn(self._fail(delivery, outcome.error, retry_at))

    def _beat(self, attempt: Any, _: r.Payload) -> None:
        self.node.activities.prolong(attempt)

    def postpone(self, attempt: ReactionAttempt) -> None:
        """Write that a stopping node never began an attempt, if a row says that it did."""
        delivery: Delivery = attempt.owner
        if delivery.status is ReactionStatus.RUNNING and delivery in self.under_way:
            delivery.attempts -= 1
            now = self.node.clock.now()
            self.node.committer.add(writing.postponed(delivery, now))

    # ---- outcomes -----------------------------------------------------------------------------

    def _succeed(self, delivery: Delivery, outbox: Sequence[Outgoing]) -> None:
        node = self.node
        try:
            note = writing.success(
                delivery,
                outbox,
                node.clock.now(),
                node.codec,
                functools.partial(self._passed, self.generation, delivery),
                functools.partial(self._refused, self.generation, delivery),
            )
        except Exception as error:  # noqa: BLE001 - a codec may refuse what it is given
            self._give_up(delivery, [], error)
            return
        node.committer.add(note)

    def _give_up(self, delivery: Delivery, records: list[r.Record], error: Exception) -> None:
        failed = failure_of(error, delivery.subscription.row.service)
        self._spawn(self._die(delivery, records, failed))

    async def _fail(self, delivery: Delivery, error: r.Failure, retry_at: int) -> None:
        """Write a failed attempt that another one follows."""
        await self._give_key(delivery)
        delivery.lost = 0
        record = r.AttemptFailed(
            self.node.clock.now(), 0, delivery.attempts, error, True, retry_at
        )
        self._write_failure(delivery, record, retry_at)
        logger.warning(
            "%s: attempt %d failed, the next one in %.3g s: %s",
            delivery.id,
            delivery.attempts,
            max(0, retry_at - record.at) / 1e6,
            in_words(error),
        )

    def _write_failure(
        self, delivery: Delivery, record: r.AttemptFailed | r.AttemptLost, retry_at: int
    ) -> None:
        note = writing.failure(
            delivery,
            record,
            retry_at,
            self.node.codec,
            functools.partial(self._waits, self.generation, delivery),
            functools.partial(self._refused, self.generation, delivery),
        )
        self._remember_hold(delivery, note.held is not None and note.held.position)
        self.node.committer.add(note)

    async def _die(self, delivery: Delivery, records: list[r.Record], error: r.Failure) -> None:
        """Make a dead letter of a delivery."""
        await self._give_key(delivery)
        target = delivery.subscription.target
        parks = isinstance(target, Workflow) or target.on_dead == "park"
        note = writing.death(
            delivery,
            records,
            error,
            self.node.clock.now(),
            self.node.codec,
            functools.partial(self._dead, self.generation, delivery, parks),
            functools.partial(self._refused, self.generation, delivery),
            parks=parks,
        )
        self._remember_hold(delivery, note.held is not None and note.held.position)
        self.node.committer.add(note)
        logger.error("%s is a dead letter: %s", delivery.id, in_words(error))

    def _remember_hold(self, delivery: Delivery, position: int | bool) -> None:
        """Keep for the commit's return where a hold that is being written begins."""
        delivery.holds_from = position or None

    # ---- after the commit ---------------------------------------------------------------------

    def _passed(self, generation: int, delivery: Delivery, _: object = None) -> None:
        """A delivery is over: the next one of its key may begin."""
        if generation != self.generation:
            return
        self.under_way.pop(delivery, None)
        queue, item = delivery.queue, delivery.item
        queue.active = None
        item.left = item.left[1:]
        if not item.left:
            queue.items.popleft()
            self.pending -= 1
            self.moved += 1
        self.advance(queue)
        self._progressed()

    def _waits(self, generation: int, delivery: Delivery, _: object = None) -> None:
        """A failed attempt is written: its key waits for the next one."""
        if generation != self.generation:
            return
        self.retrying[delivery] = None  # before the node looks whether it is idle
        self._block(delivery)
        self.set_alarm(delivery)

    def set_alarm(self, delivery: Delivery) -> None:
        """Begin a delivery's next attempt at its time."""
        assert delivery.due_at is not None  # noqa: S101 - it waits for a retry
        again = functools.partial(self.try_again, delivery)
        self.node.clock.call_at(delivery.due_at, again)

    def _dead(self, generation: int, delivery: Delivery, parks: bool, _: object = None) -> None:
        """A dead letter is written."""
        if generation != self.generation:
            return
        if parks:
            self._block(delivery)
        else:
            self._passed(generation, delivery)

    def _block(self, delivery: Delivery) -> None:
        self.under_way.pop(delivery, None)
        queue = delivery.queue
        queue.active = None
        queue.blocked = delivery
        if delivery.holds_from is not None:
            queue.hold = delivery.holds_from
        self.pending -= queue.leave_in_log()
        self._progressed()

    def _refused(self, generation: int, delivery: Delivery, error: Exception) -> None:
        """The store takes the outcome of no other delivery amiss: this one is a dead letter."""
        if generation != self.generation:
            return
        logger.error("the outcome of %s cannot be written: %s", delivery.id, error)
        delivery.queue.hold = None
        if not delivery.refused:
            delivery.refused = True
            self._give_up(delivery, [], error)

    # ---- again --------------------------------------------------------------------------------

    def try_again(self, delivery: Delivery) -> None:
        """Begin the next attempt of what waits for one."""
        queue = delivery.queue
        if queue.blocked is not delivery or self.node.stopping or self.node.fault is not None:
            return
        self.retrying.pop(delivery, None)
        queue.blocked = None
        queue.active = delivery
        self.under_way[delivery] = None
        delivery.due_at = None
        if not self._may_not_begin(delivery, self.node.clock.now()):
            self._spawn(self._begin_carefully(delivery))

    def redrive(
        self,
        subscription: Subscription,
        stream: Stream,
        event: EventRow,
        row: ReactionRow,
        records: Sequence[r.Record],
    ) -> None:
        """Try a dead letter again, for which the store says that it waits for a retry now."""
        queue = subscription.lane.queue(event.key)
        queue.hold = event.position if queue.hold is None else min(queue.hold, event.position)
        blocked = queue.blocked
        if blocked is not None and _is_of(blocked, subscription, event.position):
            blocked.recall(row, records)
            blocked.lost = 0
            self.try_again(blocked)
            return
        queue.items.append(Item(event, stream, (subscription,), {subscription.number: row}))
        self.pending += 1
        self.advance(queue)

    def discarded(self, subscription: Subscription, event: EventRow) -> None:
        """A dead letter does not matter any more: what waits behind it may pass."""
        queue = subscription.lane.queue(event.key)
        blocked = queue.blocked
        if blocked is not None and _is_of(blocked, subscription, event.position):
            queue.blocked = None
            self._passed(self.generation, blocked)
        else:
            self.advance(queue)

    async def _begin_carefully(self, delivery: Delivery) -> None:
        """Write that an attempt begins, and begin it then."""
        await self._give_key(delivery)
        delivery.attempts += 1
        note = writing.under_way(
            delivery,
            functools.partial(self._begun, self.generation, delivery),
            functools.partial(self._refused, self.generation, delivery),
        )
        delivery.attempts -= 1
        self.node.committer.add(note)

    def _begun(self, generation: int, delivery: Delivery, _: object = None) -> None:
        if generation == self.generation:
            self._start(delivery)

    async def _resume(self, delivery: Delivery, row: ReactionRow) -> None:
        """Go on with what a row in the store says of a delivery."""
        node = self.node
        records: list[r.Record] = []
        if row.key is not None:
            try:
                records = journal_records(await node.store.journal(row.key), node.codec)
            except StoreCorruptError as error:
                logger.error("%s is left alone: its journal is damaged: %s", delivery.id, error)
                self._block(delivery)
                return
        delivery.recall(row, records)
        target = delivery.subscription.target
        if row.status is ReactionStatus.DEAD:
            if isinstance(target, Workflow) or target.on_dead == "park":
                self._block(delivery)
            else:
                self._passed(self.generation, delivery)
        elif row.status is ReactionStatus.RUNNING:
            self._lost(delivery)
        else:
            if _knows_now(delivery, records):
                delivery.due_at = node.clock.now()
            self._waits(self.generation, delivery)

    def _lost(self, delivery: Delivery) -> None:
        """The node died while an attempt was under way; it counts like a failed one."""
        now, node = self.node.clock.now(), self.node
        delivery.lost += 1
        target = delivery.subscription.target
        retry_at = now
        if not isinstance(target, Workflow):
            retry_at += microseconds(
                target.retry.delay_after(delivery.attempts, node.dice.random())
            )
        record = r.AttemptLost(now, 0, delivery.attempts, retry_at)
        if delivery.lost >= LOST_IN_A_ROW_MAX:
            name = delivery.subscription.row.name
            self._give_up(delivery, [record], AttemptsLostError(name, delivery.lost))
        else:
            self._write_failure(delivery, record, retry_at)

    async def _give_key(self, delivery: Delivery) -> None:
        """Give a delivery a journal of its own, where its failures are recorded."""
        if delivery.key is None:
            delivery.key = await self.node.next_key()

    async def read_held(self) -> None:
        """Read what the store holds, one key after the other."""
        while self.held:
            queue = self.held.pop()
            if queue.cursors and not (queue.reading or queue.items):
                queue.reading = True
                self.reading += 1
                await self._safely(self._read_behind(queue))

    # ---- what was left in the log -------------------------------------------------------------

    def read_behind(self, queue: KeyQueue) -> None:
        """Read what a queue left in the log, now that it has room."""
        if not queue.reading:
            queue.reading = True
            self.reading += 1
            self._spawn(self._read_behind(queue))

    async def _read_behind(self, queue: KeyQueue) -> None:
        generation = self.generation
        stream, cursor = next(iter(queue.cursors.items()))
        until = stream.frontier if stream.ends_at is None else min(stream.frontier, stream.ends_at)
        events, known = await page_of_key(
            self.node.store, tuple(queue.lane.types), queue.key, cursor.last, until, QUEUE_MAX
        )
        if generation != self.generation:
            return
        for event in events:
            rows = known.get(event.position, NOTHING_KNOWN)
            takers = stream.takers(queue.lane, event)
            left = tuple(s for s in takers if not _is_over(rows.get(s.number)))
            if left:
                queue.items.append(Item(event, stream, left, rows))
                self.pending += 1
        if len(events) == QUEUE_MAX:
            cursor.last = events[-1].position
        else:
            cursor.last = until
            if cursor.missed <= until:
                queue.cursors.pop(stream, None)
        queue.reading = False
        self.reading -= 1
        self.advance(queue)
        self._progressed()

    def _release(self, queue: KeyQueue) -> None:
        """Delete the hold of a queue in which nothing is left to do."""
        lane, queue.hold = queue.lane, None
        if not lane.keeps_holds:
            self.node.committer.add(writing.release(lane.service, lane.name, queue.key))
        lane.drop_if_resting(queue)

    def _spawn(self, errand: Coroutine[Any, Any, None]) -> None:
        self.node.spawn(self._safely(errand))

    async def _safely(self, errand: Coroutine[Any, Any, None]) -> None:
        try:
            await errand
        except StoreError as error:
            self.node.store_failed(error)


def _is_over(row: ReactionRow | None) -> bool:
    return row is not None and row.status.over


def _is_of(delivery: Delivery, subscription: Subscription, position: int) -> bool:
    return delivery.subscription is subscription and delivery.event.position == position


def _knows_now(delivery: Delivery, records: Sequence[r.Record]) -> bool:
    """Whether what waits for a newer contract has it now."""
    last = records[-1] if records else None
    waited = isinstance(last, r.AttemptFailed) and last.error.type.endswith("UnknownVersionError")
    return waited and delivery.event.version <= delivery.contract.version
