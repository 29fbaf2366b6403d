"""The judge of executions: what must be true of journals and of the world when nothing moves.

A row says what its journal says, and the journal replays (P8). A saga that failed has undone what
may have happened, newest first, or an incident names it (P9). A letter was taken over once, and
none is left (P10). What lives waits for something that can come; what has ended waits for nothing.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from counterpoint.authoring.registry import Registry
from counterpoint.kernel.execution import Execution
from counterpoint.kernel.replay import fold
from counterpoint.kernel.review import Review
from counterpoint.model import records as r
from counterpoint.model.ids import idempotency_key
from counterpoint.model.rows import ExecutionRow
from counterpoint.model.states import Status
from counterpoint.runtime.describing import describe
from counterpoint.runtime.description import Description
from counterpoint.testing.simulation.attempts import Evidence
from counterpoint.testing.simulation.ledger import LedgerStore

UNDONE = (Status.COMPENSATED, Status.CANCELLED)
REASONS = ("a person", "the child", "the signal", "the event")
"""What an execution may wait for when time brings nothing any more."""


@dataclass
class Run:
    """One run of an execution, as its journal tells."""

    row: ExecutionRow
    records: list[r.Record]
    known: Description

    def __post_init__(self) -> None:
        records = self.records
        self.calls = {one.call: one for one in records if isinstance(one, r.CallScheduled)}
        self.children = {one.call: one for one in records if isinstance(one, r.ChildScheduled)}
        self.registered: list[int] = [
            one.call for one in records if isinstance(one, r.UndoRegistered)
        ]
        self.completed: set[int] = {
            one.call for one in records if isinstance(one, r.CallCompleted | r.ChildCompleted)
        }
        self.cancelled: set[int] = {one.call for one in records if isinstance(one, r.CallCancelled)}
        self.undone: list[int] = [
            one.call for one in records if isinstance(one, r.CompensationCompleted)
        ]
        self.stays: set[int] = {
            one.call for one in records if isinstance(one, r.CompensationSkipped)
        }
        self.asked: list[int] = [
            one.call
            for one in records
            if isinstance(one, r.CompensationScheduled | r.ChildUndoScheduled)
        ]
        """Calls of which undoing was decided."""
        self.pivoted = any(isinstance(one, r.PivotPassed) for one in records)
        self.undoing = any(isinstance(one, r.CompensationStarted) for one in records)

    @property
    def name(self) -> str:
        """What findings call it."""
        return f"{self.row.id} (run {self.row.run}, {self.known.status})"

    @property
    def saga(self) -> bool:
        """Whether it undoes itself."""
        return self.row.kind == "saga"

    @property
    def left_something(self) -> bool:
        """Whether, not being undone, it left what has to be."""
        pivoted = self.pivoted or _continued(self)
        return not pivoted and bool(self.calls or self.children or self.registered)

    def key(self, call: int) -> str:
        """Return the idempotency key of a call."""
        return idempotency_key(self.row.id, self.row.run, call)

    def compensable(self) -> Iterator[int]:
        """Yield the activity calls that have a compensation."""
        if self.saga:
            yield from (n for n, call in self.calls.items() if call.compensable)


def read(ledger: LedgerStore, row: ExecutionRow) -> Run:
    """Return what the journal of one run tells."""
    records = ledger.records(row.key)
    return Run(row, records, describe(row, records))


@dataclass
class Executions:
    """All runs of all executions, and what the world knows of them."""

    ledger: LedgerStore
    registry: Registry
    world: Evidence

    def __post_init__(self) -> None:
        self.runs: list[Run] = []
        self.unreadable: list[str] = []
        for row in self.ledger.rows():
            try:
                self.runs.append(read(self.ledger, row))
            except Exception as error:  # noqa: BLE001 - whatever a broken journal raises
                self.unreadable.append(f"P8: the journal of {row.id} cannot be read: {error!r}")
        self.newest = {run.row.id: run for run in self.runs}

    def judge(self) -> Iterator[str]:
        """Yield what is wrong."""
        yield from self.unreadable
        for run in self.runs:
            for what in self._judge_run(run):
                yield f"{run.name}: {what}"
        for letter in self.ledger.letters():
            yield f"P10: a letter is left: {letter.kind} for {letter.execution_id}"
        rows = {row.key: row for row in self.ledger.rows()}
        for wait in self.ledger.waits_left():
            row = rows.get(wait.execution_key)
            if row is None or not row.status.live:
                yield f"P10: {wait.execution_id} has ended, and its wait for {wait.type} is left"

    def alive(self) -> list[Run]:
        """Return the newest runs that have not ended."""
        return [run for run in self.newest.values() if run.known.status.live]

    def _judge_run(self, run: Run) -> Iterator[str]:
        world, newest, status = self.world, self.newest, run.known.status
        if run.row.status is not status:
            yield f"P8: its row says {run.row.status}"
        if not status.live and run.row.wake_at is not None:
            yield f"P8: it has ended, and its row is to be woken at {run.row.wake_at}"
        yield from _order(run)
        yield from _once(run)
        yield from _replay(run, self.registry)
        if run.pivoted and (run.asked or run.stays or run.undoing):
            yield "P9: it undoes although it has passed its pivot"
        if status.live:
            yield from _live(world, run, newest)
        elif status in (*UNDONE, Status.FAILED) and run.saga and not run.pivoted:
            yield from _nothing_left(world, run)
            yield from _no_child_left(world, run, newest)
        elif status is Status.TERMINATED:
            yield from _left(world, run)
        elif status in (Status.COMPLETED, Status.CONTINUED):
            yield from _kept(world, run, newest)
        if not status.live:
            yield from _children_ended(run, newest)


def compare(ledger: LedgerStore, execution: Execution, row: ExecutionRow) -> Iterator[str]:
    """Yield how an execution in memory, of which everything is written, differs from the store.

    Its state is compared with the fold of its journal: status, calls, steps, attempts, timers,
    signals, waits, attributes, what is to be undone. What the store has beside the journal is
    compared with the state: status, waits for events, attributes.
    """
    live = execution.state
    try:
        folded = fold(ledger.records(row.key), keep_calls=live.keep_calls)
    except Exception as error:  # noqa: BLE001 - whatever a broken journal raises
        yield f"P8: the journal of {row.id} cannot be read: {error!r}"
        return
    if folded != live:
        for name in live.__dataclass_fields__:
            stored, has = getattr(folded, name), getattr(live, name)
            if stored != has:
                yield f"P8: {row.id}: {name} is {has} in memory, and {stored} in its journal"
    if row.status is not live.status:
        yield f"P8: {row.id} is {live.status}, and its row says {row.status}"
    stored_waits = [wait.wait for wait in ledger.waits_of(row.key)]
    waits = sorted(live.event_waits) if live.status.live else []
    if stored_waits != waits:
        yield f"P8: {row.id} waits for the events {waits}, and the store knows {stored_waits}"
    attributes = ledger.attributes_of(row.key)
    if attributes != live.attributes:
        yield f"P8: {row.id} has the attributes {live.attributes}, the store has {attributes}"


RECORDED: dict[str, tuple[type, ...]] = {
    "cancel": (r.CancelRequested, r.CancelRefused),
    "signal": (r.SignalReceived,),
    "terminate": (r.TerminateRequested,),
}
"""What says that an act was taken over."""


def taken_over(act: str, execution_id: str, runs: list[Run]) -> bool:
    """Whether an act is recorded, or came when the execution had ended (it may go on since)."""
    kinds = (*RECORDED[act], r.Ended)
    return any(
        isinstance(record, kinds)
        for run in runs
        for record in run.records
        if run.row.id == execution_id
    )


def _order(run: Run) -> Iterator[str]:
    if run.asked != sorted(run.asked, reverse=True) or len(set(run.asked)) < len(run.asked):
        yield f"P9: it undoes in the order {run.asked}"
    if run.undone != [n for n in run.asked if n in run.undone]:
        yield f"P9: it was to undo {run.asked} and undid {run.undone}"


def _once(run: Run) -> Iterator[str]:
    """Check that each letter was taken over once."""
    requests = Counter(str(getattr(record, "request_id", "")) for record in run.records)
    del requests[""]
    for request, times in requests.items():
        if times > 1:
            yield f"P10: the letter {request} was taken over {times} times"


def _replay(run: Run, registry: Registry) -> Iterator[str]:
    if all(isinstance(record, r.PREAMBLE) for record in run.records):
        return
    program = registry.program(run.row.name)
    assert program is not None
    execution = Execution(run.row.id, run.row.run, program, Review())
    by_order = [seq for seq, one in enumerate(run.records) if isinstance(one, r.TerminateRequested)]
    execution.replay(run.records[: by_order[0]] if by_order else run.records)
    if execution.divergence is not None:
        yield f"P8: its replay differs: {execution.divergence}"
    execution.evict()


def _live(world: Evidence, run: Run, newest: dict[str, Run]) -> Iterator[str]:
    known = run.known
    if not known.waits_for:
        yield "P10: it waits for nothing"
    for what in known.waits_for:
        if not what.startswith(REASONS):
            yield f"P10: it waits for {what}, and nothing brings that"
    for call, child in run.children.items():
        if f"the child {child.id} (call {call}) to end" in known.waits_for:
            found = newest.get(child.id)
            if found is None or not found.known.status.live:
                yield f"P10: it waits for {child.id}, which has ended"
    if (known.status is Status.INCIDENT) != bool(known.incidents):
        yield f"P9: it has the incidents {known.incidents}"
    yield from _named(world, run)


def _named(world: Evidence, run: Run) -> Iterator[str]:
    """Check that what is there, and not yet undone, is named."""
    for call in run.compensable():
        there = world.there.get(run.key(call))
        if run.undoing and there and call not in run.known.to_undo:
            yield f"P9: call {call} is there, and not named among {run.known.to_undo}"
        if not run.undoing and world.there.get(run.key(call)) is False:
            yield f"P9: call {call} is undone, and the saga is not being undone"


def _nothing_left(world: Evidence, run: Run) -> Iterator[str]:
    for call in run.compensable():
        if world.there.get(run.key(call)):
            yield f"P9: call {call} ({run.calls[call].name}) is still there"
    expected = [run.key(n) for n in run.undone if n not in run.children]
    order = [key for key in world.undid if key in expected]
    if order != expected:
        yield f"P9: the world was undone in the order {order}"
    for call in run.registered:
        if call not in run.undone:
            yield f"P9: what compensate_with named (call {call}) was not called"


def _no_child_left(world: Evidence, run: Run, newest: dict[str, Run]) -> Iterator[str]:
    for call, child in run.children.items():
        found = newest.get(child.id)
        if not child.saga or call in run.stays or found is None:
            continue
        if child.compensable and call in run.undone:
            if run.key(call) not in world.undid:
                yield f"P9: the child {child.id} is said to be undone, and nothing undid it"
        elif found.known.status not in (*UNDONE, Status.FAILED) and found.left_something:
            yield f"P9: the child {child.id} is {found.known.status}"
    for call in run.stays:
        found = newest.get(run.children[call].id)
        if found is None or not (
            found.pivoted or found.known.status is Status.TERMINATED or _continued(found)
        ):
            yield f"P9: call {call} stays, and its child has not passed its pivot"


def _continued(run: Run) -> bool:
    return any(isinstance(record, r.Continued) and record.pivoted for record in run.records)


def _left(world: Evidence, run: Run) -> Iterator[str]:
    for call in run.compensable():
        if world.there.get(run.key(call)) and call not in run.known.left:
            yield f"P9: call {call} is there, and `left` says {run.known.left}"


def _kept(world: Evidence, run: Run, newest: dict[str, Run]) -> Iterator[str]:
    if run.asked or run.undone:
        yield f"P9: it undid {run.undone}"
    for call, scheduled in run.calls.items():
        if call in run.completed and world.there.get(run.key(call)) is not True:
            yield f"P2: call {call} ({scheduled.name}) completed, and is not there"
    for call, child in run.children.items():
        if call in run.completed:
            found = newest.get(child.id)
            if found is None or found.known.status is not Status.COMPLETED:
                yield f"P2: the child {child.id} completed, and is not"


def _children_ended(run: Run, newest: dict[str, Run]) -> Iterator[str]:
    for call, child in run.children.items():
        found = newest.get(child.id)
        if found is None or not found.known.status.live or run.row.run < newest[run.row.id].row.run:
            continue
        kinds = (r.CancelRequested, r.CancelRefused)
        told = any(isinstance(record, kinds) for record in found.records)
        if call not in run.cancelled or not told:
            yield f"P9: its child {child.id} goes on: {found.known.status}"


def covered(runs: list[Run]) -> Counter[str]:
    """Return what a run contained, each name once."""
    kinds = {str(one.__struct_config__.tag) for run in runs for one in run.records}
    causes = {
        f"incident: {one.cause}"
        for run in runs
        for one in run.records
        if isinstance(one, r.IncidentRaised)
    }
    return Counter([*kinds, *causes])


def in_words(ledger: LedgerStore) -> str:
    """Return every journal as text, for whoever looks at a finding."""
    lines: list[str] = []
    for row in ledger.rows():
        run = read(ledger, row)
        lines.append(f"{run.name} waits for {run.known.waits_for}")
        for seq, record in enumerate(run.records, 1):
            body = msgspec.json.encode(record).decode()
            lines.append(f"  {seq:>3} {body[:240]}")
    return "\n".join(lines)
