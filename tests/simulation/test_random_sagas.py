"""Random sagas with random faults and crashes; `make simulate` runs many more of them."""

import asyncio

import pytest
from hypothesis import given
from tests.simulation import judge
from tests.simulation.batch import few
from tests.simulation.driver import Driver
from tests.simulation.plans import Case, cases
from tests.simulation.run import run_batch

CASES = 100

pytestmark = pytest.mark.filterwarnings(  # what `finally` makes at eviction and cannot run
    "ignore:coroutine .* was never awaited:RuntimeWarning",
)


@few(CASES)
@given(case=cases(rehearsed=4))
def test_services_keep_all_or_nothing_or_an_incident_says_what(
    runner: asyncio.Runner, case: Case
) -> None:
    driver = Driver(case)

    verdict = runner.run(driver.run())

    assert not verdict.violations, judge.in_words(driver.ledger)


def test_batch_of_the_runner_tells_what_its_cases_contained() -> None:
    result = run_batch(0, 10, 1, 100)

    assert not result.found
    assert result.cases >= 100
    for what in ("cases with child", "cases with pivot", "crashes", "root at last: compensated"):
        assert result.counts[what] > 0, what
