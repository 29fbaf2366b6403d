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
from counterpoint.model.states import LIVE, TRANSITIONS, Status

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
    r.TimerSet(1, 99),
    r.SignalReceived(3, "unread", NULL, "request-1"),
    r.SignalAwaited(1, "go"),
]
UNDOING: list[r.Record] = [
    STARTED,
    r.CallScheduled(1, "shop.act", NULL),
    r.CallCompleted(2, 1, NULL),
    r.CallScheduled(2, "shop.act", NULL),
    r.SignalReceived(3, "unread", NULL, "request-1"),
    r.CompensationStarted(3, FAILURE),
    r.CompensationScheduled(1, "shop.undo"),
]
INCIDENT = r.IncidentRaised(4, "lost-attempts", "")


def ended(status: Status) -> r.Ended:
    return r.Ended(5, status.value, NULL, FAILURE)


JOURNALS: dict[Status, list[list[r.Record]]] = {
    Status.RUNNING: [ALIVE],
    Status.COMPENSATING: [UNDOING],
    Status.INCIDENT: [[*ALIVE, INCIDENT], [*UNDOING, INCIDENT]],
    Status.COMPLETED: [[*ALIVE, ended(Status.COMPLETED)]],
    Status.FAILED: [[*ALIVE, ended(Status.FAILED)]],
    Status.COMPENSATED: [[*UNDOING, ended(Status.COMPENSATED)]],
    Status.CANCELLED: [
        [*ALIVE, ended(Status.CANCELLED)],
        [*UNDOING, ended(Status.CANCELLED)],
    ],
}
LATER = frozenset({Status.TERMINATED, Status.CONTINUED})
"""Nothing leads there yet."""

SAMPLES: dict[type, r.Record] = {
    r.CallScheduled: r.CallScheduled(3, "shop.act", NULL),
    r.CallCompleted: r.CallCompleted(AT, 2, NULL),
    r.CallFailed: r.CallFailed(AT, 2, FAILURE, 1, True),
    r.CallCancelled: r.CallCancelled(2),
    r.TimerSet: r.TimerSet(2, 99),
    r.TimerCancelled: r.TimerCancelled(1),
    r.TimerFired: r.TimerFired(AT, 1),
    r.SignalReceived: r.SignalReceived(AT, "go", NULL, "request-2"),
    r.SignalAwaited: r.SignalAwaited(2, "on"),
    r.SignalTaken: r.SignalTaken("unread"),
    r.SignalWaitEnded: r.SignalWaitEnded(1),
    r.CancelRequested: r.CancelRequested(AT, "request-2"),
    r.AttemptStarted: r.AttemptStarted(AT, 2, 2),
    r.AttemptFailed: r.AttemptFailed(AT, 2, 1, FAILURE, True, 20),
    r.AttemptLost: r.AttemptLost(AT, 2, 1, 20),
    r.AttemptPostponed: r.AttemptPostponed(AT, 2, 1),
    r.HeartbeatRecorded: r.HeartbeatRecorded(AT, 2, NULL),
    r.CompensationStarted: r.CompensationStarted(AT, FAILURE),
    r.CompensationScheduled: r.CompensationScheduled(1, "shop.undo"),
    r.CompensationCompleted: r.CompensationCompleted(AT, 1),
    r.IncidentRaised: r.IncidentRaised(AT, "patience", ""),
    r.IncidentResolved: r.IncidentResolved(AT),
    r.RetryRequested: r.RetryRequested(AT, "request-2"),
}
CODE_ENDS = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
UNDO_ENDS = (Status.COMPENSATED, Status.CANCELLED)


def possible(status: Status, journal: list[r.Record]) -> list[r.Record]:
    """Return what an execution in *status* can record next."""
    if status is Status.FAILED:
        return [SAMPLES[r.RetryRequested]]
    if status not in LIVE:
        return []
    before = ExecutionState()
    for record in journal:
        before.apply(record)
    undoing = before.undoing
    never_here: set[type] = {r.CompensationStarted} if undoing else set()
    if status is not Status.INCIDENT:
        never_here.add(r.IncidentResolved)
    else:  # the code and the saga stand still, until the incident is resolved in the same commit
        never_here |= {r.CompensationStarted, r.IncidentRaised}
    if not undoing:
        never_here |= {r.CompensationScheduled, r.CompensationCompleted}
    samples = [x for kind, x in SAMPLES.items() if kind not in never_here]
    if status is Status.INCIDENT:
        return samples
    return samples + [ended(end) for end in (UNDO_ENDS if undoing else CODE_ENDS)]


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
    table = {(a, b) for a, after in TRANSITIONS.items() for b in after if b not in LATER}

    assert table == {(a, b) for a, b in moves if a is not b}


def test_every_record_can_be_folded() -> None:
    records = set(get_args(r.Record))

    assert set(state_module._FOLD) == records
    assert records == {*SAMPLES, r.Started, r.Ended}


def test_the_table_covers_every_status() -> None:
    assert set(TRANSITIONS) == set(Status)
    assert all(TRANSITIONS[status] for status in LIVE)
    assert {s for s in Status if s.live} == LIVE


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
