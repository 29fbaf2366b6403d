"""Which slots of which services this node delivers, of a log that several nodes share.

Safety argument (P4, P6):

1. A slot of a service has at most one owner in the store, and only its owner begins deliveries of
   its events. Who has it was told so by `take_slots`, which takes none from a living node; every
   outcome is written by a fenced commit. So two nodes never deliver events of one key at once.
2. Who takes slots knows nothing of what their last owner did. It reads the log again from the
   subscription's own position (a stream for these slots alone, until it has caught up with the live
   one), and the marks in the inbox tell what is done; holds tell which keys to look at from further
   below. What was being delivered when the last owner died is begun carefully, as after any crash.
3. A node gives a slot back only when nothing of it is under way: first nothing more of it begins
   (`_leave`), then every delivery that had begun is written, and every act on a dead letter and
   every end of a hold (`Dispatcher.occupy`), then the slot is given back and its queues are
   forgotten. Nothing is lost with what is forgotten: it is in the log.
4. A subscription's position moves to the least that the owners of all slots of its service have
   come to, each for its own slots. What a node says of itself holds for every slot that it owns at
   that moment: taking slots sets it back, in one transaction, to the subscription's position; no
   progress is computed before that and written after it (`turn` is held over both); and while a
   slot leaves, its events are passed over by the live stream, so that nothing is said at all.
5. Each node computes from who is alive how many slots it should have, all from the same list. The
   numbers add up to all slots; a node that has too many gives some back, one that has too few takes
   free ones. While lists differ some slots are free for a moment; none is ever owned twice.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Iterable, Sequence

from counterpoint.errors import StoreError
from counterpoint.model.cluster import ALL_SLOTS, NodeRow, Progress, SlotRow
from counterpoint.model.messages import HoldRow, SubscriptionRow, slot_of
from counterpoint.model.rows import MailRow
from counterpoint.ports.cluster import ClusterStore
from counterpoint.runtime.host import Host
from counterpoint.runtime.log import logger
from counterpoint.runtime.messaging.dispatcher import Dispatcher
from counterpoint.runtime.messaging.log_pages import all_holds


class Arrived:
    """Slots of a service that came to this node, and what the store knows of them."""

    __slots__ = ("holds", "last_position", "rows", "service", "slots")

    def __init__(
        self,
        service: str,
        slots: set[int],
        rows: Iterable[SubscriptionRow],
        holds: Sequence[HoldRow],
        last_position: int,
    ) -> None:
        self.service = service
        self.slots = slots
        self.rows = {row.number: row for row in rows}
        self.holds = holds
        self.last_position = last_position


class Shares:
    """This node's share of the events of each service that it hosts."""

    def __init__(
        self,
        node: Host,
        store: ClusterStore,
        dispatcher: Dispatcher,
        *,
        names: Callable[[str], Collection[str]],
        arrived: Callable[[Arrived], None],
        left: Callable[[str, set[int]], None],
    ) -> None:
        self.node = node
        self.store = store
        self.dispatcher = dispatcher
        self._names = names
        """Returns what takes events for a service here, by recorded name."""
        self._arrived = arrived
        self._left = left
        self.owned: dict[str, set[int]] = {}
        """By service; those that leave are among them until they are given back."""
        self.leaving: dict[str, set[int]] = {}
        self._later: list[tuple[str, int, MailRow]] = []
        """Letters about slots that leave: their next owner gets them."""
        self.turn = asyncio.Lock()
        """Held by whoever reads subscriptions and slots and acts on that, so that nobody else does
        with what was true before."""
        self._woken = asyncio.Event()
        self._busy = False

    @property
    def quiet(self) -> bool:
        """Whether no slot is being taken or given back."""
        return not (self._busy or self._woken.is_set())

    def poke(self) -> None:
        """Look who has which slots."""
        self._woken.set()

    def forget_all(self) -> None:
        """Forget what is owned: the store was closed, and with it this incarnation ended."""
        self.owned.clear()
        self.leaving.clear()
        self._later.clear()

    def has(self, service: str, slot: int) -> bool:
        """Whether this node delivers the events of a slot, and goes on to."""
        return slot in self.owned.get(service, ()) and slot not in self.leaving.get(service, ())

    def staying(self, service: str) -> set[int]:
        """Return the slots of a service that this node goes on to deliver; a new set."""
        return self.owned.get(service, set()) - self.leaving.get(service, set())

    def hand_on(self, service: str, slot: int, letter: MailRow) -> None:
        """Let a letter about a slot that is not here, or leaves, reach the slot's next owner."""
        if slot in self.leaving.get(service, ()):
            self._later.append((service, slot, letter))
        else:
            self._forward(letter)

    def _forward(self, letter: MailRow) -> None:
        self.node.committer.answer(letter.position, letter._replace(position=0))

    # ---- coming and going ---------------------------------------------------------------------

    async def run(self) -> None:
        """Take and give slots back whenever who is there has changed, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            if self.node.fault is not None or self.node.stopping:
                continue
            self._busy = True
            try:
                await self.look()
            except StoreError as error:
                self.node.store_failed(error)
            finally:
                self._busy = False
                self.node.check_idle()

    async def look(self) -> None:
        """Take or leave slots until this node has its share, as far as others let it now."""
        services = sorted(self.owned)
        if not services:
            return
        life = self.dispatcher.generation
        nodes = await self.store.nodes()
        slots = await self.store.slots(services)
        for service in services:
            if life != self.dispatcher.generation:
                return  # the store failed: what was read is about another incarnation
            share = share_of(self.store.incarnation, service, self._names(service), nodes)
            staying = self.staying(service)
            if len(staying) > share:
                self._leave(service, random.sample(sorted(staying), len(staying) - share))
            elif len(staying) < share and _any_free(service, slots, nodes):
                await self._take(service, share - len(staying), life)
        await self._give_back(life)

    async def _take(self, service: str, count: int, life: int) -> None:
        store = self.node.store
        async with self.turn:
            if life != self.dispatcher.generation:
                return
            taken = set(await self.store.take_slots(service, count))
            if not taken:
                return
            rows = await store.subscriptions()
            holds = [
                hold
                for hold in await all_holds(store)
                if hold.service == service and slot_of(hold.event_key) in taken
            ]
            last = await store.last_position()
            if life != self.dispatcher.generation:
                return
            self.owned[service] |= taken
            self._arrived(Arrived(service, taken, rows, holds, last))
        logger.info("%s: the events of %d slots are delivered here now", service, len(taken))

    def _leave(self, service: str, slots: Iterable[int]) -> None:
        """Begin nothing more of some slots; they are given back when nothing is under way."""
        leaving = set(slots)
        self.leaving.setdefault(service, set()).update(leaving)
        self._left(service, leaving)
        self.dispatcher.leave(service, leaving)

    async def _give_back(self, life: int) -> None:
        for service, leaving in list(self.leaving.items()):
            async with self.turn:
                if life != self.dispatcher.generation:
                    return
                free = leaving - self.dispatcher.under_way(service, leaving)
                if not free:
                    continue
                await self.store.give_slots(service, sorted(free))
                if life != self.dispatcher.generation:
                    return
                # Only now: what was offered to these queues counts as open for as long as they are
                # this node's.
                self.dispatcher.forget(service, free)
                self.owned[service] -= free
                leaving -= free
                if not leaving:
                    del self.leaving[service]
            logger.info("%s: the events of %d slots go to another node", service, len(free))
            self._forward_later(service, free)

    def _forward_later(self, service: str, slots: set[int]) -> None:
        later, self._later = self._later, []
        for of, slot, letter in later:
            if of == service and slot in slots:
                self._forward(letter)
            else:
                self._later.append((of, slot, letter))

    # ---- positions ----------------------------------------------------------------------------

    async def advance(self, progress: Callable[[str], Sequence[Progress]]) -> None:
        """Say how far this node has come, by service; *progress* computes it."""
        life = self.dispatcher.generation
        for service, owned in list(self.owned.items()):
            async with self.turn:
                if life != self.dispatcher.generation:
                    return
                if not owned or service in self.leaving:
                    continue
                reached = progress(service)
                if reached:
                    await self.store.advance(service, reached)


def share_of(
    incarnation: int, service: str, names: Collection[str], nodes: Sequence[NodeRow]
) -> int:
    """Return how many slots of a service a node should have, of those that host it.

    A node whose code has none of the reactions of these *names* takes no events for the service.
    """
    hosts = sorted(
        node.incarnation
        for node in nodes
        if node.alive
        and not node.draining
        and service in node.services
        and not set(names).isdisjoint(node.subscriptions)
    )
    if incarnation not in hosts:
        return 0
    each, left = divmod(len(ALL_SLOTS), len(hosts))
    return each + (hosts.index(incarnation) < left)


def _any_free(service: str, slots: Sequence[SlotRow], nodes: Sequence[NodeRow]) -> bool:
    alive = {node.incarnation for node in nodes}
    taken = sum(row.service == service and row.owner in alive for row in slots)
    return taken < len(ALL_SLOTS)
