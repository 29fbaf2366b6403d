"""The store in one schema of a PostgreSQL database, which any number of nodes host.

*A commit is one statement*: one call of a function of the server (see `sql/postgres/002_commit.sql`
and `postgres_writes`), and so one round trip and one transaction, whatever is in it. It begins with
the fence: a node that was declared lost writes nothing (see `postgres_cluster`).

*Positions become readable in their order.* Who appends events, or posts letters, adds to the one
row of `log`, and its lock is held until the transaction is over: the next one gets higher positions
only when those of the one before are readable, or will never be. So a reader that has seen p never
later finds an event below p, and no position is missing. A transaction of somebody else, however
long, changes nothing about this, for it does not hold that row; it delays what VACUUM may remove,
and nothing else. The update stands at the end of the function, so that the row is held for the
insertion of events and letters and the flush of the log to disk, and not for what comes before.
The other way would be to give positions without a lock, and to let readers stop at the oldest
transaction that is under way (the xmin horizon): then one forgotten transaction anywhere on the
server stops every delivery.

*No state of a session* is ever relied upon, but for LISTEN: no settings, no temporary tables, no
locks of a session, so that a pool which gives each transaction another connection (PgBouncer) can
stand in between, with `statement_cache_size=0` in the URL. What LISTEN does not bring is found by
polling.

*Failure.* Errors become the port's (see `postgres_failures`). After one that leaves a commit's
outcome unknown, every connection is cut and every call refused until the store is opened again.
Connections that the server closed while nobody used them are replaced without a word.
"""

import asyncio
import os
from importlib import import_module
from typing import Any, NoReturn

from counterpoint.errors import (
    ConflictError,
    DefinitionError,
    StoreBrokenError,
    StoreBusyError,
    StoreError,
    StoreLockedError,
    StoreReadOnlyError,
)
from counterpoint.model.rows import Commit, DueRow, ExecutionRow, JournalRow, MailRow, Query
from counterpoint.model.states import Status
from counterpoint.ports.cluster import Transaction
from counterpoint.ports.store import StoreFeatures
from counterpoint.stores.message_rows import twice_or_there
from counterpoint.stores.postgres_cluster import PostgresCluster
from counterpoint.stores.postgres_connections import SHARED_MAX, Connections, Listener
from counterpoint.stores.postgres_examination import PostgresExamination
from counterpoint.stores.postgres_failures import (
    UNIQUE_VIOLATION,
    constraint,
    is_translatable,
    said,
    schema_of,
    sqlstate,
    translate,
    translate_connect,
)
from counterpoint.stores.postgres_filters import executions_page
from counterpoint.stores.postgres_messages import PostgresMessages
from counterpoint.stores.postgres_migrate import check_there, migrate
from counterpoint.stores.postgres_transaction import PostgresTransaction
from counterpoint.stores.postgres_url import read_url
from counterpoint.stores.postgres_writes import COMMIT, commit_values, writes_more_than_mail
from counterpoint.stores.queries import in_schema, queries_of
from counterpoint.stores.rows import check_digests, execution_row

_CLOSE_SECONDS = 2.0
_WRITES_AT_ONCE = 3
"""A commit, a look at the other nodes, and one of what else is written now and then."""
_POLL_SECONDS = 1.0
"""How often `changed` is true although nothing was heard."""
_RACES = {"executions_id", "events_id"}
"""Constraints that rows break which may be gone again when one looks for them."""


def load_driver() -> Any:
    """Return asyncpg.

    Raises:
        DefinitionError: it is not installed; says how to.
    """
    try:
        return import_module("asyncpg")
    except ImportError as error:
        raise DefinitionError(
            "a PostgreSQL store needs asyncpg: pip install 'counterpoint[postgres]'"
        ) from error


class PostgresStore(PostgresMessages, PostgresCluster, PostgresExamination):
    """A store that nodes and clients on any number of machines share as one schema.

    App("shop", services=[orders], store="postgresql://shop@db.internal/shop")
    """

    features = StoreFeatures(
        many_nodes=True,
        transactions=True,
        connection="postgres",
        transactions_at_once=SHARED_MAX,
        nul=False,
    )

    def __init__(self, url: str) -> None:
        place = read_url(url)
        self._driver = load_driver()
        self._place = place
        self._name = place.name
        self._schema = place.schema
        self._lease = place.lease_seconds
        self._sql = queries_of(place.schema, "postgres/executions.sql", "postgres/messages.sql")
        self._commit = in_schema(COMMIT, place.schema)
        self._pool: Connections | None = None
        self._writing: Connections | None = None
        """Of commits and leases, so that slow reads do not keep them waiting."""
        self._lent: Connections | None = None
        self._hearing: Listener | None = None
        self._node = False
        self._broken: str | None = None
        self._incarnation = 0
        self._told = False
        self._next_look = 0.0

    def __repr__(self) -> str:
        return f"PostgresStore({self._name!r})"

    @property
    def where(self) -> str:
        """Where the store is, for people."""
        return f"{self._name}, schema {self._schema}"

    async def open(self, *, node: bool) -> None:
        if self._pool is not None:
            if node:
                raise StoreLockedError(self._name, os.getpid())
            raise StoreError(f"{self._name} is open already: make another PostgresStore for it")
        self._pool = Connections(self._connect)
        self._writing = Connections(self._connect, size=_WRITES_AT_ONCE)
        self._lent = Connections(self._connect)
        self._broken = None
        try:
            await self._migrate(node=node)
            self._node = node
            if node:
                await self._enter()
            else:
                self._incarnation = 0
        except BaseException:
            self._cut()
            raise
        self._told = False
        self._next_look = asyncio.get_running_loop().time() + _POLL_SECONDS
        self._hearing = Listener(self._connect, f"counterpoint {self._schema}", self._notified)
        self._hearing.start()

    async def check_there(self) -> None:
        """Make sure that a node has made this store, without creating anything.

        Raises:
            StoreError: it is not there, or it cannot be reached.
        """
        connection = await self._connect()
        try:
            await check_there(connection, self._place)
        except Exception as error:
            raise self._translated(error) from error
        finally:
            await connection.close(timeout=_CLOSE_SECONDS)

    async def close(self) -> None:
        if self._pool is not None and self._node:
            await self._leave()
        opened, listener = (self._lent, self._writing, self._pool), self._hearing
        self._pool = self._writing = self._lent = self._hearing = None
        self._node = False
        self._broken = None
        if listener is not None:
            await listener.stop()
        for connections in opened:
            if connections is not None:
                await connections.close(_CLOSE_SECONDS)

    async def reserve_keys(self, count: int) -> range:
        self._check_node()
        ((last,),) = await self._act(self._sql["reserve_keys"], count)
        return range(last - count + 1, last + 1)

    async def commit(self, commit: Commit) -> int:
        if not self._node and writes_more_than_mail(commit):
            self._check_node()
        pool = self._open_pool()
        try:
            values = commit_values(commit, self._writer, others=self._is_heard)
            async with (self._writing or pool).use() as connection:
                return int(await connection.fetchval(self._commit, *values))
        except Exception as error:
            self._check_current(pool, error)
            raise await self.failed_commit(error, commit) from error

    async def begin(self) -> Transaction:
        self._check_node()
        if self._lent is None:
            self._not_open()
        try:
            connection = await self._lent.take()
            transaction = PostgresTransaction(self, self._lent, connection)
            await transaction.start()
        except Exception as error:
            raise self._translated(error) from error
        return transaction

    async def execution(self, execution_id: str) -> ExecutionRow | None:
        rows = await self._rows(self._sql["newest_execution"], execution_id)
        return execution_row(rows[0]) if rows else None

    async def executions(self, query: Query) -> list[ExecutionRow]:
        text, values = executions_page(self._sql, query)
        return [execution_row(row) for row in await self._rows(text, *values)]

    async def journal(self, key: int, *, after_seq: int = 0) -> list[JournalRow]:
        found = await self._rows(self._sql["read_journal"], key, after_seq)
        rows = [JournalRow._make(row) for row in found]
        check_digests(rows)
        return rows

    async def attributes(self, key: int) -> dict[str, str]:
        return {row[0]: row[1] for row in await self._rows(self._sql["read_attributes"], key)}

    async def due(self, *, after: tuple[int, int], until: int, limit: int) -> list[DueRow]:
        return [DueRow._make(row) for row in await self._here("due", *after, until, limit)]

    async def mail(
        self, *, after: int, limit: int, execution_id: str | None = None
    ) -> list[MailRow]:
        if execution_id is None:
            rows = await self._here("read_mail", after, limit)
        else:
            rows = await self._rows(self._sql["read_mail_of"], after, limit, execution_id)
        return [MailRow._make(row) for row in rows]

    async def changed(self) -> bool:
        self._open_pool()
        now = asyncio.get_running_loop().time()
        if not self._told and now < self._next_look:
            return False
        self._told = False
        self._next_look = now + _POLL_SECONDS
        return True

    async def counts(self) -> dict[Status, int]:
        rows = await self._rows(self._sql["count_executions"])
        return {Status(status): count for status, count in rows}

    async def forget(self, *, finished_before: int, limit: int) -> int:
        return await self._forget("forget", finished_before, limit)

    # ---- for the parts of this store ----------------------------------------------------------

    async def fence(self, connection: Any) -> None:
        """Hold the node's fence until the connection's transaction is over; the driver's errors."""
        await connection.execute(self._sql["fence"], self._incarnation)

    async def write_on(self, connection: Any, commit: Commit) -> int:
        """Write *commit* on a connection that is in a transaction; raises the driver's errors."""
        values = commit_values(commit, self._writer, others=self._is_heard)
        return int(await connection.fetchval(self._commit, *values))

    async def failed_commit(self, error: BaseException, commit: Commit) -> BaseException:
        """Return what an error of a commit means, once its transaction is rolled back."""
        if sqlstate(error) != UNIQUE_VIOLATION or schema_of(error) != self._schema:
            return self._translated(error)
        known = await self._conflict(commit)
        if known is None and constraint(error) in _RACES:
            known = StoreBusyError(f"{self._name}: another writer was quicker: try again")
        return known or self._break(
            StoreBrokenError(
                f"{self._name}: another writer used the same key or record number; nothing was "
                f"written ({said(error)}): open it again"
            )
        )

    async def _rows(self, text: str, *values: Any) -> list[Any]:
        """Return what a query finds."""
        return await self._asked(self._open_pool(), text, *values)

    async def _act(self, text: str, *values: Any) -> list[Any]:
        """Return what a statement that writes, a transaction of its own, returns."""
        return await self._asked(self._writing or self._open_pool(), text, *values)

    async def _asked(self, connections: Connections, text: str, *values: Any) -> list[Any]:
        pool = self._pool
        try:
            async with connections.use() as connection:
                found: list[Any] = await connection.fetch(text, *values)
                return found
        except Exception as error:
            self._check_current(pool, error)
            raise self._translated(error) from error

    async def _connect_alone(self) -> Any:
        """Return a connection that the caller closes."""
        return await self._connect()

    # ---- opening and closing --------------------------------------------------------------

    async def _connect(self) -> Any:
        try:
            return await self._driver.connect(self._place.dsn, **self._place.options)
        except Exception as error:
            if isinstance(error, StoreError):
                raise
            raise translate_connect(error, self._name) from error

    async def _migrate(self, *, node: bool) -> None:
        try:
            async with self._open_pool().use() as connection:
                await migrate(connection, self._place, node=node)
        except Exception as error:
            raise self._translated(error) from error

    def _cut(self) -> None:
        """Give everything up at once, without a word to the server."""
        opened, listener = (self._lent, self._writing, self._pool), self._hearing
        self._pool = self._writing = self._lent = self._hearing = None
        if listener is not None:
            listener.cut()
        for connections in opened:
            if connections is not None:
                connections.cut()

    # ---- using the connections ------------------------------------------------------------

    @property
    def _writer(self) -> int:
        return self._incarnation if self._node else 0

    @property
    def _said_name(self) -> str:
        return self._hosting.node if self._hosting is not None else "this node"

    @property
    def _is_heard(self) -> bool:
        return self._others or not self._node

    def _open_pool(self) -> Connections:
        if self._pool is None:
            self._not_open()
        return self._pool

    def _check_current(self, pool: Connections | None, error: BaseException) -> None:
        """Raise if the store was closed since a call began: its error says nothing of today's."""
        if pool is not self._pool:
            raise StoreBrokenError(
                f"{self._name} was closed during a call: open it again"
            ) from error

    def _not_open(self) -> NoReturn:
        if self._broken is not None:
            raise StoreBrokenError(f"{self._broken}; it is closed until then")
        raise StoreError(f"{self._name} is not open: await open() first")

    def _check_node(self) -> None:
        self._open_pool()
        if not self._node:
            raise StoreReadOnlyError(f"a client of {self._name} can only post mail to it")

    def _translated(self, error: BaseException) -> BaseException:
        """Return the port's error; one after which nothing can be believed ends the connections."""
        if isinstance(error, StoreError):
            known: StoreError = error
        elif is_translatable(error):
            known = translate(error, self._name, node=self._said_name)
        else:
            return error
        return self._break(known) if isinstance(known, StoreBrokenError) else known

    def _break(self, error: StoreBrokenError) -> StoreBrokenError:
        if self._pool is not None:
            self._cut()
            self._broken = str(error)
        return error

    async def _conflict(self, commit: Commit) -> StoreError | None:
        starts = [(row.id, row.run) for row in commit.starts]
        logged = commit.messages.events if commit.messages is not None else ()
        places = [(row.source, row.id) for row in logged]
        ids = await self._existing("existing_executions", starts)
        events = twice_or_there(places, await self._existing("existing_events", places))
        taken = twice_or_there(starts, ids)
        if taken or events:
            return ConflictError(list(dict.fromkeys(id_ for id_, _ in taken)), events)
        return None

    async def _existing(self, query: str, wanted: list[Any]) -> list[Any]:
        if not wanted:
            return []
        columns = map(list, zip(*wanted, strict=True))
        return [tuple(row) for row in await self._rows(self._sql[query], *columns)]

    def _notified(self, payload: str) -> None:
        self._told = True
        if payload:
            self._hear(payload)
