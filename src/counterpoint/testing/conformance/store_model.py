"""A store against dictionaries, in whatever order Hypothesis likes."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import ClassVar, TypeVar, cast

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from counterpoint.errors import ConflictError
from counterpoint.model.cluster import Hosting
from counterpoint.model.rows import (
    AttributeRow,
    Commit,
    DueRow,
    ExecutionRow,
    ExecutionUpdate,
    JournalRow,
    MailRow,
    Query,
)
from counterpoint.model.states import LIVE, Status
from counterpoint.ports.cluster import ClusterStore
from counterpoint.ports.store import Store, StoreFeatures
from counterpoint.testing.conformance.store_case import entry, execution, letter

T = TypeVar("T")

NAMES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=3)
REQUESTS = st.lists(st.sampled_from("uvwxyz"), min_size=1, max_size=3)
STATUSES = st.sampled_from(Status)
WAKE_UPS = st.none() | st.integers(0, 20)
BODIES = st.lists(st.binary(max_size=5), min_size=1, max_size=3)
INDEXES = st.integers(0, 100)
HOSTING = Hosting("model", services=["orders"], workflows=[("orders.place_order", 1)])
PAIRS = st.tuples(st.sampled_from("mn"), st.none() | st.sampled_from("01"))


class StoreModel(RuleBasedStateMachine):
    """Applies every rule to a new store and to dictionaries, then compares them."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.rows: dict[int, ExecutionRow] = {}
        self.journals: dict[int, list[JournalRow]] = {}
        self.letters: dict[int, MailRow] = {}
        self.said: dict[int, dict[str, str]] = {}
        self.last_key = 0
        self.used_key = 0
        self.last_position = 0

    def new_store(self) -> Store:
        """Return a store nobody has written to; called once an example."""
        raise NotImplementedError

    def run(self, coroutine: Coroutine[object, object, T]) -> T:
        """Run one call of the store on the example's loop."""
        return self.loop.run_until_complete(coroutine)

    def found(self, query: Query) -> list[ExecutionRow]:
        """Return what a query finds."""
        return [self.as_given(row) for row in self.run(self.store.executions(query))]

    def as_given(self, row: ExecutionRow) -> ExecutionRow:
        """Return a row as it was committed: several nodes write down who owns it."""
        return row._replace(owner=None) if self.features.many_nodes else row

    @initialize()
    def open(self) -> None:
        """Open the store of this example."""
        self.store = self.new_store()
        self.run(self.store.open(node=True))

    def teardown(self) -> None:
        """Close what `open` opened."""
        if hasattr(self, "store"):
            self.run(self.store.close())
        self.loop.close()

    @rule(names=NAMES, wake_at=WAKE_UPS, root=st.none() | INDEXES)
    def start(self, names: list[str], wake_at: int | None, root: int | None) -> None:
        """Start executions with a record each, or conflict and write nothing."""
        keys = self.run(self.store.reserve_keys(len(names)))
        assert keys[0] > self.last_key
        self.last_key = keys[-1]
        above = self._some_key(root) if root is not None and self.rows else None
        rows = [
            execution(key, name, wake_at=wake_at, parent_key=above, root_key=above)
            for key, name in zip(keys, names, strict=True)
        ]
        commit = Commit(starts=rows, journal=[entry(key) for key in keys])
        here = {row.id for row in self.rows.values()}
        conflicts = [
            name for index, name in enumerate(names) if name in here or name in names[:index]
        ]
        if conflicts:
            with pytest.raises(ConflictError) as caught:
                self.run(self.store.commit(commit))
            assert caught.value.ids == tuple(dict.fromkeys(conflicts))
            return
        self.run(self.store.commit(commit))
        self.used_key = keys[-1]
        for row in rows:
            self.rows[row.key] = row
            self.journals[row.key] = [entry(row.key)]
            self.said[row.key] = {}

    @precondition(lambda self: self.rows)
    @rule(index=INDEXES, bodies=BODIES)
    def record(self, index: int, bodies: list[bytes]) -> None:
        """Append to the journal of an execution."""
        key = self._some_key(index)
        journal = self.journals[key]
        first = journal[-1].first_seq + 1
        new = [entry(key, first + offset, body) for offset, body in enumerate(bodies)]
        self.run(self.store.commit(Commit(journal=new)))
        journal += new

    @precondition(lambda self: self.rows)
    @rule(index=INDEXES, status=STATUSES, wake_at=WAKE_UPS, at=st.integers(0, 20))
    def update(self, index: int, status: Status, wake_at: int | None, at: int) -> None:
        """Change an execution's row."""
        key = self._some_key(index)
        finished_at = None if status in LIVE else at
        self.run(
            self.store.commit(
                Commit(updates=[ExecutionUpdate(key, status, 1, wake_at, finished_at)])
            )
        )
        self.rows[key] = self.rows[key]._replace(
            status=status, wake_at=wake_at, finished_at=finished_at
        )

    @precondition(lambda self: self.rows)
    @rule(index=INDEXES, pairs=st.lists(PAIRS, min_size=1, max_size=4))
    def say(self, index: int, pairs: list[tuple[str, str | None]]) -> None:
        """Set and delete attributes of an execution, one of them perhaps several times."""
        key = self._some_key(index)
        rows = [AttributeRow(key, name, value) for name, value in pairs]
        self.run(self.store.commit(Commit(attributes=rows)))
        last = self.said[key] | dict[str, str | None](pairs)
        self.said[key] = {name: value for name, value in last.items() if value is not None}

    @rule(requests=REQUESTS)
    def post(self, requests: list[str]) -> None:
        """Post mail, some of it again."""
        self.run(self.store.commit(Commit(mail=[letter(request) for request in requests])))
        here = {row.request_id for row in self.letters.values()}
        new = [request for request in dict.fromkeys(requests) if request not in here]
        found = self.run(self.store.mail(after=self.last_position, limit=10))
        assert [row.request_id for row in found] == new
        for row in found:
            self.letters[row.position] = row
            self.last_position = row.position

    @precondition(lambda self: self.letters)
    @rule(count=st.integers(1, 4), names=NAMES)
    def take(self, count: int, names: list[str]) -> None:
        """Take the oldest mail together with an update of everything."""
        positions = list(self.letters)[:count]
        updates = [
            ExecutionUpdate(row.key, row.status, 1, None, row.finished_at)
            for row in self.rows.values()
            if row.id in names
        ]
        self.run(self.store.commit(Commit(taken=positions, updates=updates)))
        for position in positions:
            del self.letters[position]
        for update in updates:
            self.rows[update.key] = self.rows[update.key]._replace(wake_at=None)

    @rule(before=st.integers(0, 20), limit=st.integers(1, 3))
    def forget(self, before: int, limit: int) -> None:
        """Forget finished executions; of those that ended together the store chooses."""
        finished = [
            row.key
            for row in self.rows.values()
            if row.finished_at is not None
            and row.finished_at < before
            and not self._has_live_root(row)
        ]
        deleted = self.run(self.store.forget(finished_before=before, limit=limit))
        assert deleted == min(limit, len(finished))
        left = {row.key for row in self.run(self.store.executions(Query(limit=1000)))}
        gone = self.rows.keys() - left
        assert gone <= set(finished)
        assert len(gone) == deleted
        for key in gone:
            del self.rows[key], self.journals[key], self.said[key]

    @rule()
    def reopen(self) -> None:
        """Close and open again; keys that were reserved and never used may come again."""
        if self.features.durable:
            self.last_key = self.used_key
            self.run(self.store.close())
            self.run(self.store.open(node=True))
            if self.features.many_nodes:
                self.run(self.take_over(cast("ClusterStore", self.store)))

    async def take_over(self, store: ClusterStore) -> None:
        """Take over, as another incarnation, what the one before has left."""
        await store.announce(HOSTING)
        while (await store.adopt(3)).more:
            pass
        while await store.route(3):
            pass
        found = await self.store.mail(after=0, limit=1000)
        assert [row[1:] for row in found] == [row[1:] for row in self.letters.values()]
        self.letters = {row.position: row for row in found}
        self.last_position = max([self.last_position, *self.letters])

    @invariant()
    def executions_match(self) -> None:
        """Every execution and every list of them is as it should be."""
        newest_first = self._newest_first(self.rows)
        assert self.found(Query(limit=1000)) == newest_first
        for row in newest_first:
            newest = self.run(self.store.execution(row.id))
            assert newest is not None
            assert self.as_given(newest) == row
        counts = self.run(self.store.counts())
        for status in Status:
            expected = sum(row.status is status for row in newest_first)
            assert counts.get(status, 0) == expected

    @invariant()
    def journals_match(self) -> None:
        """Every journal is as it should be."""
        for key, rows in self.journals.items():
            assert self.run(self.store.journal(key)) == rows

    @invariant()
    def attributes_match(self) -> None:
        """Every execution has its attributes, and is found by them and by its parent."""
        for key, attributes in self.said.items():
            assert self.run(self.store.attributes(key)) == attributes
            found = self.found(Query(attributes=attributes, limit=1000))
            assert found == self._newest_first(
                other for other, pairs in self.said.items() if attributes.items() <= pairs.items()
            )
            children = self.found(Query(parent_key=key, limit=1000))
            assert children == self._newest_first(
                row.key for row in self.rows.values() if row.parent_key == key
            )

    @invariant()
    def due_matches(self) -> None:
        """What is due is what should wake, in its order."""
        expected = sorted(
            DueRow(row.wake_at, row.key, row.id)
            for row in self.rows.values()
            if row.wake_at is not None and row.wake_at <= 10 and row.status in LIVE
        )
        assert self.run(self.store.due(after=(-1, 0), until=10, limit=1000)) == expected

    @invariant()
    def mail_matches(self) -> None:
        """The mailbox holds what was posted and not taken."""
        found = self.run(self.store.mail(after=0, limit=1000))
        assert found == list(self.letters.values())

    def _newest_first(self, keys: Iterable[int]) -> list[ExecutionRow]:
        return [self.rows[key] for key in sorted(keys, reverse=True)]

    def _has_live_root(self, row: ExecutionRow) -> bool:
        root = None if row.root_key is None else self.rows.get(row.root_key)
        return root is not None and root.finished_at is None

    def _some_key(self, index: int) -> int:
        keys = sorted(self.rows)
        return keys[index % len(keys)]
