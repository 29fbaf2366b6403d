"""A store that several nodes of one process share: a `MemoryStore` with owners, letters and calls.

Only as much of `ports.cluster` as calls between nodes need; events are delivered by one node.
"""

from collections.abc import Callable, Sequence

from counterpoint.errors import NodeLostError
from counterpoint.model.cluster import (
    Adopted,
    CallRow,
    Hosting,
    Limit,
    NodeLoad,
    NodeRow,
    Progress,
    Pulse,
    SlotRow,
    Step,
)
from counterpoint.model.rows import Commit, DueRow, ExecutionRow, MailRow
from counterpoint.ports.cluster import Heard
from counterpoint.ports.store import StoreFeatures
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing.passing import PassingStore


class Shared(MemoryStore):
    """What the nodes of a `World` share."""

    def update_owner(self, key: int, owner: int) -> None:
        """Give an execution to an incarnation."""
        self._executions[key] = self._executions[key]._replace(owner=owner)

    def post_again(self, execution_ids: set[str]) -> None:
        """Give the letters to some executions new positions, in their old order."""
        for position, row in sorted(self._mail.items()):
            if row.execution_id in execution_ids:
                del self._mail[position]
                self._requests.discard(row.request_id)
                self._post(row)

    def letters(self) -> list[MailRow]:
        """Return all mail."""
        return list(self._mail.values())

    def live(self) -> list[ExecutionRow]:
        """Return what has not ended."""
        return [row for row in self._executions.values() if row.status.live]

    def owner_of(self, execution_id: str) -> int | None:
        """Return who owns the newest run of an execution."""
        runs = self._keys.get(execution_id)
        return self._executions[runs[max(runs)]].owner if runs else None


class World:
    """Nodes by incarnation, and the calls between them."""

    def __init__(self) -> None:
        self.shared = Shared()
        self.nodes: dict[int, SharedStore] = {}
        """Those that may commit."""
        self.count = 0
        self.calls: dict[Step, CallRow] = {}
        self.commits: list[Commit] = []
        self.deaf = False
        """Let nobody hear or see anything."""

    def store(self) -> "SharedStore":
        """Return the store as another node sees it."""
        return SharedStore(self)

    def declare_lost(self, store: "SharedStore") -> None:
        """Let a node write nothing more, without its knowing it."""
        self.tell(None, Heard.NODES)
        self.nodes.pop(store.incarnation, None)

    def tell(self, but: "SharedStore | None", what: Heard) -> None:
        """Let all nodes but one hear something."""
        for store in [] if self.deaf else list(self.nodes.values()):
            if store is not but and store.heard is not None:
                store.heard(what)

    def write(self, commit: Commit) -> None:
        """Write what a commit says about calls."""
        calls = commit.calls
        if calls is None:
            return
        for step in calls.over:
            self.calls.pop(step, None)
        for row in calls.offered:
            self.calls.setdefault((row.execution_key, row.step, row.attempt), row)
        for step in calls.cancelled:
            if step in self.calls and self.calls[step].claimed_by is None:
                del self.calls[step]
            elif step in self.calls:
                self.calls[step] = self.calls[step]._replace(cancelled=True)
        for step in calls.ended:
            self.calls[step] = self.calls[step]._replace(ended=True)

    def claimed(self, limit: Limit) -> int:
        """Return how many calls hold a limit."""
        return sum(
            row.claimed_by is not None
            and not row.ended
            and limit.name in (row.activity, row.service)
            for row in self.calls.values()
        )


class SharedStore(PassingStore):
    """A `World`, as one node sees it."""

    @property
    def features(self) -> StoreFeatures:
        return StoreFeatures(durable=False, shared=True, many_nodes=True)

    def __init__(self, world: World) -> None:
        super().__init__(world.shared)
        self.world = world
        self.incarnation = 0
        self.heard: Callable[[Heard], None] | None = None
        self.hosting = Hosting("")

    # ---- the store ----------------------------------------------------------------------------

    async def open(self, *, node: bool) -> None:
        world = self.world
        if not world.count:
            await world.shared.open(node=True)
        if node:
            world.nodes.pop(self.incarnation, None)
            world.count += 1
            self.incarnation = world.count
            world.nodes[self.incarnation] = self

    async def close(self) -> None:
        self.world.nodes.pop(self.incarnation, None)
        self.world.tell(self, Heard.NODES)

    async def commit(self, commit: Commit) -> int:
        self._fence()
        owned = [row._replace(owner=self.incarnation) for row in commit.starts]
        first = await self.world.shared.commit(
            Commit(
                owned,
                commit.journal,
                commit.updates,
                commit.taken,
                commit.mail,
                commit.attributes,
                commit.messages,
            )
        )
        self.world.commits.append(commit)
        self.world.write(commit)
        if commit.mail:
            self.world.tell(self, Heard.MAIL)
        if commit.calls is not None:
            self.world.tell(self, Heard.CALLS)
        if commit.messages is not None and commit.messages.events:
            self.world.tell(self, Heard.EVENTS)
        return first

    async def due(self, *, after: tuple[int, int], until: int, limit: int) -> list[DueRow]:
        mine = {row.key for row in self.world.shared.live() if row.owner == self.incarnation}
        rows = await self.inner.due(after=after, until=until, limit=1_000_000)
        return [row for row in rows if row.key in mine][:limit]

    async def mail(
        self, *, after: int, limit: int, execution_id: str | None = None
    ) -> list[MailRow]:
        rows = await self.inner.mail(after=after, limit=1_000_000, execution_id=execution_id)
        return [row for row in rows if self._is_mine(row)][:limit]

    async def changed(self) -> bool:
        return True

    def _is_mine(self, row: MailRow) -> bool:
        owner = self.world.shared.owner_of(row.execution_id)
        if owner is not None:
            return owner == self.incarnation
        hosts = [
            number
            for number, store in self.world.nodes.items()
            if row.about is None or any(row.about == name for name, _ in store.hosting.workflows)
        ]
        return bool(hosts) and min(hosts) == self.incarnation

    def _fence(self) -> None:
        if self.incarnation not in self.world.nodes:
            raise NodeLostError(f"node {self.incarnation}")

    # ---- members ------------------------------------------------------------------------------

    async def announce(self, hosting: Hosting) -> None:
        self._fence()
        self.hosting = hosting
        self.world.tell(self, Heard.NODES)

    async def beat(self) -> Pulse:
        self._fence()
        world, me = self.world, self.incarnation
        if world.deaf:
            return Pulse()
        calls = world.calls.values()
        claims = [row for row in calls if row.claimed_by is not None and not row.ended]
        owners = {row.owner for row in world.shared.live()}
        owners |= {row.claimed_by for row in claims}
        return Pulse(
            others=len(world.nodes) - 1,
            mail=True,
            last_position=await self.inner.last_position(),
            calls=any(
                row.claimed_by is None and row.activity in self.hosting.activities for row in calls
            ),
            cancelled=any(row.claimed_by == me and row.cancelled for row in claims),
            orphans=any(owner not in world.nodes for owner in owners),
            membership=hash(tuple(world.nodes)),
        )

    async def declare_lost(self, incarnation: int) -> bool:
        return incarnation not in self.world.nodes

    async def adopt(self, limit: int) -> Adopted:
        self._fence()
        world = self.world
        hosted = {name for name, _ in self.hosting.workflows}
        live = world.shared.live()
        rows = [row for row in live if row.owner not in world.nodes and row.name in hosted]
        for row in rows:
            world.shared.update_owner(row.key, self.incarnation)
        world.shared.post_again({row.id for row in rows})
        claims: list[CallRow] = []
        for step, call in list(world.calls.items()):
            if (
                call.claimed_by is not None
                and call.claimed_by not in world.nodes
                and not call.ended
            ):
                world.calls[step] = call._replace(claimed_by=self.incarnation)
                claims.append(call)
        wakes = [row.wake_at for row in rows if row.wake_at is not None]
        return Adopted(len(rows), min(wakes, default=None), claims)

    async def route(self, limit: int) -> int:
        return 0

    async def ended(self, ids: Sequence[str]) -> list[str]:
        found = [(id_, await self.inner.execution(id_)) for id_ in ids]
        return [id_ for id_, row in found if row is not None and not row.status.live]

    async def nodes(self, *, dead_too: bool = False) -> list[NodeRow]:
        return []

    async def loads(self) -> list[NodeLoad]:
        return []

    async def drain(self, incarnation: int) -> bool:
        return False

    async def clock_skew(self) -> int:
        return 0

    def listen(self, heard: Callable[[Heard], None]) -> None:
        self.heard = heard

    # ---- slots: the first node delivers everything --------------------------------------------

    async def slots(self, services: Sequence[str]) -> list[SlotRow]:
        owner = min(self.world.nodes, default=None)
        return [SlotRow(service, slot, owner) for service in services for slot in range(256)]

    async def take_slots(self, service: str, count: int) -> list[int]:
        return []

    async def give_slots(self, service: str, slots: Sequence[int]) -> None: ...

    async def advance(self, service: str, progress: Sequence[Progress]) -> None: ...

    # ---- calls --------------------------------------------------------------------------------

    async def claim(
        self, activities: Sequence[str], limits: Sequence[Limit], limit: int
    ) -> list[CallRow]:
        self._fence()
        claimed: list[CallRow] = []
        for step, row in list(self.world.calls.items()):
            full = any(
                one.concurrency is not None
                and one.name in (row.activity, row.service)
                and self.world.claimed(one) >= one.concurrency
                for one in limits
            )
            fits = row.claimed_by is None and row.activity in activities and not full
            if fits and len(claimed) < limit:
                self.world.calls[step] = row = row._replace(claimed_by=self.incarnation)
                claimed.append(row)
        return claimed

    async def cancelled_claims(self) -> list[Step]:
        return [
            step
            for step, row in self.world.calls.items()
            if row.claimed_by == self.incarnation and row.cancelled and not row.ended
        ]

    async def calls_of(self, execution_key: int) -> list[CallRow]:
        return [row for step, row in sorted(self.world.calls.items()) if step[0] == execution_key]

    async def calls_out(self) -> bool:
        mine = {row.key for row in self.world.shared.live() if row.owner == self.incarnation}
        return any(row.execution_key in mine for row in self.world.calls.values())

    async def unhosted_calls(self) -> list[tuple[str, int, int]]:
        hosted = {name for store in self.world.nodes.values() for name in store.hosting.activities}
        waiting: dict[str, list[int]] = {}
        for row in self.world.calls.values():
            if row.claimed_by is None and row.activity not in hosted:
                waiting.setdefault(row.activity, []).append(row.offered_at)
        return [(name, len(since), min(since)) for name, since in sorted(waiting.items())]
