"""What random sagas have found since they wait for events, each as small as Hypothesis made it.

All of it was wrong with the judge, who has to be right about this, too.
"""

import asyncio
import logging

import pytest
from tests.simulation import choreographies, judge
from tests.simulation.choreographies import Joins, Reacts
from tests.simulation.driver import Driver
from tests.simulation.events_judge import run_case
from tests.simulation.plans import Case, Crash

pytestmark = pytest.mark.filterwarnings(  # what `finally` makes at eviction and cannot run
    "ignore:coroutine .* was never awaited:RuntimeWarning",
)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Say nothing of the faults that the cases have."""
    caplog.set_level(logging.ERROR, logger="counterpoint")


def check(case: Case) -> None:
    """Run a case and show its journals if the judge finds anything."""
    driver = Driver(case)
    verdict = asyncio.run(driver.run())
    assert not verdict.violations, "\n".join([*verdict.violations, judge.in_words(driver.ledger)])


def test_a_start_by_an_event_that_a_crash_met_has_a_journal_and_no_execution() -> None:
    plan = ["seq", [["ask", 1, ["act", 2]]]]
    check(Case(plan, crashes=(Crash(1, "after"), Crash(1, "after"))))


def test_a_retry_past_the_pivot_takes_back_that_a_wait_for_an_event_ended() -> None:
    check(Case(["seq", [["pivot"], ["event", "k", 1, 0], ["fail"]]], rehearse=True))


def test_two_waits_for_one_key_get_two_events() -> None:
    waits = [["event", "k", None, 0], ["event", "k", None, 0]]
    check(Case(["seq", [["gather", waits], ["fail"]]], rehearse=True))


def test_what_a_person_says_of_one_call_says_nothing_of_what_another_started() -> None:
    plan = ["seq", [["once", 1], ["spawn", 2, ["act", 3]], ["fail"]]]
    check(Case(plan, faults={1: ["before"]}))


@pytest.mark.parametrize("act", ["malformed", "older", "newer", "cloudevent", "twice"])
async def test_an_event_from_outside_reaches_everybody_or_becomes_a_dead_letter(
    act: choreographies.Act,
) -> None:
    moments = (choreographies.Moment(1, act), choreographies.Moment(2, act))
    case = choreographies.Case(
        (Reacts(0, 1, (2,)),), ((1, 0),), crashes=(Crash(3, "after"),), moments=moments
    )

    assert await run_case(case) == []


async def test_a_saga_that_waits_for_an_event_tells_of_one_that_it_cannot_read() -> None:
    case = choreographies.Case(
        (),
        ((0, 2),),
        moments=(choreographies.Moment(1, "newer", 2),),
        joins=(Joins(0, 0, waits=(1,), emits=(3,)),),
    )

    assert await run_case(case) == []
