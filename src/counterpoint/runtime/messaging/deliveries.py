"""Deliveries: attempts of reactions begin, end, are written, and begin again.

A delivery is under way from when its queue hands it over until it has *passed* (its success, or a
dead letter that parks nothing, is written) or its queue is *blocked* by it (a failure is written).
"""

import asyncio
import functools
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from counterpoint.authoring.failures import failure_of, in_words
from counterpoint.authoring.workflow import Workflow
from counterpoint.errors import (
    AttemptsLostError,
    HopLimitError,
    NodeStoppedError,
    StoreCorruptError,
    StoreError,
    UnknownVersionError,
)
from counterpoint.kernel.retry import LOST_IN_A_ROW_MAX
from counterpoint.model import records as r
from counterpoint.model.messages import ReactionRow, ReactionStatus
from counterpoint.model.outcomes import Outcome, Outgoing, Raised, Returned, StartRequest
from counterpoint.model.policies import Retry
from counterpoint.model.times import microseconds
from counterpoint.runtime.host import Host
from counterpoint.runtime.journals import journal_records
from counterpoint.runtime.log import logger
from counterpoint.runtime.messaging import writing
from counterpoint.runtime.messaging.attempt import ReactionAttempt
from counterpoint.runtime.messaging.queues import Delivery, Item, KeyQueue, Subscription
from counterpoint.runtime.transactions import OpenTransaction

THREAD_GOES_ON = r.Failure(
    "builtins.TimeoutError", "the thread of an earlier attempt, which timed out, goes on"
)


class Queues(Protocol):
    """What deliveries say to the queues that they come from."""

    generation: int
    """Grows when everything in memory is forgotten; what was begun before has no effect."""

    def passed(self, delivery: Delivery) -> None:
        """A delivery is over: the next one of its key may begin."""
        ...

    def block(self, delivery: Delivery) -> None:
        """A delivery's failure is written: its key waits."""
        ...

    def outlived(self, queue: KeyQueue, thread: "asyncio.Future[Any]") -> None:
        """A thread goes on after its attempt: nothing else of the key begins before it ends."""
        ...

    def unblock(self, delivery: Delivery) -> None:
        """What blocked its key is under way again."""
        ...


class Deliveries:
    """What is under way, and what waits for its next attempt."""

    def __init__(self, node: Host, queues: Queues) -> None:
        self.node = node
        self.queues = queues
        self.under_way: dict[Delivery, None] = {}
        """Deliveries whose outcome is not written."""
        self.retrying: dict[Delivery, None] = {}
        """Deliveries that wait for their next attempt."""
        self._errands: set[asyncio.Future[None]] = set()
        """Set when what has to be found out before something is written is known."""

    @property
    def quiet(self) -> bool:
        """Whether each delivery that is under way only waits for the end of an attempt."""
        return all(delivery.attempt is not None for delivery in self.under_way)

    async def told(self) -> None:
        """Wait until how attempts have ended is the committer's to write."""
        while self._errands:
            await asyncio.wait(self._errands)

    def forget_all(self) -> None:
        """Forget what is under way: nobody may hear of its outcome any more."""
        for delivery in self.under_way:
            if delivery.attempt is not None:
                self.node.activities.forget(delivery.attempt)
        self.under_way.clear()
        self.retrying.clear()

    # ---- beginning ----------------------------------------------------------------------------

    def begin(self, queue: KeyQueue, item: Item, subscription: Subscription) -> None:
        """Begin the delivery of a queue's first event to a subscription."""
        now = self.node.clock.now()
        delivery = Delivery(queue, item, subscription, now)
        queue.active = delivery
        self.under_way[delivery] = None
        row = item.known.get(subscription.number)
        if row is not None:
            self._spawn(self._resume(delivery))
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
            arguments = workflow.on.versioned(arguments)
        except Exception as error:  # noqa: BLE001 - whatever a user's code raises
            self._give_up(delivery, [], error)
            return
        self._succeed(delivery, [StartRequest(workflow.name, execution_id, arguments)])

    def attempt_ended(self, attempt: ReactionAttempt, outcome: Outcome) -> None:
        """An attempt of a reaction reported how it ended."""
        delivery: Delivery = attempt.owner
        delivery.attempt = None
        if delivery not in self.under_way:
            if attempt.transaction is not None:
                attempt.transaction.abandon()
            return
        if isinstance(outcome, Returned):
            self._succeed(delivery, outcome.outbox, attempt.transaction)
            return
        delivery.thread = attempt.thread
        if attempt.thread is not None and not attempt.thread.done():
            self.queues.outlived(delivery.queue, attempt.thread)
        self._failed(delivery, attempt.reaction.retry, outcome)

    def _failed(self, delivery: Delivery, retry: Retry, outcome: Raised) -> None:
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

    def _succeed(
        self,
        delivery: Delivery,
        outbox: Sequence[Outgoing],
        transaction: OpenTransaction | None = None,
    ) -> None:
        node = self.node
        try:
            note = writing.success(
                delivery,
                outbox,
                node.clock.now(),
                node.codec,
                functools.partial(self._passed, self.queues.generation, delivery),
                functools.partial(self._refused, self.queues.generation, delivery),
            )
        except Exception as error:  # noqa: BLE001 - a codec may refuse what it is given
            if transaction is not None:
                transaction.abandon()
            self._give_up(delivery, [], error)
            return
        note.transaction = transaction
        node.committer.add(note)

    def _give_up(self, delivery: Delivery, records: list[r.Record], error: Exception) -> None:
        failed = failure_of(error, delivery.subscription.row.service)
        self._spawn(self._die(delivery, records, failed))

    async def _fail(self, delivery: Delivery, error: r.Failure, retry_at: int) -> None:
        """Write a failed attempt that another one follows."""
        if not await self._give_key(delivery):
            return
        delivery.lost = 0
        record = r.AttemptFailed(self.node.clock.now(), 0, delivery.attempts, error, True, retry_at)
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
            functools.partial(self._waits, self.queues.generation, delivery),
            functools.partial(self._refused, self.queues.generation, delivery),
        )
        self._remember_hold(delivery, note.held is not None and note.held.position)
        self.node.committer.add(note)

    async def _die(self, delivery: Delivery, records: list[r.Record], error: r.Failure) -> None:
        """Make a dead letter of a delivery."""
        if not await self._give_key(delivery):
            return
        parks = _parks(delivery)
        note = writing.death(
            delivery,
            records,
            error,
            self.node.clock.now(),
            self.node.codec,
            functools.partial(self._dead, self.queues.generation, delivery, parks),
            functools.partial(self._refused, self.queues.generation, delivery),
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
        """A delivery's success is written."""
        if generation == self.queues.generation:
            self.under_way.pop(delivery, None)
            self.queues.passed(delivery)

    def _block(self, delivery: Delivery) -> None:
        self.under_way.pop(delivery, None)
        self.queues.block(delivery)

    def _waits(self, generation: int, delivery: Delivery, _: object = None) -> None:
        """A failed attempt is written: its key waits for the next one."""
        if generation != self.queues.generation:
            return
        self.retrying[delivery] = None  # before the node looks whether it is idle
        self._block(delivery)
        self.set_alarm(delivery)

    def set_alarm(self, delivery: Delivery) -> None:
        """Begin a delivery's next attempt at its time."""
        assert delivery.due_at is not None  # noqa: S101 - it waits for a retry
        self.node.clock.call_at(delivery.due_at, functools.partial(self._ring, delivery))

    def _ring(self, delivery: Delivery) -> None:
        if delivery in self.retrying:  # or it was forgotten, and another one is in its place
            self.try_again(delivery)

    def _dead(self, generation: int, delivery: Delivery, parks: bool, _: object = None) -> None:
        """A dead letter is written."""
        if generation != self.queues.generation:
            return
        if parks:
            self._block(delivery)
            return
        if delivery.subscription.is_replay:
            delivery.subscription.passed_over.add(delivery.event.position)
        self._passed(generation, delivery)

    def _refused(self, generation: int, delivery: Delivery, error: Exception) -> None:
        """The store takes the outcome of no other delivery amiss: this one is a dead letter."""
        if generation != self.queues.generation:
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
        if queue.blocked is not delivery or queue.leaving:
            return
        if self.node.stopping or self.node.fault is not None:
            return
        self.retrying.pop(delivery, None)
        self.queues.unblock(delivery)
        self.under_way[delivery] = None
        delivery.due_at = None
        if self._may_not_begin(delivery, self.node.clock.now()):
            return
        target = delivery.subscription.target
        if isinstance(target, Workflow) or delivery.thread is None or delivery.thread.done():
            self._spawn(self._begin_carefully(delivery))
            return
        delivery.attempts += 1  # it fails without having begun: two never run at once
        self._failed(delivery, target.retry, Raised(THREAD_GOES_ON))

    async def _begin_carefully(self, delivery: Delivery) -> None:
        """Write that an attempt begins, and begin it then."""
        if not await self._give_key(delivery):
            return
        delivery.attempts += 1
        note = writing.under_way(
            delivery,
            functools.partial(self._begun, self.queues.generation, delivery),
            functools.partial(self._refused, self.queues.generation, delivery),
        )
        delivery.attempts -= 1
        self.node.committer.add(note)

    def _begun(self, generation: int, delivery: Delivery, _: object = None) -> None:
        if generation == self.queues.generation:
            self._start(delivery)

    async def _resume(self, delivery: Delivery) -> None:
        """Go on with what the store says of a delivery now: an act may have changed it since."""
        generation = self.queues.generation
        row = None
        delivery.stale = True
        while delivery.stale:
            delivery.stale = False
            row = await self._recall(delivery)
            if generation != self.queues.generation:
                return
        if row is None or (row.status is ReactionStatus.DEAD and not _parks(delivery)):
            self._passed(generation, delivery)
        elif row.status is ReactionStatus.DEAD or delivery.damaged:
            self._block(delivery)
        elif row.status is ReactionStatus.RUNNING:
            self._lost(delivery)
        else:
            self._waits(generation, delivery)

    async def _recall(self, delivery: Delivery) -> ReactionRow | None:
        """Read a delivery's row and journal; return its row, or None where it is over."""
        store, codec = self.node.store, self.node.codec
        number, position = delivery.subscription.number, delivery.event.position
        rows = await store.reactions([number], position, position)
        if not rows or rows[0].status.over:
            return None
        row, records = rows[0], list[r.Record]()
        try:
            if row.key is not None:
                records = journal_records(await store.journal(row.key), codec)
        except StoreCorruptError as error:
            logger.error("%s is left alone, its journal is damaged: %s", delivery.id, error)  # noqa: TRY400
            delivery.damaged = True
        delivery.recall(row, records)
        if _knows_now(delivery, records):
            delivery.due_at = self.node.clock.now()
        return row

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

    async def _give_key(self, delivery: Delivery) -> bool:
        """Give a delivery a journal of its own, where its failures are recorded.

        Returns whether anything may still come of it: everything may have been forgotten meanwhile.
        """
        generation = self.queues.generation
        if delivery.key is None:
            delivery.key = await self._next_key()
        return generation == self.queues.generation

    async def _next_key(self) -> int:
        """Return a new key, also while the node stops: what ended by then is recorded."""
        try:
            return await self.node.next_key()
        except NodeStoppedError:
            if self.node.fault is not None:
                raise
            (key,) = await self.node.store.reserve_keys(1)
            return key

    def _spawn(self, errand: Coroutine[Any, Any, None]) -> None:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._errands.add(over)
        self.node.spawn(self._until_over(over, self._safely(self.queues.generation, errand)))

    async def _until_over(
        self, over: "asyncio.Future[None]", errand: Coroutine[Any, Any, None]
    ) -> None:
        try:
            await errand
        finally:
            self._errands.discard(over)
            over.set_result(None)

    async def _safely(self, generation: int, errand: Coroutine[Any, Any, None]) -> None:
        if generation != self.queues.generation:
            errand.close()  # what it is about is read from the store again
            return
        try:
            await errand
        except NodeStoppedError:
            return  # the store has failed: what it is about is read again
        except StoreError as error:
            self.node.store_failed(error)


def _parks(delivery: Delivery) -> bool:
    """Whether later events of the key wait behind it once it is a dead letter."""
    target = delivery.subscription.target
    return isinstance(target, Workflow) or target.on_dead == "park"


def _knows_now(delivery: Delivery, records: Sequence[r.Record]) -> bool:
    """Whether what waits for a newer contract has it now."""
    last = records[-1] if records else None
    waited = isinstance(last, r.AttemptFailed) and last.error.type.endswith("UnknownVersionError")
    return waited and delivery.event.version <= delivery.contract.version
