"""A pool between a client and its server that gives every transaction another connection.

It speaks as much of the protocol as it takes to see where a transaction ends: when the server is
ready for the next statement, and in no transaction, the client loses its connection to it, and its
next message goes to the next one. What a session remembers is lost by that, as with PgBouncer in
its transaction mode.
"""

import asyncio
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

SSL_REQUEST = 80877103
STARTUP = (
    struct.pack("!i", 196608) + b"user\0postgres\0database\0postgres\0client_encoding\0utf-8\0\0"
)


class Link:
    """One of the pool's own connections to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.transactions = 0

    @classmethod
    async def make(cls, socket: Path) -> tuple["Link", bytes]:
        """Return a connection, and what the server said about itself."""
        reader, writer = await asyncio.open_unix_connection(str(socket))
        writer.write(struct.pack("!i", len(STARTUP) + 4) + STARTUP)
        greeting = b""
        while True:
            kind, message = await read_message(reader)
            greeting += message
            if kind == b"Z":
                return cls(reader, writer), greeting


class Pooler:
    """Several connections to one server, lent for a transaction each, in turn."""

    def __init__(self, links: list[Link], greeting: bytes) -> None:
        self.links = links
        self.greeting = greeting
        self._free: asyncio.Queue[Link] = asyncio.Queue()
        for link in links:
            self._free.put_nowait(link)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it leaves."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            if await self._greet(reader, writer):
                while True:
                    _, message = await read_message(reader)
                    if message[:1] == b"X":
                        break
                    await self._transaction(message, reader, writer)
        writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        while True:
            (size,) = struct.unpack("!i", await reader.readexactly(4))
            body = await reader.readexactly(size - 4)
            (code,) = struct.unpack("!i", body[:4])
            if code == SSL_REQUEST:
                writer.write(b"N")
            else:
                if code == 196608:
                    writer.write(self.greeting)
                return bool(code == 196608)

    async def _transaction(
        self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        link = await self._free.get()
        link.transactions += 1
        link.writer.write(first)

        async def forward() -> None:
            while True:
                _, message = await read_message(reader)
                link.writer.write(message)

        asking = asyncio.create_task(forward())
        try:
            while True:
                kind, message = await read_message(link.reader)
                writer.write(message)
                if kind == b"Z" and message[-1:] == b"I":
                    break
        finally:
            asking.cancel()
            with suppress(asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
                await asking
            self._free.put_nowait(link)


async def read_message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return the kind of a message, and all of it."""
    head = await reader.readexactly(5)
    (size,) = struct.unpack("!i", head[1:])
    return head[:1], head + await reader.readexactly(size - 4)


@asynccontextmanager
async def pooling(socket: Path, *, links: int = 3) -> AsyncGenerator[tuple[Pooler, int]]:
    """Give a pool before the server at *socket*, and the port on which it listens."""
    made = [await Link.make(socket) for _ in range(links)]
    pooler = Pooler([link for link, _ in made], made[0][1])
    server = await asyncio.start_server(pooler.serve, "127.0.0.1", 0)
    try:
        yield pooler, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for link in pooler.links:
            link.writer.close()
