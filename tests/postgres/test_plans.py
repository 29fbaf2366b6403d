"""Reads search by an index, so that a page costs what it reads.

The plans are generic, as those of statements that are prepared once and used often, in tables that
hold something and that ANALYZE has seen.
"""

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from tests.postgres.server import BackDoor, Server

from counterpoint.model.messages import DeadLetterQuery, EventQuery
from counterpoint.model.rows import Query
from counterpoint.model.states import Status
from counterpoint.stores.postgres import PostgresStore
from counterpoint.stores.postgres_filters import (
    dead_letters_page,
    events_count,
    events_page,
    executions_page,
)

SCHEMA = f"plans_{os.getpid()}"
"""Of this process: others use the same server."""
ROWS = 5_000
FILL = f"""
INSERT INTO {SCHEMA}.executions (
  key, id, run, kind, service, name, version, status, fingerprint, created_at, wake_at,
  finished_at, owner, parent_key, correlation_id
)
SELECT
  n, 'execution-' || n, 1, 'saga', 'orders', 'orders.w' || n %% 7, 1,
  CASE n %% 10 WHEN 0 THEN 'running' ELSE 'completed' END, '', n, n,
  CASE n %% 10 WHEN 0 THEN NULL ELSE n END, n %% 3, CASE n %% 2 WHEN 0 THEN n / 20 END,
  CASE n %% 4 WHEN 0 THEN 'flow-' || n / 8 END
FROM generate_series(1, %(rows)s) AS n;
INSERT INTO {SCHEMA}.journal SELECT n, 1, 1, 'json', '[]', 0 FROM generate_series(1, %(rows)s) AS n;
INSERT INTO {SCHEMA}.attributes
SELECT n, 'colour', 'c' || n %% 50 FROM generate_series(1, %(rows)s) AS n;
INSERT INTO {SCHEMA}.mailbox
SELECT n, 'r' || n, 'signal', 'execution-' || n / 3, n, 'json', '[]', NULL, NULL, n %% 4
FROM generate_series(1, %(rows)s) AS n;
INSERT INTO {SCHEMA}.events
SELECT
  n, 'orders', 'e' || n, 't' || n %% 9, 1, 'k' || n / 10, n %% 256, 'flow-' || n / 8, NULL, NULL, 0,
  NULL, n, n, 'json', '[]'
FROM generate_series(1, %(rows)s) AS n;
INSERT INTO {SCHEMA}.reactions
SELECT n %% 5, n, 'completed', n, n, NULL, 1, NULL FROM generate_series(1, %(rows)s) AS n;
INSERT INTO {SCHEMA}.dead_letters
SELECT
  n %% 5, n, 'orders', '', 'orders.r' || n %% 5, 't', 'k', 'f', 1, n, 'ValueError', 'json', '[]'
FROM generate_series(1, %(rows)s) AS n;
INSERT INTO {SCHEMA}.holds SELECT 'orders', '', 'k' || n, n FROM generate_series(1, %(rows)s) AS n;
INSERT INTO {SCHEMA}.event_waits
SELECT n, 1, 'execution-' || n, 't' || n %% 9, 'k' || n, 0, 0
FROM generate_series(1, %(rows)s) AS n;
INSERT INTO {SCHEMA}.acts (at, kind, subject, request_id, codec, detail)
SELECT n, 'retry', 's' || n / 9, 'r' || n, 'json', '[]' FROM generate_series(1, %(rows)s) AS n;
ANALYZE
  {SCHEMA}.executions, {SCHEMA}.journal, {SCHEMA}.attributes, {SCHEMA}.mailbox, {SCHEMA}.events,
  {SCHEMA}.reactions, {SCHEMA}.dead_letters, {SCHEMA}.holds, {SCHEMA}.event_waits, {SCHEMA}.acts;
"""


class Plans:
    def __init__(self, back_door: BackDoor, store: PostgresStore) -> None:
        self._back_door = back_door
        self._store = store

    def of(self, name: str) -> str:
        """Return the plan of a query by its name."""
        return self.of_text(self._store._sql[name])

    def of_page(self, page: Any, query: object) -> str:
        """Return the plan of a query that is put together."""
        text, values = page(self._store._sql, query)
        plan = self.of_text(text)
        assert text.count("$") == len(values)
        return plan

    def of_text(self, text: str) -> str:
        nulls = ", ".join(["NULL"] * len(set(re.findall(r"\$\d+", text))))
        self._back_door.execute(f"PREPARE asked AS {text}")
        try:
            rows = self._back_door.rows(
                f"EXPLAIN (COSTS off) EXECUTE asked {f'({nulls})' if nulls else ''}"
            )
        finally:
            self._back_door.execute("DEALLOCATE asked")
        return "\n".join(str(line) for (line,) in rows)


@pytest.fixture(scope="module")
def plans(postgres: Server, back_door: BackDoor) -> Iterator[Plans]:
    back_door.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    store = PostgresStore(postgres.url(schema=SCHEMA))
    back_door.open_and_close(store)
    back_door.execute(FILL % {"rows": ROWS})
    back_door.execute("SET plan_cache_mode = force_generic_plan")
    yield Plans(back_door, store)
    back_door.execute("RESET plan_cache_mode")
    back_door.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


@pytest.mark.parametrize(
    ("name", "indexes"),
    [
        ("newest_execution", ["executions_id"]),
        ("due_here", ["executions_owned"]),
        ("read_journal", ["journal_pkey"]),
        ("read_attributes", ["attributes_pkey"]),
        ("read_mail", ["mailbox_pkey"]),
        ("read_mail_here", ["mailbox_target"]),
        ("read_mail_of", ["mailbox_execution"]),
        ("event", ["events_id"]),
        ("existing_executions", ["executions_id"]),
        ("existing_events", ["events_id"]),
        ("waits_for", ["event_waits_key"]),
        ("waits_for_here", ["event_waits_key", "executions_pkey"]),
        ("fulfilled_waits", ["event_waits_pkey", "events_type"]),
        ("fulfilled_waits_here", ["event_waits_pkey", "events_type", "executions_pkey"]),
        ("awaited_types", ["event_waits_key"]),
        ("reactions", ["reactions_pkey"]),
        ("reactions_at", ["reactions_pkey"]),
        ("holds", ["holds_pkey"]),
        ("acts", ["acts_pkey"]),
        ("acts_on", ["acts_subject"]),
    ],
)
def test_query_searches_by_its_index(plans: Plans, name: str, indexes: Sequence[str]) -> None:
    plan = plans.of(name)

    assert [index for index in indexes if index not in plan] == [], plan
    assert "Seq Scan on" not in plan.replace("Seq Scan on log", ""), plan


@pytest.mark.parametrize(
    "name",
    [
        "due_here",
        "read_mail",
        "read_mail_here",
        "read_mail_of",
        "holds",
        "acts",
        "acts_on",
        "fulfilled_waits",
        "fulfilled_waits_here",
        "read_journal",
        "reactions",
    ],
)
def test_page_is_read_without_sorting(plans: Plans, name: str) -> None:
    assert "Sort" not in plans.of(name).replace("Incremental Sort", "")


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (Query(), "executions_pkey"),
        (Query(before=50, workflow="orders.w1"), "executions_pkey"),
        (Query(statuses=[Status.INCIDENT]), "executions_incident"),
        (Query(attributes={"colour": "c1"}), "attributes_value"),
        (Query(attributes={"colour": "c1", "size": "5"}, before=9), "attributes_value"),
        (Query(parent_key=7), "executions_parent"),
        (Query(correlation_id="flow-1"), "executions_correlation"),
        (Query(newest_runs=True), "executions_id"),
    ],
    ids=str,
)
def test_executions_are_searched_by_an_index(plans: Plans, query: Query, index: str) -> None:
    plan = plans.of_page(executions_page, query)

    assert index in plan, plan
    assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize(
    ("query", "index", "count"),
    [
        (EventQuery(), "events_pkey", 1),
        (EventQuery(after=5, until=9), "events_pkey", 1),
        (EventQuery(types=["a"], key="k"), "events_type", 1),
        (EventQuery(types=["a", "b", "c"], key="k", since=4, newest_first=True), "events_type", 3),
        (EventQuery(correlation_id="flow-1", types=["a"]), "events_correlation", 1),
    ],
    ids=str,
)
def test_events_are_searched_by_an_index(
    plans: Plans, query: EventQuery, index: str, count: int
) -> None:
    plan = plans.of_page(events_page, query)

    assert plan.count(index) == count, plan
    assert "Seq Scan" not in plan, plan


def test_events_of_a_type_are_counted_in_an_index(plans: Plans) -> None:
    assert "Seq Scan" not in plans.of_page(events_count, EventQuery(types=["a"], key="k"))


def test_dead_letters_are_read_in_the_order_of_their_table(plans: Plans) -> None:
    for query in (DeadLetterQuery(), DeadLetterQuery(subscription=1, cause="E")):
        plan = plans.of_page(dead_letters_page, query)
        assert "dead_letters_pkey" in plan, plan
        assert "Sort" not in plan, plan
