"""A transaction in which a user writes, and the store commits: all or nothing.

It passes the fence when it begins, not only when it commits: a node that freezes in the middle of
one holds locks on the user's rows, and who holds the fence's lock is cut off by those who declare
the node lost (see `postgres_cluster`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from counterpoint.errors import StoreBrokenError, StoreError
from counterpoint.model.rows import Commit
from counterpoint.stores.postgres_connections import Connections

_ENDED = (
    "the transaction was ended by the function that was given it: leave COMMIT and ROLLBACK to the "
    "caller"
)
_CLOSED = "the store was closed during a transaction: open it again"
_CUT = "the server ended the transaction"
_CHECK = """
SET CONSTRAINTS ALL IMMEDIATE;
DO $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE 'the function has changed the isolation of the transaction: leave it at read committed';
  END IF;
END
$$
"""
"""What the commit relies on: that it fails for nothing of the user's, and sees what is true now."""


_END_SECONDS = 5.0
"""How long a rollback may take before the connection is cut, which has the same effect."""


class Writer(Protocol):
    """What a transaction needs of its store."""

    async def fence(self, connection: Any) -> None:
        """Raise the driver's error if the node may not commit; until the end nobody forbids it."""
        ...

    async def write_on(self, connection: Any, commit: Commit) -> int:
        """Write on a connection that is in a transaction; the driver's errors."""
        ...

    async def failed_commit(self, error: BaseException, commit: Commit) -> BaseException:
        """Return what an error of a commit means; the transaction was rolled back."""
        ...


class PostgresTransaction:
    """See `ports.cluster.Transaction`. One caller uses it, and ends it."""

    def __init__(self, writer: Writer, connections: Connections, connection: Any) -> None:
        self._writer = writer
        self._connections = connections
        self._connection = connection
        self._transaction = connection.transaction(isolation="read_committed")
        self._over = False

    async def start(self) -> None:
        """Begin; if that fails the connection is given back."""
        try:
            await self._guarded(self._transaction.start)
            await self._guarded(lambda: self._writer.fence(self._connection))
        except Exception:
            self._cut()
            raise

    @property
    def connection(self) -> Any:
        return self._connection

    def expires(self, expired: Callable[[StoreError], None]) -> None:
        """Never: PostgreSQL has room for others beside it."""

    async def check(self) -> None:
        if self._connection.is_closed():
            raise StoreBrokenError(_CUT)
        if not self._is_open():
            raise StoreError(_ENDED)
        await self._connection.execute(_CHECK)

    async def commit(self, commit: Commit) -> int:
        if self._connections.closed:
            await self.rollback()
            raise StoreBrokenError(_CLOSED)
        if self._connection.is_closed():
            await self.rollback()
            raise await self._writer.failed_commit(ConnectionResetError(_CUT), commit)
        if not self._is_open():
            await self.rollback()
            raise StoreError(_ENDED)
        try:
            first = await self._guarded(lambda: self._writer.write_on(self._connection, commit))
            await self._guarded(self._transaction.commit)
        except Exception as error:
            await self.rollback()
            if self._connections.closed:  # by a failure of which everybody has heard
                raise StoreBrokenError(_CLOSED) from error
            raise await self._writer.failed_commit(error, commit) from error
        await self._give_back()
        return int(first)

    async def rollback(self) -> None:
        if self._over:
            return
        try:
            if self._is_open():
                async with asyncio.timeout(_END_SECONDS):
                    await self._transaction.rollback()
        except Exception:  # noqa: BLE001 - cut off, it is rolled back by the server
            self._connection.terminate()
        except BaseException:
            self._cut()
            raise
        await self._give_back()

    def _is_open(self) -> bool:
        return not self._connection.is_closed() and self._connection.is_in_transaction()

    async def _guarded(self, act: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await act()
        except Exception:
            raise
        except BaseException:  # cancelled in the middle of a statement: nobody may use it again
            self._cut()
            raise

    async def _give_back(self) -> None:
        """Leave nothing of the user's settings to the next one."""
        if self._over:
            return
        self._over = True
        try:
            if not self._connection.is_closed():
                await self._connection.reset(timeout=_END_SECONDS)
        except Exception:  # noqa: BLE001 - another one is made
            self._connection.terminate()
        except BaseException:
            self._connection.terminate()
            raise
        finally:
            self._connections.give_back(self._connection)

    def _cut(self) -> None:
        self._connection.terminate()
        if not self._over:
            self._over = True
            self._connections.give_back(self._connection)
