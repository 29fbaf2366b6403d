"""What a flow looks like while it goes on: retries, incidents, waits, lost attempts."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from counterpoint.cli.flow_lines import flow_lines
from counterpoint.cli.output import console, show_parts
from counterpoint.model.states import Cause, Status
from counterpoint.runtime.description import (
    AttemptDescription,
    CallDescription,
    Description,
    IncidentDescription,
)
from counterpoint.runtime.flow import (
    AwaitedEvent,
    Flow,
    FlowEvent,
    FlowExecution,
    FlowReaction,
    FlowStep,
    ReceivedEvent,
)

AT = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DOWN = "builtins.ConnectionError: no route"
EVENT = FlowEvent("s", "e1", "s.Said", 1, "k", AT - 9 * SECOND, 1, None, None, {})
REACTION = FlowReaction("r", "s.hear", "s", "completed", "e1", 0, AT - 9 * SECOND, None, 1)
CALL = CallDescription(
    call=1,
    name="s.say",
    state="completed",
    arguments={},
    idempotency_key="x/1/1",
    attempts=1,
    scheduled_at=AT - 9 * SECOND,
    settled_at=AT - 8 * SECOND,
)
RUNNING = Description(
    id="x",
    run=1,
    workflow="s.talk",
    version=1,
    kind="saga",
    status=Status.RUNNING,
    correlation_id="x",
    created_at=AT - 10 * SECOND,
    updated_at=AT,
    finished_at=None,
    records=1,
    arguments={},
    result=None,
    error=None,
    error_type=None,
    incident=None,
    incident_at=None,
    calls=[],
    timers=[],
    awaited_signals=[],
    unread_signals=[],
    waits_for=[],
)


def lost(attempt: int) -> AttemptDescription:
    return AttemptDescription(attempt, AT, None, lost=True)


def failed(attempt: int) -> AttemptDescription:
    return AttemptDescription(attempt, AT, DOWN, lost=False)


def printed(*roots: FlowStep) -> list[str]:
    file = io.StringIO()
    show_parts(console(file), *flow_lines(Flow("x", roots, AT - 10 * SECOND, None), AT))
    _, _, *lines = file.getvalue().splitlines()
    return lines


def called(call: CallDescription) -> list[str]:
    return printed(FlowExecution(replace(RUNNING, calls=[call]), "s", None))[1:]


def test_a_reaction_that_is_retried_says_when() -> None:
    retrying = replace(
        REACTION,
        status="retrying",
        attempts=3,
        failed_attempts=[failed(1), failed(2), lost(3)],
        next_attempt_at=AT + 5 * SECOND,
    )

    assert printed(retrying) == [
        "s.hear … retrying, 3 attempts",
        f"attempts 1 to 2 failed: {DOWN}",
        "attempt 3 lost: its node ended",
        "attempt 4 in 5 s (12:00:05 UTC)",
    ]


def test_a_replay_is_named() -> None:
    assert printed(replace(REACTION, replay=3, finished_at=AT)) == [
        "s.hear ✓ completed in 9 s, replay 3"
    ]


def test_an_execution_says_what_it_got_what_it_waits_for_and_who_is_needed() -> None:
    incident = IncidentDescription(Cause.PATIENCE, "s.say keeps failing", AT - SECOND, 1, True)
    description = replace(
        RUNNING,
        run=2,
        status=Status.INCIDENT,
        incidents=[incident],
        waits_for=["a person: s.say keeps failing", "attempt 2 of s.say", "the signal 'go'"],
    )
    got = ReceivedEvent("s.Said", "s", "e1", AT - 4 * SECOND)
    execution = FlowExecution(description, "s", None, [got], [AwaitedEvent("s.Said", "k")])

    assert printed(execution) == [
        "s.talk x, run 2 incident",
        "incident 1 s ago: s.say keeps failing",
        "got s.Said e1  +6.000 s",
        "waits for the signal 'go'",
        "waits for the event s.Said of k",
    ]


def test_a_call_that_is_retried_says_when() -> None:
    waiting = replace(
        CALL,
        state="waiting for a retry",
        settled_at=None,
        attempts=2,
        error=DOWN,
        failed_attempts=[lost(1), failed(2)],
        next_attempt_at=AT + 5 * SECOND,
        outcome_unknown=True,
        stays="the pivot was passed",
    )

    assert called(waiting) == [
        "└── 1 s.say … waiting for a retry, 2 attempts",
        "    attempt 1 lost: its node ended",
        f"    {DOWN}",
        "    its outcome is unknown: it may have happened",
        "    attempt 3 in 5 s (12:00:05 UTC)",
        "    it stays: the pivot was passed",
    ]


def test_a_compensation_that_is_retried_says_when() -> None:
    undoing = replace(
        CALL,
        state="being undone",
        compensation="s.unsay",
        compensation_attempts=1,
        compensation_failed_attempts=[failed(1)],
        next_attempt_at=AT - 5 * SECOND,
    )

    assert called(undoing) == [
        "└── 1 s.say ✓ completed in 1 s",
        "    ↶ being undone by s.unsay",
        f"    attempt 1 failed: {DOWN}",
        "    attempt 2 due 5 s ago (11:59:55 UTC)",
    ]


def test_what_a_call_published_stands_under_it() -> None:
    event = replace(EVENT, call=1)
    undone = replace(EVENT, id="e2", call=-1)
    lonely = replace(EVENT, id="e3")
    description = replace(RUNNING, calls=[CALL])

    assert printed(FlowExecution(description, "s", None, led_to=(event, undone, lonely)))[1:] == [
        "├── 1 s.say ✓ completed in 1 s",
        "│   ├── s.Said of k  +1.000 s",
        "│   └── s.Said of k  +1.000 s, published by the compensation",
        "└── s.Said of k  +1.000 s",
    ]
