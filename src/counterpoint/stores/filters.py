"""A `Query` as SQL: which index leads, and the conditions that are left."""

from collections.abc import Mapping

from counterpoint.model.rows import Query
from counterpoint.model.states import Status
from counterpoint.stores.rows import Value

_ABOVE_ALL_KEYS = 2**63 - 1


def select_executions(sql: Mapping[str, str], query: Query) -> tuple[str, list[Value]]:
    """Return the statement that reads one page of executions, and its values.

    Of several attributes the first leads, and the others are looked up for each execution: a page
    costs what it reads, however many executions have the attribute.
    """
    conditions, values = _conditions(query)
    text, order = sql["executions"], "key"
    attributes = list(query.attributes.items())
    if attributes:
        text, order = sql["executions_by_attribute"], "found.execution_key"
        below = _ABOVE_ALL_KEYS if query.before is None else query.before
        values = [*attributes[0], below, *values]
    elif query.before is not None:
        conditions.append("key < ?")
        values.append(query.before)
    for attribute in attributes[1:]:
        conditions.append(sql["has_attribute"])
        values += attribute
    if query.newest_runs:
        conditions.append(sql["is_newest_run"])
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"{text}{where} ORDER BY {order} DESC LIMIT ?", [*values, query.limit]


def _conditions(query: Query) -> tuple[list[str], list[Value]]:
    conditions: list[str] = []
    values: list[Value] = []
    if len(query.statuses) == 1:  # written out, as SQLite must see it to use a partial index
        conditions.append(f"status = '{Status(query.statuses[0]).value}'")
    elif query.statuses:
        listed = ", ".join(f"'{Status(status).value}'" for status in query.statuses)
        conditions.append(f"status IN ({listed})")
    for condition, value in (
        ("name = ?", query.workflow),
        ("service = ?", query.service),
        ("created_at >= ?", query.since),
        ("created_at < ?", query.until),
        ("parent_key = ?", query.parent_key),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if query.correlation_id is not None:
        conditions.append("(correlation_id = ? OR (correlation_id IS NULL AND id = ?))")
        values += [query.correlation_id] * 2
    return conditions, values
