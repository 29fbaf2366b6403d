"""A column of many rows as one parameter of a statement: the text of an array.

The driver asks of every element of an array whether it is an array itself, which takes it longer
than everything else about that element. One text costs the client a fraction of that, and the
server reads it as fast. Bytes stay an array: as text they would be twice as long.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

BYTES, TEXT = "bytea", "text"
_KINDS = {"b": "bigint", "i": "integer", "t": TEXT, "y": BYTES}

_encode = msgspec.json.Encoder().encode


def kinds(letters: str) -> tuple[str, ...]:
    """Return SQL types by their letters: `b` bigint, `i` integer, `t` text, `y` bytea."""
    return tuple(_KINDS[letter] for letter in letters)


def parameter(number: int, kind: str) -> str:
    """Return how a statement says its parameter *number*: a column of the SQL type *kind*."""
    return f"${number}" if kind == BYTES else f"${number}::text::{kind}[]"


def column(kind: str, values: Sequence[Any]) -> Any:
    """Return the value of that parameter: *values* are bytes, strings or integers, or None."""
    if kind == BYTES:
        return values
    if kind == TEXT:
        return _texts(values)
    return f"{{{_encode(values)[1:-1].decode()}}}"  # `null` is NULL in the text of an array


def _texts(values: Sequence[Any]) -> str:
    try:
        joined = '","'.join(values)
    except TypeError:  # there is a None
        return "{" + ",".join(map(_quoted, values)) + "}"
    if "\\" in joined or joined.count('"') > 2 * (len(values) - 1):
        return "{" + ",".join(map(_quoted, values)) + "}"
    return f'{{"{joined}"}}'


def _quoted(text: str | None) -> str:
    if text is None:
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
