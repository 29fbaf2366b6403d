"""Has the server write down who wrote what, and tells what is still open in a store."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.nodes.server import Server
from tests.nodes.stored import witness_of

HERE = Path(__file__).parent
ENDS = ("orders.OrderConfirmed", "orders.OrderRejected")


def call_witness(server: Server, schema: str) -> None:
    """Have a store's server write down who wrote what; before the first node starts."""
    text = (HERE / "witness.sql").read_text()
    for name, value in (("schema", schema), ("witness", witness_of(schema))):
        text = text.replace(f"{{{name}}}", value)
    execute(server, text)


def execute(server: Server, text: str) -> None:
    """Run some statements."""

    async def run() -> None:
        connection = await server.connect()
        try:
            await connection.execute(text)
        finally:
            await connection.close()

    asyncio.run(run())


def drop(server: Server, schema: str) -> None:
    """Delete a store and what its witness wrote."""
    execute(server, f"DROP SCHEMA {schema}, {witness_of(schema)} CASCADE")


def still_open(
    server: Server, schema: str, *, orders: int, pids: Sequence[int]
) -> Mapping[str, int]:
    """Return what is not over in a store, and how many of it; nothing if everything is.

    *pids* are the processes that should be its nodes.
    """

    async def look() -> Mapping[str, int]:
        connection = await server.connect()
        try:
            await connection.execute(f"SET search_path = {schema}")
            query = (HERE / "open.sql").read_text()
            rows = await connection.fetch(query, orders, pids, ENDS)
            return {what: many for what, many in rows if many}
        finally:
            await connection.close()

    return asyncio.run(look())
