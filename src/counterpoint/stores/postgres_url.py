"""The URL of a PostgreSQL store: what is for the store in it, and what is for the driver."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from counterpoint.errors import DefinitionError

DEFAULT_SCHEMA = "counterpoint"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,50}")
_DRIVER_NUMBERS = {
    "statement_cache_size": int,
    "max_cached_statement_lifetime": int,
    "max_cacheable_statement_size": int,
    "command_timeout": float,
    "timeout": float,
}
"""Options of the driver's `connect`; it reads the others, those of libpq, from the URL itself."""
CONNECT_SECONDS = 10.0
COMMAND_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a store is, and how it is reached."""

    dsn: str = field(repr=False)
    """With the password, if one was given: only for the driver."""
    name: str
    """Without it: for people."""
    schema: str
    options: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """Keyword arguments of the driver's `connect`."""
    lease_seconds: float = 10.0


def read_url(url: str) -> Place:
    """Return what a URL says.

    Raises:
        DefinitionError: it cannot be one of a store; the message has no password in it.
    """
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2]
    if parts.scheme not in ("postgresql", "postgres"):
        raise DefinitionError("the URL of a PostgreSQL store begins with postgresql://")
    pairs = dict(parse_qsl(parts.query, keep_blank_values=True))
    schema = pairs.pop("schema", DEFAULT_SCHEMA)
    shown = {"host": pairs["host"]} if "host" in pairs and not where else {}
    if schema != DEFAULT_SCHEMA:
        shown["schema"] = schema
    name = f"postgresql://{where}{parts.path}" + ("?" if shown else "") + urlencode(shown, safe="/")
    if not _SCHEMA.fullmatch(schema) or schema.startswith("pg_"):
        raise DefinitionError(
            f"{name}: the schema {schema!r} is refused: use lower-case letters, digits and "
            "underscores, at most 51"
        )
    lease = _number(name, "lease", pairs.pop("lease", "10"), float)
    options: dict[str, Any] = {"timeout": CONNECT_SECONDS, "command_timeout": COMMAND_SECONDS}
    for option, kind in _DRIVER_NUMBERS.items():
        if option in pairs:
            options[option] = _number(name, option, pairs.pop(option), kind)
    dsn = urlunsplit(parts._replace(query=urlencode(pairs)))
    return Place(dsn, name, schema, options, lease)


def _number(name: str, option: str, text: str, kind: type[int] | type[float]) -> float:
    try:
        number = kind(text)
    except ValueError:
        number = -1
    if number < 0 or (option == "lease" and not number):
        raise DefinitionError(f"{name}: {option}={text} is not a number that can be used there")
    return number
