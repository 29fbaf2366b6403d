"""A service's own SQLite file, in which an effect and the key that caused it are one transaction.

An activity runs at least once: after a crash, nobody knows whether the attempt that was under way
had its effect. So a service keeps the idempotency key and its answer beside the effect. The same
key again gives the same answer and has no second effect.
"""

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from counterpoint.activity import AttemptInfo

T = TypeVar("T")
Answer: TypeAlias = dict[str, Any]
Effect: TypeAlias = Callable[[sqlite3.Connection], Answer]

SERVICES = ("orders", "payments", "inventory")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, step TEXT NOT NULL, name TEXT NOT NULL,
  attempt INTEGER NOT NULL, at REAL NOT NULL, reached INTEGER NOT NULL
);
"""


def folder() -> Path:
    """Return where the shop's files are: the variable SHOP_DIR, or `var/shop`."""
    return Path(os.environ.get("SHOP_DIR", "var/shop"))


class OwnFile:
    """One service's file, `<folder>/<service>.db`; may be used from several threads."""

    def __init__(self, service: str, schema: str) -> None:
        self.service = service
        self._schema = _SCHEMA + schema
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._path: Path | None = None

    def once(self, call: AttemptInfo, effect: Effect) -> Answer:
        """Have *effect* unless the call's key already had it; return its answer either way."""

        def answer(db: sqlite3.Connection) -> Answer:
            _log(db, call, reached=True)
            found = db.execute(
                "SELECT answer FROM answers WHERE key = ?", [call.idempotency_key]
            ).fetchone()
            if found is not None:
                known: Answer = json.loads(found[0])
                return known
            given = effect(db)
            db.execute(
                "INSERT INTO answers VALUES (?, ?)", [call.idempotency_key, json.dumps(given)]
            )
            return given

        return self.write(answer)

    def note(self, call: AttemptInfo) -> None:
        """Log a call that came to nothing."""
        self.write(lambda db: _log(db, call, reached=False))

    def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Make a change of this file in one durable transaction."""
        with self._lock:
            db = self._connection()
            db.execute("BEGIN IMMEDIATE")
            try:
                result = change(db)
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise
            return result

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._db is not None:
                self._db.close()
            self._db = None

    def _connection(self) -> sqlite3.Connection:
        path = folder() / f"{self.service}.db"
        if self._db is not None and self._path == path:
            return self._db
        if self._db is not None:
            self._db.close()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._path = path
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(self._schema)
        return self._db


def services_in(directory: Path) -> list[str]:
    """Return the services that have a file in a folder."""
    return sorted(path.stem for path in directory.glob("*.db") if path.stem != "counterpoint")


def read(directory: Path, service: str, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query on a service's file, without being able to change it."""
    path = (directory / f"{service}.db").absolute()
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(query).fetchall()


def part_of(call: AttemptInfo, part: object) -> AttemptInfo:
    """Return the call with a key of its own for one of several effects that it has."""
    return replace(call, idempotency_key=f"{call.idempotency_key}.{part}")


def _log(db: sqlite3.Connection, call: AttemptInfo, *, reached: bool) -> None:
    """Log a call under the step that made it: an activity's key, or the execution of a reaction."""
    step = call.idempotency_key if call.event is None else call.execution_id
    db.execute(
        "INSERT INTO calls (key, step, name, attempt, at, reached) VALUES (?, ?, ?, ?, ?, ?)",
        [call.idempotency_key, step, call.activity, call.attempt, time.time(), reached],
    )
