"""SQLAlchemy's `AsyncSession` on a connection that is in a transaction already.

The session's own transaction is a savepoint in that one: asyncpg makes one of every transaction
that is begun inside another. So `session.commit()` releases a savepoint and commits nothing, and
`session.rollback()` takes back what was written since the last one. What the session holds when the
function returns is flushed; only then does the step count as done.

The connection belongs to the store, and others use it after this: SQLAlchemy may neither close it
nor teach it other types, as it does with connections that it makes (asyncpg keeps codecs per
connection). It decodes JSON itself instead. An engine is kept for each connection, so that what
SQLAlchemy asks of a new connection, and the statements that it prepares, are asked for once.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import StaticPool

_URL = "postgresql+counterpoint://"


class BorrowingDialect(PGDialect_asyncpg):
    """SQLAlchemy's dialect for asyncpg, on connections that it leaves as they are."""

    supports_native_json_deserialization = False
    supports_statement_cache = True

    async def setup_asyncpg_json_codec(self, conn: Any) -> None:
        """Leave the connection's codec alone."""

    async def setup_asyncpg_jsonb_codec(self, conn: Any) -> None:
        """Leave the connection's codec alone."""


class _Borrowed:
    """A connection that whoever got it cannot close."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def close(self, *, timeout: float | None = None) -> None:
        """Leave it to its owner."""

    def terminate(self) -> None:
        """Leave it to its owner."""


class Sessions:
    """Makes sessions; an engine for each connection that is still open."""

    def __init__(self) -> None:
        self._engines: dict[Any, AsyncEngine] = {}

    @asynccontextmanager
    async def on(
        self, connection: Any, session_class: type[AsyncSession]
    ) -> AsyncGenerator[AsyncSession]:
        """Give a session on a connection, and flush what it holds when the block ends well."""
        session = session_class(self._engine(connection), expire_on_commit=False)
        try:
            yield session
            await session.commit()
        finally:
            await session.close()

    def _engine(self, connection: Any) -> AsyncEngine:
        for one in [one for one in self._engines if one.is_closed()]:
            del self._engines[one]
        if connection not in self._engines:

            async def borrow() -> Any:
                return _Borrowed(connection)

            self._engines[connection] = create_async_engine(
                _URL, async_creator=borrow, poolclass=StaticPool
            )
        return self._engines[connection]


registry.register("postgresql.counterpoint", __name__, BorrowingDialect.__name__)
