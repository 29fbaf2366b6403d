"""The SQLite store keeps every promise of the port."""

import itertools
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings

from counterpoint.model.messages import ActRow
from counterpoint.ports.store import Store
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing.conformance.store import StoreConformance
from counterpoint.testing.conformance.store_model import StoreModel

COLUMNS = {"acts": ", ".join(ActRow._fields)}
KEYS = {
    "journal": "1, 2",
    "attributes": "1, 2",
    "reactions": "2, 1",
    "dead_letters": "1, 2",
    "holds": "1, 2, 3",
    "event_waits": "1, 2",
    "contracts": "1, 2",
    "acts": "number",
}


class TestSqliteStore(StoreConformance):
    features = SqliteStore.features

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "counterpoint.db"

    def make_store(self) -> Store:
        return SqliteStore(self.path)

    def raw_rows(self, table: str) -> list[tuple[object, ...]] | None:
        columns, key = COLUMNS.get(table, "*"), KEYS.get(table, "1")
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(f"SELECT {columns} FROM {table} ORDER BY {key}").fetchall()  # noqa: S608 - our own tables


class SqliteStoreModel(StoreModel):
    directory = tempfile.TemporaryDirectory(prefix="counterpoint-")
    numbers = itertools.count()

    def new_store(self) -> Store:
        return SqliteStore(Path(self.directory.name) / f"{next(self.numbers)}.db")


TestSqliteStoreModel = SqliteStoreModel.TestCase
TestSqliteStoreModel.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
