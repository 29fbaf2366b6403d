"""The services' own books: one SQLite file beside the store, written by the node's activities.

The payment provider is one of them. Of some orders its answer gets lost once, after it has charged
or before, and the file says beforehand of which.
"""

import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from counterpoint import activity

FILE = "books.db"
CLOSED = "warehouse-closed"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, order_id TEXT NOT NULL, key TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS effects (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, order_id TEXT NOT NULL, key TEXT NOT NULL,
  cents INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS lost_answers (
  order_id TEXT PRIMARY KEY, charged INTEGER NOT NULL, expired INTEGER NOT NULL
);
"""


def folder() -> Path:
    """Return where the rehearsal's files are: the variable REHEARSAL_DIR."""
    return Path(os.environ["REHEARSAL_DIR"])


@cache
def _own(path: Path) -> sqlite3.Connection:
    """Return this process's connection; the file need not survive a crash of the machine."""
    db = sqlite3.connect(path, isolation_level=None, timeout=30)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=OFF")
    db.executescript(_SCHEMA)
    return db


def have_effect(order: str, cents: int = 0) -> int:
    """Write down the running activity's effect, every time it is called; return its number."""
    call = activity.info()
    done = _own(folder() / FILE).execute(
        "INSERT INTO effects (name, order_id, key, cents) VALUES (?, ?, ?, ?)",
        (call.activity, order, call.idempotency_key, cents),
    )
    return done.lastrowid or 0


def note_call(order: str) -> None:
    """Write down that the running activity was called."""
    call = activity.info()
    _own(folder() / FILE).execute(
        "INSERT INTO calls (name, order_id, key) VALUES (?, ?, ?)",
        (call.activity, order, call.idempotency_key),
    )


def lose_answer(order: str) -> bool | None:
    """Whether the provider charges before its answer gets lost; None if it does not get lost."""
    db = _own(folder() / FILE)
    row = db.execute("SELECT charged FROM lost_answers WHERE order_id = ?", (order,)).fetchone()
    if row is None:
        return None
    db.execute("UPDATE lost_answers SET order_id = 'was ' || ? WHERE order_id = ?", (order, order))
    return bool(row[0])


# ---- from outside -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Effect:
    """A line of the books."""

    number: int
    name: str
    order: str
    key: str
    cents: int


@dataclass(frozen=True, slots=True)
class Books:
    """What the services have written down."""

    effects: Sequence[Effect]
    calls: Sequence[tuple[str, str, str]]
    """Name, order and key of each call, in order."""
    expired: frozenset[str]
    """Orders of which the provider knows that the card has expired."""

    def charge(self, key: str) -> Effect | None:
        """Return what the provider has under an idempotency key."""
        return next((one for one in self.effects if one.key == key), None)

    def of_orders(self) -> Mapping[str, dict[str, int]]:
        """Return how often each effect was had, by order."""
        found: dict[str, dict[str, int]] = {}
        for one in self.effects:
            counts = found.setdefault(one.order, {})
            counts[one.name] = counts.get(one.name, 0) + 1
        return found


def make(directory: Path) -> None:
    """Make the file, so that it can be read before a node has written to it."""
    with closing(sqlite3.connect(directory / FILE)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(_SCHEMA)


def plan_lost_answers(directory: Path, plans: Sequence[tuple[str, bool, bool]]) -> None:
    """Have the provider's answer get lost: order, whether it charges, whether the card expired."""
    with closing(sqlite3.connect(directory / FILE, timeout=30)) as db, db:
        db.executemany("INSERT INTO lost_answers VALUES (?, ?, ?)", plans)


def count(directory: Path, name: str) -> int:
    """Return how many effects of a kind there are."""
    (found,) = _read(directory, "SELECT count(*) FROM effects WHERE name = ?", name)[0]
    return int(found)


def read(directory: Path) -> Books:
    """Return all books."""
    effects = _read(directory, "SELECT id, name, order_id, key, cents FROM effects ORDER BY id")
    calls = _read(directory, "SELECT name, order_id, key FROM calls ORDER BY id")
    expired = _read(directory, "SELECT order_id FROM lost_answers WHERE expired")
    return Books(
        [Effect(*row) for row in effects],
        [(name, order, key) for name, order, key in calls],
        frozenset(order.removeprefix("was ") for (order,) in expired),
    )


def _read(directory: Path, statement: str, *values: object) -> list[Any]:
    with closing(sqlite3.connect(directory / FILE, timeout=30)) as db:
        return db.execute(statement, values).fetchall()
