"""The bare loop on PostgreSQL: the least that a durable engine must do there for the order saga.

The same as `benchmarks.bare`, over the engine's driver: one event loop, one connection, one table.
A saga inserts 4 rows (its failing twin 6) and awaits each row's commit before the next. A task
writes whatever has gathered while it waited in one statement, which is one round trip and one
transaction. This file never changes with the engine's schema: goals are stated in units of it.
"""

import asyncio
from collections.abc import Callable

import asyncpg

from benchmarks.bare import BODY, Figures, Row
from benchmarks.load import Around, keep_in_flight

TABLE = """
CREATE TABLE journal (id text, seq integer, kind text, body bytea, PRIMARY KEY (id, seq))
"""
INSERT = """
INSERT INTO journal SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::bytea[])
"""


class Writer:
    """Commits rows in groups from a task of its own."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.commits = 0
        self._connection = connection
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._woken = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run())

    @classmethod
    async def open(cls, url: str) -> "Writer":
        """Return a writer to a new table in an empty database."""
        connection = await asyncpg.connect(url)
        await connection.execute(TABLE)
        return cls(connection)

    def append(self, row: Row) -> asyncio.Future[None]:
        """Return a future that is done when *row* is durable."""
        committed = self._loop.create_future()
        self._waiting.append((row, committed))
        self._woken.set()
        return committed

    async def close(self) -> None:
        """Stop the task and close the connection."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._connection.close()

    async def _run(self) -> None:
        insert = await self._connection.prepare(INSERT)
        while True:
            await self._woken.wait()
            self._woken.clear()
            batch, self._waiting = self._waiting, []
            columns = zip(*(row for row, _ in batch), strict=True)
            try:
                await insert.fetch(*columns)
            except Exception as error:
                for _, committed in batch:
                    committed.set_exception(error)
                raise
            self.commits += 1
            for _, committed in batch:
                committed.set_result(None)


async def run_saga(writer: Writer, saga_id: str, rows: int) -> None:
    """Run one saga: each row is durable before the next is made."""
    for seq in range(rows):
        await writer.append((saga_id, seq, "completed", BODY))


async def run(
    url: str, *, sagas: int, rows: int, in_flight: int, watch: Callable[[Writer], Around]
) -> Figures:
    """Run *sagas* in an empty database and return the figures."""
    writer = await Writer.open(url)
    try:
        return await keep_in_flight(
            lambda name: run_saga(writer, name, rows), sagas, in_flight, watch(writer)
        )
    finally:
        await writer.close()
