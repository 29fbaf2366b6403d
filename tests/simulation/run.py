"""The proof of sagas: `python -m tests.simulation.run --cases 20000 --workers 2`; `make simulate`.

Random sagas (see `tests.simulation.plans`) run in the harness: on virtual time, with failing,
hanging and crashing everywhere. When nothing happens any more the judge looks at what the services
have done: all of it is kept, or all of it is undone, or `describe()` names what is open. Then
people put right what is open, and the judge looks again: everything must have ended.

Each batch of cases has a seed of its own, made of `--seed` and its number. A violation is made as
small as Hypothesis can, and printed as the `Case` to run again. Exit code 1 if there is any.
"""

import argparse
import asyncio
import functools
import logging
import multiprocessing
import os
import random
import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, given, seed, settings
from rich.console import Console
from rich.table import Table
from tests.simulation import judge
from tests.simulation.driver import Driver
from tests.simulation.plans import Case, cases

BATCH = 250
VIOLATIONS_SHOWN = 10
LINES = 20


@dataclass
class Result:
    """What one batch of cases, or many, came to."""

    cases: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)

    def add(self, other: "Result") -> None:
        """Add another batch's figures to these."""
        self.cases += other.cases
        self.counts += other.counts
        self.found += other.found


def run_batch(given_seed: int, rehearsed: int, number: int, count: int) -> Result:
    """Run one batch; stop at its first violation, made as small as possible."""
    result = Result()
    smallest = ""
    phases = (Phase.generate, Phase.shrink)
    quiet = tuple(HealthCheck)

    @seed(f"{given_seed}/{number}")
    @settings(
        max_examples=count, database=None, deadline=None, phases=phases, suppress_health_check=quiet
    )
    @given(cases(rehearsed=rehearsed))
    def batch(case: Case) -> None:
        nonlocal smallest
        driver = Driver(case)
        verdict = runner.run(driver.run())
        if not smallest:
            result.cases += 1
            result.counts += verdict.counts
        if verdict.violations:
            smallest = _told(case, verdict.violations, judge.in_words(driver.ledger))
        assert not verdict.violations

    with asyncio.Runner() as runner, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what `finally` makes at eviction and cannot run
        try:
            batch()
        except Exception as error:  # noqa: BLE001 - also what Hypothesis says about a flaky case
            result.found.append(f"batch {number}, {result.cases} cases: {smallest or error!r}")
    return result


def main() -> int:
    """Run the cases that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.run")
    parser.add_argument("--cases", type=int, default=20_000, metavar="N")
    parser.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 4), metavar="N")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--rehearsed", type=int, default=10, metavar="N", help="one of N cases is")
    parser.add_argument("--stop", action="store_true", help="stop at the first violation")
    asked = parser.parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    console.print(f"seed {asked.seed}, {asked.cases} cases, {asked.workers} workers")
    logging.getLogger("counterpoint").propagate = False
    logging.getLogger("counterpoint").setLevel(logging.ERROR)
    began = time.monotonic()
    total = Result()
    batches = range(-(-asked.cases // BATCH))
    run = functools.partial(run_batch, asked.seed, asked.rehearsed, count=BATCH)
    step = max(1, len(batches) // LINES)
    context = multiprocessing.get_context("fork")
    with context.Pool(asked.workers, maxtasksperchild=20) as pool:
        for number, result in enumerate(pool.imap_unordered(run, batches), 1):
            total.add(result)
            for found in result.found[:VIOLATIONS_SHOWN]:
                console.print(found, markup=False, soft_wrap=True)
            if number % step == 0:
                speed = total.cases / (time.monotonic() - began)
                words = f"{speed:.0f} cases/s, {len(total.found)} violations"
                console.print(f"{total.cases:>6} cases, {words}")
            if total.found and asked.stop:
                break
    _print(console, total, time.monotonic() - began)
    return 1 if total.found or not total.cases else 0


def _told(case: Case, violations: list[str], journals: str) -> str:
    return "\n".join([repr(case), *(f"  ! {what}" for what in violations), journals])


def _print(console: Console, total: Result, seconds: float) -> None:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("cases", f"{total.cases:,}")
    for name, figure in sorted(total.counts.items()):
        table.add_row(name, f"{figure:,}")
    console.print(table)
    console.print(f"{seconds:.0f} s, {total.cases / seconds:.1f} cases/s")
    if total.found:
        console.print(f"[bold red]{len(total.found)} VIOLATIONS[/]")
    else:
        console.print("[green]all kept, all undone, or named[/]")


if __name__ == "__main__":
    sys.exit(main())
