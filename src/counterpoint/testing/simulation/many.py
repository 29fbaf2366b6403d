"""Many runs, one after the other or in several processes."""

import asyncio
import multiprocessing
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from counterpoint.app import App
from counterpoint.errors import DefinitionError
from counterpoint.testing.simulation.faults import Faults
from counterpoint.testing.simulation.report import Failure, Report, SimulationFailed
from counterpoint.testing.simulation.run import Check, Outcome, Scenario, run_seed

PART = 10
"""Seeds that a process runs before it reports."""
COMMIT = re.compile(r"\s*[\d.]+  commit ")
LINES_MAX = 100
"""How much of what happened a failure tells: its end."""
WITHIN = timedelta(days=30)


@dataclass(frozen=True)
class _Job:
    app: App
    scenario: Scenario
    faults: Faults | None
    check: Check | None
    within: timedelta

    def run(self, seed: int) -> Outcome:
        """Run one seed, and once more to tell what happened if something is wrong."""
        outcome = self._run(seed, traced=False)
        if outcome.findings:
            again = self._run(seed, traced=True)
            if again.findings != outcome.findings:
                outcome.findings.append(
                    "run again, the seed finds something else: the scenario, the check or the app "
                    "keeps something from run to run"
                )
            happened = [line for line in again.trace if not COMMIT.match(line)]
            told = ["what happened, in seconds:", *happened[-LINES_MAX:], outcome.story]
            outcome.story = "\n".join(told)
        return outcome

    def _run(self, seed: int, *, traced: bool) -> Outcome:
        return run_seed(
            self.app,
            self.scenario,
            seed,
            faults=self.faults,
            check=self.check,
            within=self.within,
            traced=traced,
        )


_jobs: list[_Job] = []
"""What the processes run: they are forked, and inherit it, because functions cannot be sent."""


def simulate(
    app: App,
    scenario: Scenario,
    *,
    seeds: int | Iterable[int] = 100,
    faults: Faults | None = None,
    check: Check | None = None,
    within: timedelta = WITHIN,
    workers: int = 1,
    failures_max: int = 1,
    progress: bool | None = None,
) -> Report:
    """Run *scenario* once for each seed, with faults, and judge every run.

        report = simulate(app, a_day, seeds=500, check=books_balance)
        report = simulate(app, a_day, seeds=[417])   # that run again

    *seeds* is a number of them, from 0, or the seeds themselves. *check* yields what is wrong in
    the eyes of the app. Neither the scenario nor what it leaves behind may take longer than
    *within*, in virtual time. Several *workers* are processes. After *failures_max* runs that broke
    something no more are begun. *progress* shows a bar; by default it does on a terminal.

    Raises:
        SimulationFailed: some runs broke a promise, or *check* found something; names their seeds.
        DefinitionError: it is called from a coroutine, or the app is running.
        ValueError: there is no seed, or no worker.
    """
    _check_callable_here()
    chosen = _seeds(seeds)
    if workers < 1 or failures_max < 1:
        raise ValueError(f"workers and failures_max are at least 1, not {workers}, {failures_max}")
    job = _Job(app, scenario, faults, check, within)
    report = Report()
    began = time.monotonic()
    with _bar(progress) as bar:
        task = bar.add_task("simulating", total=len(chosen), speed="")
        for part in _parts(job, chosen, workers):
            report.add(part)
            report.seconds = time.monotonic() - began
            speed = f"{report.seeds_per_second:.1f} seeds/s, {len(report.failures)} failures"
            bar.update(task, completed=report.seeds, speed=speed)
            if len(report.failures) >= failures_max:
                break
    report.seconds = time.monotonic() - began
    if report.failures:
        raise SimulationFailed(report)
    return report


def _seeds(seeds: int | Iterable[int]) -> Sequence[int]:
    chosen = range(seeds) if isinstance(seeds, int) else list(seeds)
    if not chosen or {type(seed).__name__ for seed in chosen} != {"int"}:
        raise ValueError(f"seeds is how many there are, or a list of numbers, not {seeds!r}")
    return chosen


def reported(outcome: Outcome) -> Report:
    """Return the report of one run."""
    report = Report(1, 0.0, outcome.virtual, outcome.faults, outcome.covered)
    if outcome.findings:
        struck = dict(sorted(outcome.faults.items()))
        report.failures.append(Failure(outcome.seed, outcome.findings, struck, outcome.story))
    return report


def _parts(job: _Job, seeds: Sequence[int], workers: int) -> Iterator[Report]:
    if workers <= 1:
        for seed in seeds:
            yield reported(job.run(seed))
        return
    _jobs.append(job)
    try:
        groups = [seeds[first : first + PART] for first in range(0, len(seeds), PART)]
        with multiprocessing.get_context("fork").Pool(workers, maxtasksperchild=50) as pool:
            yield from pool.imap_unordered(_run_group, groups)
    finally:
        _jobs.pop()


def _run_group(seeds: Sequence[int]) -> Report:
    report = Report()
    for seed in seeds:
        report.add(reported(_jobs[-1].run(seed)))
    return report


def _bar(progress: bool | None) -> Progress:
    shown = sys.stderr.isatty() if progress is None else progress
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not shown,
    )


def _check_callable_here() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise DefinitionError(
        "simulate() runs event loops of its own: call it from a plain function (def, not async def)"
    )
