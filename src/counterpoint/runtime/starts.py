"""The first row of an execution, and whether a second start means the same."""

import asyncio
import hashlib
from collections.abc import Mapping

from counterpoint.authoring.registry import AnyWorkflow
from counterpoint.errors import ArgumentsError, ExecutionExistsError
from counterpoint.kernel.timers import FAR_FUTURE
from counterpoint.model.records import CausedBy, Delayed, Hops, Payload, Record, Started
from counterpoint.model.rows import ExecutionRow
from counterpoint.model.states import Status
from counterpoint.model.times import microseconds
from counterpoint.ports.codec import Codec
from counterpoint.ports.store import Store
from counterpoint.runtime.journals import journal_records
from counterpoint.runtime.mail import ChildLink


def fingerprint_of(arguments: Payload) -> bytes:
    """Return a digest of recorded arguments (BLAKE2b, 16 bytes)."""
    return hashlib.blake2b(arguments, digest_size=16).digest()


def execution_row(
    key: int,
    execution_id: str,
    workflow: AnyWorkflow,
    arguments: Payload,
    now: int,
    correlation_id: str | None,
    *,
    begins_at: int | None = None,
    child: ChildLink | None = None,
    caused_by: CausedBy | None = None,
) -> ExecutionRow:
    """Return the row of a new execution: running, with work to do since *now*, or *begins_at*."""
    deadline = workflow.deadline
    begins = now if begins_at is None else begins_at
    return ExecutionRow(
        key,
        execution_id,
        1,
        workflow.kind,
        workflow.service,
        workflow.name,
        workflow.version,
        Status.RUNNING,
        fingerprint_of(arguments),
        now,
        begins,
        deadline_at=None if deadline is None else min(begins + microseconds(deadline), FAR_FUTURE),
        parent_key=None if child is None else child.parent_key,
        root_key=None if child is None else child.root_key,
        correlation_id=correlation_id if correlation_id != execution_id else None,
        causation_id=None if caused_by is None else caused_by.id,
    )


def first_records(
    row: ExecutionRow,
    arguments: Payload,
    *,
    child: ChildLink | None = None,
    caused_by: CausedBy | None = None,
    hops: int = 0,
) -> list[Record]:
    """Return the journal with which the execution of a new row begins."""
    records: list[Record] = [Started(row.created_at, row.name, row.version, arguments)]
    if child is not None:
        records.append(child.of)
    if caused_by is not None:
        records.append(caused_by)
    elif hops:
        records.append(Hops(hops))
    if row.wake_at is not None and row.wake_at > row.created_at:
        records.append(Delayed(row.wake_at))
    return records


def next_run(
    row: ExecutionRow, key: int, workflow: AnyWorkflow, now: int, deadline_at: int | None
) -> ExecutionRow:
    """Return the row of the run that follows *row*; who started it, and how, stays the same."""
    return row._replace(
        key=key,
        run=row.run + 1,
        kind=workflow.kind,
        version=workflow.version,
        status=Status.RUNNING,
        created_at=now,
        wake_at=now,
        finished_at=None,
        deadline_at=deadline_at,
        owner=None,
    )


async def check_same_start(
    store: Store, codec: Codec, row: ExecutionRow, workflow: AnyWorkflow, arguments: Payload
) -> None:
    """Refuse a second start of an id that means something else.

    The recorded bytes can differ although the values are equal (a set is written in the order of
    its hashes, a default may have been added since), so values are compared where bytes differ.

    Raises:
        ExecutionExistsError: the id belongs to another workflow, or was given other arguments.
    """
    if row.name != workflow.name:
        raise ExecutionExistsError(row.id, f"it is an execution of {row.name}")
    if row.fingerprint == fingerprint_of(arguments):
        return
    started = journal_records((await store.journal(row.key))[:1], codec)[:1]
    decode = workflow.signature.decode_arguments
    try:
        same = any(
            isinstance(record, Started) and decode(record.arguments) == decode(arguments)
            for record in started
        )
    except ArgumentsError:
        same = False
    if not same:
        raise ExecutionExistsError(row.id, "it was started with other arguments")


async def starts_decided(
    starting: Mapping[str, "asyncio.Future[None]"], *execution_ids: str
) -> None:
    """Wait until the store has said of starts whether their ids are new.

    What is in memory for them before that is not the execution of that id if it is refused. A
    start that begins while another one is waited for is waited for, too.
    """
    while undecided := [
        start
        for id in execution_ids
        if (start := starting.get(id)) is not None and not start.done()
    ]:
        await asyncio.wait(undecided)


def no_longer_starting(
    starting: dict[str, "asyncio.Future[None]"], execution_id: str, decided: "asyncio.Future[None]"
) -> None:
    """Forget a start that the store has decided, unless another one of the id is under way."""
    if starting.get(execution_id) is decided:
        del starting[execution_id]


async def about_to_begin(store: Store, execution_id: str) -> bool:
    """Return whether a posted start, retry or reset waits for the node, or a next run begins."""
    row = await store.execution(execution_id)
    if row is not None and (row.status.live or row.status is Status.CONTINUED):
        return not row.status.live
    kinds = ("start",) if row is None else ("retry", "reset")
    after = 0
    while letters := await store.mail(after=after, limit=500, execution_id=execution_id):
        if any(one.kind in kinds for one in letters):
            return True
        after = letters[-1].position
    return False
