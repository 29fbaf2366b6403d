"""What an error of PostgreSQL, or of its driver, means for the promise that a store gives."""

from counterpoint.errors import (
    NodeLostError,
    StoreBrokenError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
)

NODE_LOST = "CP001"
"""Raised by the schema's own functions for an incarnation that may not commit any more."""
UNIQUE_VIOLATION = "23505"
_UNWRITABLE = (ValueError, OverflowError, TypeError)
"""What the driver raises, beside its own errors, for values that PostgreSQL cannot hold."""
_LOST = (OSError, TimeoutError, EOFError)

_FULL = (StoreFullError, "the disk of the server is full: free space")
_BUSY = (StoreBusyError, "other transactions were in the way: try again")
_GONE = (StoreBrokenError, "the server went away: open it again")
_RIGHTS = (
    StoreReadOnlyError,
    "the user lacks rights: to look, grant USAGE on the schema and SELECT on its tables; to start "
    "and to signal, also INSERT, UPDATE and DELETE; to make the schema, CREATE on the database; "
    "who brings it up to date has to own it",
)
_MEANINGS: dict[str, tuple[type[StoreError], str]] = {
    "53100": _FULL,
    "53200": (StoreBusyError, "the server is out of memory: try again"),
    "53300": (
        StoreBusyError,
        "the server takes no more connections: raise its max_connections, or put a pool before it",
    ),
    "54000": (StoreFullError, "a limit of the server is reached"),
    "40001": _BUSY,
    "40P01": _BUSY,
    "55P03": _BUSY,
    "25006": (
        StoreReadOnlyError,
        "the server is read-only: it is a standby, or default_transaction_read_only is on; "
        "name the primary in the URL",
    ),
    "25P03": (StoreBusyError, "the transaction was idle for too long and was rolled back"),
    "42501": _RIGHTS,
    "28000": (StoreError, "the server does not let this user in: correct the URL or pg_hba.conf"),
    "28P01": (
        StoreError,
        "the password is wrong, or there is none: give it in PGPASSWORD, ~/.pgpass or the URL",
    ),
    "3D000": (StoreError, "the database does not exist: create it, or correct the URL"),
    "57P03": (StoreBusyError, "the server is starting or stopping: try again"),
    "57014": (StoreBrokenError, "a statement was cancelled: open it again"),
    "XX001": (StoreCorruptError, "the database is damaged: restore it from a backup"),
    "XX002": (StoreCorruptError, "an index is damaged: rebuild it with REINDEX"),
}
_CLASSES: dict[str, tuple[type[StoreError], str]] = {
    "08": _GONE,
    "57": _GONE,
    "58": (StoreBrokenError, "the server's system reported an error: look at its log"),
    "XX": (StoreBrokenError, "the server reported an internal error: look at its log"),
    "42": (StoreCorruptError, "its tables are not those of this Counterpoint: check the schema"),
}
_NOTHING_WRITTEN = frozenset({"22", "23"})
"""Classes of errors about a value, which the server raises before it writes anything."""


def sqlstate(error: BaseException) -> str:
    """Return the server's code of an error; empty if the server did not raise it."""
    return getattr(error, "sqlstate", None) or ""


def constraint(error: BaseException) -> str:
    """Return the name of the constraint that an error is about, or an empty text."""
    return getattr(error, "constraint_name", None) or ""


def is_translatable(error: BaseException) -> bool:
    """Whether an error is one of the driver, of the server or of the way between them."""
    return isinstance(error, (*_LOST, *_UNWRITABLE)) or type(error).__module__.startswith(
        "asyncpg."
    )


def schema_of(error: BaseException) -> str:
    """Return the schema of the table that an error is about, or an empty text."""
    return getattr(error, "schema_name", None) or ""


def translate(error: BaseException, store: str, *, node: str = "this node") -> StoreError:
    """Return what an error of a statement means to a caller."""
    code = sqlstate(error)
    if code == NODE_LOST:
        return NodeLostError(node)
    if code:
        meaning = _MEANINGS.get(code) or _CLASSES.get(code[:2])
        if meaning is not None:
            kind, advice = meaning
            return kind(f"{store}: {advice} ({said(error)})")
        if code[:2] in _NOTHING_WRITTEN:
            return StoreError(f"{store}: PostgreSQL refuses a value: {said(error)}")
        return StoreBrokenError(f"{store}: {said(error)}: open it again")
    if isinstance(error, TimeoutError):
        return StoreBrokenError(f"{store}: the server did not answer in time: open it again")
    if isinstance(error, OSError) or _is_lost(error):
        return StoreBrokenError(f"{store}: the connection was lost ({said(error)}): open it again")
    return StoreError(f"{store}: PostgreSQL cannot hold one of the values: {said(error)}")


def translate_connect(error: BaseException, store: str) -> StoreError:
    """Return what an error means that was met while a connection was made."""
    code = sqlstate(error)
    if code in _MEANINGS or code[:2] == "57":
        kind, advice = _MEANINGS.get(code, _MEANINGS["57P03"])
        return kind(f"{store}: {advice} ({said(error)})")
    if isinstance(error, (OSError, TimeoutError)) or _is_lost(error) or code[:2] == "08":
        return StoreBusyError(
            f"{store}: no server answers there: start it, or correct host and port in the URL "
            f"({said(error)})"
        )
    return StoreError(f"{store}: cannot connect: {said(error)}")


def _is_lost(error: BaseException) -> bool:
    """Whether the driver says that its connection does not work any more."""
    name = type(error).__name__
    return name in {"ConnectionDoesNotExistError", "ConnectionFailureError"} or (
        name in {"InterfaceError", "InternalClientError", "ProtocolError"}
        and not isinstance(error, ValueError)
    )


def said(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return f"{error}".strip().partition("\n")[0] or type(error).__name__
