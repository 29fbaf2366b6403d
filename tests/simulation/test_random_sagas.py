"""Random sagas with random faults and crashes; `make simulate` runs many more of them."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from tests.simulation import judge
from tests.simulation.driver import Driver
from tests.simulation.plans import Case, cases
from tests.simulation.run import run_batch

CASES = 100

pytestmark = pytest.mark.filterwarnings(  # what `finally` makes at eviction and cannot run
    "ignore:coroutine .* was never awaited:RuntimeWarning",
)


@pytest.fixture
def runner(caplog: pytest.LogCaptureFixture) -> Iterator[asyncio.Runner]:
    caplog.set_level(logging.ERROR, "counterpoint")
    with asyncio.Runner() as runner:
        yield runner


@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    print_blob=True,
)
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
