"""What a PostgreSQL store says about itself: the server, its settings, the way to it."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from counterpoint.model.findings import Examination, Fact, Finding, Severity, WorkflowLoad
from counterpoint.model.ids import generate_id
from counterpoint.stores.postgres_migrate import MIGRATIONS
from counterpoint.stores.queries import queries_of

HEARD_WITHIN_SECONDS = 1.0
ROUND_TRIPS = 5
CONNECTIONS_PART_MAX = 0.9
TRANSACTION_SECONDS_MAX = 300.0
_UNKNOWN_PROCESS = 0


class PostgresExamination(ABC):
    """The part of `PostgresStore` that is about the store itself."""

    _name: str
    _schema: str

    @abstractmethod
    async def _rows(self, text: str, *values: Any) -> Sequence[Any]:
        """Return what a statement reads."""

    @abstractmethod
    async def _connect_alone(self) -> Any:
        """Return a new connection, which whoever asked for it closes."""

    async def workflow_loads(self) -> list[WorkflowLoad]:
        rows = await self._rows(_queries(self._schema)["workflow_loads"])
        return [WorkflowLoad._make(row) for row in rows]

    async def hosted_by(self) -> int | None:
        ((hosted,),) = await self._rows(_queries(self._schema)["is_hosted"])
        return _UNKNOWN_PROCESS if hosted else None

    async def examine(self) -> Examination:
        sql = _queries(self._schema)
        (found,) = await self._rows(sql["facts"])
        old = await self._rows(sql["old_transactions"], TRANSACTION_SECONDS_MAX)
        heard = await self._hears()
        facts: dict[str, Fact] = {
            "store": self._name,
            "schema": self._schema,
            "engine": f"PostgreSQL {found['server']}",
            "schema_version": found["schema_version"],
            "schema_version_known": len(MIGRATIONS),
            "isolation": found["isolation"],
            "synchronous_commit": found["synchronous_commit"],
            "fsync": found["fsync"],
            "full_page_writes": found["full_page_writes"],
            "connections": found["connections"],
            "connections_max": found["connections_max"],
            "store_bytes": found["store_bytes"],
            "round_trip_ms": await self._round_trip_ms(sql["round_trip"]),
            "listen": heard,
        }
        findings = [*_durability(facts), *_schema_version(facts), *_connections(facts)]
        findings += _transactions(old)
        if not heard:
            findings.append(_deaf(self._name))
        return Examination(facts, findings)

    async def _round_trip_ms(self, text: str) -> float:
        """Return the shortest of a few: what the way there and back costs."""
        took: list[float] = []
        for _ in range(ROUND_TRIPS):
            began = time.perf_counter()
            await self._rows(text)
            took.append(time.perf_counter() - began)
        return round(min(took) * 1e3, 3)

    async def _hears(self) -> bool:
        """Whether a connection hears what another one says: not through every kind of pool."""
        channel = f"counterpoint_{generate_id()}"
        heard = asyncio.Event()

        def hear(*_said: object) -> None:
            heard.set()

        connection = await self._connect_alone()
        try:
            await connection.add_listener(channel, hear)
            await self._rows(_queries(self._schema)["notify"], channel)
            with suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), HEARD_WITHIN_SECONDS)
        finally:
            connection.terminate()
        return heard.is_set()


def _queries(schema: str) -> Mapping[str, str]:
    return queries_of(schema, "postgres/examination.sql")


_RISKS = {
    ("synchronous_commit", "off"): "commits are acknowledged before they are on the disk: what was "
    "acknowledged in the last moments is lost when the server crashes",
    ("fsync", "off"): "nothing is forced to the disk: the database may be damaged when its machine "
    "crashes",
    ("full_page_writes", "off"): "pages that were half written when the machine crashed cannot be "
    "repaired",
}


def _durability(facts: Mapping[str, Fact]) -> Iterator[Finding]:
    for (setting, value), what in _RISKS.items():
        if facts[setting] == value:
            yield Finding(
                Severity.WARNING,
                "durability",
                f"{setting} is {value}: {what}",
                f"the server's setting {setting}",
                f"set {setting} = on, for the server or for this role (ALTER ROLE … SET)"
                if setting == "synchronous_commit"
                else f"set {setting} = on in postgresql.conf and reload the server",
            )


def _schema_version(facts: Mapping[str, Fact]) -> Iterator[Finding]:
    version, known = facts["schema_version"], facts["schema_version_known"]
    if isinstance(version, int) and isinstance(known, int) and version > known:
        yield Finding(
            Severity.NOTE,
            "newer-schema",
            f"a newer Counterpoint has brought the schema to version {version}; this one knows "
            f"{known} and can work with it",
            "the schema",
            "finish the deployment: upgrade Counterpoint on the nodes that are left",
        )


def _connections(facts: Mapping[str, Fact]) -> Iterator[Finding]:
    used, most = facts["connections"], facts["connections_max"]
    if isinstance(used, int) and isinstance(most, int) and used > CONNECTIONS_PART_MAX * most:
        yield Finding(
            Severity.WARNING,
            "connections",
            f"{used} of {most} connections of the server are in use",
            "the server's setting max_connections",
            "raise it, or put a pool between: a node that finds no connection does not start",
        )


def _transactions(rows: Sequence[Any]) -> Iterator[Finding]:
    for row in rows:
        since = datetime.fromtimestamp(row["since"] / 1e6, UTC)
        who = f" of {row['application']}" if row["application"] else ""
        yield Finding(
            Severity.WARNING,
            "long-transaction",
            f"a transaction{who} ({row['state']}) is open since {since:%Y-%m-%d %H:%M:%S} UTC: "
            "while it is, no deleted row is cleaned away, and tables grow",
            f"session {row['pid']}",
            f"end it: SELECT pg_terminate_backend({row['pid']}); bound such with "
            "idle_in_transaction_session_timeout",
        )


def _deaf(name: str) -> Finding:
    return Finding(
        Severity.NOTE,
        "no-listen",
        "notifications do not arrive, probably because of a pool that gives every transaction "
        "another session: nodes hear of new work by polling, up to a second later",
        name,
        "nothing has to be done; a URL that leads to the server itself is quicker",
    )
