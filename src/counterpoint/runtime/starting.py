"""Starts an execution on the node of this process, in memory if there is room for it."""

import asyncio
import functools
from collections.abc import Sequence
from typing import Any

from counterpoint.authoring.registry import AnyWorkflow
from counterpoint.errors import ConflictError
from counterpoint.kernel.execution import Execution
from counterpoint.model.records import Record, Started
from counterpoint.model.rows import ExecutionRow
from counterpoint.runtime import inputs
from counterpoint.runtime.host import Host
from counterpoint.runtime.resident import Resident
from counterpoint.runtime.starts import no_longer_starting


async def start_execution(
    node: Host,
    workflow: AnyWorkflow,
    row: ExecutionRow,
    records: Sequence[Record],
    arguments: Any,
) -> None:
    """Start an execution with the *records* of its beginning; returns once it is durable.

    Raises:
        ConflictError: the id exists.
        NodeStoppedError, StoreError: it may not have been started.
    """
    node.check_accepting()
    if row.id in node.starting:
        raise ConflictError([row.id])
    started = records[0]
    stored = node.room() <= 0 or len(records) > 1 or not isinstance(started, Started)
    if stored:
        future = node.committer.store_only(row, records, None)
    else:
        program = node.registry.programs[workflow.name]
        resident = Resident(row, program, Execution(row.id, row.run, program))
        resident.started = future = asyncio.get_running_loop().create_future()
        node.push(inputs.begin, resident, started, arguments)
    node.starting[row.id] = future
    future.add_done_callback(functools.partial(_written, node, row, stored))
    await asyncio.shield(future)  # who gives up waiting takes nothing back


def _written(node: Host, row: ExecutionRow, stored: bool, done: "asyncio.Future[None]") -> None:
    no_longer_starting(node.starting, row.id, done)
    if done.exception() is None and stored:
        node.due.reconsider(row.wake_at)
        node.due.hungry = row.wake_at is not None and row.wake_at <= node.clock.now()
