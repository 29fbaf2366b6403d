"""Which recorded executions a command reads, oldest first: of some ids, or of what matches."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from counterpoint.app import store_from_url
from counterpoint.cli.target import Target, open_client
from counterpoint.cli.where import Where
from counterpoint.errors import ExecutionNotFoundError
from counterpoint.model.rows import ExecutionRow, Query
from counterpoint.ports.store import Store
from counterpoint.runtime.client import Client
from counterpoint.runtime.exports import Export, Exporter, Found

_IN_THE_ROW = {
    *("statuses", "workflow", "service", "correlation", "id", "attributes", "since", "until"),
}
"""Filters that a query or a look at the row decides; for all others executions are found first."""


@dataclass(slots=True)
class Source:
    """An open store, to read executions from."""

    client: Client
    exporter: Exporter
    where: Where = field(default_factory=Where)
    total: int = 0
    """How many executions match, or may: some of them can be left out later."""
    _rows: Sequence[ExecutionRow] | Found = ()
    _wanted: set[tuple[str, int]] | None = None

    async def of_ids(self, ids: Sequence[str]) -> None:
        """Choose all runs of some executions.

        Raises:
            ExecutionNotFoundError: there is none of that id.
        """
        rows: list[ExecutionRow] = []
        for execution_id in dict.fromkeys(ids):
            runs = await self.exporter.runs(execution_id)
            if not runs:
                raise ExecutionNotFoundError(execution_id)
            rows += runs
        self._rows, self.total = rows, len(rows)

    async def of_matching(self, where: Where) -> None:
        """Choose what matches."""
        self.where = where
        if any(_is_given(where, one) for one in fields(where) if one.name not in _IN_THE_ROW):
            self._wanted = {(one.id, one.run) async for one in where.find(self.client)}
        self._rows = found = Found(
            self.exporter.store,
            Query(
                statuses=where.statuses,
                workflow=where.workflow,
                service=where.service,
                correlation_id=where.correlation,
                attributes=where.attributes,
                since=_microseconds(where.since),
                until=_microseconds(where.until),
            ),
        )
        self.total = await found.count()

    async def rows(self) -> AsyncIterator[ExecutionRow | None]:
        """Iterate over the chosen rows, oldest first; None stands for one that is left out."""
        if not isinstance(self._rows, Found):
            for row in self._rows:
                yield row
            return
        async for row in self._rows.rows():
            left_out = self.where.id is not None and not fnmatchcase(row.id, self.where.id)
            if self._wanted is not None and (row.id, row.run) not in self._wanted:
                left_out = True
            yield None if left_out else row

    async def read(self, row: ExecutionRow) -> Export | None:
        """Return an execution; None if it has been forgotten meanwhile."""
        return await self.exporter.read(row)


@contextlib.asynccontextmanager
async def open_source(target: Target) -> AsyncGenerator[Source, None]:
    """Open the store beside its node.

    Raises:
        CommandError, StoreError: as `open_client`.
    """
    async with open_client(target) as client:
        given = target.app.store
        if not isinstance(given, str):  # one object is one connection, which the client has opened
            yield Source(client, Exporter(given, target.app.codec))
            return
        store: Store = store_from_url(given)
        await store.open(node=False)
        try:
            yield Source(client, Exporter(store, target.app.codec))
        finally:
            await store.close()


def _is_given(where: Where, one: "Field[Any]") -> bool:
    empty: Any = one.default
    if one.default is MISSING:
        empty = one.default_factory() if one.default_factory is not MISSING else None
    return bool(getattr(where, one.name) != empty)


def _microseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1e6)
