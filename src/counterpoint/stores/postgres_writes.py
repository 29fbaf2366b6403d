"""A commit as the arguments of one call of a server's function: columns of rows, and JSON.

What is in most commits goes as columns (see `postgres_columns`): that costs least to make and read.
What is seldom in one goes as one JSON text, with bytes in base64.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from counterpoint.model.cluster import Calls
from counterpoint.model.messages import HoldRow, Messages
from counterpoint.model.rows import Commit, ExecutionRow
from counterpoint.stores.message_rows import highest_positions
from counterpoint.stores.postgres_columns import column, kinds, parameter
from counterpoint.stores.rows import last_attributes, only_node_writes, plain_starts

__all__ = ["COMMIT", "commit_values", "writes_more_than_mail"]

_PLAIN_START = 11
_TAIL = (11, 12, 14, 15, 16, 17, 18)
"""The columns of an execution after the plain ones, without its owner: who commits owns it."""

_STARTS = kinds("btitttitybbbbbbttt")
_JOURNAL = kinds("biityb")
_UPDATES = kinds("btibb")
_TAKEN = kinds("b")
_DONE = kinds("bbtbbbib")
_EVENTS = kinds("tttititttitbbty")
_MAIL = kinds("tttbtyti")
"""The types of the columns."""
_COLUMNS = (*_STARTS, *_JOURNAL, *_UPDATES, *_TAKEN, *_DONE, *_EVENTS, *_MAIL)
_FIRST = 3
"""The number of the first column among the parameters: before it are the node and the others."""
COMMIT = "SELECT {{schema}}.commit_v1($1, $2, {columns}, ${rest})".format(
    columns=", ".join(parameter(number, kind) for number, kind in enumerate(_COLUMNS, _FIRST)),
    rest=_FIRST + len(_COLUMNS),
)
_NO_MESSAGES = Messages()


def commit_values(commit: Commit, node: int, *, others: bool) -> list[Any]:
    """Return the arguments of `COMMIT`."""
    messages = commit.messages or _NO_MESSAGES
    return [
        node,
        others,
        *_starts(commit.starts),
        *_columns(commit.journal, _JOURNAL),
        *_columns(commit.updates, _UPDATES),
        *_columns([(position,) for position in commit.taken], _TAKEN),
        *_columns(messages.done, _DONE),
        *_columns([row[1:] for row in messages.events], _EVENTS),
        *_columns([row[1:] for row in commit.mail], _MAIL),
        _rest(commit, messages),
    ]


def writes_more_than_mail(commit: Commit) -> bool:
    """Whether a commit holds what only a node may write."""
    return only_node_writes(commit) or commit.calls is not None


def _columns(rows: Sequence[Iterable[Any]], kinds: Sequence[str]) -> Iterable[Any]:
    if not rows:
        return (None,) * len(kinds)
    return map(column, kinds, zip(*rows, strict=True))


def _starts(rows: Sequence[ExecutionRow]) -> Iterable[Any]:
    if not rows:
        return (None,) * len(_STARTS)
    plain = plain_starts(rows)
    if plain is not None:
        unused = len(_STARTS) - _PLAIN_START
        return (*_columns(plain, _STARTS[:_PLAIN_START]), *(None,) * unused)
    columns = list(zip(*rows, strict=True))
    return map(column, _STARTS, (*columns[:_PLAIN_START], *(columns[place] for place in _TAIL)))


def _rest(commit: Commit, messages: Messages) -> str | None:
    parts: dict[str, Any] = {}
    if commit.attributes:
        parts["attributes"], parts["attributes_dropped"] = last_attributes(commit.attributes)
    if messages is not _NO_MESSAGES:
        parts.update(_message_parts(messages))
    if commit.calls is not None:
        parts.update(_call_parts(commit.calls))
    used = {name: rows for name, rows in parts.items() if rows}
    return msgspec.json.encode(used).decode() if used else None


def _message_parts(messages: Messages) -> dict[str, Any]:
    gone = set(messages.unsubscribed)
    return {
        "waits": list({row[:2]: row for row in messages.waits}.values()),
        "waits_over": messages.waits_over,
        "contracts": messages.contracts,
        "acts": [row[:-1] for row in messages.acts],
        "changed": list({row[:2]: row for row in messages.changed}.values()),
        "revived": messages.revived,
        "dead": list({row[:2]: row for row in messages.dead}.values()),
        "released": messages.released,
        "held": _lowest(messages.held),
        "redeclared": [
            (row.number, row.service, row.lane, row.type) for row in messages.redeclared
        ],
        "unsubscribed": list(gone),
        "subscriptions": [row for row in messages.subscriptions if row.number not in gone],
        "positions": list(highest_positions(messages.positions).items()),
    }


def _lowest(held: Iterable[HoldRow]) -> list[HoldRow]:
    lowest: dict[tuple[str, str, str], HoldRow] = {}
    for row in held:
        place = row[:3]
        if place not in lowest or row.position < lowest[place].position:
            lowest[place] = row
    return list(lowest.values())


def _call_parts(calls: Calls) -> dict[str, Any]:
    return {
        "calls_over": calls.over,
        "calls_offered": [row[:10] for row in calls.offered],
        "calls_cancelled": calls.cancelled,
        "calls_ended": calls.ended,
    }
