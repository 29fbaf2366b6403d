"""The connections of a PostgreSQL store: a few that are shared, and one that listens.

*Why no pool of the driver.* asyncpg's own sends a statement that resets the session whenever a
connection is given back: a second round trip for every commit. Nothing here changes a session, so
that connections can be shared as they are, also with a pool on the way (PgBouncer) that gives
every transaction another session. The connection that was used last is used next: what the server
has prepared and planned for it is warm.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

Connect = Callable[[], Awaitable[Any]]

SHARED_MAX = 5
LISTEN_AGAIN_SECONDS = (0.1, 5.0)
"""How long to wait before listening again: at first, and at most."""


class Connections:
    """At most `size` connections, each used by one caller at a time."""

    def __init__(self, connect: Connect, *, size: int = SHARED_MAX) -> None:
        self._connect = connect
        self._free: list[Any] = []
        self._room = asyncio.Semaphore(size)
        self._all: set[Any] = set()
        self.closed = False

    @asynccontextmanager
    async def use(self) -> AsyncGenerator[Any]:
        """Give a connection that the server has not closed, as far as is known."""
        connection = await self.take()
        try:
            yield connection
        except Exception:
            raise
        except BaseException:  # cancelled in the middle of a statement
            connection.terminate()
            raise
        finally:
            self.give_back(connection)

    async def take(self) -> Any:
        """Return a connection; give it back."""
        await self._room.acquire()
        try:
            while self._free:
                connection = self._free.pop()
                if not connection.is_closed():
                    return connection
                self._all.discard(connection)
            connection = await self._connect()
        except BaseException:
            self._room.release()
            raise
        if self.closed:  # while it was made
            connection.terminate()
        self._all.add(connection)
        return connection

    def give_back(self, connection: Any) -> None:
        """Let others use it, unless it is closed or in a transaction that nobody ends."""
        self._room.release()
        if self.closed or connection.is_closed() or connection.is_in_transaction():
            connection.terminate()
            self._all.discard(connection)
        else:
            self._free.append(connection)

    async def close(self, timeout: float) -> None:
        """Close them all; those that are in use, or do not answer, are cut off."""
        self.closed = True
        free, self._free = self._free, []
        used = self._all.difference(free)
        self._all.clear()
        for connection in used:
            connection.terminate()
        await asyncio.gather(*(_close(connection, timeout) for connection in free))

    def cut(self) -> None:
        """Close them all at once, without a word to the server."""
        self.closed = True
        self._free.clear()
        for connection in self._all:
            connection.terminate()
        self._all.clear()


async def _close(connection: Any, timeout: float) -> None:
    try:
        await connection.close(timeout=timeout)
    except Exception:  # noqa: BLE001 - it is given up either way
        connection.terminate()


class Listener:
    """Hears what is notified on a channel; listens again when its connection is lost."""

    def __init__(self, connect: Connect, channel: str, heard: Callable[[str], None]) -> None:
        self._connect = connect
        self._channel = channel
        self._heard = heard
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen in the background."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Hear no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def cut(self) -> None:
        """Hear no more, from within a callback or a failing call."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _run(self) -> None:
        delay, longest = LISTEN_AGAIN_SECONDS
        while True:
            try:
                await self._listen()
                delay = LISTEN_AGAIN_SECONDS[0]
            except Exception:  # noqa: BLE001 - without it everything works by polling
                delay = min(2 * delay, longest)
            await asyncio.sleep(delay)

    async def _listen(self) -> None:
        connection = await self._connect()
        lost = asyncio.Event()

        def ended(_connection: object) -> None:
            lost.set()

        def heard(_connection: object, _pid: int, _channel: str, text: str) -> None:
            self._heard(text)

        try:
            connection.add_termination_listener(ended)
            await connection.add_listener(self._channel, heard)
            self._heard("")  # whatever was said while nobody listened
            await lost.wait()
        finally:
            connection.terminate()
