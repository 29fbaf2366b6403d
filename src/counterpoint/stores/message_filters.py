"""An `EventQuery` and a `DeadLetterQuery` as SQL: which index leads, and what is left to check.

A unary plus before a column keeps SQLite from searching by it: it has no statistics, and would take
every event of a type, sort them and throw most of them away.
"""

import json
from collections.abc import Mapping

from counterpoint.model.messages import DeadLetterQuery, EventQuery
from counterpoint.stores.rows import Value

_MERGED_TYPES = 100


def select_events(sql: Mapping[str, str], query: EventQuery) -> tuple[str, list[Value]]:
    """Return the statement that reads one page of the log, and its values.

    A flow is found by its index. Events of a key are found by type and key, each type in its own
    order, and merged, so that a page costs what it reads. Everything else reads the log itself.
    """
    types = list(dict.fromkeys(query.types))
    order = f"ORDER BY position{' DESC' if query.newest_first else ''} LIMIT ?"
    by_key = query.correlation_id is None and query.key is not None and bool(types)
    if not by_key or len(types) > _MERGED_TYPES:
        conditions, values = _matching(query, plus="" if by_key else "+")
        return f"{sql['events']} WHERE {' AND '.join(conditions)} {order}", [*values, query.limit]
    conditions, values = _in_range(query)
    one = f"{sql['events']} WHERE type = ? AND key = ? AND {' AND '.join(conditions)} {order}"
    if len(types) == 1:
        return one, [types[0], query.key, *values, query.limit]
    text = " UNION ALL ".join([f"SELECT * FROM ({one})"] * len(types))  # noqa: S608 - ours
    each = [[event_type, query.key, *values, query.limit] for event_type in types]
    return f"{text} {order}", [*(value for group in each for value in group), query.limit]


def count_events(sql: Mapping[str, str], query: EventQuery) -> tuple[str, list[Value]]:
    """Return the statement that counts events, and its values.

    The events of a type are counted in its index, unless only those in a part of the log are.
    """
    if query == EventQuery(limit=query.limit, newest_first=query.newest_first):
        return sql["count_events"], []  # without a condition SQLite need not look at the rows
    whole = query.after <= 0 and query.until is None
    indexed = query.correlation_id is None and (whole or query.key is not None)
    conditions, values = _matching(query, plus="" if indexed else "+")
    return f"{sql['count_events']} WHERE {' AND '.join(conditions)}", values


def select_dead_letters(sql: Mapping[str, str], query: DeadLetterQuery) -> tuple[str, list[Value]]:
    """Return the statement that reads one page of dead letters, and its values."""
    conditions = ["(subscription, position) > (?, ?)"]
    values: list[Value] = [*query.after]
    for condition, value in (
        ("subscription = ?", query.subscription),
        ("+name = ?", query.name),
        ("+service = ?", query.service),
        ("+cause = ?", query.cause),
        ("+event_key = ?", query.event_key),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    where = " AND ".join(conditions)
    order = "ORDER BY subscription, position LIMIT ?"
    return f"{sql['dead_letters']} WHERE {where} {order}", [*values, query.limit]


def _in_range(query: EventQuery) -> tuple[list[str], list[Value]]:
    conditions = ["position > ?"]
    values: list[Value] = [query.after]
    if query.until is not None:
        conditions.append("position <= ?")
        values.append(query.until)
    if query.since is not None:
        conditions.append("+recorded_at >= ?")
        values.append(query.since)
    return conditions, values


def _matching(query: EventQuery, *, plus: str) -> tuple[list[str], list[Value]]:
    conditions, values = _in_range(query)
    if query.correlation_id is not None:
        conditions.append("correlation_id = ?")
        values.append(query.correlation_id)
    if query.types:
        conditions.append(f"{plus}type IN (SELECT value FROM json_each(?))")  # noqa: S608 - ours
        values.append(json.dumps(list(query.types)))
    if query.key is not None:
        conditions.append(f"{plus}key = ?")
        values.append(query.key)
    return conditions, values
