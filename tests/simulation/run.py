"""The proof by simulation: `python -m tests.simulation.run --seeds 20000`; `make simulate`.

Three kinds of it, each with so many seeds:

* random sagas (`plans`) in the harness, on virtual time, with failing, hanging and crashing
  everywhere. When nothing happens any more the judge looks at what the services have done: all of
  it is kept, or all of it is undone, or `describe()` names what is open. Then people put right what
  is open, and the judge looks again: everything must have ended.
* random choreographies (`run_events`).
* days of the shop in its three forms (`shop`) in `counterpoint.testing.simulation`, whose books
  have to balance.

Each batch of random cases has a seed of its own, made of `--seed` and its number. A violation is
made as small as Hypothesis can, and printed as the `Case` to run again; a day is told with the seed
that it is run again with. Exit code 1 if there is any.
"""

import argparse
import functools
import logging
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from tests.simulation import judge, run_events, shop
from tests.simulation.batch import BATCH, Result, Run, run_cases
from tests.simulation.driver import Driver
from tests.simulation.plans import Case, cases

from counterpoint.testing.simulation import Report, SimulationFailed

VIOLATIONS_SHOWN = 10
LINES = 20
KINDS = ("sagas", "choreographies", "shop")


async def _run(case: Case) -> Run:
    driver = Driver(case)
    verdict = await driver.run()
    story = judge.in_words(driver.ledger) if verdict.violations else ""
    return Run(verdict.violations, verdict.counts, story)


def run_batch(given_seed: int, rehearsed: int, number: int, count: int) -> Result:
    """Run one batch of sagas; stop at its first violation, made as small as possible."""
    return run_cases(cases(rehearsed=rehearsed), _run, f"{given_seed}/{number}", count)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.run",
        description="Random sagas, random choreographies and days of the shop, judged.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=20_000, metavar="N", help="of each kind")
    parser.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 4), metavar="N")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--rehearsed", type=int, default=10, metavar="N", help="one of N sagas is")
    parser.add_argument("--only", choices=KINDS, help="one kind only")
    parser.add_argument("--stop", action="store_true", help="stop at the first violation")
    asked = parser.parse_args()
    if asked.seeds < 1 or asked.workers < 1:
        parser.error("--seeds and --workers are at least 1")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    logging.getLogger("counterpoint").propagate = False
    logging.getLogger("counterpoint").setLevel(logging.ERROR)
    good = True
    for kind in KINDS if asked.only is None else [asked.only]:
        console.print(f"[bold]{kind}[/]: seed {asked.seed}, {asked.seeds} seeds")
        if kind == "shop":
            good &= _run_shop(console, asked)
        else:
            good &= _run_random(console, kind, asked)
    return 0 if good else 1


# ---- random cases --------------------------------------------------------------------------------


def _run_random(console: Console, kind: str, asked: argparse.Namespace) -> bool:
    count = min(BATCH, asked.seeds)
    run: Callable[[int], Result] = (
        functools.partial(run_batch, asked.seed, asked.rehearsed, count=count)
        if kind == "sagas"
        else functools.partial(run_events.run_batch, asked.seed, count=count)
    )
    total = Result()
    began = time.monotonic()
    batches = range(-(-asked.seeds // count))
    context = multiprocessing.get_context("fork")
    with context.Pool(asked.workers, maxtasksperchild=20) as pool:
        for result in _told(console, pool.imap_unordered(run, batches), total, asked.seeds):
            for found in result.found[:VIOLATIONS_SHOWN]:
                console.print(found, markup=False, soft_wrap=True)
            if total.found and asked.stop:
                break
    _print_counts(console, total, time.monotonic() - began)
    return bool(total.cases) and not total.found


def _told(
    console: Console, results: Iterator[Result], total: Result, seeds: int
) -> Iterator[Result]:
    """Add results up, and say how far it is: with a bar on a terminal, else now and then."""
    began, told = time.monotonic(), 0
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        bar.disable = not console.is_terminal
        task = bar.add_task("simulating", total=seeds, speed="")
        for result in results:
            total.add(result)
            pace = total.cases / (time.monotonic() - began)
            speed = f"{pace:.0f} seeds/s, {len(total.found)} violations"
            bar.update(task, completed=total.cases, speed=speed)
            if not console.is_terminal and total.cases - told >= seeds / LINES:
                told = total.cases
                console.print(f"{total.cases:>6} seeds, {speed}")
            yield result


def _print_counts(console: Console, total: Result, seconds: float) -> None:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("seeds", f"{total.cases:,}")
    for name, figure in sorted(total.counts.items()):
        table.add_row(name, f"{figure:,}")
    console.print(table)
    console.print(f"{seconds:.0f} s, {total.cases / seconds:.1f} seeds/s")
    if total.found:
        console.print(f"[bold red]{len(total.found)} VIOLATIONS[/]")
    else:
        console.print("[green]all kept, all undone, or named; every effect happened once[/]")


# ---- the shop ------------------------------------------------------------------------------------


def _run_shop(console: Console, asked: argparse.Namespace) -> bool:
    """Run the three forms of the shop's day, each with a third of the seeds."""
    good = True
    for day in shop.DAYS:
        first = asked.seed * 1_000_000
        seeds = range(first, first + -(-asked.seeds // len(shop.DAYS)))
        failures_max = 1 if asked.stop else VIOLATIONS_SHOWN
        try:
            report = shop.run(day, seeds, workers=asked.workers, failures_max=failures_max)
        except SimulationFailed as failed:
            good = False
            console.print(str(failed), markup=False, soft_wrap=True)
            report = failed.report
        _print_report(console, day.name, report)
    return good


def _print_report(console: Console, name: str, report: Report) -> None:
    console.print(f"{name}: {report}")
    for what, figures in (("struck", report.faults), ("covered", report.covered)):
        told = ", ".join(f"{one} {times:,}" for one, times in sorted(figures.items()))
        console.print(f"  {what}: {told}")


if __name__ == "__main__":
    sys.exit(main())
