"""Several nodes on one PostgreSQL store, and a look behind it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from counterpoint.errors import StoreBusyError
from counterpoint.model.cluster import CallRow, Calls, Hosting
from counterpoint.model.messages import Messages, SubscriptionRow
from counterpoint.model.rows import Commit, MailRow
from counterpoint.stores.postgres import PostgresStore
from counterpoint.stores.postgres_url import read_url
from counterpoint.testing.conformance.store_case import execution

WORKFLOW = "orders.place_order"
HOSTING = Hosting(
    node="n",
    services=("orders",),
    workflows=((WORKFLOW, 1),),
    activities=("orders.create", "orders.pack"),
    subscriptions=("orders.react",),
)
ALL_SLOTS = 256
PATIENT = "ALTER FUNCTION {schema}.bury_v1(bigint, boolean) SET lock_timeout = '60s'"
"""Who declares a node lost waits for its commits however slow the machine is."""


class Several:
    """Nodes and clients of one store, closed in the end."""

    def __init__(self, url: str, back_door: asyncpg.Connection) -> None:
        self._url = url
        self._schema = read_url(url).schema
        self._stores: list[PostgresStore] = []
        self._altered = False
        self.back_door = back_door

    async def node(self, hosting: Hosting | None = HOSTING) -> PostgresStore:
        """Return a node that has said what it hosts; None: it has not said it yet."""
        store = PostgresStore(self._url)
        self._stores.append(store)
        await store.open(node=True)
        if hosting is not None:
            await store.announce(hosting)
        return store

    async def nodes(self, count: int) -> list[PostgresStore]:
        return [await self.node() for _ in range(count)]

    async def client(self) -> PostgresStore:
        store = PostgresStore(self._url)
        self._stores.append(store)
        await store.open(node=False)
        return store

    async def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a statement in which {schema} stands for the store's schema."""
        rows = await self.back_door.fetch(text.replace("{schema}", self._schema), *values)
        return [tuple(row) for row in rows]

    async def alter(self, text: str) -> None:
        """Change the schema itself, for this test."""
        self._altered = True
        await self.sql(text)

    async def end_lease(self, node: PostgresStore, *, lengths: int = 1) -> None:
        """Put the end of a lease so many lengths of it into the past, a length being 1 ms."""
        await self.sql(
            "UPDATE {schema}.leases SET until = $2::bigint, seen_at = $2::bigint - 1000"
            " WHERE incarnation = $1",
            node.incarnation,
            (await self.now()) - 1000 * lengths - 1,
        )

    async def lose(self, node: PostgresStore, by: PostgresStore) -> None:
        """Have one node declare another one lost, which may be running and renew its lease."""
        incarnation = node.incarnation
        async with asyncio.timeout(30):
            await self.end_lease(node)
            while not await by.declare_lost(incarnation):
                assert node.incarnation == incarnation
                await self.end_lease(node)

    async def open_again(self, node: PostgresStore) -> None:
        """Open a node again; its former sessions are ended by that, when they get to it."""
        async with asyncio.timeout(30):
            while True:
                with suppress(StoreBusyError):
                    return await node.open(node=True)

    async def now(self) -> int:
        ((now,),) = await self.sql("SELECT {schema}.now_v1()")
        return int(now)

    async def wait_until_blocked(self, count: int = 1) -> None:
        """Return once so many sessions that work on this schema wait for a lock."""
        async with asyncio.timeout(30):
            while True:
                await self.sql("SELECT pg_stat_clear_snapshot()")  # it is kept in a transaction
                ((waiting,),) = await self.sql(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    " AND query LIKE '%{schema}%' AND pid <> pg_backend_pid()"
                )
                if waiting >= count:
                    return
                await asyncio.sleep(0.005)

    async def targets(self) -> list[tuple[str, int | None]]:
        """Return letters by request id with their targets, in the order of their positions."""
        rows = await self.sql("SELECT request_id, target FROM {schema}.mailbox ORDER BY position")
        return [(request, target) for request, target in rows]

    async def close(self) -> None:
        for store in self._stores:
            await store.close()
        if self._altered:
            await self.sql("DROP SCHEMA {schema} CASCADE")


@asynccontextmanager
async def several(url: str) -> AsyncIterator[Several]:
    """Give nodes and clients of the store at *url*."""
    back_door = await asyncpg.connect(read_url(url).dsn)
    try:
        nodes = Several(url, back_door)
        try:
            yield nodes
        finally:
            await nodes.close()
    finally:
        await back_door.close()


async def start(
    store: PostgresStore, *keys: int, name: str = WORKFLOW, wake_at: int | None = 1_000
) -> None:
    """Start executions on a node, which owns them then."""
    rows = [execution(key, name=name, wake_at=wake_at) for key in keys]
    await store.commit(Commit(starts=rows))


def letter(
    request: str,
    to: str,
    kind: str = "signal",
    about: str | None = None,
    slot: int | None = None,
) -> MailRow:
    return MailRow(0, request, kind, to, 5, "json", b"{}", about, slot)


async def post(store: PostgresStore, *letters: MailRow) -> None:
    for each in letters:
        await store.commit(Commit(mail=[each]))


def call(
    key: int,
    activity: str = "orders.create",
    workflow: str = WORKFLOW,
    *,
    step: int = 1,
    attempt: int = 1,
) -> CallRow:
    service = activity.partition(".")[0]
    return CallRow(
        key, step, attempt, f"execution-{key}", workflow, service, activity, 5, "json", b"{}"
    )


async def offer(store: PostgresStore, *calls: CallRow) -> None:
    """Offer calls, one after the other."""
    for each in calls:
        await store.commit(Commit(calls=Calls(offered=[each])))


def subscription(number: int, service: str = "orders", position: int = 0) -> SubscriptionRow:
    return SubscriptionRow(
        number, service, f"{service}.react{number}", "orders.OrderPlaced", service, 0, position, 5
    )


async def subscribe(store: PostgresStore, *subscriptions: SubscriptionRow) -> None:
    await store.commit(Commit(messages=Messages(subscriptions=list(subscriptions))))


def steps(calls: Sequence[CallRow]) -> list[int]:
    """Return the execution keys of calls."""
    return [each.execution_key for each in calls]
