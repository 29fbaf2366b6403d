"""The store in one SQLite file.

*Threads.* Everything runs on the thread of the caller's event loop, without awaiting: handing a
commit to a writer thread and back costs more than the commit, and beside a busy loop the thread
waits for Python's lock at every step of SQLite. So a commit takes as few steps as possible (see
`rows`).

*Durability.* A write-ahead log with `synchronous=FULL`: a commit is synced before it returns. The
node alone writes executions and journals, under an operating system lock (see `locks`); clients
write mail in the moments between its commits, for which SQLite's own locks serve. What another
process left in the log is synced before it is read, and checkpoints are made here (see `wal`).

*Failure.* SQLite's errors become the port's (see `failures`). After an error that leaves a
commit's outcome unknown the connection is closed and every call is refused until the store is
opened again; the node's lock is kept until then.

*Identity.* A store object is one file for ever: its path is made absolute when the object is made,
symbolic links are followed when it is first opened, and a file that was deleted or replaced since
is never believed nor made anew (see `identity`).
"""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, cast

from counterpoint.errors import (
    ConflictError,
    StoreBrokenError,
    StoreError,
    StoreLockedError,
    StoreReadOnlyError,
)
from counterpoint.model.rows import Commit, DueRow, ExecutionRow, JournalRow, MailRow, Query
from counterpoint.model.states import Status
from counterpoint.ports.cluster import Transaction
from counterpoint.ports.store import StoreFeatures
from counterpoint.stores.failures import BINDING_ERRORS, error_code, translate, translate_commit
from counterpoint.stores.filters import select_executions
from counterpoint.stores.identity import Identity, real_path
from counterpoint.stores.locks import NodeLock, hosting_pid
from counterpoint.stores.message_rows import Pair, twice_or_there
from counterpoint.stores.migrate import MIGRATIONS, migrate, schema_version
from counterpoint.stores.rows import (
    Execute,
    Value,
    check_digests,
    execution_row,
    only_node_writes,
)
from counterpoint.stores.sqlite_examination import SqliteExamination
from counterpoint.stores.sqlite_messages import SqliteMessages
from counterpoint.stores.sqlite_transaction import (
    OPEN,
    Guard,
    SqliteTransaction,
    others_are_over,
)
from counterpoint.stores.sqlite_writes import SQL, is_one_step, remember_keys, write
from counterpoint.stores.wal import Checkpoints, make_durable

_COMPILED_STATEMENTS = 256
_WAL_PAUSE_SECONDS = 0.002
_CONSTRAINT = 19  # SQLITE_CONSTRAINT, the primary code of every broken constraint
_NOTHING: list[Value] = []


class SqliteStore(SqliteMessages, SqliteExamination):
    """A store that one node and any number of clients on this machine share as one file.

    App("shop", services=[orders], store=SqliteStore("shop.db"))
    """

    features = StoreFeatures(
        transactions=True, connection="sqlite", transactions_at_once=1, transactions_alone=True
    )

    def __init__(
        self,
        path: str | Path,
        *,
        busy_timeout: timedelta = timedelta(seconds=5),
        max_pages: int | None = None,
        transaction_timeout: timedelta = timedelta(seconds=1),
    ) -> None:
        if str(path) in ("", ":memory:"):
            raise StoreError("SqliteStore keeps a file: use MemoryStore() for a store in memory")
        self.path = Path(path)
        """As it was given, for people to read."""
        self.file = self.path.absolute()
        """The file that it means, whatever the working directory becomes."""
        self._name = str(path)
        self._busy_timeout = busy_timeout
        self._max_pages = max_pages
        self._transaction_seconds = transaction_timeout.total_seconds()
        self._guard: Guard | None = None
        self._identity: Identity | None = None
        self._lock = NodeLock(self.file)
        self._db: sqlite3.Connection | None = None
        self._execute: Execute = self._not_open
        self._node = False
        self._broken: str | None = None
        self._fatal = False
        self._next_key = 0
        self._next_position = 0
        self._data_version = 0
        self._checkpoints: Checkpoints | None = None

    async def open(self, *, node: bool) -> None:
        if self._db is not None:
            if node:
                raise StoreLockedError(self._name, os.getpid())
            raise StoreError(f"{self._name} is open already: make another SqliteStore for it")
        if self._identity is None:
            self.file = real_path(self.file)
            self._lock = NodeLock(self.file)
            self._check_path()
        else:
            self._identity.check()
        Identity(self.file).check_single_name()
        if node:
            self._check_writable()
            self._lock.acquire()
        try:
            self._connect(node=node)
        except sqlite3.Error as error:
            self._disconnect()
            raise translate(error, self._name) from error
        except BaseException:
            self._disconnect()
            raise

    async def close(self) -> None:
        self._disconnect()

    async def reserve_keys(self, count: int) -> range:
        self._check_node()
        first = self._next_key
        self._next_key += count
        return range(first, self._next_key)

    async def commit(self, commit: Commit) -> int:
        if not self._node and only_node_writes(commit):
            self._check_node()
        if OPEN:
            await others_are_over(self.file)
        return self._write(commit, begun=False)

    def write_begun(self, commit: Commit) -> int:
        """Write *commit* in the user's transaction that is open, and commit it."""
        return self._write(commit, begun=True)

    def _write(self, commit: Commit, *, begun: bool) -> int:
        first, last_key = self._next_position, self._next_key - 1
        execute = self._execute
        committing = False
        try:
            if not begun and is_one_step(commit):
                committing = True
                write(execute, commit, first_position=first, last_key=last_key)
            else:
                if not begun:
                    execute("BEGIN IMMEDIATE", _NOTHING)
                write(execute, commit, first_position=first, last_key=last_key)
                committing = True
                execute("COMMIT", _NOTHING)
        except (sqlite3.Error, *BINDING_ERRORS) as error:
            raise self._failed_commit(error, commit, committing) from error
        except BaseException:
            self._rollback()
            raise
        if self._lost():  # 2 µs, so that nothing is acknowledged that is nowhere
            self._not_open("", _NOTHING)
        if self._checkpoints is not None:
            self._move_log(self._checkpoints)
        if commit.messages is None or not commit.messages.events:
            return 0
        self._next_position += len(commit.messages.events)
        return first

    async def execution(self, execution_id: str) -> ExecutionRow | None:
        rows = self._read(SQL["newest_execution"], execution_id)
        return execution_row(rows[0]) if rows else None

    async def executions(self, query: Query) -> list[ExecutionRow]:
        text, values = select_executions(SQL, query)
        return [execution_row(row) for row in self._read(text, *values)]

    async def journal(self, key: int, *, after_seq: int = 0) -> list[JournalRow]:
        rows = [JournalRow._make(row) for row in self._read(SQL["read_journal"], key, after_seq)]
        check_digests(rows)
        return rows

    async def attributes(self, key: int) -> dict[str, str]:
        return dict(self._read(SQL["read_attributes"], key))

    async def due(self, *, after: tuple[int, int], until: int, limit: int) -> list[DueRow]:
        rows = self._read(SQL["due_executions"], *after, until, limit)
        return [DueRow._make(row) for row in rows]

    async def mail(
        self, *, after: int, limit: int, execution_id: str | None = None
    ) -> list[MailRow]:
        if execution_id is None:
            rows = self._read(SQL["read_mail"], after, limit)
        else:
            rows = self._read(SQL["read_mail_of"], execution_id, after, limit)
        return [MailRow._make(row) for row in rows]

    async def changed(self) -> bool:
        if self._db is not None and self._lost():
            return True  # and the read that the caller makes then says what happened
        ((version,),) = self._read("PRAGMA data_version")
        before, self._data_version = self._data_version, version
        return bool(version != before)

    async def counts(self) -> dict[Status, int]:
        return {Status(status): count for status, count in self._read(SQL["count_executions"])}

    async def begin(self) -> Transaction:
        self._check_node()
        await others_are_over(self.file)
        if self._db is None:
            self._not_open("", _NOTHING)
        try:
            self._guard = self._guard or Guard(self._db)
            return SqliteTransaction(self, self._db, self._guard, self._transaction_seconds)
        except sqlite3.Error as error:
            raise self._failed_commit(error, Commit(), committing=False) from error

    def undo(self) -> None:
        """Roll back the user's transaction that is open."""
        if not self._rollback():
            self._break(StoreBrokenError(f"{self._name}: a transaction could not be undone"))

    async def forget(self, *, finished_before: int, limit: int) -> int:
        def delete(execute: Execute) -> int:
            found = self._read(SQL["finished_executions"], finished_before, limit)
            keys = json.dumps([key for (key,) in found])
            for name in ("journal", "attributes", "waits", "executions"):
                execute(SQL[f"delete_{name}"], [keys])
            return len(found)

        return await self._delete(delete)

    async def _delete(self, delete: Callable[[Execute], int]) -> int:
        await others_are_over(self.file)
        self._check_node()
        execute = self._execute
        committing = False
        try:
            execute("BEGIN IMMEDIATE", _NOTHING)
            remember_keys(execute, self._next_key - 1)
            deleted = delete(execute)
            committing = True
            execute("COMMIT", _NOTHING)
        except sqlite3.Error as error:
            raise self._failed_commit(error, Commit(), committing) from error
        except BaseException:
            self._rollback()
            raise
        return deleted

    # ---- opening and closing --------------------------------------------------------------

    def _check_path(self) -> None:
        if self.file.is_dir():
            raise StoreReadOnlyError(f"{self._name} is a directory: name a file in it")
        if not self.file.parent.is_dir():
            raise StoreReadOnlyError(
                f"{self._name} cannot be created: the directory {self.file.parent} does not exist"
            )

    def _check_writable(self) -> None:
        """Refuse before SQLite makes its log as read-only as the file: the log would stay."""
        as_now = os.access in os.supports_effective_ids
        if self.file.exists() and not os.access(self.file, os.W_OK, effective_ids=as_now):
            raise StoreReadOnlyError(
                f"{self._name}: the file cannot be written to: change the permissions"
            )

    def _connect(self, *, node: bool) -> None:
        known = self._identity
        connection = sqlite3.connect(
            # A file that was there before is not created should it vanish at this very moment.
            self.file.as_uri() + ("?mode=rwc" if known is None else "?mode=rw"),
            uri=True,
            timeout=self._busy_timeout.total_seconds(),
            isolation_level=None,
            cached_statements=_COMPILED_STATEMENTS,
        )
        self._db = connection
        connection.execute("BEGIN")  # one view of the file, which another process may be making
        version = schema_version(connection, self._name)  # before anything is written
        connection.execute("COMMIT")
        if known is not None and version == 0:  # a new file may get the number of a deleted one
            raise known.lost()
        if self._max_pages is not None:
            connection.execute(f"PRAGMA max_page_count = {self._max_pages}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = OFF")
        if self._enter_wal(connection) != "wal":
            raise StoreError(
                f"{self._name} is on a file system without shared memory, which SQLite's "
                "write-ahead log needs: put it on a local disk"
            )
        self._make_durable(connection, node=node)
        if version < len(MIGRATIONS):
            migrate(connection, self._name)
        if node:
            self._host(connection)
            self._checkpoints = Checkpoints(self.file, connection, self._name)
        if known is None:
            self._identity = Identity(self.file)
        else:
            known.check()
        (self._data_version,) = connection.execute("PRAGMA data_version").fetchone()
        self._execute = connection.cursor().execute
        self._node = node
        self._broken = None

    def _enter_wal(self, connection: sqlite3.Connection) -> str:
        """Switch a new file to a write-ahead log; return the journal mode that it is in then."""
        deadline = time.monotonic() + self._busy_timeout.total_seconds()
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            except sqlite3.OperationalError as error:
                # SQLite's own busy timeout does not wait here when two processes switch at once.
                if (
                    error_code(error) or 0
                ) & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(_WAL_PAUSE_SECONDS)
            else:
                return str(mode)

    def _make_durable(self, connection: sqlite3.Connection, *, node: bool) -> None:
        """Doubt what is in the log unless a node is there, which wrote it and knows."""
        if node or hosting_pid(self.file) is None:
            connection.execute("BEGIN IMMEDIATE")
            make_durable(self.file)
            connection.execute("ROLLBACK")

    def _move_log(self, checkpoints: Checkpoints) -> None:
        try:
            checkpoints.after_commit()
        except StoreBrokenError as error:
            self._break(error)
            raise

    def _host(self, connection: sqlite3.Connection) -> None:
        # Only the lock's holder uses keys, so what it has given out since can stay in memory: a key
        # that no row and no counter shows was never written anywhere.
        connection.execute("BEGIN IMMEDIATE")
        (highest,) = connection.execute(SQL["highest_key"]).fetchone()
        (last_position,) = connection.execute(SQL["last_position"]).fetchone()
        # A file that cannot be written fails here; BEGIN would only begin to read it.
        connection.execute(SQL["remember_highest_key"], (highest,))
        connection.execute("ROLLBACK")
        self._next_key = highest + 1
        self._next_position = last_position + 1

    def _disconnect(self) -> None:
        self._hang_up()
        self._broken = None
        self._node = False
        self._lock.release()

    def _hang_up(self) -> None:
        self._execute = self._not_open
        self._checkpoints = None
        self._guard = None
        if self._node and (user := OPEN.get(self.file)) is not None:
            user.cut_off()
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    # ---- using the connection -------------------------------------------------------------

    def _not_open(self, _text: str, _values: list[Value]) -> NoReturn:
        if self._broken is not None:
            error = StoreBrokenError(
                self._broken if self._fatal else f"{self._broken}; it is closed until then"
            )
            error.fatal = self._fatal
            raise error
        raise StoreError(f"{self._name} is not open: await open() first")

    def _check_node(self) -> None:
        if self._db is None:
            self._not_open("", _NOTHING)
        if not self._node:
            raise StoreReadOnlyError(f"a client of {self._name} can only post mail to it")

    def _lost(self) -> bool:
        """Whether the path no longer leads to the open file, which is closed then for good."""
        if self._identity is None or self._identity.holds():
            return False
        self._break(self._identity.lost())
        return True

    def _break(self, error: StoreBrokenError) -> None:
        self._hang_up()
        self._broken = str(error)
        self._fatal = error.fatal

    def _read(self, text: str, *values: Value) -> list[tuple[Any, ...]]:
        if self._db is None:
            self._not_open(text, _NOTHING)
        try:
            return self._db.execute(text, values).fetchall()
        except sqlite3.Error as error:
            raise translate(error, self._name) from error

    def _rollback(self) -> bool:
        """Whether the transaction, if any, is certainly over."""
        if self._db is not None and self._db.in_transaction:
            try:
                self._db.execute("ROLLBACK")
            except sqlite3.Error:
                return False
        return True

    def _failed_commit(self, error: Exception, commit: Commit, committing: bool) -> StoreError:
        certain = self._rollback()
        code = error_code(error)
        if certain and code is not None and code & 0xFF == _CONSTRAINT:
            return self._conflict(error, commit)
        known = translate_commit(error, self._name) if committing else translate(error, self._name)
        if not certain and not isinstance(known, StoreBrokenError):
            known = StoreBrokenError(f"{self._name}: a commit could not be undone: open it again")
        if isinstance(known, StoreBrokenError):
            self._break(known)
        return known

    def _conflict(self, error: Exception, commit: Commit) -> StoreError:
        starts = [(row.id, row.run) for row in commit.starts]
        taken = twice_or_there(starts, self._existing("existing_execution", starts))
        logged = commit.messages.events if commit.messages is not None else ()
        places = [(row.source, row.id) for row in logged]
        events = twice_or_there(places, self._existing("existing_event", places))
        if taken or events:
            return ConflictError(list(dict.fromkeys(id_ for id_, _ in taken)), events)
        return StoreBrokenError(
            f"{self._name}: another writer used the same key or record number; nothing was "
            f"written ({error}): open it again"
        )

    def _existing(self, query: str, wanted: Sequence[Pair]) -> list[Pair]:
        found = (self._read(SQL[query], *one) for one in wanted)
        return [cast("Pair", row) for rows in found for row in rows]
