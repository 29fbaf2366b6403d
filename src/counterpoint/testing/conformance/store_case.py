"""What the store suites share: how a store is made, and rows to put into it."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar

import pytest

from counterpoint.model.messages import (
    ActRow,
    DeadLetterQuery,
    DeadLetterRow,
    EventQuery,
    EventRow,
    EventWaitRow,
    ReactionRow,
    ReactionStatus,
    SubscriptionRow,
    slot_of,
)
from counterpoint.model.rows import (
    AttributeRow,
    Commit,
    ExecutionRow,
    JournalRow,
    MailRow,
    Query,
)
from counterpoint.model.states import Status
from counterpoint.ports.store import Store, StoreFeatures

Snapshot = dict[str, list[tuple[object, ...]]]
TABLES = (
    "executions",
    "journal",
    "mailbox",
    "attributes",
    "events",
    "subscriptions",
    "reactions",
    "dead_letters",
    "holds",
    "event_waits",
    "contracts",
    "acts",
)
EVENT_TYPES = ("orders.OrderPlaced", "orders.OrderPaid", "stock.Reserved")
EVENT_KEYS = ("o-1", "o-2", "")
"""What the suites' events are of; `read_everything` finds waits by them."""


class StoreCase(ABC):
    """One test's store: subclasses say what it is, the suites what it does."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    @abstractmethod
    def make_store(self) -> Store:
        """Return a store that is not open; in one test every call means the same data.

        A store that cannot be shared returns the same object each time.
        """

    def raw_rows(self, table: str) -> list[tuple[object, ...]] | None:
        """Return the rows of one of `TABLES` without asking the store.

        In the order of the columns of `model.rows` and `model.messages`, by primary key; reactions
        by position first. None if there is no such way.
        """
        del table
        return None

    @pytest.fixture
    async def node(self) -> AsyncIterator[Store]:
        """Give an open store that hosts."""
        async with self.opened(node=True) as store:
            yield store

    @asynccontextmanager
    async def opened(self, *, node: bool) -> AsyncGenerator[Store, None]:
        """Open a store and close it."""
        store = self.make_store()
        await store.open(node=node)
        try:
            yield store
        finally:
            await store.close()

    @asynccontextmanager
    async def another(self, node: Store) -> AsyncGenerator[Store, None]:
        """Give a client beside *node*: another connection where the store can be shared."""
        if not self.features.shared:
            yield node
            return
        async with self.opened(node=False) as client:
            yield client

    def reopened(self) -> AbstractAsyncContextManager[Store]:
        """Open the node again after it was closed, if what it wrote is still there then."""
        if not self.features.durable:
            pytest.skip("StoreFeatures.durable is false")
        return self.opened(node=True)

    async def everything(self, store: Store) -> Snapshot:
        """Return all that was written: by the back door if there is one, else by reading."""
        raw = {table: self.raw_rows(table) for table in TABLES}
        found = {table: rows for table, rows in raw.items() if rows is not None}
        if len(found) < len(TABLES):
            found = await read_everything(store)
        if self.features.many_nodes:
            owner = ExecutionRow._fields.index("owner")
            rows = found["executions"]
            found["executions"] = [(*row[:owner], None, *row[owner + 1 :]) for row in rows]
        return found

    def as_given(self, row: ExecutionRow | None) -> ExecutionRow | None:
        """Return a row as it was committed: several nodes write down who owns it."""
        return row and row._replace(owner=None) if self.features.many_nodes else row

    def needs(self, text: str) -> None:
        """Skip a test about a text that the store does not hold."""
        if "\0" in text and not self.features.nul:
            pytest.skip("StoreFeatures.nul is false")


async def read_everything(store: Store) -> Snapshot:
    """Return all that a store holds, by its own reads."""
    executions = (await store.executions(Query(limit=100_000)))[::-1]
    journals = [await store.journal(row.key) for row in executions]
    mail = await store.mail(after=0, limit=100_000)
    return {
        "executions": list[tuple[object, ...]](executions),
        "journal": [row for rows in journals for row in rows],
        "mailbox": list[tuple[object, ...]](mail),
        "attributes": [
            (row.key, *item)
            for row in executions
            for item in sorted((await store.attributes(row.key)).items())
        ],
        **await _read_messages(store),
    }


async def _read_messages(store: Store) -> Snapshot:
    last = await store.last_position()
    waited = [(event_type, key) for event_type in EVENT_TYPES for key in EVENT_KEYS]
    return {
        "events": list[tuple[object, ...]](await store.events(EventQuery(limit=100_000))),
        "subscriptions": list[tuple[object, ...]](await store.subscriptions()),
        "reactions": list[tuple[object, ...]](await store.reactions_at(range(last + 100))),
        "dead_letters": list[tuple[object, ...]](
            await store.dead_letters(DeadLetterQuery(limit=100_000))
        ),
        "holds": list[tuple[object, ...]](await store.holds(after=("", "", ""), limit=100_000)),
        "event_waits": list[tuple[object, ...]](await store.waits_for(waited)),
        "contracts": list[tuple[object, ...]](await store.contracts()),
        "acts": list[tuple[object, ...]](await store.acts(limit=100_000)),
    }


def execution(
    key: int,
    id: str | None = None,
    *,
    run: int = 1,
    status: Status = Status.RUNNING,
    wake_at: int | None = 1_000,
    finished_at: int | None = None,
    name: str = "orders.place_order",
    correlation_id: str | None = None,
    parent_key: int | None = None,
    root_key: int | None = None,
) -> ExecutionRow:
    """Return an execution's row; what a test does not name does not matter to it."""
    return ExecutionRow(
        key=key,
        id=f"execution-{key}" if id is None else id,
        run=run,
        kind="saga",
        service=name.partition(".")[0],
        name=name,
        version=1,
        status=status,
        fingerprint=b"\x00\xff fingerprint",
        created_at=key * 10,
        wake_at=wake_at,
        finished_at=finished_at,
        parent_key=parent_key,
        root_key=root_key,
        correlation_id=correlation_id,
    )


def entry(key: int, first_seq: int = 1, body: bytes = b'[["ended",1]]') -> JournalRow:
    """Return a journal row of one record, with the right digest."""
    return JournalRow(key, first_seq, 1, "json", body, zlib.crc32(body))


def letter(request_id: str, execution_id: str = "execution-1") -> MailRow:
    """Return mail that is not posted yet."""
    return MailRow(0, request_id, "signal", execution_id, 5, "json", b'{"name":"go"}')


def said(key: int, **attributes: str | None) -> list[AttributeRow]:
    """Return what an execution says about itself; None deletes."""
    return [AttributeRow(key, name, value) for name, value in attributes.items()]


def event(
    id: str,
    type: str = EVENT_TYPES[0],
    key: str = EVENT_KEYS[0],
    *,
    source: str = "orders",
    flow: str = "flow",
    at: int = 5,
) -> EventRow:
    """Return an event that is not in the log yet, recorded *at* a time."""
    return EventRow(
        position=0,
        source=source,
        id=id,
        type=type,
        version=1,
        key=key,
        slot=slot_of(key),
        correlation_id=flow,
        causation_id=None,
        publisher=None,
        hops=0,
        traceparent=None,
        time=at - 1,
        recorded_at=at,
        codec="json",
        data=b'{"total":5}',
    )


def reaction(
    subscription: int,
    position: int,
    status: ReactionStatus = ReactionStatus.COMPLETED,
    *,
    key: int | None = None,
) -> ReactionRow:
    """Return the mark of an event that a subscription has taken."""
    finished_at = 7 if status.over else None
    due_at = 9 if status is ReactionStatus.RETRYING else None
    return ReactionRow(subscription, position, status, 6, finished_at, key, 1, due_at)


def subscription(number: int, *, name: str | None = None, position: int = 0) -> SubscriptionRow:
    """Return a subscription that has come as far as *position*."""
    return SubscriptionRow(
        number=number,
        service="payments",
        name=f"payments.reaction_{number}" if name is None else name,
        type=EVENT_TYPES[0],
        lane="",
        replay=0,
        position=position,
        created_at=number,
    )


def dead_letter(
    subscription: int,
    position: int,
    *,
    name: str = "payments.take",
    cause: str = "ValueError",
    key: str = EVENT_KEYS[0],
    died_at: int = 8,
) -> DeadLetterRow:
    """Return an event that a subscription gave up on."""
    service = name.partition(".")[0]
    return DeadLetterRow(
        subscription, position, service, "", name, EVENT_TYPES[0], key, "flow", 3, died_at, cause,
        "json", b'{"message":"no"}',
    )  # fmt: skip


def wait(
    execution_key: int,
    number: int = 1,
    *,
    type: str = EVENT_TYPES[0],
    key: str = EVENT_KEYS[0],
    position: int = 0,
    since: int = 0,
) -> EventWaitRow:
    """Return a wait of an execution for an event."""
    name = f"execution-{execution_key}"
    return EventWaitRow(execution_key, number, name, type, key, position, since)


def act(request_id: str, subject: str = "execution-1") -> ActRow:
    """Return what somebody did to a subject; the store gives the number."""
    return ActRow(5, "redrive", subject, None, request_id, "ann", "again", "json", b"{}")


async def start(store: Store, *rows: ExecutionRow) -> None:
    """Commit executions and nothing else."""
    await store.commit(Commit(starts=rows))


async def post(store: Store, *request_ids: str) -> None:
    """Commit mail and nothing else."""
    await store.commit(Commit(mail=[letter(request_id) for request_id in request_ids]))


def ids(rows: Sequence[ExecutionRow]) -> list[str]:
    """Return the ids of rows, in their order."""
    return [row.id for row in rows]
