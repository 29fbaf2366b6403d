"""DESIGN 3.1, Compensation: tried without limit, an incident past their patience, never dropped."""

import itertools
from datetime import timedelta

import pytest
from tests.design.services_undoing import (
    Refused,
    clear,
    described,
    desk,
    do,
    failed,
    keys,
    refuse,
    types,
    undid,
    undo,
)

from counterpoint import ArgumentsError, NotDone, Retry, RetryAfter, Service, workflow
from counterpoint.model.states import Status
from counterpoint.testing import Harness

booking = Service("booking")
GONE = ConnectionError("no route")
WAITS = ["0:00:01", "0:00:02", "0:07:00", "0:07:00"]
"""Of `desk.undo`: doubled within its patience of three attempts, then the longest interval."""


@booking.saga
async def three() -> None:
    await do("a")
    await do("b")
    await do("c")
    await refuse("too late")


@booking.saga
async def leg() -> None:
    await do("leg")


@booking.saga
async def trip() -> None:
    await do("a")
    await leg()
    await do("c")
    await refuse("too late")


@booking.saga
async def with_registered() -> None:
    await do("a")
    workflow.compensate_with(clear, "b")
    await refuse("too late")


@booking.activity
async def post(what: str) -> str:
    return what


@post.compensation(retry=Retry(max_attempts=1, first=timedelta(seconds=5)))
async def unpost(what: str) -> None: ...


@booking.saga
async def impatient() -> None:
    await post("x")
    await refuse("too late")


def services() -> list[Service]:
    return [desk, booking]


def gaps(harness: Harness, what: str) -> list[str]:
    """Return the times between the attempts to undo something."""
    times = [c.at for c in harness.calls if c.name == "desk.undo" and c.arguments["what"] == what]
    return [str(after - before) for before, after in itertools.pairwise(times)]


async def test_compensation_is_retried_without_limit() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, GONE, times=50)
        execution = await harness.start(three)
        await harness.advance(hours=8)

        error = await failed(harness, execution)
        assert error.status == "compensated"
        assert len([c for c in harness.calls if c.name == "desk.undo"]) == 53


async def test_compensation_has_a_retry_policy_of_its_own() -> None:
    async with Harness(services=services()) as harness:
        harness.fail("booking.unpost", GONE)
        execution = await harness.start(impatient, id="one")

        assert (await described(harness)).status is Status.INCIDENT
        await harness.advance(minutes=1)
        await failed(harness, execution)


async def test_within_its_patience_a_failing_compensation_is_no_incident() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, GONE, times=2)
        execution = await harness.start(three, id="one")
        await harness.advance(seconds=1)
        status = (await described(harness)).status

        await failed(harness, execution)
        assert status is Status.COMPENSATING
        assert "incident" not in await types(harness)


async def test_past_its_patience_it_is_an_incident_that_names_what_fails() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, GONE, times=None)
        await harness.start(three, id="one")
        await harness.advance(seconds=3)

        found = await described(harness)
        assert found.status is Status.INCIDENT
        (incident,) = found.incidents
        assert (incident.cause, incident.call, incident.compensation) == ("patience", 3, True)
        assert "desk.undo failed 3 times" in incident.message
        assert "no route" in incident.message


async def test_incident_retries_at_the_longest_interval() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, GONE, times=None)
        await harness.start(three, id="one")
        await harness.advance(minutes=15)

        assert gaps(harness, "c") == WAITS


async def test_incident_is_raised_once_however_often_it_fails() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, GONE, times=10)
        execution = await harness.start(three, id="one")
        await harness.advance(hours=6)
        await failed(harness, execution)

        said = await types(harness)
        assert (said.count("incident"), said.count("incident-resolved")) == (1, 1)


async def test_incident_ends_by_itself_when_one_succeeds() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, GONE, times=4)
        execution = await harness.start(three, id="one")
        await harness.advance(minutes=6)
        before = (await described(harness)).status
        await harness.advance(minutes=10)

        error = await failed(harness, execution)
        assert before is Status.INCIDENT
        assert error.status == "compensated"
        assert undid(harness) == ["c", "b", "a"]


async def test_older_ones_wait_for_a_stuck_compensation() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, GONE, times=None)
        await harness.start(three, id="one")
        await harness.advance(hours=3)

        found = await described(harness)
        assert undid(harness) == ["c"]
        assert (list(found.undone), list(found.to_undo)) == ([], [3, 2, 1])


async def test_stuck_compensation_is_never_dropped() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, GONE, times=None)
        execution = await harness.start(three, id="one")
        await harness.advance(hours=6)
        await harness.evict()
        await harness.restart()
        await harness.advance(hours=6)
        stuck = (await execution.describe()).status
        harness.restore()
        await harness.advance(hours=1)

        error = await failed(harness, execution)
        assert (stuck, error.status) == ("incident", "compensated")
        assert undid(harness) == ["c", "b", "a"]


async def test_error_that_stops_a_call_at_once_does_not_stop_a_compensation() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, TypeError("a defect"))
        harness.fail(undo, NotDone("not now"))
        error = await failed(harness, await harness.start(three))

        assert error.status == "compensated"
        assert gaps(harness, "c") == ["0:00:01", "0:00:02"]


async def test_compensation_sets_its_next_delay_with_retry_after() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, RetryAfter(timedelta(hours=1)))
        await failed(harness, await harness.start(three))

        assert gaps(harness, "c") == ["1:00:00"]


async def test_business_error_of_a_compensation_is_retried_like_any_other() -> None:
    async with Harness(services=services()) as harness:
        harness.replace(undo, lambda what, result: deny(harness))
        execution = await harness.start(three)
        harness.restore()

        error = await failed(harness, execution)
        assert error.status == "compensated"
        assert gaps(harness, "c") == ["0:00:01"]


def deny(harness: Harness) -> None:
    """Refuse as a compensation should not."""
    raise Refused(why=f"closed at {harness.now}")


async def test_hanging_compensation_times_out_and_is_tried_on() -> None:
    async with Harness(services=services()) as harness:
        harness.hang(undo)
        error = await failed(harness, await harness.start(three))

        assert error.status == "compensated"
        assert gaps(harness, "c") == ["0:05:01"]


async def test_retry_of_a_stuck_compensation_tries_it_at_once() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, GONE, times=3)
        execution = await harness.start(three, id="one")
        await harness.advance(seconds=3)
        at = harness.now
        await execution.retry(actor="ann", reason="the route is back")
        await harness.settle()

        assert harness.now == at
        error = await failed(harness, execution)
        assert error.status == "compensated"
        (word,) = [e for e in await execution.journal() if e.type == "retry-requested"]
        assert (word.data["actor"], word.data["reason"]) == ("ann", "the route is back")


async def test_retry_that_fails_again_is_an_incident_again() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, GONE, times=4)
        execution = await harness.start(three, id="one")
        await harness.advance(seconds=3)
        await execution.retry()

        assert (await described(harness)).status is Status.INCIDENT
        await harness.advance(minutes=8)
        await failed(harness, execution)


async def test_resolving_a_stuck_compensation_as_done_lets_the_older_ones_go_on() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, GONE, times=3)
        execution = await harness.start(three, id="one")
        await harness.advance(seconds=3)
        await execution.resolve(3, done=True, actor="ann", reason="undone by hand")
        error = await failed(harness, execution)

        found = await described(harness)
        (word,) = [e for e in await execution.journal() if e.type == "resolved"]
        assert error.status == "compensated"
        assert undid(harness) == ["c", "b", "a"]
        assert list(found.undone) == [1, 2, 3]
        assert gaps(harness, "c") == ["0:00:01", "0:00:02"]
        assert (word.data["actor"], word.data["reason"]) == ("ann", "undone by hand")


async def test_compensation_that_waits_for_a_retry_is_resolved_without_an_incident() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, GONE)
        execution = await harness.start(three, id="one")
        await execution.resolve(3, done=True)

        await failed(harness, execution)
        assert gaps(harness, "c") == []


async def test_stuck_compensation_is_resolved_only_by_done() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, GONE, times=3)
        execution = await harness.start(three, id="one")
        await harness.advance(seconds=3)

        with pytest.raises(ArgumentsError, match="say done=True"):
            await execution.resolve(3, result="undone")
        await execution.retry()
        await failed(harness, execution)


async def test_not_done_of_a_stuck_compensation_tries_it_again() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, GONE, times=3)
        execution = await harness.start(three, id="one")
        await harness.advance(seconds=3)
        at = harness.now
        await execution.resolve(3, error=NotDone())

        error = await failed(harness, execution)
        assert error.status == "compensated"
        assert harness.now == at
        assert len(gaps(harness, "c")) == 3


async def test_all_attempts_of_a_compensation_carry_one_key_of_their_own() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(undo, GONE, times=5)
        execution = await harness.start(three, id="one")
        await harness.advance(minutes=7)
        await execution.retry()
        await harness.advance(hours=1)
        await failed(harness, execution)

        assert keys(harness, "desk.undo", "c") == {"one/1/3c"}
        assert keys(harness, "desk.do", "c") == {"one/1/3"}


async def test_what_compensate_with_named_has_the_same_patience() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(clear, GONE, times=4)
        execution = await harness.start(with_registered, id="one")
        await harness.advance(minutes=6)
        found = await described(harness)
        await harness.advance(minutes=10)

        error = await failed(harness, execution)
        assert [(one.cause, one.call) for one in found.incidents] == [("patience", 2)]
        assert error.status == "compensated"
        assert undid(harness) == ["b", "a"]


async def test_stuck_compensation_inside_a_child_is_the_childs_incident_and_older_ones_wait() -> (
    None
):
    async with Harness(services=services()) as harness:
        harness.replace(undo, lambda what, result: deny(harness) if what == "leg" else None)
        execution = await harness.start(trip, id="one")
        await harness.advance(minutes=5)
        child, parent = await described(harness, "one/2"), await described(harness)
        before = undid(harness)
        await harness.execution("one/2").resolve(1, done=True)

        error = await failed(harness, execution)
        assert (child.status, [one.cause for one in child.incidents]) == ("incident", ["patience"])
        assert list(parent.waits_for) == ["the child one/2 (call 2) to undo itself"]
        assert before == ["c", "leg"]
        assert undid(harness) == ["c", "leg", "a"]
        assert error.status == "compensated"
