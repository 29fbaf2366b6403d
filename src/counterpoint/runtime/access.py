"""How a process reaches executions: as the node that hosts them, or as a client beside it."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol

from counterpoint.authoring.registry import AnyWorkflow, Registry
from counterpoint.errors import (
    ConflictError,
    ExecutionNotFoundError,
    ExecutionRefusedError,
    NodeStoppedError,
    StoreCorruptError,
)
from counterpoint.model.messages import EventRow
from counterpoint.model.records import Payload
from counterpoint.model.rows import ExecutionRow
from counterpoint.model.states import Status
from counterpoint.ports.clock import Clock
from counterpoint.ports.codec import Codec
from counterpoint.ports.store import Store
from counterpoint.runtime.entrance import Entrance
from counterpoint.runtime.mail import EVENTS, Mail, PublishMail, StartMail, mail_row, read_mail
from counterpoint.runtime.messaging.publishing import (
    Same,
    check_same_event,
    look_up,
    posted,
    posted_row,
    same_data,
)
from counterpoint.runtime.node import Node
from counterpoint.runtime.outbox import Outbox
from counterpoint.runtime.recovery import is_fatal, read_end
from counterpoint.runtime.resident import Finished
from counterpoint.runtime.starting import start_execution
from counterpoint.runtime.starts import (
    about_to_begin,
    check_same_start,
    execution_row,
    first_records,
)


class Access(Protocol):
    """What handles and clients need; both implementations read the same store."""

    registry: Registry
    codec: Codec
    entrance: Entrance

    def now(self) -> int:
        """Return the present in microseconds."""
        ...

    @property
    def store(self) -> Store:
        """The store, to read from.

        Raises:
            NodeStoppedError: this node's store has failed and is not open again.
        """
        ...

    async def start(
        self,
        workflow: AnyWorkflow,
        execution_id: str,
        arguments: Payload,
        decoded: Any,
        correlation_id: str | None,
        begins_at: int | None,
    ) -> None:
        """Start an execution, or find the one that was started with the same id and arguments."""
        ...

    async def post(self, execution_id: str, mail: Mail) -> None:
        """Send something to an execution; durable once it returns."""
        ...

    async def publish(self, rows: Sequence[EventRow], *, given_ids: bool) -> None:
        """Append events to the log; durable once it returns."""
        ...

    async def finished(self, execution_id: str, timeout: float | None) -> Finished:
        """Wait until an execution has ended."""
        ...


class NodeAccess:
    """Access from the process that hosts the store."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.registry = node.registry.whole
        self.codec = node.codec
        self.entrance = node.entrance

    def now(self) -> int:
        return self.node.clock.now()

    @property
    def store(self) -> Store:
        if self.node.fault is not None:
            self.node.check_accepting()
        return self.node.store

    async def start(
        self,
        workflow: AnyWorkflow,
        execution_id: str,
        arguments: Payload,
        decoded: Any,
        correlation_id: str | None,
        begins_at: int | None,
    ) -> None:
        node = self.node
        if node.registry.program(workflow.name) is None:  # another node begins it
            node.check_accepting()
            await _post_start(self, workflow, execution_id, arguments, correlation_id, begins_at)
            return
        now = node.clock.now()
        key = await node.next_key()
        row = execution_row(
            key, execution_id, workflow, arguments, now, correlation_id, begins_at=begins_at
        )
        try:
            records = first_records(row, arguments)
            await start_execution(node, workflow, row, records, decoded)
        except ConflictError:
            await self._check_existing(execution_id, workflow, arguments)

    async def _check_existing(
        self, execution_id: str, workflow: AnyWorkflow, arguments: Payload
    ) -> None:
        first = self.node.starting.get(execution_id)
        if first is not None:
            with contextlib.suppress(ConflictError):  # then it was there before both
                await asyncio.shield(first)
        row = await self.store.execution(execution_id)
        if row is None:
            raise NodeStoppedError("another start of the id was under way, and failed: try again")
        await check_same_start(self.store, self.codec, row, workflow, arguments)

    async def post(self, execution_id: str, mail: Mail) -> None:
        row = mail_row(execution_id, mail, self.node.clock.now(), self.codec)
        await self.node.post(row)

    async def publish(self, rows: Sequence[EventRow], *, given_ids: bool) -> None:
        await self.node.messaging.publishing.publish(rows, given_ids=given_ids)

    async def finished(self, execution_id: str, timeout: float | None) -> Finished:
        if timeout is None:
            return await self._finished(execution_id)
        async with asyncio.timeout(timeout):
            return await self._finished(execution_id)

    async def _finished(self, execution_id: str) -> Finished:
        node = self.node
        if node.fault is not None:
            if is_fatal(node.fault):
                node.check_accepting()
        elif execution_id not in node.residents:
            if (damage := node.loading.damaged.get(execution_id)) is not None:
                raise StoreCorruptError(damage)
            begins = await about_to_begin(self.store, execution_id)
            while begins and node.distant_results is None:  # a rare race
                await asyncio.sleep(node.settings.poll_interval.total_seconds())
                begins = await about_to_begin(self.store, execution_id)
            if not begins:
                row = await existing(self.store, execution_id)
                if not row.status.live:
                    return await read_end(self.store, self.codec, row)
            if node.distant_results is not None:
                node.distant_results.look_soon()
        future = node.results.wait(execution_id)
        try:
            return await future
        finally:
            node.results.forget(execution_id, future)


class ClientAccess:
    """Access from beside the node: reads the store, posts mail, polls for results."""

    def __init__(
        self, registry: Registry, store: Store, clock: Clock, codec: Codec, poll: timedelta
    ) -> None:
        self.registry = registry
        self._store = store
        self._outbox = Outbox(store)
        self.clock = clock
        self.codec = codec
        self._poll_seconds = poll.total_seconds()
        self.entrance = Entrance()

    def now(self) -> int:
        return self.clock.now()

    @property
    def store(self) -> Store:
        return self._store

    async def start(
        self,
        workflow: AnyWorkflow,
        execution_id: str,
        arguments: Payload,
        decoded: Any,  # noqa: ARG002 - the node that takes the mail decodes for itself
        correlation_id: str | None,
        begins_at: int | None,
    ) -> None:
        await _post_start(self, workflow, execution_id, arguments, correlation_id, begins_at)

    async def post(self, execution_id: str, mail: Mail) -> None:
        row = mail_row(execution_id, mail, self.clock.now(), self.codec)
        await self._outbox.post(row)

    async def publish(self, rows: Sequence[EventRow], *, given_ids: bool) -> None:
        same = same_data(self.registry, self.codec)
        new = await look_up(self.store, rows, same) if given_ids else rows
        if given_ids:
            new = await self._not_posted(new, same)
        if new:
            mail = PublishMail([posted(row, self.codec) for row in new], given_ids)
            await self.post(EVENTS, mail)

    async def _not_posted(self, rows: Sequence[EventRow], same: Same) -> list[EventRow]:
        """Return those of *rows* that no letter on its way to a node has."""
        after, posted_rows = 0, dict[tuple[str, str], EventRow]()
        while letters := await self.store.mail(after=after, limit=500, execution_id=EVENTS):
            for letter in letters:
                mail = read_mail(letter, self.codec)
                if isinstance(mail, PublishMail):
                    found = [posted_row(event, letter.at, self.codec) for event in mail.events]
                    posted_rows |= {(row.source, row.id): row for row in found}
            after = letters[-1].position
        for row in rows:
            if (other := posted_rows.get((row.source, row.id))) is not None:
                check_same_event(other, row, same)
        return [row for row in rows if (row.source, row.id) not in posted_rows]

    async def finished(self, execution_id: str, timeout: float | None) -> Finished:
        async with asyncio.timeout(timeout):
            while True:
                if not await about_to_begin(self.store, execution_id):
                    row = await existing(self.store, execution_id)
                    if not row.status.live:
                        return await read_end(self.store, self.codec, row)
                await asyncio.sleep(self._poll_seconds)


async def _post_start(
    access: Access,
    workflow: AnyWorkflow,
    execution_id: str,
    arguments: Payload,
    correlation_id: str | None,
    begins_at: int | None,
) -> None:
    """Ask whichever node hosts a workflow to start it, unless the id was started before."""
    row = await access.store.execution(execution_id)
    if row is not None:
        await check_same_start(access.store, access.codec, row, workflow, arguments)
        return
    mail = StartMail(workflow.name, arguments, correlation_id, begins_at)
    await access.post(execution_id, mail)


async def existing(store: Store, execution_id: str) -> ExecutionRow:
    """Return the newest run of an execution.

    Raises:
        ExecutionNotFoundError: there is none.
    """
    row = await store.execution(execution_id)
    if row is None:
        raise ExecutionNotFoundError(execution_id)
    return row


async def check_reachable(store: Store, execution_id: str, what: str) -> None:
    """Refuse an act on an execution that is unknown or has ended; one may be about to begin.

    Raises:
        ExecutionNotFoundError: no execution has the id, and no start of it is posted.
        ExecutionRefusedError: it has ended.
    """
    row = await store.execution(execution_id)
    if row is None:
        if await about_to_begin(store, execution_id):
            return
        row = await existing(store, execution_id)  # it may have begun since
    if not row.status.live and not await about_to_begin(store, execution_id):
        raise ExecutionRefusedError(row.id, f"it is {row.status} and cannot be {what}")


def check_retryable(row: ExecutionRow) -> None:
    """Refuse the retry of an execution that ended for good.

    Raises:
        ExecutionRefusedError: it is compensated, cancelled, terminated or continued, or a failed
            child: its parent knows that it failed, and may have been undone since.
    """
    if row.status is Status.FAILED and row.parent_key is not None:
        raise ExecutionRefusedError(
            row.id, "it is a step of another execution, which knows that it failed: retry that one"
        )
    refused = (Status.COMPENSATED, Status.CANCELLED, Status.TERMINATED, Status.CONTINUED)
    if row.status in refused:
        raise ExecutionRefusedError(
            row.id, f"it is {row.status}: what was undone or ended is not retried; start a new one"
        )
