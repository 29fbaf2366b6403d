"""An `EventQuery`, a `DeadLetterQuery` and a `Query` as PostgreSQL's SQL.

Conditions are gathered with question marks, as for SQLite, and numbered in the end. Every statement
that is read by pages has an index in the order of its pages.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from counterpoint.model.messages import DeadLetterQuery, EventQuery
from counterpoint.model.rows import Query
from counterpoint.stores.filters import select_executions

_MARK = re.compile(r"\?")
_MERGED_TYPES = 100

Statement = tuple[str, Sequence[Any]]


def numbered(text: str) -> str:
    """Return a statement with `$1`, `$2`, … in place of question marks."""
    numbers = count(1)
    return _MARK.sub(lambda _: f"${next(numbers)}", text)


def executions_page(sql: Mapping[str, str], query: Query) -> Statement:
    """Return the statement that reads one page of executions, and its values."""
    text, values = select_executions(sql, query)
    return numbered(text), values


def events_page(sql: Mapping[str, str], query: EventQuery) -> Statement:
    """Return the statement that reads one page of the log, and its values.

    Events of a key are read for each type from the index, in its order, and merged.
    """
    types = list(dict.fromkeys(query.types))
    order = f"ORDER BY position{' DESC' if query.newest_first else ''} LIMIT ?"
    if query.correlation_id is None and query.key is not None and 1 < len(types) <= _MERGED_TYPES:
        conditions, values = _in_range(query)
        one = f"({sql['events']} WHERE type = ? AND key = ? AND {' AND '.join(conditions)} {order})"
        text = f"SELECT * FROM ({' UNION ALL '.join([one] * len(types))}) AS merged {order}"  # noqa: S608 - ours
        each = [
            value for one_type in types for value in (one_type, query.key, *values, query.limit)
        ]
        return numbered(text), [*each, query.limit]
    conditions, values = _matching(query, types)
    text = f"{sql['events']} WHERE {' AND '.join(conditions)} {order}"
    return numbered(text), [*values, query.limit]


def events_count(sql: Mapping[str, str], query: EventQuery) -> Statement:
    """Return the statement that counts events, and its values."""
    conditions, values = _matching(query, list(dict.fromkeys(query.types)))
    return numbered(f"{sql['count_events']} WHERE {' AND '.join(conditions)}"), values


def dead_letters_page(sql: Mapping[str, str], query: DeadLetterQuery) -> Statement:
    """Return the statement that reads one page of dead letters, and its values."""
    conditions = ["(subscription, position) > (?, ?)"]
    values: list[Any] = [*query.after]
    for condition, value in (
        ("subscription = ?", query.subscription),
        ("name = ?", query.name),
        ("service = ?", query.service),
        ("cause = ?", query.cause),
        ("event_key = ?", query.event_key),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    text = f"{sql['dead_letters']} WHERE {' AND '.join(conditions)}"
    return numbered(f"{text} ORDER BY subscription, position LIMIT ?"), [*values, query.limit]


def _in_range(query: EventQuery) -> tuple[list[str], list[Any]]:
    conditions = ["position > ?"]
    values: list[Any] = [query.after]
    if query.until is not None:
        conditions.append("position <= ?")
        values.append(query.until)
    if query.since is not None:
        conditions.append("recorded_at >= ?")
        values.append(query.since)
    return conditions, values


def _matching(query: EventQuery, types: list[str]) -> tuple[list[str], list[Any]]:
    conditions, values = _in_range(query)
    if query.correlation_id is not None:
        conditions.append("correlation_id = ?")
        values.append(query.correlation_id)
    if len(types) == 1:
        conditions.append("type = ?")
        values.append(types[0])
    elif types:
        conditions.append("type = ANY (?::text[])")
        values.append(types)
    if query.key is not None:
        conditions.append("key = ?")
        values.append(query.key)
    return conditions, values
