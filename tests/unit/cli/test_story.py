import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from counterpoint.cli.journal import record_words
from counterpoint.cli.output import console, show_parts
from counterpoint.cli.story import Surroundings, story
from counterpoint.model.states import Cause, Status
from counterpoint.runtime.client import ExecutionSummary, PostedRequest
from counterpoint.runtime.description import (
    AttemptDescription,
    CallDescription,
    Description,
    IncidentDescription,
    JournalEntry,
)

AT = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
CALL = CallDescription(
    call=1,
    name="orders.create",
    state="completed",
    arguments={},
    idempotency_key="o-1/1/1",
    attempts=1,
    scheduled_at=AT - 9 * SECOND,
    settled_at=AT - 8 * SECOND,
)
RUNNING = Description(
    id="o-1",
    run=1,
    workflow="orders.place",
    version=1,
    kind="saga",
    status=Status.RUNNING,
    correlation_id="o-1",
    created_at=AT - 10 * SECOND,
    updated_at=AT - 2 * SECOND,
    finished_at=None,
    records=1,
    arguments={"order": "o-1"},
    result=None,
    error=None,
    error_type=None,
    incident=None,
    incident_at=None,
    calls=[CALL],
    timers=[],
    awaited_signals=[],
    unread_signals=[],
    waits_for=[],
)
AROUND = Surroundings(AT)


def stopped(
    cause: Cause, call: int | None = 1, *, compensation: bool = False, child: str | None = None
) -> Description:
    incident = IncidentDescription(cause, "why", AT - 60 * SECOND, call, compensation)
    calls = [replace(CALL, state="stuck", child=child)]
    return replace(RUNNING, status=Status.INCIDENT, incidents=[incident], calls=calls)


def named(incident: Description) -> str:
    """Return an incident's kind and what it is about, for the name of a test."""
    about = incident.incidents[0].call, incident.calls[0].child
    return " ".join([incident.incidents[0].cause, *(str(one) for one in about if one is not None)])


def told(description: Description, around: Surroundings = AROUND) -> list[str]:
    file = io.StringIO()
    wide = console(file)
    wide.width = 200
    show_parts(wide, *story(description, around))
    return file.getvalue().splitlines()


def told_call(call: CallDescription, around: Surroundings = AROUND) -> list[str]:
    lines = told(replace(RUNNING, calls=[call]), around)
    return lines[lines.index("calls") + 1 :]


def test_a_running_execution_is_told_with_its_calls() -> None:
    assert told(RUNNING) == [
        "o-1  orders.place (saga)  running",
        "started    10 s ago (11:59:50 UTC)",
        'arguments  {"order": "o-1"}',
        "journal    1 record, the last 2 s ago (11:59:58 UTC)",
        "calls",
        "└── 1 orders.create ✓ completed in 1 s",
        "    key o-1/1/1",
    ]


def test_a_completed_execution_is_told_with_its_result_and_flow() -> None:
    ended = replace(
        RUNNING,
        status=Status.COMPLETED,
        finished_at=AT,
        result="r",
        correlation_id="f",
        version=2,
        run=3,
        records=7,
        calls=[],
    )

    assert told(ended) == [
        "o-1  orders.place v2 (saga, run 3)  completed",
        "started    10 s ago (11:59:50 UTC)",
        "ended      just now (12:00:00 UTC), after 10 s",
        "flow       f",
        'arguments  {"order": "o-1"}',
        'result     "r"',
        "journal    7 records, the last 2 s ago (11:59:58 UTC)",
    ]


def test_a_call_that_waits_for_a_retry_says_when() -> None:
    waiting = replace(
        CALL,
        state="waiting for a retry",
        error="builtins.OSError: down\nreally",
        settled_at=None,
        attempts=2,
        next_attempt_at=AT + 3 * SECOND,
    )

    assert told_call(waiting) == [
        "└── 1 orders.create … waiting for a retry, called 9 s ago, 2 attempts",
        "    builtins.OSError: down really",
        "    attempt 3 in 3 s (12:00:03 UTC)",
        "    key o-1/1/1",
        "waits for",
        "└── attempt 3 of orders.create (call 1) in 3 s (12:00:03 UTC)",
    ]


def test_an_undone_call_says_by_what_and_in_which_time() -> None:
    undone = replace(
        CALL,
        state="undone",
        error="builtins.TimeoutError: slow",
        outcome_unknown=True,
        compensation="orders.discard",
        compensation_attempts=2,
        compensation_key="o-1/1/1c",
        compensation_scheduled_at=AT - 7 * SECOND,
        compensated_at=AT - 5 * SECOND,
    )

    assert told_call(undone) == [
        "└── 1 orders.create ✗ failed in 1 s",
        "    builtins.TimeoutError: slow",
        "    its outcome is unknown: it may have happened",
        "    key o-1/1/1",
        "    ↶ undone by orders.discard in 2 s, 2 attempts",
        "      key o-1/1/1c",
    ]


def test_a_compensation_that_fails_says_why_and_when_it_is_tried_again() -> None:
    undoing = replace(
        CALL,
        state="being undone",
        compensation="orders.discard",
        compensation_attempts=1,
        compensation_error="builtins.OSError: down",
        compensation_key="o-1/1/1c",
        compensation_scheduled_at=AT - 7 * SECOND,
        next_attempt_at=AT - SECOND,
    )

    assert told_call(undoing)[2:] == [
        "    ↶ being undone by orders.discard, called 7 s ago, 1 attempt",
        "      builtins.OSError: down",
        "      attempt 2 due 1 s ago (11:59:59 UTC)",
        "      key o-1/1/1c",
        "waits for",
        "└── attempt 2 of orders.discard (call 1) due 1 s ago (11:59:59 UTC)",
    ]


def test_a_running_call_shows_its_heartbeat_and_a_stuck_one_asks_for_a_person() -> None:
    running = replace(CALL, state="running", settled_at=None, heartbeat={"page": 3})
    stuck = replace(CALL, state="stuck", settled_at=None)

    assert told_call(running)[1:] == [
        '    last heartbeat {"page": 3}',
        "    key o-1/1/1",
        "waits for",
        "└── attempt 1 of orders.create (call 1), under way",
    ]
    assert told_call(stuck)[-1] == "└── a person to retry orders.create (call 1)"


def test_an_incident_stands_at_the_top_with_the_command_that_ends_it() -> None:
    lines = told(stopped(Cause.NON_DETERMINISM, None))

    assert lines[1:3] == [
        "INCIDENT 60 s ago (11:59:00 UTC): non-determinism: why",
        "  it goes on when code that agrees is deployed; to try at once: counterpoint retry o-1",
    ]
    assert lines[-2] == "├── a person, because of the incident"


def test_what_the_app_does_not_have_is_said() -> None:
    around = Surroundings(AT, app="shop:app", version=0, activities=())

    lines = told(RUNNING, around)
    newer = told(replace(RUNNING, version=3), replace(around, version=2))

    assert newer[1].startswith("it needs version 3, and shop:app has version 2: ")
    assert lines[1].startswith("no service of shop:app has orders.place: ")
    assert "    no service of shop:app has orders.create" in lines


def test_an_error_signals_timers_and_posted_requests_are_told() -> None:
    waiting = replace(
        RUNNING,
        error="no",
        error_type="orders.Refused",
        calls=[],
        timers=[AT + 30 * SECOND],
        awaited_signals=["approved"],
    )
    posted = [PostedRequest("o-1", "signal", AT - 5 * SECOND, {"name": "go", "value": 1})]

    lines = told(waiting, Surroundings(AT, posted))

    assert "error      orders.Refused: no" in lines
    assert lines[-4:] == [
        "waits for",
        "├── a node to take a signal 'go', posted 5 s ago (11:59:55 UTC)",
        "├── the signal 'approved'",
        "└── a timer, in 30 s (12:00:30 UTC)",
    ]


def test_a_store_without_a_node_is_said_where_something_should_move() -> None:
    alone = Surroundings(AT, run_command="counterpoint run shop:app")
    ended = replace(RUNNING, status=Status.FAILED, finished_at=AT)
    retried = replace(alone, posted=[PostedRequest("o-1", "retry", AT, {})])
    words = "no node hosts this store: nothing moves until one runs (counterpoint run shop:app)"

    assert told(RUNNING, alone)[1] == told(ended, retried)[1] == words
    assert words not in told(ended, alone)
    assert words not in told(RUNNING)


def attempts(*errors: str | None) -> list[AttemptDescription]:
    return [
        AttemptDescription(number, AT, error, error is None)
        for number, error in enumerate(errors, 1)
    ]


def test_failed_and_lost_attempts_of_a_call_that_succeeded_are_told() -> None:
    lines = told_call(replace(CALL, attempts=3, failed_attempts=attempts(None, "b.E: boom\n!")))

    assert lines == [
        "└── 1 orders.create ✓ completed in 1 s, 3 attempts",
        "    attempt 1 lost (its node ended)",
        "    attempt 2 failed: b.E: boom !",
        "    key o-1/1/1",
    ]


def test_the_newest_error_is_told_once_with_its_line() -> None:
    trace = '  File "/shop/m5.py", line 39, in bug\n'
    failing = replace(CALL, state="failed", error="b.E: boom", traceback=trace)
    last = told_call(replace(failing, failed_attempts=attempts("b.E: boom", "b.E: boom")))
    not_last = told_call(replace(failing, failed_attempts=attempts("b.E: boom", None)))

    assert last[1:3] == ["    attempt 1 failed: b.E: boom", "    b.E: boom (m5.py:39, in bug)"]
    assert not_last[1:3] == [
        "    attempt 1 failed: b.E: boom",
        "    attempt 2 lost (its node ended)",
    ]
    assert not_last[3] == "    key o-1/1/1"


def test_many_attempts_are_cut_short_unless_all_are_asked_for() -> None:
    call = replace(CALL, failed_attempts=attempts(*["b.E: boom"] * 12))

    short = told_call(call)
    full = told_call(call, replace(AROUND, verbose=True))

    assert short[5:7] == ["    attempt 5 failed: b.E: boom", "    and 7 more"]
    assert full[12] == "    attempt 12 failed: b.E: boom"


def test_lost_attempts_of_a_compensation_are_told_below_it() -> None:
    undone = replace(
        CALL,
        compensation="orders.discard",
        compensated_at=AT,
        compensation_failed_attempts=attempts(None),
    )

    lines = told_call(undone)

    assert lines[lines.index("      attempt 1 lost (its node ended)") - 1].startswith(
        "    ↶ undone"
    )


def test_unread_signals_are_told_for_they_may_be_misspelt() -> None:
    unread = replace(RUNNING, unread_signals=["approvall", "go", "go"])
    ended = replace(unread, status=Status.COMPLETED, finished_at=AT)
    many = replace(RUNNING, unread_signals=[f"s-{number}" for number in range(7)])

    assert told(unread)[-2:] == [
        "unread signal 'approvall' (nobody waits for it)",
        "unread signal 'go', 2 times (nobody waits for it)",
    ]
    assert told(ended)[-2] == "unread signal 'approvall' (nobody waited for it)"
    assert told(many)[-1] == "and 2 more"


def test_a_requested_cancellation_is_told_while_it_has_not_ended() -> None:
    asked = replace(
        RUNNING,
        status=Status.INCIDENT,
        cancel_requested_at=AT - 5 * SECOND,
        cancel_requested_by="root",
        cancel_reason="late",
    )
    nobody = replace(asked, cancel_requested_by=None, cancel_reason=None)

    assert told(asked)[1] == "cancellation requested by root, 5 s ago (11:59:55 UTC): late"
    assert told(nobody)[1] == "cancellation requested, 5 s ago (11:59:55 UTC)"
    assert not any("requested" in line for line in told(replace(asked, status=Status.CANCELLED)))


def test_a_failed_execution_shows_its_type_and_line_and_all_of_it_if_asked() -> None:
    trace = "Traceback:\n  File \"/shop/m5.py\", line 39, in bug\nKeyError: 'x'\n"
    ended = replace(RUNNING, error="'x'", error_type="builtins.KeyError", traceback=trace)
    full = told(ended, replace(AROUND, verbose=True))

    assert "error      builtins.KeyError: 'x' (m5.py:39, in bug)" in told(ended)
    assert "Traceback:" not in told(ended)
    assert full[-4:] == [
        "where the error of the execution was raised",
        *trace.splitlines(),
    ]


def test_the_deadline_is_no_timer_of_the_code() -> None:
    moment = AT + 30 * SECOND
    waiting = replace(RUNNING, calls=[], timers=[moment, AT + 40 * SECOND], deadline_at=moment)

    assert told(waiting)[-2:] == [
        "├── the deadline, in 30 s (12:00:30 UTC)",
        "└── a timer, in 40 s (12:00:40 UTC)",
    ]


def test_an_attempt_whose_node_ended_is_not_told_as_under_way() -> None:
    alone = Surroundings(AT, run_command="counterpoint run shop:app")

    line = told_call(replace(CALL, state="running", settled_at=None), alone)[-1]

    assert line == "└── attempt 1 of orders.create (call 1), under way when its node ended"


def test_an_ended_execution_waits_for_nothing() -> None:
    ended = replace(RUNNING, status=Status.FAILED, finished_at=AT, awaited_signals=["approved"])

    assert "waits for" not in told(ended)


def test_a_record_is_one_line_of_words() -> None:
    failure = {"type": "builtins.OSError", "message": "down\nreally", "traceback": "..."}
    entry = JournalEntry(
        4,
        "attempt-failed",
        AT,
        {"step": 2, "error": failure, "retry_at": None, "name": "a b", "zero": 0, "no": False},
    )

    words = record_words(entry)

    assert words == 'call=2 error=builtins.OSError: down really name="a b" zero=0'


@pytest.mark.parametrize(
    ("record", "data", "words"),
    [
        ("scheduled", {"call": 2, "name": "a.b"}, "call=2 name=a.b"),
        ("attempt", {"step": 2, "attempt": 3}, "call=2 attempt=3"),
        ("attempt-lost", {"step": -2, "attempt": 3}, "undo of call=2 attempt=3"),
        ("compensate", {"call": 2, "name": "a.c"}, "undo of call=2 name=a.c"),
        ("compensated", {"call": 2}, "undo of call=2"),
    ],
)
def test_a_record_names_its_call_by_one_name(
    record: str, data: dict[str, object], words: str
) -> None:
    assert record_words(JournalEntry(1, record, AT, data)) == words


# ---- incidents and the commands that solve them -----------------------------------------------


@pytest.mark.parametrize(
    ("incident", "commands"),
    [
        (stopped(Cause.UNKNOWN_ACTIVITY), ["retry o-1", "terminate o-1"]),
        (stopped(Cause.DEADLINE, None), ["retry o-1"]),
        (stopped(Cause.PAST_PIVOT, None), ["retry o-1"]),
        (stopped(Cause.PAST_PIVOT), ["retry o-1", "resolve o-1 1 --result JSON"]),
        (stopped(Cause.PAST_PIVOT, child="o-1/1"), ["show o-1/1", "retry o-1"]),
        (stopped(Cause.PATIENCE, compensation=True), ["retry o-1", "resolve o-1 1 --done"]),
        (
            stopped(Cause.SETTLE),
            ["resolve o-1 1 --result JSON", "resolve o-1 1 --error TYPE:MESSAGE"],
        ),
        (
            stopped(Cause.LOST_ATTEMPTS),
            [
                "retry o-1",
                "resolve o-1 1 --result JSON",
                "resolve o-1 1 --error TYPE:MESSAGE",
            ],
        ),
        (
            stopped(Cause.UNKNOWN_OUTCOME),
            [
                "resolve o-1 1 --result JSON",
                "resolve o-1 1 --not-done",
                "resolve o-1 1 --error TYPE:MESSAGE",
            ],
        ),
    ],
    ids=lambda given: named(given) if isinstance(given, Description) else "",
)
def test_each_kind_of_incident_has_the_commands_that_solve_it(
    incident: Description, commands: list[str]
) -> None:
    lines = [line for line in told(incident) if ": counterpoint " in line]

    assert [line.partition(": counterpoint ")[2] for line in lines] == commands


def test_commands_reach_the_same_store_and_quote_what_a_shell_would_split() -> None:
    incident = replace(stopped(Cause.DEADLINE, None), id="o 1")

    lines = told(incident, replace(AROUND, options=" --store 'my shop.db'"))

    assert lines[2].endswith(": counterpoint retry 'o 1' --store 'my shop.db'")


def test_a_command_is_one_line_however_narrow_the_terminal_is() -> None:
    file = io.StringIO()
    narrow = console(file)
    narrow.width = 40

    show_parts(narrow, *story(stopped(Cause.NON_DETERMINISM, None), AROUND))

    assert ": counterpoint retry o-1\n" in file.getvalue()


def test_all_incidents_are_told_and_none_of_an_execution_that_has_ended() -> None:
    one = stopped(Cause.SETTLE)
    two = replace(one, incidents=[*one.incidents, *stopped(Cause.DEADLINE, None).incidents])

    assert sum(line.startswith("INCIDENT") for line in told(two)) == 2
    assert told(two)[-2] == "├── a person, because of the 2 incidents"
    assert told(two)[-1] == "└── a person to retry orders.create (call 1)"
    unknown = told(stopped(Cause.UNKNOWN_OUTCOME))[-1]
    assert unknown == "└── a person to say what became of orders.create (call 1)"
    assert not any("INCIDENT" in line for line in told(replace(two, status=Status.TERMINATED)))


# ---- undoing, children, runs ------------------------------------------------------------------


def test_a_compensating_saga_tells_what_is_undone_what_is_left_and_what_stays() -> None:
    calls = [
        replace(CALL, call=1),
        replace(CALL, call=2, name="mail.send", stays="it passed its pivot"),
        replace(CALL, call=3, name="mail.look"),
        replace(CALL, call=4, name="stock.take", compensation="stock.give", state="being undone"),
        replace(CALL, call=5, name="bank.pay", state="undone"),
    ]
    undoing = replace(RUNNING, calls=calls, undone=[5], to_undo=[4, 1], stay=[2, 3])

    lines = told(undoing)
    ended = told(replace(undoing, undone=[], to_undo=[]))

    assert lines[lines.index("undoing") + 1 :][:5] == [
        "├── 5 bank.pay: undone",
        "├── 4 stock.take: being undone",
        "├── 1 orders.create: left to undo",
        "├── 2 mail.send: stays, it passed its pivot",
        "└── 3 mail.look: stays, nothing undoes it",
    ]
    assert "undoing" not in ended


def test_a_terminated_execution_tells_what_it_left() -> None:
    calls = [
        CALL,
        replace(CALL, call=2, name="bank.pay", state="failed", idempotency_key="o-1/1/2"),
        replace(CALL, call=3, name="orders.leg", child="o-1/3"),
        replace(CALL, call=4, name="bank.hold", compensation="bank.free", state="cancelled"),
    ]
    lines = told(replace(RUNNING, status=Status.TERMINATED, calls=calls, left=[4, 3, 2, 1]))

    assert lines[lines.index("left by the termination, for a person to look after") + 1 :] == [
        "├── 4 bank.hold: it may have happened, and bank.free may have undone it (key o-1/1/1)",
        "├── 3 orders.leg: the child o-1/3, terminated with it: counterpoint show o-1/3",
        "├── 2 bank.pay: it may have happened (key o-1/1/2)",
        "└── 1 orders.create: it happened (key o-1/1/1)",
    ]


def test_children_are_told_with_their_id_and_status() -> None:
    leg = replace(CALL, name="trips.leg", child="o-1/1", settled_at=None, state="running")
    around = replace(AROUND, children={"o-1/1": Status.INCIDENT}, activities=())

    lines = told(replace(RUNNING, calls=[leg]), around)
    ended = told_call(replace(leg, state="completed", child_status="completed"))
    undoing = replace(leg, state="being undone", child_status="completed")
    undone = told_call(undoing, replace(AROUND, children={"o-1/1": Status.COMPENSATING}))

    assert lines[4:8] == [
        "calls",
        "└── 1 trips.leg … running, called 9 s ago, 1 attempt",
        "    child o-1/1: incident",
        "waits for",
    ]
    assert lines[8] == (
        "└── the child o-1/1 (call 1) to end, which is an incident: counterpoint show o-1/1"
    )
    assert ended[1] == "    child o-1/1: completed"
    assert undone[1] == "    child o-1/1: compensating"
    assert undone[-1] == "└── the child o-1/1 (call 1) to undo itself"


def test_parent_attributes_pivot_and_earlier_runs_are_facts() -> None:
    runs = [
        ExecutionSummary("o-1", 2, "orders.place", Status.CONTINUED, AT, AT - 5 * SECOND, "o-1")
    ]
    d = replace(
        RUNNING,
        run=3,
        parent="trip-1",
        parent_call=4,
        attributes={"customer": "c-1", "amount": "5"},
        pivot_passed=True,
    )

    lines = told(d, replace(AROUND, earlier=runs))

    assert lines[2:6] == [
        "parent      trip-1 (call 4)",
        "earlier     run 2 continued 5 s ago, and 1 more",
        "attributes  amount=5, customer=c-1",
        "pivot       passed: nothing is undone any more",
    ]


def test_a_delayed_execution_waits_for_its_beginning() -> None:
    delayed = replace(RUNNING, calls=[], begins_at=AT + 3 * SECOND)

    assert told(delayed)[-1] == "└── its beginning in 3 s (12:00:03 UTC)"


def test_what_people_asked_for_is_told_with_who_and_why() -> None:
    acts = [
        JournalEntry(
            5, "resolved", AT - SECOND, {"step": 2, "actor": "Ada", "reason": "seen in the console"}
        ),
        JournalEntry(6, "resolved", AT - SECOND, {"step": -2, "actor": None, "reason": None}),
        JournalEntry(7, "reset", AT, {"run": 1, "seq": 4, "actor": "Ada", "reason": None}),
    ]

    lines = told(replace(RUNNING, calls=[]), replace(AROUND, acts=acts))

    assert lines[-3:] == [
        "├── the outcome of call 2 by Ada, 1 s ago (11:59:59 UTC): seen in the console",
        "├── the outcome of the undoing of call 2, 1 s ago (11:59:59 UTC)",
        "└── this run, from a reset of run 1 to record 4 by Ada, just now (12:00:00 UTC)",
    ]


def test_an_attempt_under_way_is_told_with_when_it_began() -> None:
    call = replace(CALL, state="running", settled_at=None, attempts=2, attempt_at=AT - 3 * SECOND)

    assert told_call(call)[-1] == (
        "└── attempt 2 of orders.create (call 1), under way, since 3 s ago (11:59:57 UTC)"
    )


def test_a_call_that_no_node_hosts_is_said_to_wait_for_one() -> None:
    call = replace(CALL, state="running", settled_at=None)

    lines = "\n".join(told_call(call, Surroundings(AT, unhosted={"orders.create"})))
    hosted = "\n".join(told_call(call, Surroundings(AT, unhosted={"orders.other"})))

    assert "orders.create … waiting for a node" in lines
    assert "a node that hosts orders.create (call 1): no living node does" in lines
    assert "under way" not in lines
    assert "attempt 1 of orders.create (call 1), under way" in hosted
