"""Counts round trips to PostgreSQL: a proxy on the way that looks for the ends of answers.

A server ends every answer with one message, `ReadyForQuery`; so its number is the number of round
trips, whatever the driver calls them. Nothing is timed beside it.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

READY_FOR_QUERY = b"Z"
HEADER_BYTES = 5
CHUNK_BYTES = 65_536


class Counter:
    """What went through the proxy so far."""

    def __init__(self) -> None:
        self.round_trips = 0
        self.sent_bytes = 0
        self.received_bytes = 0

    @contextlib.asynccontextmanager
    async def before(self, port: int) -> AsyncGenerator[int]:
        """Stand before the server on *port* of the loopback; yield the port to use instead.

        Connections must not ask for TLS.
        """
        pipes: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            answers, questions = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.TaskGroup() as both:
                pipes.add(both.create_task(self._ask(reader, questions)))
                pipes.add(both.create_task(self._answer(answers, writer)))

        proxy = await asyncio.start_server(accept, "127.0.0.1", 0)
        try:
            yield proxy.sockets[0].getsockname()[1]
        finally:
            proxy.close()
            for pipe in pipes:
                pipe.cancel()
            await asyncio.gather(*pipes, return_exceptions=True)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            self.sent_bytes += len(chunk)
            writer.write(chunk)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                header = await reader.readexactly(HEADER_BYTES)
                body = await reader.readexactly(int.from_bytes(header[1:]) - 4)
                writer.write(header + body)
                self.received_bytes += len(header) + len(body)
                self.round_trips += header[:1] == READY_FOR_QUERY
        writer.close()
