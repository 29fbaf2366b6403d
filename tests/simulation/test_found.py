"""What the random sagas have found, each as small as Hypothesis could make it."""

import asyncio
import logging

import pytest
from tests.simulation import judge
from tests.simulation.driver import Driver
from tests.simulation.plans import Case, Crash, Moment

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


def test_saga_that_fails_before_it_waits_for_anything_is_undone() -> None:
    check(Case(["seq", [["with", 1], ["fail"]]]))


def test_child_that_failed_past_the_pivot_is_not_waited_for_to_end() -> None:
    check(Case(["seq", [["pivot"], ["leg", 1, ["error"]]]]))


def test_terminated_saga_replays_up_to_its_termination() -> None:
    check(
        Case(
            ["seq", [["act", 1], ["act", 2], ["fail"]]],
            after_commits=(Moment(1, "terminate"),),
        )
    )


def test_start_whose_commit_was_reported_as_broken_goes_on() -> None:
    check(Case(["seq", [["act", 1], ["fail"]]], crashes=(Crash(1, "applied-but-failed"),)))


def test_stuck_call_that_is_given_up_as_the_node_dies_settles_at_the_next_start() -> None:
    plan = ["seq", [["act", 1], ["timeout", 1, ["leg", 2, ["once", 3]]], ["fail"]]]
    check(Case(plan, "job", faults={3: ["before"]}, crashes=(Crash(7, "after"),)))


def test_retry_asks_about_a_call_that_may_be_made_only_once_and_may_have_happened() -> None:
    plan = ["seq", [["once-or-fail", 1]]]
    check(Case(plan, "job", faults={1: ["before"]}, at_rest=(Moment(1, "retry"),)))


def test_failed_child_is_not_retried_behind_the_back_of_its_parent() -> None:
    plan = ["seq", [["try", ["leg", 1, ["act", 2]], ["sleep", 5]], ["sleep", 5], ["fail"]]]
    check(Case(plan, faults={2: ["declined"]}, at_rest=(Moment(2, "retry", 1),)))


def test_retry_past_the_pivot_goes_on_although_the_node_dies_after_its_commit() -> None:
    plan = ["seq", [["pivot"], ["fail"]]]
    check(Case(plan, crashes=(Crash(3, "after"),), at_rest=(Moment(1, "retry"),)))


def test_word_of_a_person_on_a_call_whose_cancellation_was_taken_back_reaches_the_code() -> None:
    plan = ["seq", [["gather", [["once-or-fail", 1], ["once", 2]]], ["fail"]]]
    moments = (Moment(2, "retry"),)
    check(Case(plan, "job", crashes=(Crash(1, "after"),), after_commits=moments))


def test_mail_that_is_read_again_after_a_broken_commit_keeps_no_time_from_passing() -> None:
    plan = ["seq", [["pivot"], ["act", 1], ["act", 2], ["fail"]]]
    broken = Crash(5, "applied-but-failed")
    check(
        Case(plan, crashes=(broken,), after_commits=(Moment(3, "terminate"), Moment(3, "signal")))
    )


def test_completed_child_is_undone_when_a_call_that_it_gave_up_has_ended() -> None:
    plan = ["seq", [["leg", 1, ["try", ["timeout", 1, ["act", 2]], ["sleep", 1]]], ["fail"]]]
    check(Case(plan, faults={2: ["stubborn"]}))


def test_completed_child_is_undone_with_a_grandchild_that_it_gave_up() -> None:
    leg = ["leg", 1, ["first", [["sleep", 3], ["leg", 3, ["act", 4]]]]]
    check(Case(["seq", [leg, ["fail"]]], faults={4: ["slow"]}))


def test_letter_to_an_execution_that_is_being_reloaded_is_not_forgotten() -> None:
    leg = ["leg", 3, ["fail"]]
    first = ["try", ["gather", [["fail"], ["pivot"]]], leg]
    second = ["try", ["leg", 4, ["act", 5]], ["act", 6]]
    plan = ["seq", [["act", 1], ["act", 2], ["gather", [["fail"], first, second]]]]
    check(Case(plan, after_commits=(Moment(4, "retry"), Moment(6, "retry"))))
