"""The judge: what must be true of the services' world and of every journal when nothing happens."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from tests.simulation.ledger import LedgerStore
from tests.simulation.services import COMPENSABLE, app
from tests.simulation.world import World

from counterpoint.kernel.execution import Execution
from counterpoint.kernel.review import Review
from counterpoint.model import records as r
from counterpoint.model.ids import idempotency_key
from counterpoint.model.rows import ExecutionRow
from counterpoint.model.states import Status
from counterpoint.runtime.describing import describe
from counterpoint.runtime.description import Description

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
        self.registered = self._calls(r.UndoRegistered)
        self.completed = set(self._calls(r.CallCompleted, r.ChildCompleted))
        self.cancelled = set(self._calls(r.CallCancelled))
        self.undone = self._calls(r.CompensationCompleted)
        self.stays = set(self._calls(r.CompensationSkipped))
        self.asked = self._calls(r.CompensationScheduled, r.ChildUndoScheduled)
        """Calls of which undoing was decided."""
        self.pivoted = any(isinstance(one, r.PivotPassed) for one in records)
        self.undoing = any(isinstance(one, r.CompensationStarted) for one in records)

    def _calls(self, *kinds: type) -> list[int]:
        return [one.call for one in self.records if isinstance(one, kinds)]  # type: ignore[union-attr]

    @property
    def name(self) -> str:
        return f"{self.row.id} (run {self.row.run}, {self.known.status})"

    @property
    def saga(self) -> bool:
        return self.row.kind == "saga"

    @property
    def left_something(self) -> bool:
        """Whether, not being undone, it left what has to be."""
        pivoted = self.pivoted or _continued(self)
        return not pivoted and bool(self.calls or self.children or self.registered)

    def key(self, call: int) -> str:
        return idempotency_key(self.row.id, self.row.run, call)

    def compensable(self) -> Iterator[int]:
        """Yield the activity calls that have a compensation."""
        if self.saga:
            yield from (n for n, call in self.calls.items() if call.name in COMPENSABLE)


def rows(ledger: LedgerStore) -> list[ExecutionRow]:
    """Return every run of every execution, oldest first."""
    return [ledger._executions[key] for key in sorted(ledger._executions)]


def newest_rows(ledger: LedgerStore) -> list[ExecutionRow]:
    """Return the newest run of every execution."""
    return [ledger._executions[runs[max(runs)]] for runs in ledger._keys.values() if runs]


def read(ledger: LedgerStore, row: ExecutionRow) -> Run:
    """Return what the journal of one run tells."""
    found = ledger._journal.get(row.key, {})
    records = [one for seq in sorted(found) for one in r.decode_records(found[seq].body)]
    return Run(row, records, describe(row, records))


def judge(
    world: World, ledger: LedgerStore, counts: Counter[str], *, over: bool = False
) -> list[str]:
    """Return what is wrong; *over*: everything that people can do has been done, too."""
    runs = [read(ledger, row) for row in rows(ledger)]
    newest = {run.row.id: run for run in runs}
    found: list[str] = []
    for run in runs:
        found += (f"{run.name}: {what}" for what in _judge_run(world, run, newest))
        if over and run.known.status.live:
            found.append(f"{run.name}: it has not ended: {run.known.waits_for}")
    for letter in ledger._mail.values():
        found.append(f"a letter is left: {letter.kind} for {letter.execution_id}")
    for act, execution_id in world.accepted:
        if newest[execution_id].known.status.live and not _taken_over(act, execution_id, runs):
            found.append(f"{execution_id}: a {act} was acknowledged, and nothing says so")
    status = newest["r"].known.status
    if over:
        counts[f"root at last: {status}"] += 1
    else:
        counts[f"root at first: {status}"] += 1
        _count(runs, counts)
    return found


_RECORDED: dict[str, tuple[type, ...]] = {
    "cancel": (r.CancelRequested, r.CancelRefused),
    "signal": (r.SignalReceived,),
    "terminate": (r.TerminateRequested,),
}


def _taken_over(act: str, execution_id: str, runs: list[Run]) -> bool:
    """Whether an act is recorded, or came when the execution had ended (it may go on since)."""
    kinds = (*_RECORDED[act], r.Ended)
    return any(
        isinstance(record, kinds)
        for run in runs
        for record in run.records
        if run.row.id == execution_id
    )


def _judge_run(world: World, run: Run, newest: dict[str, Run]) -> Iterator[str]:
    status = run.known.status
    if run.row.status is not status:
        yield f"its row says {run.row.status}"
    yield from _order(run)
    yield from _once(run)
    yield from _replay(run)
    if run.pivoted and (run.asked or run.stays or run.undoing):
        yield "it undoes although it has passed its pivot"
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


def _order(run: Run) -> Iterator[str]:
    if run.asked != sorted(run.asked, reverse=True) or len(set(run.asked)) < len(run.asked):
        yield f"it undoes in the order {run.asked}"
    if run.undone != [n for n in run.asked if n in run.undone]:
        yield f"it was to undo {run.asked} and undid {run.undone}"


def _once(run: Run) -> Iterator[str]:
    """Check that each letter was taken over once."""
    requests = Counter(str(getattr(record, "request_id", "")) for record in run.records)
    del requests[""]
    for request, times in requests.items():
        if times > 1:
            yield f"the letter {request} was taken over {times} times"


def _replay(run: Run) -> Iterator[str]:
    program = app.registry.program(run.row.name)
    assert program is not None
    execution = Execution(run.row.id, run.row.run, program, Review())
    by_order = [seq for seq, one in enumerate(run.records) if isinstance(one, r.TerminateRequested)]
    execution.replay(run.records[: by_order[0]] if by_order else run.records)
    if execution.divergence is not None:
        yield f"its replay differs: {execution.divergence}"
    execution.evict()


def _live(world: World, run: Run, newest: dict[str, Run]) -> Iterator[str]:
    known = run.known
    if not known.waits_for:
        yield "it waits for nothing"
    for what in known.waits_for:
        if not what.startswith(REASONS):
            yield f"it waits for {what}, and nothing brings that"
    for call, child in run.children.items():
        if f"the child {child.id} (call {call}) to end" in known.waits_for:
            found = newest.get(child.id)
            if found is None or not found.known.status.live:
                yield f"it waits for {child.id}, which has ended"
    if (known.status is Status.INCIDENT) != bool(known.incidents):
        yield f"it has the incidents {known.incidents}"
    yield from _named(world, run)


def _named(world: World, run: Run) -> Iterator[str]:
    """Check that what is there, and not yet undone, is named."""
    for call in run.compensable():
        there = world.there.get(run.key(call))
        if run.undoing and there and call not in run.known.to_undo:
            yield f"call {call} is there, and not named among {run.known.to_undo}"
        if not run.undoing and world.there.get(run.key(call)) is False:
            yield f"call {call} is undone, and the saga is not being undone"


def _nothing_left(world: World, run: Run) -> Iterator[str]:
    for call in run.compensable():
        if world.there.get(run.key(call)):
            yield f"call {call} ({run.calls[call].name}) is still there"
    expected = [run.key(n) for n in run.undone if n not in run.children]
    order = [key for key in world.undid if key in expected]
    if order != expected:
        yield f"the world was undone in the order {order}"
    for call in run.registered:
        if call not in run.undone:
            yield f"what compensate_with named (call {call}) was not called"


def _no_child_left(world: World, run: Run, newest: dict[str, Run]) -> Iterator[str]:
    for call, child in run.children.items():
        found = newest.get(child.id)
        if not child.saga or call in run.stays or found is None:
            continue
        if child.compensable and call in run.undone:
            if run.key(call) not in world.undid:
                yield f"the child {child.id} is said to be undone, and its compensation never ran"
        elif found.known.status not in (*UNDONE, Status.FAILED) and found.left_something:
            yield f"the child {child.id} is {found.known.status}"
    for call in run.stays:
        found = newest[run.children[call].id]
        if not (found.pivoted or found.known.status is Status.TERMINATED or _continued(found)):
            yield f"call {call} stays, and its child neither passed its pivot nor was terminated"


def _continued(run: Run) -> bool:
    return any(isinstance(record, r.Continued) and record.pivoted for record in run.records)


def _left(world: World, run: Run) -> Iterator[str]:
    for call in run.compensable():
        if world.there.get(run.key(call)) and call not in run.known.left:
            yield f"call {call} is there, and `left` says {run.known.left}"


def _kept(world: World, run: Run, newest: dict[str, Run]) -> Iterator[str]:
    if run.asked or run.undone:
        yield f"it undid {run.undone}"
    for call, scheduled in run.calls.items():
        if call in run.completed and world.there.get(run.key(call)) is not True:
            yield f"call {call} ({scheduled.name}) completed, and is not there"
    for call, child in run.children.items():
        if call in run.completed:
            found = newest.get(child.id)
            if found is None or found.known.status is not Status.COMPLETED:
                yield f"the child {child.id} completed, and is not"


def _children_ended(run: Run, newest: dict[str, Run]) -> Iterator[str]:
    for call, child in run.children.items():
        found = newest.get(child.id)
        if found is None or not found.known.status.live or run.row.run < newest[run.row.id].row.run:
            continue
        kinds = (r.CancelRequested, r.CancelRefused)
        told = any(isinstance(record, kinds) for record in found.records)
        if call not in run.cancelled or not told:
            yield f"its child {child.id} goes on: {found.known.status}"


def _count(runs: list[Run], counts: Counter[str]) -> None:
    """Count what a case contains, each name once."""
    kinds = {str(one.__struct_config__.tag) for run in runs for one in run.records}
    causes = {
        f"incident: {one.cause}"
        for run in runs
        for one in run.records
        if isinstance(one, r.IncidentRaised)
    }
    for kind in kinds | causes:
        counts[f"cases with {kind}"] += 1
    counts["executions (runs of them)"] += len(runs)


def in_words(ledger: LedgerStore) -> str:
    """Return every journal as text, for whoever looks at a violation."""
    lines: list[str] = []
    for row in rows(ledger):
        run = read(ledger, row)
        lines.append(f"{run.name} waits for {run.known.waits_for}")
        for seq, record in enumerate(run.records, 1):
            body = msgspec.json.encode(record).decode()
            lines.append(f"  {seq:>3} {body[:240]}")
    return "\n".join(lines)
