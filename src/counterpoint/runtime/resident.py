"""An execution that a node holds in memory, with what the node has to remember about it."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from counterpoint.kernel.execution import Execution
from counterpoint.kernel.program import Program
from counterpoint.model.messages import EventWaitRow
from counterpoint.model.outcomes import Outcome, Outgoing
from counterpoint.model.records import AttributesSet, Failure, Payload, Record, RetryRequested
from counterpoint.model.rows import AttributeRow, ExecutionRow
from counterpoint.model.states import Cause, Status
from counterpoint.ports.clock import Alarm
from counterpoint.runtime.attempt import NEVER, Attempt
from counterpoint.runtime.call_changes import CallChanges
from counterpoint.runtime.remote_call import Elsewhere

STOPPED_BY_CODE = frozenset({Cause.NON_DETERMINISM.value, Cause.UNKNOWN_ACTIVITY.value})
"""Incidents in which nothing may happen before somebody deploys other code."""


class Resident:
    """One execution in memory; its owner is the node of this process."""

    __slots__ = (
        "alarm",
        "alarm_at",
        "attempts",
        "attributes",
        "beats",
        "changes",
        "elsewhere",
        "execution",
        "history",
        "id",
        "key",
        "later",
        "outbox",
        "program",
        "reload",
        "row",
        "seq",
        "started",
        "status",
        "taken",
        "transaction",
        "version",
        "waits",
        "wake_at",
        "written_version",
    )

    def __init__(self, row: ExecutionRow, program: Program, execution: Execution) -> None:
        self.key = row.key
        self.id = row.id
        self.row = row
        self.program = program
        self.execution = execution
        self.seq = 0
        """Records committed."""
        self.history: list[Record] = []
        """These records, while the node rehearses."""
        self.status = row.status
        self.version = max(row.version, program.version)
        """The highest workflow version that advanced it, this one included."""
        self.written_version = row.version
        self.wake_at = row.wake_at
        """Status, version and this as committed."""
        self.reload = False
        """Bring it back with today's code once nothing of it runs."""
        self.started: asyncio.Future[None] | None = None
        """Set once the start is durable; None if it was before."""
        self.attempts: dict[int, Attempt] = {}
        """Those that run on this node, by step."""
        self.elsewhere: dict[int, Elsewhere] = {}
        """Those that other nodes look after, by step."""
        self.changes: CallChanges | None = None
        """What its next commit writes about those, besides what follows from its records."""
        self.beats: dict[int, Payload] = {}
        """Newest heartbeat by step that is not recorded yet."""
        self.attributes: dict[str, str | None] = {}
        """What a retry has taken back of them, to be written with the next commit."""
        self.outbox: list[Outgoing] = []
        """What completed activities publish and start, to be written with their results."""
        self.waits: dict[int, EventWaitRow] = {}
        """The waits for events that the store knows of, by number."""
        self.transaction: Any = None
        """The `OpenTransaction` in which its next records are written; others wait for them."""
        self.later: deque[tuple[Attempt, Outcome]] = deque()
        """Outcomes of attempts in transactions that wait for the one before."""
        self.taken: list[int] = []
        """Positions of mail whose effect is in the next commit."""
        self.alarm: Alarm | None = None
        self.alarm_at = NEVER
        """The earliest moment at which the node will look at its timers and retries."""

    @property
    def run(self) -> int:
        """The run number of the execution's id."""
        return self.row.run

    @property
    def correlation_id(self) -> str:
        """The flow that it belongs to."""
        return self.row.correlation_id or self.id

    def change_calls(self) -> CallChanges:
        """Return what is to be written about attempts elsewhere, to be added to."""
        if self.changes is None:
            self.changes = CallChanges()
        return self.changes

    def take_back_attributes(self, records: Sequence[Record]) -> None:
        """Note which attributes in the store a retry may have taken back."""
        if not any(isinstance(one, RetryRequested) for one in records):
            return
        true = self.execution.state.attributes
        for one in records:
            if isinstance(one, AttributesSet):
                self.attributes |= {name: true.get(name) for name in one.values}

    def take_attributes(self, records: Sequence[Record]) -> list[AttributeRow]:
        """Return what is to be written of its attributes with *records*: each name's last word."""
        said, self.attributes = self.attributes, {}
        for one in records:
            if isinstance(one, AttributesSet):
                said.update(one.values)
        return [AttributeRow(self.key, name, value) for name, value in said.items()]

    def release(self) -> None:
        """Drop the code's frames and the alarm: nobody wakes what is not in memory."""
        self.execution.evict()
        if self.alarm is not None:
            self.alarm.cancel()
            self.alarm = None

    @property
    def idle(self) -> bool:
        """Whether it may be evicted: nothing runs here, nothing waits for a commit."""
        if self.attempts or self.execution.pending or self.started is not None:
            return False
        if self.changes is not None:
            return False
        return not (self.elsewhere and any(one.withdrawing for one in self.elsewhere.values()))

    @property
    def busy(self) -> bool:
        """Whether an attempt is under way that nobody else looks after."""
        under_way = self.execution.state.under_way
        if not self.elsewhere:
            return bool(under_way)
        return any(step not in self.elsewhere for step in under_way)

    def next_wake(self, now: int, settle: int) -> int | None:
        """Return the execution's wake-up time for its row.

        While an attempt is under way here, or a call that was given up is about to settle, or the
        code is about to go on after a retry, it is a time in the past, so that a node that starts
        finds it; the same time is kept, so that a busy execution does not write its row at every
        step. An attempt elsewhere needs nobody here: a letter comes when it has ended.
        """
        state = self.execution.state
        if not state.status.live:
            return None
        if any(incident.cause in STOPPED_BY_CODE for incident in state.incidents.values()):
            return None
        if self.busy or state.settling or self.reload:
            known = self.wake_at
            return known if known is not None and known <= now else now
        times = (state.next_wake(), state.overdue_at(settle))
        return min((at for at in times if at is not None), default=None)

    @property
    def waits_for_others(self) -> bool:
        """Whether it is idle and only other nodes, or letters, can move it: see `unhosted`.

        Its row says that it is due, for a node that hosts what it waits for.
        """
        state = self.execution.state
        return self.idle and state.busy and state.next_wake() is None

    @property
    def waits_for_retry(self) -> bool:
        """Whether an attempt will begin by itself."""
        return any(s.retry_at is not None for s in self.execution.state.open_steps.values())


class Finished:
    """How an execution ended, for those who wait for its result."""

    __slots__ = ("error", "result", "status")

    def __init__(self, status: Status, result: Payload | None, error: Failure | None) -> None:
        self.status = status
        self.result = result
        self.error = error
