"""Stories told from journals: records as they are written, a second apart."""

from typing import Any

import msgspec

from counterpoint.graph.sequence import (
    Arrow,
    Chapter,
    Happening,
    Message,
    Remark,
    Repeated,
    elapsed,
)
from counterpoint.graph.telling import story
from counterpoint.model import records as r
from counterpoint.runtime.description import JournalEntry, journal_entries

SECOND = 1_000_000
NULL = msgspec.Raw(b"null")
DOWN = r.Failure("builtins.ConnectionError", "the bank\ndoes not answer")


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def started(*records: r.Record) -> list[JournalEntry]:
    first = r.Started(0, "shop.place", 1, raw({"order": "7"}))
    return journal_entries([first, *records])


def told(*records: r.Record) -> list[Any]:
    """Return what happened after the start, without times."""
    _, *rest = story("order-7", started(*records)).items
    return [one.what if isinstance(one, Happening) else one for one in rest]


def lines(*records: r.Record) -> list[tuple[str, ...]]:
    return [one.lines for one in told(*records)]


def test_a_call_is_a_message_to_its_service_and_back() -> None:
    tale = story(
        "order-7",
        started(
            r.CallScheduled(1, "pay.charge", raw({"amount": 5})),
            r.CallCompleted(SECOND, 1, raw("receipt")),
            r.Ended(SECOND, "completed", raw({"paid": True})),
        ),
    )

    assert [(one.key, one.lines) for one in tale.participants] == [
        ("outside", ("outside",)),
        ("code", ("shop.place", "order-7")),
        ("p1", ("pay",)),
    ]
    happenings = [one for one in tale.items if isinstance(one, Happening)]
    assert [one.seconds for one in happenings] == [0, 0, 1, 1]
    assert [one.what for one in happenings] == [
        Message("outside", "code", Arrow.ASK, ("start", '{"order": "7"}')),
        Message("code", "p1", Arrow.ASK, ("1 charge", '{"amount": 5}')),
        Message("p1", "code", Arrow.ANSWER, ("1 charge completed", '"receipt"')),
        Message("code", "outside", Arrow.ANSWER, ("completed", '{"paid": true}')),
    ]


def test_attempts_say_why_they_failed_and_when_the_next_begins() -> None:
    assert lines(
        r.CallScheduled(1, "pay.charge", NULL),
        r.AttemptFailed(SECOND, 1, 1, DOWN, True, 2 * SECOND),
        r.AttemptStarted(2 * SECOND, 1, 2),
        r.AttemptLost(3 * SECOND, 1, 2, None),
        r.CallFailed(3 * SECOND, 1, DOWN, 2, True),
    )[1:] == [
        (
            "1 charge, attempt 1 failed",
            "builtins.ConnectionError: the bank does not answer",
            "next attempt at +2.000 s",
        ),
        ("1 charge, attempt 2",),
        ("1 charge", "attempt 2 was lost: its node ended", "no other attempt by itself"),
        (
            "1 charge failed after 2 attempts",
            "builtins.ConnectionError: the bank does not answer",
            "it may have happened all the same",
        ),
    ]


def failing(step: int, attempts: int) -> list[list[r.Record]]:
    return [
        [
            r.AttemptFailed(n * SECOND, step, n, DOWN, True, (n + 1) * SECOND),
            r.AttemptStarted((n + 1) * SECOND, step, n + 1),
        ]
        for n in range(1, attempts + 1)
    ]


def test_attempts_that_failed_alike_are_told_once_also_when_two_calls_take_turns() -> None:
    turns = zip(failing(1, 200), failing(2, 200), strict=True)
    records = [record for one, other in turns for record in (*one, *other)]

    first, second, *later = lines(
        r.CallScheduled(1, "pay.charge", NULL), r.CallScheduled(2, "pay.charge", NULL), *records
    )[2:]

    assert first == (
        "1 charge, attempts 1 to 200 failed, until +3 min 20 s",
        "200 times: builtins.ConnectionError: the bank does not answer",
        "next attempt at +3 min 21 s",
    )
    assert second[0].startswith("2 charge, attempts 1 to 200 failed")
    assert later == [("1 charge, attempt 201",), ("2 charge, attempt 201",)]


def test_another_error_is_told_on_its_own() -> None:
    other = r.Failure("builtins.OSError", "")
    records = [record for turn in failing(1, 3) for record in turn]

    words = lines(
        r.CallScheduled(1, "pay.charge", NULL),
        *records,
        r.AttemptFailed(9 * SECOND, 1, 4, other, True, None),
    )

    assert [line[0] for line in words[1:]] == [
        "1 charge, attempts 1 to 3 failed, until +3.000 s",
        "1 charge, attempt 4",
        "1 charge, attempt 4 failed",
    ]


def test_heartbeats_in_a_row_are_told_once() -> None:
    beats = [r.HeartbeatRecorded(n * SECOND, 1, raw({"page": n})) for n in range(1, 51)]

    words = lines(r.CallScheduled(1, "scan.read", NULL), *beats, r.CallCompleted(SECOND, 1, NULL))

    assert words[1:] == [("1 read: 50 heartbeats, the last", '{"page": 50}'), ("1 read completed",)]


def test_turns_of_a_loop_are_told_once() -> None:
    records: list[r.Record] = []
    for n in range(1, 301):
        records += [
            r.CallScheduled(n, "pay.poll", raw({"page": n})),
            r.CallCompleted(n * SECOND, n, raw(n)),
            r.TimerSet(n, (n + 1) * SECOND),
            r.TimerFired((n + 1) * SECOND, n),
        ]

    (loop,) = told(*records)

    assert isinstance(loop, Repeated)
    assert loop.title == "300 times alike, until +5 min 1 s; the first of them"
    assert len(loop.first) == 4


def test_a_long_story_is_cut_in_the_middle_and_says_so() -> None:
    records: list[r.Record] = []
    for n in range(1, 1001):
        kind = "pay.charge" if n.bit_count() % 2 else "pay.poll"  # repeats nothing thrice
        records += [r.CallScheduled(n, kind, NULL), r.CallCompleted(n, n, raw(n))]

    items = story("order-7", started(*records)).items
    cut = [one.what for one in items if isinstance(one, Happening) and one.likeness == "cut"]

    assert len(items) <= 451
    assert cut == [
        Remark(
            "code",
            (f"{2001 - 450} steps of the story are left out here", "the journal has them all"),
            urgent=True,
        )
    ]


def test_timers_and_signals_are_told() -> None:
    assert lines(
        r.TimerSet(1, 60 * SECOND),
        r.SignalAwaited(1, "go"),
        r.SignalReceived(SECOND, "go", raw(True), "r1"),
        r.TimerCancelled(1),
        r.SignalTaken("go"),
        r.SignalAwaited(2, "stop"),
        r.SignalWaitEnded(2),
    ) == [
        ("timer 1 is set for +1 min 0 s",),
        ("waits for the signal 'go'",),
        ("signal 'go'", "true"),
        ("timer 1 is not needed any more",),
        ("takes the signal 'go' that had come",),
        ("waits for the signal 'stop'",),
        ("waits no longer for the signal 'stop'",),
    ]


def test_undoing_is_a_chapter_of_its_own() -> None:
    chapter, ask, failed, stays, answer, end = told(
        r.CallScheduled(1, "pay.charge", NULL, True),
        r.CallCompleted(SECOND, 1, NULL),
        r.CompensationStarted(SECOND, r.Failure("shop.Late", "too late")),
        r.CompensationScheduled(1, "pay.refund"),
        r.AttemptFailed(SECOND, -1, 1, DOWN, True, None),
        r.CompensationSkipped(2, "it passed its pivot"),
        r.CompensationCompleted(SECOND, 1),
        r.Ended(SECOND, "compensated", NULL, r.Failure("shop.Late", "too late")),
    )[2:]

    assert chapter == Chapter("undoing what happened, because: shop.Late: too late")
    assert ask == Message("code", "p1", Arrow.ASK, ("undo of call 1: refund",))
    assert failed.lines[0] == "undo of call 1: refund, attempt 1 failed"
    assert stays == Remark("code", ("call 2 stays", "it passed its pivot"))
    assert answer == Message("p1", "code", Arrow.ANSWER, ("call 1 is undone",))
    words = ("compensated", "shop.Late: too late")
    assert end == Message("code", "outside", Arrow.FAILURE, words)


def test_children_are_participants_of_their_own() -> None:
    tale = story(
        "order-7",
        started(
            r.ChildScheduled(1, "order-7/1", "trips.book", NULL, True, False),
            r.ChildCompleted(SECOND, 1, raw("booked"), False),
            r.ChildUndoScheduled(1),
            r.CompensationCompleted(SECOND, 1),
        ),
    )
    messages = [one.what for one in tale.items[1:] if isinstance(one, Happening)]

    assert tale.participants[-1].lines == ("child trips.book",)
    assert messages == [
        Message("code", "p1", Arrow.ASK, ("1 child trips.book", "id order-7/1")),
        Message("p1", "code", Arrow.ANSWER, ("1 child trips.book completed", '"booked"')),
        Message("code", "p1", Arrow.ASK, ("undo of call 1: child trips.book",)),
        Message("p1", "code", Arrow.ANSWER, ("call 1 is undone",)),
    ]


def test_what_people_do_comes_from_outside_with_who_and_why() -> None:
    acts = told(
        r.CallScheduled(1, "pay.charge", NULL),
        r.IncidentRaised(SECOND, "patience", "pay.charge keeps\nfailing", 1),
        r.StepResolved(SECOND, 1, "r1", "ann", "seen at the bank"),
        r.IncidentResolved(SECOND),
        r.RetryRequested(SECOND, "r2", "bob"),
        r.CancelRefused(SECOND, "r3", None, None),
        r.TerminateRequested(SECOND, "r4"),
    )[1:]

    incident, *_ = acts
    asked = [one.lines for one in acts if isinstance(one, Message)]
    assert incident == Remark(
        "code",
        ("incident: a person is needed", "1 charge", "pay.charge keeps failing"),
        urgent=True,
    )
    assert asked == [
        ("state the outcome of 1 charge", "by ann", "seen at the bank"),
        ("retry", "by bob"),
        ("cancel (refused: it has passed its pivot)",),
        ("terminate: nothing is undone",),
    ]


def test_a_record_that_nobody_knows_is_told_from_its_tag_and_values() -> None:
    (first,) = started()
    strange = JournalEntry(2, "moon-landed", None, {"crew": 0, "name": "Eagle", "left": None})

    items = story("order-7", [first, strange]).items

    assert [one.what for one in items if isinstance(one, Happening)][1:] == [
        Remark("code", ("moon landed", "crew 0, name Eagle"))
    ]


def test_moments_are_short_whatever_their_size() -> None:
    moments = [0, 0.0123, 12.34, 59.96, 303, 7500, 360_000]

    assert [elapsed(seconds) for seconds in moments] == [
        *("+0.000 s", "+0.012 s", "+12.3 s", "+1 min 0 s", "+5 min 3 s", "+2 h 5 min", "+4 d 4 h")
    ]


def test_where_an_execution_comes_from_is_told() -> None:
    assert lines(
        r.ChildOf("trip-1", 1, 3),
        r.Delayed(5 * SECOND),
        r.Continued(2, None, {}, [], False),
        r.Begun(5 * SECOND),
        r.AttributesSet({"customer": "ann", "vip": None}),
        r.Patched("fraud"),
        r.PivotPassed(),
        r.UndoRegistered(1, "pay.release", raw({"order": "7"})),
        r.ResetFrom(6 * SECOND, 1, 4, "r1", "ann"),
        r.UndoRequested(7 * SECOND, "r2"),
        r.Stopped(7 * SECOND, DOWN),
    ) == [
        ("is call 3 of trip-1",),
        ("begins at +5.000 s",),
        ("goes on where run 2 left off",),
        ("the moment has come: the code begins",),
        ("sets attributes", 'values {"customer": "ann", "vip": null}'),
        ("patched", "change fraud"),
        ("the pivot is passed: from here on nothing is undone",),
        ("1 release is registered to undo with", '{"order": "7"}'),
        ("reset", "by ann"),
        ("undo, because the parent is undone",),
        (
            "failed past its pivot: a person is needed",
            "builtins.ConnectionError: the bank does not answer",
        ),
    ]


def test_what_happens_to_attempts_and_calls_on_the_way_is_told() -> None:
    assert lines(
        r.CallScheduled(1, "pay.charge", NULL),
        r.CallCancelled(1),
        r.AttemptPostponed(SECOND, 1, 1),
        r.IncidentRaised(SECOND, "lost-attempts", "three in a row", 1),
        r.IncidentResolved(SECOND, 1),
        r.ChildScheduled(2, "other", "trips.book", NULL, True, False),
        r.ChildFailed(SECOND, 2, DOWN, "failed", False),
    )[1:] == [
        ("1 charge: cancel",),
        ("1 charge", "attempt 1 has not begun: the node stopped"),
        ("incident: a person is needed", "1 charge", "three in a row"),
        ("the incident is over", "1 charge"),
        ("2 child trips.book", "id other"),
        ("2 child trips.book failed", "builtins.ConnectionError: the bank does not answer"),
    ]
