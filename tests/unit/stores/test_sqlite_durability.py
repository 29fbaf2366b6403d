"""What a commit of SQLite is worth, and who may host a store whose connection is broken."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from counterpoint.errors import StoreBrokenError, StoreLockedError
from counterpoint.model.rows import Commit
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing.conformance.store_case import execution

FULL = 2


@pytest.mark.parametrize("node", [True, False], ids=["node", "client"])
async def test_every_commit_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: bool
) -> None:
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def connecting(*given: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*given, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", connecting)
    store = SqliteStore(tmp_path / "shop.db")
    await store.open(node=node)

    assert opened[-1].execute("PRAGMA synchronous").fetchone() == (FULL,)
    assert opened[-1].execute("PRAGMA journal_mode").fetchone() == ("wal",)
    await store.close()


async def test_a_store_whose_commit_is_unknown_is_hosted_until_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_text: str, _values: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
        raise error

    store, other = SqliteStore(tmp_path / "shop.db"), SqliteStore(tmp_path / "shop.db")
    await store.open(node=True)
    monkeypatch.setattr(store, "_execute", fails)
    with pytest.raises(StoreBrokenError):
        await store.commit(Commit(starts=[execution(1)]))

    with pytest.raises(StoreLockedError):
        await other.open(node=True)
    await store.close()
    await other.open(node=True)
    await other.close()
