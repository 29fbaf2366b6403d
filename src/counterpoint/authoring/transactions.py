"""Parameters that are a database transaction: what is written in it, and the step, or neither.

Such a parameter is no argument: it is given by the node that runs the attempt, is not recorded, and
a workflow calls the activity without it. Its type says what it is:

* `counterpoint.Transaction`: what every store with transactions offers; the same code runs on
  SQLite and on PostgreSQL.
* `counterpoint.postgres.Transaction`: asyncpg's connection.
* `counterpoint.sqlite.Transaction`: the connection of the file.
* SQLAlchemy's `AsyncSession`, or a class that inherits from it: a session on asyncpg's connection.
"""

import inspect
import types
import typing
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from counterpoint.errors import DefinitionError

Kind: TypeAlias = Literal["any", "postgres", "sqlite", "sqlalchemy"]
_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_SESSION = ("sqlalchemy.ext.asyncio.session", "AsyncSession")


class Row(Protocol):
    """A row of a result: its values by column name, or by place."""

    def __getitem__(self, key: Any, /) -> Any: ...
    def __len__(self) -> int: ...
    def keys(self) -> Iterable[str]:
        """Return the names of its columns, in order."""
        ...


class Transaction(Protocol):
    """A transaction of the store's own database, which is committed together with the step.

        @payments.activity
        async def charge(tx: Transaction, order_id: str, amount: int) -> None:
            await tx.execute("INSERT INTO payments VALUES ($1, $2)", order_id, amount)

    What SQL and which values it takes is the database's affair; `$1`, `$2` name the values in every
    one. It is over when the function has returned or raised.
    """

    async def execute(self, query: str, /, *args: Any) -> str:
        """Execute a statement; return what the database says of it, such as `INSERT 0 1`."""
        ...

    async def executemany(self, command: str, args: Iterable[Sequence[Any]], /) -> None:
        """Execute a statement once for each sequence of values."""
        ...

    async def fetch(self, query: str, /, *args: Any) -> Sequence[Row]:
        """Execute a query and return all its rows."""
        ...

    async def fetchrow(self, query: str, /, *args: Any) -> Row | None:
        """Execute a query and return its first row, or None if there is none."""
        ...

    async def fetchval(self, query: str, /, *args: Any) -> Any:
        """Execute a query and return the first value of its first row; None if there is none."""
        ...


class PostgresTransaction(Transaction, Protocol):
    """asyncpg's connection, in a transaction that is committed together with the step.

    These are the methods that most code needs; what is passed is the connection itself.
    """

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Return a savepoint: what is written in the block can fail by itself."""
        ...

    def cursor(self, query: str, /, *args: Any) -> AsyncIterator[Row]:
        """Return the rows of a query one after the other, in `async for`."""
        ...

    async def prepare(self, query: str, /) -> Any:
        """Return a prepared statement of asyncpg's."""
        ...

    async def copy_records_to_table(
        self, table_name: str, /, *, records: Any, columns: Any = None, schema_name: Any = None
    ) -> str:
        """Copy many records into a table at once."""
        ...


class SqliteTransaction(Transaction, Protocol):
    """The connection of the store's file, in a transaction that is committed with the step.

    Statements run on the event loop's thread. Values are those of SQLite; both `?` and `$1` stand
    for them.
    """

    @property
    def closed(self) -> bool:
        """Whether it is over: the function has ended, or it took too long."""
        ...


@dataclass(frozen=True, slots=True)
class TransactionParameter:
    """The parameter of a function that is given a transaction."""

    name: str
    kind: Kind
    hint: Any
    """The class that it is annotated with."""

    @property
    def words(self) -> str:
        """How users write the type."""
        return _WORDS[self.kind]


_WORDS: Mapping[Kind, str] = {
    "any": "counterpoint.Transaction",
    "postgres": "counterpoint.postgres.Transaction",
    "sqlite": "counterpoint.sqlite.Transaction",
    "sqlalchemy": "sqlalchemy.ext.asyncio.AsyncSession",
}
_KIND_OF: Mapping[Any, Kind] = {
    Transaction: "any",
    PostgresTransaction: "postgres",
    SqliteTransaction: "sqlite",
}


def transaction_of(
    function: Callable[..., Any], name: str, *, first: bool = False
) -> TransactionParameter | None:
    """Return the parameter of *function* that is a transaction, or None if none is.

    With *first* it has to be the first one: its callers write only what follows.

    Raises:
        DefinitionError: there are several, it cannot be passed by name, or the function is a `def`.
    """
    found: list[TransactionParameter] = []
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters:
        hint = _resolved(function, parameter)
        kind = _kind_of(hint)
        if kind is None:
            continue
        if parameter.kind not in _KINDS:
            raise DefinitionError(f"{name}: the parameter {parameter} needs a name of its own")
        found.append(TransactionParameter(parameter.name, kind, hint))
    if not found:
        return None
    given = found[0]
    if len(found) > 1:
        others = " and ".join(repr(one.name) for one in found)
        raise DefinitionError(
            f"{name} asks for several transactions, {others}: there is one for each attempt, take "
            "one parameter and pass it on"
        )
    if first and parameters[0].name != given.name:
        raise DefinitionError(
            f"{name}: the transaction {given.name!r} has to be the first parameter, workflows "
            f"write the arguments after it: async def {function.__name__}({given.name}: "
            f"{given.words}, ...)"
        )
    if not inspect.iscoroutinefunction(function):
        raise DefinitionError(
            f"{name} is a `def`, which runs in a thread, and a transaction belongs to the event "
            f"loop: write `async def {function.__name__}` and await what {given.name!r} does"
        )
    return given


def _resolved(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """Return what a parameter is annotated with; None where it cannot be told yet."""
    hint = parameter.annotation
    if not isinstance(hint, str):
        return hint
    holder = types.SimpleNamespace(__annotations__={parameter.name: hint})
    names = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return typing.get_type_hints(holder, globalns=names)[parameter.name]
    except Exception:  # noqa: BLE001 - it names what comes further down: no transaction does
        return None


def _kind_of(hint: Any) -> Kind | None:
    if not isinstance(hint, type):
        return None
    known = _KIND_OF.get(hint)
    if known is None and any((c.__module__, c.__name__) == _SESSION for c in hint.__mro__):
        return "sqlalchemy"  # told by its name, so that nobody has to have SQLAlchemy
    return known
