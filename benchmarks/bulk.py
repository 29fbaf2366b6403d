"""Writes executions as a node would have left them, many in one commit."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from counterpoint.authoring.workflow import Workflow
from counterpoint.codecs.json import JsonCodec
from counterpoint.model import records as r
from counterpoint.model.rows import Commit, ExecutionRow, JournalRow
from counterpoint.runtime.journals import journal_row
from counterpoint.runtime.starts import execution_row
from counterpoint.stores.sqlite import SqliteStore

IN_ONE_COMMIT = 5_000


async def write_executions(
    path: Path,
    workflow: Workflow[Any, *tuple[Any, ...]],
    count: int,
    decided: Sequence[r.Record],
    wake_at: int | None,
    prefix: str,
) -> None:
    """Write *count* executions of a workflow of one number, which have *decided* something."""
    store = SqliteStore(path)
    codec = JsonCodec()
    await store.open(node=True)
    now = time.time_ns() // 1000
    for first in range(0, count, IN_ONE_COMMIT):
        starts: list[ExecutionRow] = []
        journal: list[JournalRow] = []
        keys = await store.reserve_keys(min(IN_ONE_COMMIT, count - first))
        for number, key in enumerate(keys, first):
            arguments = msgspec.Raw(b'{"number":%d}' % number)
            row = execution_row(key, f"{prefix}-{number}", workflow, arguments, now, None)
            started = r.Started(now, workflow.name, workflow.version, arguments)
            starts.append(row._replace(wake_at=wake_at))
            journal.append(journal_row(key, 1, [started, *decided], codec))
        await store.commit(Commit(starts=starts, journal=journal))
    await store.close()
