"""Many runs: seeds, workers, reports, and what callers may do wrong."""

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.testing.simulation.cafe import Ordered, an_evening, app, evening

from counterpoint import App, DefinitionError, Service
from counterpoint.model.states import Status
from counterpoint.testing.simulation import (
    Faults,
    Simulation,
    SimulationFailed,
    run_seed,
    simulate,
)

CALM = Faults.none()
HOUR = timedelta(hours=1)


async def a_call(simulation: Simulation) -> None:
    await simulation.start(evening, 2, id="a guest")


def test_workers_run_the_same_seeds() -> None:
    alone = simulate(app, a_call, seeds=12)
    together = simulate(app, a_call, seeds=12, workers=2)

    assert together.seeds == 12
    assert together.faults == alone.faults
    assert together.covered == alone.covered


def test_report_tells_what_struck_and_what_was_covered() -> None:
    report = simulate(app, an_evening, seeds=[3, 4])

    told = json.loads(report.to_json())
    assert told["seeds"] == 2
    assert told["faults"]["slow_commit"] > 0
    assert told["covered"]["executions"] == 6
    assert told["virtual"] >= 60
    assert str(report).startswith("2 seeds in ")


def test_failure_names_seed_findings_faults_and_story() -> None:
    with pytest.raises(SimulationFailed) as failed:
        simulate(app, a_call, seeds=[7], check=lambda _: iter(["the till is short"]))

    (failure,) = failed.value.report.failures
    assert failure.seed == 7
    told = str(failed.value)
    assert "run it again with seeds=[7]" in told
    assert "  ! the till is short" in told
    assert "what struck: " in told
    assert "a guest  bar.evening  compensated" in told


def test_runs_end_after_so_many_failures() -> None:
    with pytest.raises(SimulationFailed) as failed:
        simulate(app, a_call, seeds=9, failures_max=2, check=lambda _: iter(["no"]))

    assert failed.value.report.seeds == 2


def test_scenario_that_raises_is_a_finding() -> None:
    async def scenario(simulation: Simulation) -> None:
        raise ValueError("no such guest")

    outcome = run_seed(app, scenario, 0, faults=CALM)

    (finding,) = outcome.findings
    assert finding.startswith("the scenario met ValueError: no such guest (test_simulate.py:")


def test_scenario_that_never_ends_is_a_finding() -> None:
    async def scenario(simulation: Simulation) -> None:
        await asyncio.Event().wait()

    outcome = run_seed(app, scenario, 0, faults=CALM, within=timedelta(hours=1))

    assert outcome.findings == ["the scenario does not end within 1:00:00 of virtual time"]


def test_check_sees_statuses_results_errors_and_events() -> None:
    seen: list[object] = []

    async def scenario(simulation: Simulation) -> None:
        await simulation.start(evening, 2, id="declined")
        await simulation.publish(Ordered(table="1", dish=4))
        seen.append(await simulation.ended("declined"))
        seen.append(await simulation.signal("declined", "tip", 1))
        await simulation.sleep(timedelta(seconds=1))
        simulation.crash()

    def check(simulation: Simulation) -> list[str]:
        error = simulation.error("declined")
        seen.append(error and error.type)
        seen.append(simulation.published(Ordered))
        seen.append(simulation.statuses)
        seen.append(simulation.result("declined"))
        return []

    outcome = run_seed(app, scenario, 0, faults=CALM, check=lambda s: iter(check(s)))

    assert outcome.findings == []
    assert outcome.covered["starts of a node"] == 2
    compensated = Status.COMPENSATED
    statuses = {"declined": compensated}
    assert seen == [
        compensated,
        False,
        "bar.Declined",
        [Ordered(table="1", dish=4)],
        statuses,
        None,
    ]


async def test_simulate_in_a_coroutine_says_what_to_write_instead() -> None:
    with pytest.raises(DefinitionError, match=r"from a plain function \(def, not async def\)"):
        simulate(app, a_call)


def test_app_is_given_back_as_it_was() -> None:
    before = (app.store, app.clock, app.registry, app.settings)
    logger = logging.getLogger("counterpoint")
    told = (logger.level, logger.propagate, list(logger.handlers))

    run_seed(app, a_call, 1)

    assert (app.store, app.clock, app.registry, app.settings) == before
    assert (logger.level, logger.propagate, list(logger.handlers)) == told


def test_rate_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match="crash is a rate between 0 and 1"):
        Faults(crash=2)


def test_every_fault_strikes_and_is_counted() -> None:
    often = dict.fromkeys(Faults.rates(), 0.1) | {
        "failed_read": 0.005,
        "unknown_commit": 0.03,
        "jump": 0.6,
    }
    struck: set[str] = set()
    for seed in range(40):
        faults = Faults(**often)  # type: ignore[arg-type]
        struck |= run_seed(app, an_evening, seed, faults=faults, traced=False).faults.keys()
        if set(Faults.rates()) <= struck:
            return
    pytest.fail(f"never struck: {set(Faults.rates()) - struck}")


def test_check_that_asserts_is_a_finding_with_its_line() -> None:
    async def scenario(simulation: Simulation) -> None:
        await simulation.start(evening, 0, id="guest")

    def check(simulation: Simulation) -> Iterator[str]:
        assert simulation.status("guest") == "failed", "it has not failed"
        yield "never"

    (finding,) = run_seed(app, scenario, 0, faults=CALM, check=check).findings

    assert finding.startswith("the check raised AssertionError: it has not failed")
    assert "test_simulate.py:" in finding


@pytest.mark.parametrize("answer", ["wrong", None])
def test_check_that_yields_nothing_is_told_how_to(answer: str | None) -> None:
    async def scenario(simulation: Simulation) -> None:
        """Do nothing."""

    def check(simulation: Simulation) -> Any:
        return answer

    findings = run_seed(app, scenario, 0, faults=CALM, check=check).findings

    expected = ["the check returns a str: it is a function that yields what is wrong"]
    assert findings == (expected if answer else [])


def test_report_says_how_executions_ended_and_what_nobody_injected() -> None:
    bar = Service("broken")

    @bar.workflow
    async def breaks() -> None:
        raise NameError("workflow")

    async def scenario(simulation: Simulation) -> None:
        await simulation.start(breaks, id="one")

    broken = App("broken", services=[bar], store="memory:")
    report = simulate(broken, scenario, seeds=2, faults=CALM)

    assert str(report).endswith("executions: failed 2; raised builtins.NameError 2")


def test_failure_tells_what_happened_before_its_end() -> None:
    async def scenario(simulation: Simulation) -> None:
        await simulation.start(evening, 0, id="guest")
        simulation.crash()

    with pytest.raises(SimulationFailed) as failed:
        simulate(app, scenario, seeds=1, faults=CALM, check=lambda _: iter(["wrong"]))

    assert "the node dies" in str(failed.value)
    assert "Commit(" not in str(failed.value)


@pytest.mark.parametrize(
    "wrong", [{"seeds": 0}, {"seeds": []}, {"seeds": "abc"}, {"workers": 0}, {"failures_max": 0}]
)
def test_counts_below_one_are_refused(wrong: dict[str, Any]) -> None:
    async def scenario(simulation: Simulation) -> None:
        """Do nothing."""

    with pytest.raises(ValueError, match="not"):
        simulate(app, scenario, **wrong)


@pytest.mark.parametrize(
    "wrong", [{"crash": 1.5}, {"crash": "often"}, {"down": 5}, {"slow": -HOUR}, {"storm_max": -1}]
)
def test_faults_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Faults(**wrong)
