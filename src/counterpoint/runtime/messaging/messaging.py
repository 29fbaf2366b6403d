"""Events on a node: the parts, how they are opened, and what the node asks of them."""

from collections.abc import Sequence
from dataclasses import replace

from counterpoint.authoring.registry import Registry
from counterpoint.errors import EventExistsError, NodeStoppedError, StoreError
from counterpoint.model.messages import ContractRow, EventRow, SubscriptionRow
from counterpoint.model.records import EventAwaited
from counterpoint.model.rows import Commit, MailRow
from counterpoint.ports.clock import Alarm
from counterpoint.runtime.batch import Note
from counterpoint.runtime.cluster import cluster_of
from counterpoint.runtime.host import Host
from counterpoint.runtime.log import logger
from counterpoint.runtime.mail import EventAct, PublishMail
from counterpoint.runtime.messaging.acts import EventActs
from counterpoint.runtime.messaging.contracts import ContractBook
from counterpoint.runtime.messaging.dispatcher import PENDING_MAX, Dispatcher
from counterpoint.runtime.messaging.log_pages import all_holds
from counterpoint.runtime.messaging.opening import (
    check_contracts,
    enlist,
    new_subscriptions,
    open_subscriptions,
    redeclared,
)
from counterpoint.runtime.messaging.positions import (
    QUEUES_A_SECOND,
    QUEUES_AN_EVENT,
    WRITE_AFTER,
    WRITE_EVERY,
    is_over,
    low_waters,
    position_of,
)
from counterpoint.runtime.messaging.publishing import Publishing, posted_row
from counterpoint.runtime.messaging.queues import Stream, Subscription
from counterpoint.runtime.messaging.sharing import Sharing
from counterpoint.runtime.messaging.streams import Streams
from counterpoint.runtime.messaging.targets import target_of
from counterpoint.runtime.messaging.waits import EventWaits
from counterpoint.runtime.resident import Resident


class Messaging:
    """Everything about events on one node."""

    def __init__(self, node: Host, registry: Registry) -> None:
        self.node = node
        self.registry = registry
        self.subscriptions: dict[int, Subscription] = {}
        self.contracts = ContractBook(registry)
        self.dispatcher = Dispatcher(node, self._progressed, self._left)
        self.streams = Streams(node, self.dispatcher, replayed=self._progressed)
        self.waits = EventWaits(node)
        self.publishing = Publishing(node)
        cluster = cluster_of(node.store)
        self.sharing: Sharing | None = None
        """None on a store that one node hosts."""
        if cluster is not None:
            self.sharing = Sharing(
                node, cluster, registry, self.dispatcher, self.streams, self.subscriptions
            )
            self.streams.awaited = lambda: self.waits.types
            self.streams.met = self._met
        self.acts = EventActs(
            node,
            registry,
            self.dispatcher,
            self.streams,
            self.subscriptions,
            self._subscribed,
            None if self.sharing is None else self.sharing.shares,
        )
        self._alarm: Alarm | None = None
        self._queues = 0
        """Queues that were looked at for the positions: the more, the more rarely."""

    @property
    def quiet(self) -> bool:
        """Whether every event has been taken as far as it can be without time or people."""
        if self.node.fault is not None:
            return True  # everything is read again after the recovery, which waits for time to pass
        parts = (self.dispatcher, self.streams, self.waits)
        return all(one.quiet for one in parts) and (self.sharing is None or self.sharing.quiet)

    @property
    def waits_for_retry(self) -> bool:
        """Whether a reaction will be tried again by itself."""
        return bool(self.dispatcher.deliveries.retrying)

    # ---- opening and closing ------------------------------------------------------------------

    async def open(self) -> None:
        """Read from the store, just opened, who has come how far; begin to deliver.

        Raises:
            ContractError: an event is declared otherwise than it was published.
            StoreError: the store cannot be read or written.
        """
        node, store = self.node, self.node.store
        self.contracts.known = await check_contracts(store, self.registry)
        rows = await store.subscriptions()
        last = await store.last_position()
        # Those of the whole app: what other nodes will host gets the events from now on, too.
        unseen = new_subscriptions(self.registry.whole, rows, last, node.clock.now())
        # Not `next_key`: during a recovery the node gives none.
        numbers = await store.reserve_keys(len(unseen)) if unseen else ()
        new = [row._replace(number=number) for number, row in zip(numbers, unseen, strict=True)]
        holds = await all_holds(store)
        changed = redeclared(self.registry, rows, holds)
        if new or changed.redeclared:
            await store.commit(Commit(messages=replace(changed, subscriptions=new)))
            rows = await store.subscriptions()
            new = [row for row in new if row in rows]  # another node may have been quicker
            rows = [row for row in rows if row not in new]
        if changed.held or changed.released:
            holds = await all_holds(store)
        opened = await open_subscriptions(
            store,
            self.registry,
            self.dispatcher,
            [*rows, *new],
            new,
            holds,
            last,
            shared=self.sharing is not None,
        )
        self.subscriptions.update(opened.subscriptions)
        await self.waits.open()
        self.streams.begin(opened.live, opened.others, opened.last_position)
        if self.sharing is not None:
            self.sharing.begin()

    def begin(self) -> None:
        """Deliver what was left over: called once the node's tasks run."""
        self.node.spawn(self.dispatcher.read_held())
        self.node.spawn(self.waits.scan())
        self.streams.poke()

    def forget_all(self) -> None:
        """Forget everything in memory: the store failed, or the node ends."""
        self.streams.stop()
        self.dispatcher.forget_all()
        self.acts.forget_all()
        self.subscriptions.clear()
        if self.sharing is not None:
            self.sharing.shares.forget_all()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    # ---- what commits say ---------------------------------------------------------------------

    def appended(self, events: list[EventRow]) -> None:
        """Deliver events that were just appended to the log."""
        self.contracts.published(events)
        self.streams.appended(events)
        self.waits.appended(events)
        if self.sharing is not None:
            self._progressed()

    def _met(self, events: Sequence[EventRow]) -> None:
        """The live stream has read on in a log to which other nodes append."""
        self.waits.appended(events)
        self._progressed()

    def adopted(self) -> None:
        """Look whether what executions wait for that came to this node is in the log already."""
        self.node.spawn(self._look_for_adopted())

    async def _look_for_adopted(self) -> None:
        try:
            await self.waits.open()
        except StoreError as error:
            self.node.store_failed(error)
            return
        await self.waits.scan()

    def new_contracts(self, events: Sequence[EventRow]) -> list[ContractRow]:
        """Return the contracts that *events* are the first of."""
        return self.contracts.missing(events)

    def awaited(self, resident: Resident, record: EventAwaited, after: int | None = None) -> None:
        """A wait for an event is durable; it is about what is above *after*."""
        self.waits.awaited(resident, record, record.position if after is None else after)

    async def take(self, row: MailRow, mail: EventAct) -> str | None:
        """Take over what somebody has asked about events; return why it has to wait, if it has."""
        return await self.acts.take(row, mail)

    async def publish(self, row: MailRow, mail: PublishMail) -> None:
        """Publish what a client has posted.

        Raises:
            StoreError: it may not have been published, and is still in the mailbox.
        """
        now, codec = self.node.clock.now(), self.node.codec
        events = [posted_row(event, now, codec) for event in mail.events]
        try:
            await self.publishing.publish(events, given_ids=mail.given_ids, letter=row.position)
        except EventExistsError as error:
            logger.warning("a posted event was not published: %s", error)
            self.node.committer.take(row.position)
        except NodeStoppedError as error:
            logger.warning("a posted event is read again later: %s", error)

    # ---- positions ----------------------------------------------------------------------------

    def _subscribed(self, row: SubscriptionRow) -> None:
        """A replay is in the store: begin it, or with other nodes each its share of it."""
        if self.sharing is not None:
            self.node.spawn(self._refresh())
            return
        target = target_of(self.registry, row.name)
        assert target is not None  # noqa: S101 - else nobody has begun it
        subscription = enlist(self.dispatcher, row, target)
        stream = Stream(row.position, row.until)
        stream.add(subscription)
        self.subscriptions[row.number] = subscription
        self.streams.add(stream)

    async def _refresh(self) -> None:
        assert self.sharing is not None  # noqa: S101 - who calls this shares the log
        try:
            await self.sharing.refresh()
        except StoreError as error:
            self.node.store_failed(error)

    def members_changed(self) -> None:
        """Nodes, slots or subscriptions have changed: look what that means for this one."""
        if self.sharing is not None:
            self.sharing.shares.poke()
            self.node.spawn(self._refresh())

    def _left(self) -> None:
        if self.sharing is not None and self.sharing.shares.leaving:
            self.sharing.shares.poke()

    def _progressed(self) -> None:
        dispatcher = self.dispatcher
        if dispatcher.moved >= max(WRITE_EVERY, self._queues // QUEUES_AN_EVENT):
            self.write_positions()
        elif self._alarm is None and not self.node.stopping:
            slower = 1 + self._queues // QUEUES_A_SECOND
            at = self.node.clock.now() + WRITE_AFTER * slower
            self._alarm = self.node.clock.call_at(at, self._ring)
        if dispatcher.pending < PENDING_MAX // 2 and (
            self.streams.live.backlog or self.streams.others
        ):
            self.streams.poke()
        self.node.check_idle()

    def _ring(self) -> None:
        self._alarm = None
        if self.node.fault is None and not self.node.stopping:
            self.write_positions()

    async def last_positions(self) -> None:
        """Write how far the subscriptions have come before the node stops.

        How attempts have ended is the committer's to write then.
        """
        await self.dispatcher.deliveries.told()
        if self.sharing is not None:
            await self.sharing.advance()
        else:
            self.write_positions()

    def write_positions(self) -> None:
        """Write how far the subscriptions have come, and end the replays that are over."""
        if not self.streams.ready:
            return
        lanes = self.dispatcher.lanes.values()
        self._queues = sum(len(lane.queues) for lane in lanes)
        if self.sharing is not None:
            self.node.spawn(self.sharing.advance())
            return
        self.dispatcher.moved = 0
        low = low_waters(lanes)
        moved: list[tuple[int, int]] = []
        over: list[int] = []
        for number, one in list(self.subscriptions.items()):
            position = position_of(one, low)
            if one.is_replay and is_over(one, lanes):
                over.append(number)
                del self.subscriptions[number]
            elif position > one.position:
                moved.append((number, position))
                one.position = position
        if moved or over:
            note = Note()
            note.positions = moved
            note.unsubscribed = over
            self.node.committer.add(note)

    async def read_again(self) -> None:
        """Open again after a failure of the store; what cannot be read is left to the next try."""
        self.forget_all()
        await self.open()
