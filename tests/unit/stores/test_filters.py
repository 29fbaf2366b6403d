"""Queries search by an index, so that a page costs what it reads."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from counterpoint.model.rows import Query
from counterpoint.model.states import Status
from counterpoint.stores.filters import select_executions
from counterpoint.stores.migrate import MIGRATIONS
from counterpoint.stores.queries import load_queries, read_sql
from counterpoint.stores.rows import ManyRows

SQL = load_queries("sqlite/executions.sql", "sqlite/attributes.sql")


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        for migration in MIGRATIONS:
            connection.executescript(read_sql(migration))
        yield connection


def plan(database: sqlite3.Connection, text: str, values: list[object]) -> str:
    rows = database.execute("EXPLAIN QUERY PLAN " + text, values).fetchall()
    return "\n".join(row[3] for row in rows)


@pytest.mark.parametrize(
    "query",
    [
        Query(attributes={"colour": "red"}),
        Query(attributes={"colour": "red", "size": "5"}, before=7),
        Query(attributes={"colour": "red"}, statuses=[Status.INCIDENT]),
        Query(attributes={"colour": "red"}, correlation_id="flow", workflow="orders.place"),
    ],
    ids=str,
)
def test_attributes_are_searched_by_their_values_without_sorting(
    database: sqlite3.Connection, query: Query
) -> None:
    text, values = select_executions(SQL, query)

    steps = plan(database, text, [*values])

    assert "attributes_value (name=? AND value=? AND execution_key<?)" in steps
    assert "SCAN" not in steps
    assert "TEMP B-TREE" not in steps


def test_children_are_searched_by_their_parent(database: sqlite3.Connection) -> None:
    text, values = select_executions(SQL, Query(parent_key=1, before=9))

    steps = plan(database, text, [*values])

    assert "executions_parent (parent_key=? AND rowid<?)" in steps
    assert "TEMP B-TREE" not in steps


def test_later_runs_are_searched_by_their_id(database: sqlite3.Connection) -> None:
    text, values = select_executions(SQL, Query(newest_runs=True))

    assert "executions_id (id=? AND run>?)" in plan(database, text, [*values])


def test_single_attributes_are_deleted_by_their_key(database: sqlite3.Connection) -> None:
    steps: list[str] = []

    ManyRows(SQL["drop_attributes"]).write(
        lambda text, values: steps.append(plan(database, text, [*values])), [(1, "colour")]
    )

    assert "attributes USING PRIMARY KEY (execution_key=? AND name=?)" in steps[0]


def test_what_is_forgotten_is_searched_by_its_end(database: sqlite3.Connection) -> None:
    steps = plan(database, SQL["finished_executions"], [5, 10])

    assert "executions_finished (finished_at>? AND finished_at<?)" in steps
    assert "root USING INTEGER PRIMARY KEY" in steps
    assert "TEMP B-TREE" not in steps
