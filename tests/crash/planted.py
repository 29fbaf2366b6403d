"""Defects that are planted to see that the rounds find them: `tests.crash.run --plant NAME`.

Each is put into the program before a round's processes are forked, and has to be found by some
rounds of the trouble that it is named after (`log-believed`: by those with sync errors, rarely).
"""

from collections.abc import Callable, Mapping
from unittest.mock import patch

from tests.crash import wal

from counterpoint.errors import StoreFullError
from counterpoint.model.rows import Commit
from counterpoint.stores import failures, sqlite
from counterpoint.stores.locks import NodeLock
from counterpoint.stores.sqlite import SqliteStore


def host_beside_others() -> None:
    """Let every process host the store."""
    patch.object(NodeLock, "acquire").start()


def acknowledge_without_room() -> None:
    """Acknowledge what the disk had no room for."""
    commit = SqliteStore.commit

    async def careless(store: SqliteStore, what: Commit) -> int:
        try:
            return await commit(store, what)
        except StoreFullError:
            return 0

    patch.object(SqliteStore, "commit", careless).start()


def go_on_without_sync() -> None:
    """Open the store again after a sync that failed, and go on."""
    patch.object(failures, "_SYNC_ERRORS", frozenset[int]()).start()


def believe_the_log() -> None:
    """Open a store without writing again what a failed sync left in memory."""
    patch.object(sqlite, "make_durable").start()


def commit_without_sync() -> None:
    """Commit without a sync, as with `synchronous=NORMAL`."""
    connect = SqliteStore._connect

    def careless(store: SqliteStore, *, node: bool) -> None:
        connect(store, node=node)
        assert store._db is not None
        store._db.execute("PRAGMA synchronous = NORMAL")

    patch.object(SqliteStore, "_connect", careless).start()


def lose_one_more_commit() -> None:
    """Expect one commit less of a log than there is."""
    count = wal.Log.commits_before

    def wrong(log: wal.Log, cut: int) -> int:
        return max(0, count(log, cut) - 1)

    patch.object(wal.Log, "commits_before", wrong).start()


PLANTS: Mapping[str, Callable[[], None]] = {
    "pauses": host_beside_others,
    "full-disk": acknowledge_without_room,
    "sync-errors": go_on_without_sync,
    "log-believed": believe_the_log,
    "power-cuts": commit_without_sync,
    "cut-logs": lose_one_more_commit,
}
