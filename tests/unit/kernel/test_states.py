"""Every record folded in every status: the table of transitions is what an execution can do."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from counterpoint.kernel import state as state_module
from counterpoint.kernel.replay import fold
from counterpoint.kernel.state import ExecutionState
from counterpoint.model import records as r
from counterpoint.model.states import LIVE, TRANSITIONS, Cause, Status

ROOT = Path(__file__).parents[3]
FAILURE = r.Failure("builtins.OSError", "no route")
NULL = r.NULL

AT = 10
STARTED = r.Started(1, "shop.main", 1, NULL)
ALIVE: list[r.Record] = [
    STARTED,
    r.CallScheduled(1, "shop.act", NULL),
    r.CallCompleted(2, 1, NULL),
    r.CallScheduled(2, "shop.act", NULL),
    r.ChildScheduled(3, "main/3", "shop.child", NULL, True, False),
    r.TimerSet(1, 99),
    r.SignalReceived(3, "unread", NULL, "request-1"),
    r.SignalAwaited(1, "go"),
    r.EventAwaited(1, "shop.Shipped", "1", 0, 1),
]
UNDOING: list[r.Record] = [
    STARTED,
    r.CallScheduled(1, "shop.act", NULL),
    r.CallCompleted(2, 1, NULL),
    r.CallScheduled(2, "shop.act", NULL),
    r.ChildScheduled(3, "main/3", "shop.child", NULL, True, False),
    r.SignalReceived(3, "unread", NULL, "request-1"),
    r.CompensationStarted(3, FAILURE),
    r.CompensationScheduled(1, "shop.undo"),
]
DELAYED: list[r.Record] = [STARTED, r.Delayed(50)]
"""Its code has not begun."""
INCIDENT = r.IncidentRaised(4, "lost-attempts", "")


def ended(status: Status) -> r.Ended:
    return r.Ended(5, status.value, NULL, FAILURE)


JOURNALS: dict[Status, list[list[r.Record]]] = {
    Status.RUNNING: [ALIVE, DELAYED],
    Status.COMPENSATING: [UNDOING],
    Status.INCIDENT: [[*ALIVE, INCIDENT], [*UNDOING, INCIDENT]],
    Status.COMPLETED: [[*ALIVE, ended(Status.COMPLETED)]],
    Status.FAILED: [[*ALIVE, ended(Status.FAILED)]],
    Status.COMPENSATED: [[*UNDOING, ended(Status.COMPENSATED)]],
    Status.CANCELLED: [
        [*ALIVE, ended(Status.CANCELLED)],
        [*UNDOING, ended(Status.CANCELLED)],
    ],
    Status.TERMINATED: [
        [*ALIVE, ended(Status.TERMINATED)],
        [*UNDOING, ended(Status.TERMINATED)],
    ],
    Status.CONTINUED: [[*ALIVE, ended(Status.CONTINUED)]],
}

SAMPLES: dict[type, r.Record] = {
    r.CallScheduled: r.CallScheduled(4, "shop.act", NULL),
    r.CallCompleted: r.CallCompleted(AT, 2, NULL),
    r.CallFailed: r.CallFailed(AT, 2, FAILURE, 1, True),
    r.CallCancelled: r.CallCancelled(2),
    r.ChildScheduled: r.ChildScheduled(4, "main/4", "shop.child", NULL, True, False),
    r.ChildCompleted: r.ChildCompleted(AT, 3, NULL, False),
    r.ChildFailed: r.ChildFailed(AT, 3, FAILURE, "failed", True),
    r.UndoRegistered: r.UndoRegistered(4, "shop.undo", NULL),
    r.PivotPassed: r.PivotPassed(),
    r.Patched: r.Patched("change"),
    r.AttributesSet: r.AttributesSet({"customer": "ann"}),
    r.TimerSet: r.TimerSet(2, 99),
    r.TimerCancelled: r.TimerCancelled(1),
    r.TimerFired: r.TimerFired(AT, 1),
    r.SignalReceived: r.SignalReceived(AT, "go", NULL, "request-2"),
    r.SignalAwaited: r.SignalAwaited(2, "on"),
    r.SignalTaken: r.SignalTaken("unread"),
    r.SignalWaitEnded: r.SignalWaitEnded(1),
    r.CancelRequested: r.CancelRequested(AT, "request-2"),
    r.EventAwaited: r.EventAwaited(2, "shop.Shipped", "2", 7, 0),
    r.EventReceived: r.EventReceived(AT, 1, "shop.Shipped", "1", 8, "shop", "event-1", 1, NULL),
    r.EventWaitEnded: r.EventWaitEnded(1),
    r.Published: r.Published("event-2", "shop.Confirmed", 1, "1", NULL),
    r.CausedBy: r.CausedBy("shop.Placed", "shop", "event-0", 7, 1, 0),
    r.Hops: r.Hops(3),
    r.Begun: r.Begun(AT),
    r.ChildOf: r.ChildOf("parent", 1, 1),
    r.Delayed: r.Delayed(50),
    r.Continued: r.Continued(1, None, {}, [], False),
    r.ResetFrom: r.ResetFrom(AT, 1, 7, "request-2"),
    r.AttemptStarted: r.AttemptStarted(AT, 2, 2),
    r.AttemptFailed: r.AttemptFailed(AT, 2, 1, FAILURE, True, 20),
    r.AttemptLost: r.AttemptLost(AT, 2, 1, 20),
    r.AttemptPostponed: r.AttemptPostponed(AT, 2, 1),
    r.HeartbeatRecorded: r.HeartbeatRecorded(AT, 2, NULL),
    r.CompensationStarted: r.CompensationStarted(AT, FAILURE),
    r.CompensationScheduled: r.CompensationScheduled(1, "shop.undo"),
    r.CompensationCompleted: r.CompensationCompleted(AT, 1),
    r.ChildUndoScheduled: r.ChildUndoScheduled(3),
    r.CompensationSkipped: r.CompensationSkipped(1, "it passed its pivot"),
    r.Stopped: r.Stopped(AT, FAILURE),
    r.IncidentRaised: r.IncidentRaised(AT, "patience", ""),
    r.IncidentResolved: r.IncidentResolved(AT),
    r.RetryRequested: r.RetryRequested(AT, "request-2"),
    r.CancelRefused: r.CancelRefused(AT, "request-2"),
    r.TerminateRequested: r.TerminateRequested(AT, "request-2"),
    r.StepResolved: r.StepResolved(AT, 2, "request-2"),
    r.UndoRequested: r.UndoRequested(AT, "request-2"),
}
CODE_ENDS = (Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.CONTINUED)
UNDO_ENDS = (Status.COMPENSATED, Status.CANCELLED)
BEFORE_THE_CODE = {r.Begun, r.Delayed, r.Continued, r.CausedBy, r.Hops}
"""Of executions whose code has not begun."""
WHILE_UNDOING = {
    r.CompensationScheduled,
    r.CompensationCompleted,
    r.ChildUndoScheduled,
    r.CompensationSkipped,
}
OF_REACTIONS = {r.Redriven, r.Died, r.Discarded}
"""What only the journals of reactions have, which no code is replayed from."""
CODE_FAILS = {r.CompensationStarted, r.Stopped}
WITHOUT_CODE = (
    r.Begun,
    r.ChildOf,
    r.SignalReceived,
    r.CancelRequested,
    r.TerminateRequested,
    r.IncidentRaised,
)
"""What is recorded of an execution that waits for its beginning."""


def possible(status: Status, journal: list[r.Record]) -> list[r.Record]:
    """Return what an execution in *status* can record next."""
    if status is Status.FAILED:
        return [SAMPLES[r.RetryRequested]]
    if status is Status.COMPLETED:  # a child saga whose parent is being undone
        return [SAMPLES[r.UndoRequested], SAMPLES[r.CompensationStarted]]
    if status not in LIVE:
        return []
    if journal is DELAYED:
        waiting = [SAMPLES[kind] for kind in WITHOUT_CODE]
        return [*waiting, ended(Status.CANCELLED), ended(Status.TERMINATED)]
    never_here, ends = _not_in(status, undoing=_fold_plainly(journal).undoing)
    samples = [x for kind, x in SAMPLES.items() if kind not in never_here]
    return samples + [ended(end) for end in ends]


def _fold_plainly(journal: list[r.Record]) -> ExecutionState:
    state = ExecutionState()
    for record in journal:
        state.apply(record)
    return state


def _not_in(status: Status, *, undoing: bool) -> tuple[set[type], list[Status]]:
    """Return the kinds of records that cannot come in *status*, and the ends that can."""
    never_here: set[type] = {*BEFORE_THE_CODE, r.UndoRequested}
    never_here |= {*CODE_FAILS, r.ResetFrom} if undoing else WHILE_UNDOING
    if status is Status.INCIDENT:
        # The code and the saga end only after the incident is resolved, in the same commit.
        return never_here | CODE_FAILS, [Status.TERMINATED]
    never_here.add(r.IncidentResolved)
    return never_here, [*(UNDO_ENDS if undoing else CODE_ENDS), Status.TERMINATED]


CASES = [
    pytest.param(
        status, journal, record, id=f"{status.value}-{place}-{type(record).__name__}-{index}"
    )
    for status, journals in JOURNALS.items()
    for place, journal in enumerate(journals)
    for index, record in enumerate(possible(status, journal))
]


@pytest.mark.parametrize(("status", "journal", "record"), CASES)
def test_a_record_moves_an_execution_along_the_table_only(
    status: Status, journal: list[r.Record], record: r.Record
) -> None:
    before, after = fold(journal), fold([*journal, record])

    assert before.status is status
    assert after.status is status or after.status in TRANSITIONS[status]
    assert after.count == before.count + 1


def test_the_table_says_nothing_that_no_record_does() -> None:
    moves = {
        (status, fold([*journal, record]).status)
        for status, journals in JOURNALS.items()
        for journal in journals
        for record in possible(status, journal)
    }
    table = {(a, b) for a, after in TRANSITIONS.items() for b in after}

    assert table == {(a, b) for a, b in moves if a is not b}


def test_every_record_can_be_folded() -> None:
    records = set(get_args(r.Record)) - OF_REACTIONS

    assert set(state_module._FOLD) == records
    assert records == {*SAMPLES, r.Started, r.Ended}


def test_the_table_covers_every_status() -> None:
    assert set(TRANSITIONS) == set(Status)
    assert all(TRANSITIONS[status] for status in LIVE)
    assert {s for s in Status if s.live} == LIVE


def test_the_page_about_states_names_every_cause_of_an_incident() -> None:
    page = (ROOT / "docs/reference/states.md").read_text()
    rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| `")]

    assert [f"`{cause}`" for cause in Cause] == [
        row for row in rows if row.strip("`") in set(Cause)
    ]


def test_the_page_about_states_is_drawn_from_the_table() -> None:
    spec = importlib.util.spec_from_file_location("states", ROOT / "tools/states.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page: Callable[[], Any] = module.page

    assert (ROOT / "docs/reference/states.md").read_text() == page(), (
        "run: python tools/states.py > docs/reference/states.md"
    )
