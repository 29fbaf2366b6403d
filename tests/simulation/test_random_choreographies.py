"""Random choreographies with random faults and crashes; `make simulate` runs many more of them."""

import asyncio
import logging

import pytest
from hypothesis import given
from tests.simulation.batch import few
from tests.simulation.choreographies import Case, Moment, Reacts, cases
from tests.simulation.events_judge import run_case
from tests.simulation.plans import Crash
from tests.simulation.run_events import run_batch

CASES = 60


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "counterpoint")


@few(CASES)
@given(case=cases())
def test_every_event_reaches_everybody_in_order_and_every_effect_happens_once(case: Case) -> None:
    with asyncio.Runner() as runner:
        assert runner.run(run_case(case)) == []


@pytest.mark.parametrize("when", ["before", "after", "applied-but-failed"])
async def test_every_commit_of_a_run_crashes_once(when: str) -> None:
    reactions = (
        Reacts(0, 0, (1, 2), faults=("error",)),
        Reacts(1, 0, (2,), on_dead="skip", faults=("final",)),
        Reacts(1, 1, (3,), lane="side"),
        Reacts(0, 2, (3,)),
        Reacts(0, 3, (), faults=("error", "final")),
    )
    published = tuple((0, key % 2) for key in range(5))
    for commit in range(1, 30):
        crashes = (Crash(commit, when),)  # type: ignore[arg-type]
        case = Case(reactions, published, crashes, (Moment(8, "redrive"),))

        assert await run_case(case) == [], commit


def test_batch_of_the_runner_counts_its_cases_and_finds_nothing() -> None:
    result = run_batch(0, 1, 40)

    assert not result.found
    assert result.cases >= 40
