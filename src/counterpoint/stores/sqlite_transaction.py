"""A user's transaction in the store's file: between two commits, on the store's one connection.

*Alone.* SQLite has one writer at a time. While a user's transaction is open, `commit` and `forget`
of this store wait, and so do those of other stores of this process on the same file, if they are
used on the same event loop: waiting for SQLite's own lock would block the loop on which the user's
function runs. Other processes wait for SQLite's lock, up to their `busy_timeout`.

*Bounded.* Whoever keeps it open for longer than `transaction_timeout` finds it rolled back, and the
store goes on. The time ends with `check`: what follows, the commit, does not wait for the user.

*Reads.* The runtime reads on the same connection while the transaction is open, so it would see
what is not committed. It reads Counterpoint's tables only, and nothing is written to them before
`commit`, which writes and commits in one go, without awaiting: users may read these tables, and
every statement that would change them is refused when SQLite compiles it. For the same reason no
read is out of date: the transaction begins as one that writes, so nobody else can commit.

*Whole.* Statements that would end the transaction, or change the connection's settings, are
refused, too. If SQLite itself rolls it back (the disk is full), every later use says so. Foreign
keys are enforced; those that are deferred are looked at in `check`, because only a failure there is
one of the attempt.
"""

import asyncio
import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from counterpoint.errors import StoreError
from counterpoint.model.rows import Commit
from counterpoint.stores.migrate import MIGRATIONS
from counterpoint.stores.queries import read_sql

_OURS = frozenset(
    name.lower()
    for migration in MIGRATIONS
    for name in re.findall(r"CREATE TABLE (\w+)", read_sql(migration))
)
_NUMBERED = re.compile(r"\$\d")
_ENDS = frozenset({sqlite3.SQLITE_TRANSACTION})
_SETTINGS = frozenset({sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})
_CHANGES = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_SHAPES = frozenset(
    {
        sqlite3.SQLITE_DROP_TABLE,
        sqlite3.SQLITE_ALTER_TABLE,
        sqlite3.SQLITE_CREATE_TRIGGER,
        sqlite3.SQLITE_CREATE_INDEX,
        sqlite3.SQLITE_DROP_INDEX,
    }
)
_WITH_KEYS = "SELECT count(*) FROM sqlite_master WHERE sql LIKE '%REFERENCES%'"
_DEFERRED = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%DEFERRABLE%'"

OPEN: dict[Path, "SqliteTransaction"] = {}
"""The transactions of this process, by file."""


class Host(Protocol):
    """What a transaction needs of its store."""

    file: Path

    def write_begun(self, commit: Commit) -> int:
        """Write *commit* in the transaction that is open, and commit it."""
        ...

    def undo(self) -> None:
        """Roll back the transaction that is open."""
        ...


class Guard:
    """Refuses what a user's statement may not do; one for each connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.watching = False
        self.why = ""
        connection.set_authorizer(self._authorize)

    def _authorize(self, action: int, first: str | None, second: str | None, *_: str | None) -> int:
        if not self.watching:
            return sqlite3.SQLITE_OK
        why = ""
        if action in _ENDS:
            why = "it would end the transaction, which ends with the function"
        elif action in _SETTINGS:
            why = "it would change the store's connection"
        elif action in _CHANGES or action in _SHAPES:
            tables = (first,) if action in _CHANGES else (first, second)
            for table in filter(_is_ours, tables):
                why = f"it would change {table}, which is Counterpoint's own"
        if why:
            self.why = why
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK


class SqliteTransaction:
    """See `ports.cluster.Transaction`, and `counterpoint.sqlite.Transaction` for what users do."""

    def __init__(
        self, host: Host, connection: sqlite3.Connection, guard: Guard, seconds: float
    ) -> None:
        self._host = host
        self._db = connection
        self._guard = guard
        self._seconds = seconds
        self._expired: Callable[[StoreError], None] | None = None
        self._ended: str | None = None
        """Why nothing can be done with it any more."""
        self._over = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        (self._with_keys,) = connection.execute(_WITH_KEYS).fetchone()
        if self._with_keys:
            connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN IMMEDIATE")
        OPEN[host.file] = self
        self._alarm: asyncio.TimerHandle | None = self._loop.call_later(seconds, self._expire)

    # ---- what users do ------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return self._ended is not None

    async def execute(self, query: str, /, *args: Any) -> str:
        """Execute a statement; return its first word and how many rows it changed."""
        cursor = self._run(query, args)
        word = query.split(None, 1)[0].upper() if query.strip() else ""
        changed = f" {cursor.rowcount}" if cursor.rowcount >= 0 else ""
        return f"{word} 0{changed}" if word == "INSERT" else word + changed

    async def executemany(self, command: str, args: Iterable[Sequence[Any]], /) -> None:
        """Execute a statement once for each sequence of values."""
        self._check_open()
        values = [_bound(command, tuple(one)) for one in args]
        self._guarded(lambda cursor: cursor.executemany(command, values))

    async def fetch(self, query: str, /, *args: Any) -> list[sqlite3.Row]:
        """Execute a query and return all its rows."""
        return self._rows(query, args)

    async def fetchrow(self, query: str, /, *args: Any) -> sqlite3.Row | None:
        """Execute a query and return its first row, or None if there is none."""
        rows = self._rows(query, args)
        return rows[0] if rows else None

    async def fetchval(self, query: str, /, *args: Any) -> Any:
        """Execute a query and return the first value of its first row; None if there is none."""
        rows = self._rows(query, args)
        return rows[0][0] if rows else None

    # ---- ports.cluster.Transaction ------------------------------------------------------------

    @property
    def connection(self) -> "SqliteTransaction":
        return self

    def expires(self, expired: Callable[[StoreError], None]) -> None:
        self._expired = expired

    async def check(self) -> None:
        self._stop_alarm()
        self._check_open()
        if self._with_keys:
            for (table,) in self._db.execute(_DEFERRED).fetchall():
                broken = self._db.execute(f'PRAGMA foreign_key_check("{table}")').fetchone()
                if broken is not None:
                    raise sqlite3.IntegrityError(
                        f"FOREIGN KEY constraint failed: a row of {table} refers to a row of "
                        f"{broken[2]} that does not exist"
                    )

    async def commit(self, commit: Commit) -> int:
        self._stop_alarm()
        self._check_open()
        try:
            return self._host.write_begun(commit)
        finally:
            self._end("it is committed")

    async def rollback(self) -> None:
        if self._ended is None:
            self._undo("it is rolled back")

    # ---- the store ----------------------------------------------------------------------------

    async def over(self) -> None:
        """Wait until it has ended."""
        await self._over.wait()

    def cut_off(self) -> None:
        """The store has closed its connection."""
        if self._ended is None:
            self._end("the store was closed")

    def is_on(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it ends on that event loop."""
        return self._loop is loop

    # ---- inside -------------------------------------------------------------------------------

    def _rows(self, query: str, args: tuple[Any, ...]) -> list[sqlite3.Row]:
        return self._run(query, args).fetchall()

    def _run(self, query: str, args: tuple[Any, ...]) -> sqlite3.Cursor:
        self._check_open()
        values = _bound(query, args)
        return self._guarded(lambda cursor: cursor.execute(query, values))

    def _guarded(self, act: Callable[[sqlite3.Cursor], sqlite3.Cursor]) -> sqlite3.Cursor:
        guard = self._guard
        cursor = self._db.cursor()
        cursor.row_factory = sqlite3.Row
        guard.watching, guard.why = True, ""
        try:
            return act(cursor)
        except sqlite3.DatabaseError as error:
            if guard.why:
                raise StoreError(f"the statement was refused: {guard.why}") from error
            raise
        finally:
            guard.watching = False

    def _check_open(self) -> None:
        if self._ended is None and not self._db.in_transaction:
            self._end("SQLite has rolled it back after an error")
        if self._ended is not None:
            raise StoreError(f"the transaction cannot be used any more: {self._ended}")

    def _expire(self) -> None:
        why = (
            f"it was open for longer than {self._seconds:g} s, and nobody else can write while it "
            "is: do what takes time before it, in another activity, or raise transaction_timeout "
            "of the SqliteStore"
        )
        self._undo(why)
        if self._expired is not None:
            self._expired(StoreError(f"the transaction was rolled back: {why}"))

    def _undo(self, why: str) -> None:
        try:
            self._host.undo()
        finally:
            self._end(why)

    def _end(self, why: str) -> None:
        self._stop_alarm()
        self._ended = why
        if OPEN.get(self._host.file) is self:
            del OPEN[self._host.file]
        if self._with_keys:
            with suppress(sqlite3.Error):  # the connection may be closed, or of no use
                self._db.execute("PRAGMA foreign_keys = OFF")
        self._over.set()

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


async def others_are_over(file: Path) -> None:
    """Wait until no transaction is open in a file on the running event loop."""
    while (found := OPEN.get(file)) is not None:
        if not found.is_on(asyncio.get_running_loop()):
            return
        await found.over()


def _bound(query: str, args: tuple[Any, ...]) -> Any:
    """Return values as sqlite3 takes them: by number where the statement has `$1`."""
    if args and _NUMBERED.search(query) is not None:
        return {str(number): value for number, value in enumerate(args, 1)}
    return args


def _is_ours(table: str | None) -> bool:
    return table is not None and table.lower() in _OURS
