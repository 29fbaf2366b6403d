"""What a process can do with executions, whether it hosts them or not."""

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple, Unpack

import msgspec

from counterpoint.authoring.activity import Activity
from counterpoint.authoring.attempt import refuse_in_attempt
from counterpoint.authoring.registry import AnyWorkflow, Registry
from counterpoint.authoring.workflow import Workflow
from counterpoint.errors import (
    ArgumentsError,
    DefinitionError,
    PayloadTooLargeError,
    WorkflowRefusedError,
)
from counterpoint.kernel.loop import WorkflowLoop, running_loop
from counterpoint.kernel.timers import FAR_FUTURE
from counterpoint.model.attributes import attribute_text, check_attribute_name
from counterpoint.model.ids import check_execution_id, generate_id
from counterpoint.model.rows import ExecutionRow, Query
from counterpoint.model.states import Status
from counterpoint.model.times import microseconds
from counterpoint.runtime.access import Access
from counterpoint.runtime.cloud_events import CloudEvents
from counterpoint.runtime.dead_letters import DeadLetters
from counterpoint.runtime.description import time_of
from counterpoint.runtime.event_log import EventLog
from counterpoint.runtime.flows import Flows
from counterpoint.runtime.handle import Execution
from counterpoint.runtime.operations import Operations
from counterpoint.runtime.publisher import Publisher
from counterpoint.runtime.subscribers import Subscribers

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True)
class ExecutionSummary:
    """One line of `app.executions()`: an execution without its journal."""

    id: str
    run: int
    workflow: str
    status: Status
    created_at: datetime
    finished_at: datetime | None
    correlation_id: str
    parent: str | None = None
    """The id of the execution whose step this one is; None for one that was started by itself."""


@dataclass(frozen=True, slots=True)
class PostedRequest:
    """Something that was asked of an execution and that no node has taken over yet."""

    execution_id: str
    kind: str
    """`start`, `signal`, `cancel` or `retry`."""
    at: datetime
    detail: dict[str, Any]
    """What was asked, as plain JSON values: a start's `workflow` and `arguments`, a signal's `name`
    and `value`, an operator's `actor` and `reason`."""


class Client(Publisher, CloudEvents, EventLog, DeadLetters, Subscribers, Flows, Operations):
    """Starts executions, finds them and waits for them; publishes events, and looks after them."""

    def _access(self) -> Access:
        raise NotImplementedError

    async def start(
        self,
        workflow: Workflow[R, Unpack[Ts]],
        *args: Unpack[Ts],
        id: str | None = None,
        delay: float | timedelta | None = None,
        at: datetime | None = None,
        correlation_id: str | None = None,
    ) -> Execution[R]:
        """Start an execution of *workflow*; it is durable once this returns.

        An id that was started before gives the first execution again, whatever became of it. With
        *delay* (seconds or a timedelta) or *at* its code begins later; until then it is a row in
        the store, which can be signalled and cancelled like any other.

        Raises:
            ArgumentsError: the arguments do not fit the workflow's parameters, or make no sense;
                names the fields.
            PayloadError: they cannot be recorded, or are too large.
            ExecutionExistsError: the id belongs to another workflow, or was given other arguments.
            NodeStoppedError: the node takes no work.
            NotInActivityError: an activity or reaction does it: `activity.start` is for that.
            StoreError: it may not have been started.
        """
        refuse_in_attempt("app.start", "activity.start(workflow, ...)")
        access = self._access()
        check_workflow(access.registry, workflow)
        wrong = check_execution_id(id) if id is not None else None
        if wrong is not None:
            raise ArgumentsError(wrong, fields=["id"])
        begins_at = begin_time(access.now(), delay, at)
        await access.entrance.enter()
        try:
            started: Execution[R] = await self._start(
                access, workflow, args, id, correlation_id, begins_at
            )
            return started
        finally:
            access.entrance.leave()

    async def _start(
        self,
        access: Access,
        workflow: AnyWorkflow,
        args: tuple[Any, ...],
        id: str | None,
        correlation_id: str | None,
        begins_at: int | None,
    ) -> Execution[Any]:
        signature = workflow.signature
        try:
            arguments = signature.encode_arguments(args, {})
        except TypeError as error:
            raise ArgumentsError(str(error)) from None
        size = len(bytes(arguments))
        if size > access.registry.payload_bytes_max:
            raise PayloadTooLargeError(
                f"the arguments of {workflow.name}",
                size_bytes=size,
                limit_bytes=access.registry.payload_bytes_max,
            )
        decoded = signature.decode_arguments(arguments)
        execution_id = id or generate_id()
        await access.start(workflow, execution_id, arguments, decoded, correlation_id, begins_at)
        return Execution(self._access, execution_id, workflow)

    async def run(
        self,
        workflow: Workflow[R, Unpack[Ts]],
        *args: Unpack[Ts],
        id: str | None = None,
        delay: float | timedelta | None = None,
        at: datetime | None = None,
        correlation_id: str | None = None,
        timeout: float | timedelta | None = None,
    ) -> R:
        """Start an execution and wait for its result.

        Raises:
            ExecutionFailed: it ended without a result.
            TimeoutError: it did not end within *timeout*; it goes on.
            and what `start` raises.
        """
        execution = await self.start(
            workflow, *args, id=id, delay=delay, at=at, correlation_id=correlation_id
        )
        return await execution.result(timeout)

    def execution(self, id: str) -> Execution[Any]:
        """Return a handle on the execution of that id, without looking whether there is one."""
        return Execution(self._access, id)

    async def executions(
        self,
        *,
        status: Status | str | Sequence[Status | str] | None = None,
        workflow: str | None = None,
        service: str | None = None,
        correlation_id: str | None = None,
        attributes: Mapping[str, object] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        newest_runs: bool = False,
    ) -> AsyncIterator["ExecutionSummary"]:
        """Iterate over executions that match all filters, newest first, read page by page.

        Of several statuses one has to match, and all *attributes*, exactly. *since* is the earliest
        time of creation, *until* the first that is too late. With *newest_runs* earlier runs of an
        id are left out.

        Raises:
            ArgumentsError: an attribute cannot have that name or value.
        """
        access = self._access()
        statuses = _statuses(status)
        if statuses == ():
            return
        query = Query(
            statuses=statuses or (),
            workflow=workflow,
            service=service,
            correlation_id=correlation_id,
            since=None if since is None else _microseconds(since),
            until=None if until is None else _microseconds(until),
            attributes={} if attributes is None else _attributes(attributes),
            newest_runs=newest_runs,
        )
        while True:
            rows = await access.store.executions(query)
            ids = {row.key: row.id for row in rows}
            for row in rows:
                yield _summary(row, await _parent(access, row.parent_key, ids))
            if len(rows) < query.limit:
                return
            query = replace(query, before=rows[-1].key)

    async def counts(self) -> dict[Status, int]:
        """Return how many executions stand in each status; a status with none is left out."""
        counts = await self._access().store.counts()
        return {status: count for status, count in counts.items() if count}

    async def posted(self, execution_id: str | None = None) -> AsyncIterator[PostedRequest]:
        """Iterate over the requests that wait for a node, of one execution or of all, oldest first.

        A request is durable; a running node takes it over within `poll_interval`, so one that stays
        here says that no node runs, or that the node takes no work.
        """
        access = self._access()
        after = 0
        store, codec = access.store, access.codec
        while rows := await store.mail(after=after, limit=500, execution_id=execution_id):
            for row in rows:
                detail: dict[str, Any] = msgspec.json.decode(codec.decode(row.body))
                detail.pop("type", None)
                yield PostedRequest(row.execution_id, row.kind, time_of(row.at), detail)
            after = rows[-1].position


def begin_time(now: int, delay: float | timedelta | None, at: datetime | None) -> int | None:
    """Return when a delayed execution begins, in microseconds; None for one that begins now.

    Raises:
        ArgumentsError: both are given, or one of them is no duration or no moment.
    """
    if delay is None and at is None:
        return None
    if delay is not None and at is not None:
        raise ArgumentsError("give delay= or at=, not both", fields=["delay", "at"])
    moment = now + microseconds(_span(delay)) if at is None else _microseconds(_moment(at))
    return None if moment <= now else min(moment, FAR_FUTURE)


def _moment(at: object) -> datetime:
    if not isinstance(at, datetime):
        raise ArgumentsError(f"at={at!r} is no datetime", fields=["at"])
    if at.tzinfo is None:
        raise ArgumentsError(
            f"at={at!r} has no time zone: datetime(..., tzinfo=UTC)", fields=["at"]
        )
    return at


def _span(delay: object) -> timedelta:
    """Return how long a start is delayed; what is longer than any timedelta is the longest."""
    if isinstance(delay, (int, float)):
        if not -math.inf < delay < math.inf:
            raise ArgumentsError(f"delay={delay} is no number of seconds", fields=["delay"])
        longest = timedelta.max.total_seconds()
        delay = timedelta.max if delay >= longest else timedelta(seconds=max(-1, delay))
    if not isinstance(delay, timedelta):
        raise ArgumentsError(f"delay={delay!r} is no duration", fields=["delay"])
    if delay < timedelta(0):
        raise ArgumentsError("delay= cannot be negative", fields=["delay"])
    return delay


def refuse_in_workflow() -> None:
    """Refuse what workflow code cannot do, before anything has happened.

    Raises:
        WorkflowRefusedError: workflow code is running.
    """
    if type(running_loop()) is WorkflowLoop:
        raise WorkflowRefusedError(
            "workflow code cannot start, signal, publish or look at anything through the app: a "
            "replay would do it again. Do it in an activity and await that (activity.start starts "
            "a workflow); an event is published with workflow.publish"
        )


def check_workflow(registry: Registry, workflow: object) -> None:
    """Refuse to start what is not a workflow of the app.

    Raises:
        DefinitionError: it is something else; the message says what to pass.
    """
    if isinstance(workflow, Workflow):
        if registry.workflows.get(workflow.name) is not workflow:
            raise DefinitionError(
                f"{workflow.name} is not of this app: add its service to App(services=[...])"
            )
    elif isinstance(workflow, Activity):
        raise DefinitionError(f"{workflow.name} is an activity; only workflows are started")
    elif isinstance(workflow, str):
        raise DefinitionError(
            f"start takes the workflow itself, not its name {workflow!r}: "
            "await app.start(place_order, ...)"
        )
    else:
        raise DefinitionError(
            f"{workflow!r} is not a workflow: declare it with @service.workflow or @service.saga"
        )


def _statuses(
    status: Status | str | Sequence[Status | str] | None,
) -> tuple[Status, ...] | None:
    """Return the statuses that are asked for; None for any."""
    if status is None:
        return None
    return tuple(Status(one) for one in ([status] if isinstance(status, str) else status))


def _attributes(attributes: Mapping[str, object]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for name, value in attributes.items():
        check_attribute_name(name)
        texts[name] = attribute_text(value)
    return texts


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)


async def _parent(access: Access, key: int | None, ids: dict[int, str]) -> str | None:
    """Return the id that belongs to the key of a parent; *ids* has those that are known."""
    if key is None or key in ids:
        return None if key is None else ids[key]
    for row in await access.store.executions(Query(before=key + 1, limit=1)):
        ids[row.key] = row.id
    return ids.get(key)


def _summary(row: ExecutionRow, parent: str | None) -> ExecutionSummary:
    return ExecutionSummary(
        row.id,
        row.run,
        row.name,
        row.status,
        time_of(row.created_at),
        None if row.finished_at is None else time_of(row.finished_at),
        row.correlation_id or row.id,
        parent,
    )
