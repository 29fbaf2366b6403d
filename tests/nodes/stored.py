"""What is in the store, read with the driver alone, as of one moment."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.nodes.server import Server

from counterpoint.model import records as r
from counterpoint.model.messages import EventRow, ReactionRow, SubscriptionRow
from counterpoint.model.rows import JournalRow


class Ran(NamedTuple):
    """An execution of a workflow."""

    key: int
    id: str
    run: int
    name: str
    status: str
    owner: int | None
    finished_at: int | None


class Known(NamedTuple):
    """An incarnation of a node."""

    incarnation: int
    node: str
    pid: int
    services: Sequence[str]
    started_at: int
    stopped_at: int | None
    lost_at: int | None

    @property
    def over_at(self) -> int | None:
        """When it ceased to be one that may commit."""
        over = [at for at in (self.stopped_at, self.lost_at) if at is not None]
        return min(over, default=None)


class Written(NamedTuple):
    """What was written, by which process, and who had a right to; see witness.sql."""

    at: int
    writer: str
    what: str
    key: int
    part: int
    owner: int | None

    @property
    def pid(self) -> int:
        """The process that wrote it; 0 for one that has no name."""
        number = self.writer.rpartition(".")[2]
        return int(number) if number.isdecimal() else 0


@dataclass
class Stored:
    """Everything that a round's store says."""

    executions: Sequence[Ran] = ()
    journal: Sequence[JournalRow] = ()
    events: Sequence[EventRow] = ()
    subscriptions: Sequence[SubscriptionRow] = ()
    reactions: Sequence[ReactionRow] = ()
    nodes: Sequence[Known] = ()
    slots: Sequence[tuple[str, int, int | None]] = ()
    written: Sequence[Written] = ()
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    """How many rows there are in tables that have to be empty in the end."""
    journals: Mapping[int, list[r.Record]] = field(default_factory=dict[int, list[r.Record]])
    """By execution key."""


LEFT_OVER = ("mailbox", "calls", "dead_letters", "holds", "event_waits")
"""Tables that are empty when everything is over."""


def read_store(server: Server, schema: str) -> Stored:
    """Return what is in a store."""
    return asyncio.run(_read(server, schema))


async def _read(server: Server, schema: str) -> Stored:
    connection = await server.connect()
    try:
        await connection.execute(f"SET search_path = {schema}, {witness_of(schema)}")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _read_all(connection)
    finally:
        await connection.close()


async def _read_all(connection: Any) -> Stored:
    async def rows(columns: Sequence[str], table: str, order: str) -> list[Any]:
        query = f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}"  # noqa: S608 - constants
        return [tuple(row) for row in await connection.fetch(query)]

    counts = {
        table: await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - constants
        for table in LEFT_OVER
    }
    columns = ("execution_key", "first_seq", "count", "codec", "body", "digest")
    journal = [JournalRow(*row) for row in await rows(columns, "journal", "1, 2")]
    journals: dict[int, list[r.Record]] = {}
    for one in journal:
        journals.setdefault(one.execution_key, []).extend(r.decode_records(bytes(one.body)))
    return Stored(
        [Ran(*row) for row in await rows(Ran._fields, "executions", "key")],
        journal,
        [EventRow(*row) for row in await rows(EventRow._fields, "events", "position")],
        [
            SubscriptionRow(*row)
            for row in await rows(SubscriptionRow._fields, "subscriptions", "1")
        ],
        [ReactionRow(*row) for row in await rows(ReactionRow._fields, "reactions", "2, 1")],
        [Known(*row) for row in await rows(Known._fields, "nodes", "incarnation")],
        await rows(("service", "slot", "owner"), "slots", "1, 2"),
        [Written(*row) for row in await rows(Written._fields, "written", "number")],
        counts,
        journals,
    )


def witness_of(schema: str) -> str:
    """Return the schema beside a store's in which there is who wrote what."""
    return f"{schema}_witness"
