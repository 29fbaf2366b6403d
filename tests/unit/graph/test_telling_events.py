"""Events in the story of one execution, and journals that few flows have."""

from datetime import timedelta
from typing import Any

import msgspec

from counterpoint.graph.happened import Ran, Took
from counterpoint.graph.happened_telling import flow_story
from counterpoint.graph.sequence import Arrow, Happening, Message, Remark, Repeated
from counterpoint.graph.telling import story
from counterpoint.model import records as r
from counterpoint.runtime.description import journal_entries, time_of

SECOND = 1_000_000
NULL = msgspec.Raw(b"null")
DOWN = r.Failure("builtins.ConnectionError", "no route")


def started(*records: r.Record) -> list[r.Record]:
    return [r.Started(0, "shop.place", 1, NULL), *records]


def lines(*records: r.Record) -> list[tuple[str, ...]]:
    """Return the words of an execution's own story, after its start."""
    items = story("order-7", journal_entries(started(*records))).items
    return [what(one).lines for one in items[1:]]


def in_flow(*records: r.Record) -> list[Any]:
    """Return what is told of an execution in a flow, after its start."""
    ran = Ran("o", 1, "shop", "shop.place", time_of(0), journal_entries(started(*records)))
    return list(flow_story([ran]).items[1:])


def what(item: Any) -> Any:
    return item.what if isinstance(item, Happening) else item


def test_the_story_of_an_execution_tells_of_events() -> None:
    assert lines(
        r.CausedBy("s.Said", "s", "e1", 1, 0, 0),
        r.EventAwaited(1, "s.Said", "k", 0, 0),
        r.EventReceived(SECOND, 1, "s.Said", "k", 2, "s", "e2", 1, msgspec.Raw(b'{"a":1}')),
        r.EventAwaited(2, "s.Said", "k", 2, 0),
        r.EventWaitEnded(2),
        r.Published("e3", "s.Heard", 1, "k", NULL),
    ) == [
        ("was started by the event s.Said e1",),
        ("waits for the event s.Said of k",),
        ("the event s.Said of k", '{"a": 1}'),
        ("waits for the event s.Said of k",),
        ("waits no longer for the event s.Said of k",),
        ("the event s.Heard of k",),
    ]


def test_lost_attempts_of_a_flow_are_a_loop() -> None:
    scheduled, loop, again = in_flow(
        r.CallScheduled(1, "pay.charge", NULL),
        r.AttemptLost(SECOND, 1, 1, 2 * SECOND),
        r.AttemptStarted(2 * SECOND, 1, 2),
        r.AttemptLost(3 * SECOND, 1, 2, 4 * SECOND),
        r.AttemptStarted(4 * SECOND, 1, 3),
    )

    assert isinstance(loop, Repeated)
    assert loop.title == "1 charge: attempts 1 to 2 fail, until +3.000 s"
    assert what(loop.first[0]).lines == ("✗ 1 charge", "lost: its node ended")
    assert what(scheduled).arrow is what(again).arrow is Arrow.ASK


def test_an_attempt_that_no_other_follows_is_no_loop() -> None:
    _, failed, incident = in_flow(
        r.CallScheduled(1, "pay.charge", NULL),
        r.AttemptFailed(SECOND, 1, 1, DOWN, True, None),
        r.IncidentRaised(SECOND, "unknown-outcome", "look", 1),
    )

    assert what(failed) == Message(
        "p2", "p1", Arrow.FAILED, ("✗ 1 charge", "builtins.ConnectionError: no route")
    )
    assert what(incident) == Remark(
        "p1", ("incident: a person is needed", "1 charge", "look"), urgent=True
    )


def test_timers_heartbeats_and_attributes_are_beside_the_point() -> None:
    assert (
        in_flow(
            r.TimerSet(1, SECOND),
            r.TimerCancelled(1),
            r.AttributesSet({"a": "b"}),
            r.ChildOf("p", 1, 1),
        )
        == []
    )


def test_an_event_from_another_flow_comes_from_the_service_that_owns_it() -> None:
    _, received = in_flow(
        r.EventAwaited(1, "s.Said", "k", 0, 0),
        r.EventReceived(SECOND, 1, "s.Said", "k", 2, "s", "e2", 1, NULL),
    )

    assert what(received).arrow is Arrow.EVENT
    assert what(received).lines == ("s.Said", "→ o has waited for it")


def test_a_reaction_without_its_event_is_told_all_the_same() -> None:
    at = time_of(0)
    took = Took("r", "s.hear", "s", ("s", "gone"), "s.Said", at, at + timedelta(seconds=1), 1)

    (arrow,) = flow_story([took]).items

    assert what(arrow).lines == ("s.Said", "→ hear")
