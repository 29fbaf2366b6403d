"""What the store's file says of events while no node runs: read with sqlite3 alone."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from tests.crash.flow import STORE

from counterpoint.model import records as r

OVER = ("completed", "discarded")
Place = tuple[int, int]
"""The number of a subscription, and a position of the log."""
LaneKey = tuple[str, str, str]
"""Service, name of a lane, and key of events."""


class Logged(NamedTuple):
    """An event of the log."""

    position: int
    source: str
    id: str
    type: str
    key: str
    correlation_id: str
    causation_id: str | None
    publisher: str | None
    hops: int
    recorded_at: int
    data: bytes


class Subscribed(NamedTuple):
    """A subscription."""

    number: int
    service: str
    name: str
    type: str
    lane: str
    replay: int
    position: int
    until: int | None
    publishes: int
    event_key: str | None

    def lane_of(self, event: Logged) -> LaneKey:
        """Return where an event waits for its turn."""
        return self.service, self.lane, event.key

    def takes(self, event: Logged) -> bool:
        """Whether an event is of the type that this is about."""
        return event.type == self.type


class Ran(NamedTuple):
    """An execution of a workflow."""

    key: int
    id: str
    name: str
    status: str
    finished_at: int | None


class Waits(NamedTuple):
    """A wait of an execution for an event."""

    execution_key: int
    wait: int
    execution_id: str
    type: str
    event_key: str
    position: int
    since: int


class Acted(NamedTuple):
    """An act of a person."""

    kind: str
    subject: str
    request_id: str
    detail: Mapping[str, Any]


@dataclass
class StoredEvents:
    """Everything that the file says of events."""

    events: Sequence[Logged] = ()
    subscriptions: Sequence[Subscribed] = ()
    marks: Mapping[Place, str] = field(default_factory=dict[Place, str])
    """The status of each mark in the inbox."""
    dead: frozenset[Place] = frozenset()
    holds: Mapping[LaneKey, int] = field(default_factory=dict[LaneKey, int])
    waits: Sequence[Waits] = ()
    executions: Sequence[Ran] = ()
    acts: Sequence[Acted] = ()
    mail: Sequence[tuple[str, str, bytes]] = ()
    """Kind, request id and body of what was posted and not taken over."""
    journals: Mapping[int, list[r.Record]] = field(default_factory=dict[int, list[r.Record]])

    def over(self, subscription: Subscribed, position: int) -> bool:
        """Whether an event was taken, or given up by somebody."""
        return self.marks.get((subscription.number, position)) in OVER

    @property
    def own(self) -> list[Subscribed]:
        """The subscriptions that are no replays."""
        return [one for one in self.subscriptions if not one.replay]


def read_events(directory: Path) -> StoredEvents:
    """Return what the file says; nothing if a node was killed before it made one."""
    path = (directory / STORE).absolute()
    if not path.exists() or path.with_name(f"{STORE}-journal").exists():
        return StoredEvents()  # only a file that was about to become a store has that journal
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        db.execute("BEGIN")  # a client may write beside: all is read as of one moment
        tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'event_waits'"
        if not db.execute(tables).fetchone()[0]:
            return StoredEvents()
        return _read(db)


def _read(db: sqlite3.Connection) -> StoredEvents:
    def rows(query: str) -> list[tuple[Any, ...]]:
        return db.execute(query).fetchall()

    journals: dict[int, list[r.Record]] = {}
    for key, body in rows("SELECT execution_key, body FROM journal ORDER BY 1, first_seq"):
        journals.setdefault(key, []).extend(r.decode_records(body))
    return StoredEvents(
        [
            Logged(*row)
            for row in rows(
                "SELECT position, source, id, type, key, correlation_id, causation_id, publisher,"
                " hops, recorded_at, data FROM events ORDER BY position"
            )
        ],
        [
            Subscribed(*row)
            for row in rows(
                "SELECT number, service, name, type, lane, replay, position, until, publishes,"
                " event_key FROM subscriptions ORDER BY number"
            )
        ],
        {
            (s, p): status
            for s, p, status in rows("SELECT subscription, position, status FROM reactions")
        },
        frozenset(rows("SELECT subscription, position FROM dead_letters")),
        {(s, lane, key): p for s, lane, key, p in rows("SELECT * FROM holds")},
        [Waits(*row) for row in rows("SELECT * FROM event_waits")],
        [Ran(*row) for row in rows("SELECT key, id, name, status, finished_at FROM executions")],
        [
            Acted(kind, subject, request, msgspec.json.decode(detail))
            for kind, subject, request, detail in rows(
                "SELECT kind, subject, request_id, detail FROM acts ORDER BY number"
            )
        ],
        [
            (kind, request, body)
            for kind, request, body in rows("SELECT kind, request_id, body FROM mailbox")
        ],
        journals,
    )
