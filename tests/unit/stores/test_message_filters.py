"""Reads of messages search by an index, or read the log only where they must."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from counterpoint.model.messages import DeadLetterQuery, EventQuery
from counterpoint.stores.message_filters import count_events, select_dead_letters, select_events
from counterpoint.stores.migrate import MIGRATIONS
from counterpoint.stores.queries import read_sql
from counterpoint.stores.sqlite_writes import SQL

BY_KEY = "events USING INDEX events_type (type=? AND key=? AND position>?"


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
        EventQuery(types=["a"], key="k"),
        EventQuery(types=["a", "b", "c"], key="k", after=5),
        EventQuery(types=["a", "b"], key="k", until=9, since=7, newest_first=True),
    ],
    ids=str,
)
def test_events_of_types_and_a_key_are_merged_from_their_index(
    database: sqlite3.Connection, query: EventQuery
) -> None:
    text, values = select_events(SQL, query)

    steps = plan(database, text, [*values])

    assert steps.count(BY_KEY) == len(query.types)
    assert "SCAN events" not in steps
    assert "TEMP B-TREE" not in steps or len(query.types) > 1  # of a page of each, at most


def test_events_of_more_types_than_can_be_merged_are_searched_all_the_same(
    database: sqlite3.Connection,
) -> None:
    text, values = select_events(SQL, EventQuery(types=[str(n) for n in range(600)], key="k"))

    assert BY_KEY in plan(database, text, [*values])


@pytest.mark.parametrize(
    "query",
    [
        EventQuery(),
        EventQuery(types=["a"], after=5),
        EventQuery(types=["a", "b"], after=5, until=9),
        EventQuery(types=["a"], newest_first=True),
        EventQuery(key="k", after=5),
        EventQuery(since=5, after=5),
    ],
    ids=str,
)
def test_other_events_are_read_from_the_log_in_its_order(
    database: sqlite3.Connection, query: EventQuery
) -> None:
    text, values = select_events(SQL, query)

    steps = plan(database, text, [*values])

    assert "events USING INTEGER PRIMARY KEY (rowid>?" in steps
    assert "TEMP B-TREE" not in steps


def test_events_of_a_flow_are_searched_by_it(database: sqlite3.Connection) -> None:
    query = EventQuery(correlation_id="flow", types=["a"], key="k", since=5)
    text, values = select_events(SQL, query)

    steps = plan(database, text, [*values])

    assert "events_correlation (correlation_id=? AND rowid>?)" in steps
    assert "TEMP B-TREE" not in steps


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (EventQuery(), "events USING COVERING INDEX"),
        (EventQuery(types=["a", "b"]), "events USING COVERING INDEX events_type (type=?)"),
        (EventQuery(types=["a"], key="k", after=5), "events USING COVERING INDEX events_type"),
        (EventQuery(types=["a"], after=5), "events USING INTEGER PRIMARY KEY (rowid>?)"),
        (EventQuery(correlation_id="f", types=["a"]), "events USING INDEX events_correlation"),
    ],
    ids=str,
)
def test_events_are_counted_where_least_is_read(
    database: sqlite3.Connection, query: EventQuery, found: str
) -> None:
    text, values = count_events(SQL, query)

    assert found in plan(database, text, [*values])


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("event", ["s", "i"], "events USING INDEX events_id (id=? AND source=?)"),
        ("waits_for", ["t", "k"], "event_waits_key (type=? AND event_key=?)"),
        (
            "fulfilled_waits",
            [1, 1, 5],
            "events USING COVERING INDEX events_type (type=? AND key=? AND position>?)",
        ),
        ("fulfilled_waits", [1, 1, 5], "event_waits USING PRIMARY KEY"),
        ("awaited_types", [], "event_waits USING COVERING INDEX event_waits_key"),
        ("forgettable_events", [5, 5], "events USING INDEX events_recorded (recorded_at<?)"),
        ("forgettable_events", [5, 5], "holds_key (event_key=? AND position<?)"),
        ("delete_events", ["[]"], "events USING INTEGER PRIMARY KEY (rowid=?)"),
        ("delete_reactions_at", ["[]"], "reactions USING PRIMARY KEY (position=?)"),
        ("reactions", [1, 2, "[]"], "reactions USING PRIMARY KEY (position>? AND position<?)"),
        ("reactions_at", ["[]"], "reactions USING PRIMARY KEY (position=?)"),
        ("delete_journal_of_subscriptions", ["[]"], "reactions_key (key>?)"),
        ("delete_waits", ["[]"], "event_waits USING PRIMARY KEY (execution_key=?)"),
        ("drop_waits", [1, 1], "event_waits USING PRIMARY KEY (execution_key=? AND wait=?)"),
        ("drop_holds", ["s", "l", "k"], "holds USING PRIMARY KEY (service=? AND lane=?"),
        ("drop_dead_letters", [1, 1], "dead_letters USING PRIMARY KEY (subscription=? AND posit"),
        ("move_subscriptions", [1, 1], "subscriptions USING INTEGER PRIMARY KEY (rowid=?)"),
        ("holds", ["", "", "", 5], "holds USING PRIMARY KEY"),
        ("dead_letter_groups", [], "dead_letters USING COVERING INDEX dead_letters_cause"),
        ("acts_on", ["s", 1, 5], "acts_subject (subject=? AND number>?)"),
        ("highest_key", [], "reactions USING COVERING INDEX reactions_key"),
    ],
)
def test_statement_searches_by_an_index(
    database: sqlite3.Connection, name: str, values: list[object], found: str
) -> None:
    assert found in plan(database, SQL[name], values)


@pytest.mark.parametrize("name", ["fulfilled_waits", "holds", "reactions", "forgettable_events"])
def test_page_is_read_without_sorting(database: sqlite3.Connection, name: str) -> None:
    values = [1] * SQL[name].count("?")

    assert "ORDER BY" not in plan(database, SQL[name], [*values])


@pytest.mark.parametrize(
    "query",
    [DeadLetterQuery(), DeadLetterQuery(name="a"), DeadLetterQuery(subscription=1, cause="E")],
    ids=str,
)
def test_dead_letters_are_read_in_the_order_of_their_table(
    database: sqlite3.Connection, query: DeadLetterQuery
) -> None:
    text, values = select_dead_letters(SQL, query)

    steps = plan(database, text, [*values])

    assert "dead_letters USING PRIMARY KEY" in steps
    assert "TEMP B-TREE" not in steps
