"""Delivers this node's share of the events: what comes and goes with slots, and how far it is.

See `shares` for why this is safe. Each group of slots that comes has streams of its own, which read
the log from where the subscriptions stand, for these slots, until they have caught up with the live
stream; a replay's streams end where the replay does.
"""

from collections.abc import Iterable, Sequence

from counterpoint.authoring.registry import Registry
from counterpoint.errors import NodeStoppedError, StoreError
from counterpoint.model.cluster import Progress
from counterpoint.model.messages import DeadLetterQuery, HoldRow, SubscriptionRow, slot_of
from counterpoint.ports.cluster import ClusterStore
from counterpoint.runtime.batch import Note
from counterpoint.runtime.host import Host
from counterpoint.runtime.messaging.dispatcher import Dispatcher
from counterpoint.runtime.messaging.log_pages import all_holds
from counterpoint.runtime.messaging.opening import enlist, take_holds
from counterpoint.runtime.messaging.positions import low_waters, position_of, used
from counterpoint.runtime.messaging.queues import Stream, Subscription
from counterpoint.runtime.messaging.shares import Arrived, Shares
from counterpoint.runtime.messaging.streams import Streams
from counterpoint.runtime.messaging.targets import target_of


class Sharing:
    """The streams and positions of a node that shares the log with others."""

    def __init__(
        self,
        node: Host,
        store: ClusterStore,
        registry: Registry,
        dispatcher: Dispatcher,
        streams: Streams,
        subscriptions: dict[int, Subscription],
    ) -> None:
        self.node = node
        self.registry = registry
        self.dispatcher = dispatcher
        self.streams = streams
        self.subscriptions = subscriptions
        self.shares = Shares(
            node,
            store,
            dispatcher,
            names=self._names,
            arrived=self._arrived,
            left=self._left,
        )
        self._writing = False

    @property
    def quiet(self) -> bool:
        """Whether every slot that may come has come, and every one that has to go is gone."""
        return self.shares.quiet

    def begin(self) -> None:
        """Ask for a share of each service of which anything here takes events."""
        services = {one.row.service for one in self.subscriptions.values()}
        self.shares.owned.update({service: set() for service in sorted(services)})
        self.shares.poke()

    def _names(self, service: str) -> set[str]:
        return {one.row.name for one in self.subscriptions.values() if one.row.service == service}

    # ---- slots come and go --------------------------------------------------------------------

    def _arrived(self, arrived: Arrived) -> None:
        """Read for slots that are this node's now what their last owner may not have delivered.

        What a newer node reacts to, and this one does not, may need holds that this one is through
        with: whoever gets the slots next looks behind them.
        """
        for known in arrived.rows.values():
            if target_of(self.registry, known.name) is None:
                self.dispatcher.lane(known.service, known.lane).keeps_holds = True
        of_it = [s for s in self.subscriptions.values() if s.row.service == arrived.service]
        opened: dict[tuple[int, int | None], Stream] = {}
        for one in of_it:
            row = arrived.rows.get(one.number)
            if row is None:
                continue  # a replay that has ended
            one.position = min(one.position, row.position)
            stream = opened.get((row.position, row.until))
            if stream is None:
                slots = {arrived.service: set(arrived.slots)}
                stream = Stream(row.position, row.until, slots)
                opened[row.position, row.until] = stream
            stream.add(one)
        streams = list(opened.values())
        going_on = [stream for stream in streams if stream.ends_at is None]
        furthest = max(going_on, key=lambda stream: stream.frontier, default=None)
        for stream in going_on:
            if stream is not furthest:
                stream.joins = furthest
        self.dispatcher.be_careful(arrived.last_position)
        take_holds(arrived.holds, self.dispatcher, streams)
        for stream in streams:
            self.streams.add(stream)
        self.node.spawn(self.dispatcher.read_held())

    def _left(self, service: str, slots: set[int]) -> None:
        """Offer nothing more of slots that leave."""
        for stream in (self.streams.live, *self.streams.others):
            if stream.slots is not None and service in stream.slots:
                stream.slots[service] -= slots

    # ---- replays come and go ------------------------------------------------------------------

    async def refresh(self) -> None:
        """Take up replays that began, and drop those that are over, wherever that was decided."""
        generation = self.dispatcher.generation
        async with self.shares.turn:
            await self._refresh(generation)

    async def _refresh(self, generation: int) -> None:
        rows = {row.number: row for row in await self.node.store.subscriptions()}
        new = [row for row in rows.values() if row.replay and row.number not in self.subscriptions]
        holds = await all_holds(self.node.store) if new else []
        if generation != self.dispatcher.generation or not self.streams.ready:
            return
        for number, one in list(self.subscriptions.items()):
            if number not in rows:
                self._drop(one)
        for row in new:
            target = target_of(self.registry, row.name)
            if target is None or row.number in self.subscriptions:
                continue
            one = enlist(self.dispatcher, row, target)
            self.subscriptions[row.number] = one
            staying = self.shares.staying(row.service)
            if staying:
                stream = Stream(row.position, row.until, {row.service: staying})
                stream.add(one)
                take_holds(
                    [
                        hold
                        for hold in holds
                        if (hold.service, hold.lane) == (row.service, row.lane)
                        and slot_of(hold.event_key) in staying
                    ],
                    self.dispatcher,
                    [stream],
                )
                self.streams.add(stream)

    def _drop(self, one: Subscription) -> None:
        self.subscriptions.pop(one.number, None)
        for stream in one.streams:
            stream.remove(one)
            over = stream.ends_at is not None and not stream.subscriptions
            if over and stream in self.streams.others:
                self.streams.others.remove(stream)

    # ---- positions ----------------------------------------------------------------------------

    async def advance(self) -> None:
        """Say how far this node has come, and end the replays that are over everywhere."""
        if self._writing or not self.streams.ready:
            return
        self._writing = True
        generation = self.dispatcher.generation
        try:
            self.dispatcher.moved = 0
            await self.shares.advance(self._progress)
            await self._end_replays(generation)
        except NodeStoppedError:
            pass
        except StoreError as error:
            self.node.store_failed(error)
        finally:
            self._writing = False

    def _progress(self, service: str) -> Sequence[Progress]:
        lanes = [lane for lane in self.dispatcher.lanes.values() if lane.service == service]
        low, in_use = low_waters(lanes), used(lanes)
        reached: list[Progress] = []
        for number, one in self.subscriptions.items():
            if one.row.service != service or not one.streams:
                continue
            position = position_of(one, low)
            if position > one.position:
                reached.append(Progress(number, position))
                one.position = position
            one.streams = [s for s in one.streams if not s.merged or s in in_use]
        return reached

    async def _end_replays(self, generation: int) -> None:
        replays = [one for one in self.subscriptions.values() if one.is_replay]
        if not replays:
            return
        rows = {row.number: row for row in await self.node.store.subscriptions()}
        over = [n for n in (s.number for s in replays) if await self._is_over(rows.get(n))]
        if over and generation == self.dispatcher.generation:
            note = Note()
            note.unsubscribed = over
            self.node.committer.add(note)
            for number in over:
                if number in self.subscriptions:  # another node may have ended it meanwhile
                    self._drop(self.subscriptions[number])

    async def _is_over(self, row: SubscriptionRow | None) -> bool:
        """Whether every node has delivered what it had to of a replay, and nothing is left open."""
        if row is None or row.until is None or row.position < row.until:
            return False
        store = self.node.store
        if await store.dead_letters(DeadLetterQuery(subscription=row.number, limit=1)):
            return False
        return not _held(row, await all_holds(store))


def _held(row: SubscriptionRow, holds: Iterable[HoldRow]) -> bool:
    """Whether a key of the lane is held: something of the replay may wait behind it."""
    return any((hold.service, hold.lane) == (row.service, row.lane) for hold in holds)
