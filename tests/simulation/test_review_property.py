"""Reviewed replays of random workflows: they agree wherever a journal may have been exported."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulation.test_replay_property import (
    Program,
    choices,
    drop,
    live,
    profile,
    programs,
)
from tests.unit.kernel.driving import Driver, execution_of

from counterpoint.kernel.review import Review
from counterpoint.model import records as r
from counterpoint.model.states import Status

pytestmark = pytest.mark.filterwarnings(  # what `finally` makes at eviction and cannot run
    "ignore:coroutine 'interpret' was never awaited:RuntimeWarning",
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning",
)


def check(driver: Driver, count: int) -> None:
    """Review the first records of a journal."""
    execution = execution_of(driver.program)
    execution.review = review = Review()
    execution.replay(driver.journal[:count])
    assert execution.divergence is None, execution.divergence
    assert review.differences == []
    assert execution.take_pending() == []
    execution.evict()


@profile
@given(programs, choices, st.booleans())
def test_a_review_of_every_commit_agrees(program: Program, dice: list[int], saga: bool) -> None:
    driver = live(program, dice, saga=saga)

    for count in dict.fromkeys(driver.commits):
        check(driver, count)
    drop()


@profile
@given(programs, choices)
def test_a_review_of_what_was_retried_or_terminated_agrees(
    program: Program, dice: list[int]
) -> None:
    driver = live(program, dice, saga=False)
    if driver.status.live:
        driver.journal += [
            r.TerminateRequested(driver.now, "x"),
            r.Ended(driver.now, Status.TERMINATED.value),
        ]
        check(driver, len(driver.journal))
    elif driver.status is Status.FAILED:
        check(driver, len(driver.journal))
        driver.retry()
        check(driver, len(driver.journal))
        driver.journal = driver.journal[: driver.commits[-2]]
        driver.journal.append(r.RetryRequested(driver.now, "x"))
        check(driver, len(driver.journal))
    drop()
