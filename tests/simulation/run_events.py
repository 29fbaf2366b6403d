"""The proof of choreographies: `python -m tests.simulation.run_events`; part of `make simulate`.

Random choreographies (see `tests.simulation.choreographies`) run in the harness, with failing,
hanging and dying everywhere, and with operators who redrive, discard, replay and deploy. When
everything was put right the judge looks: every event has reached every reaction, in order; every
effect happened once; nothing is held or under way. Exit code 1 if there is any violation.
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

from hypothesis import HealthCheck, Phase, given, seed, settings
from rich.console import Console
from tests.simulation.choreographies import Case, cases
from tests.simulation.events_judge import run_case
from tests.simulation.run import BATCH, VIOLATIONS_SHOWN, Result


def run_batch(given_seed: int, number: int, count: int) -> Result:
    """Run one batch; stop at its first violation, made as small as possible."""
    result = Result()
    smallest = ""

    @seed(f"{given_seed}/{number}")
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=tuple(HealthCheck),
    )
    @given(cases())
    def batch(case: Case) -> None:
        nonlocal smallest
        found = runner.run(run_case(case))
        if not smallest:
            result.cases += 1
        if found:
            smallest = "\n".join([repr(case), *(f"  ! {what}" for what in found)])
        assert not found

    with asyncio.Runner() as runner:
        try:
            batch()
        except Exception as error:  # noqa: BLE001 - also what Hypothesis says about a flaky case
            result.found.append(f"batch {number}: {smallest or error!r}")
    return result


def main() -> int:
    """Run the cases that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.run_events")
    parser.add_argument("--cases", type=int, default=5_000, metavar="N")
    parser.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 4), metavar="N")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    asked = parser.parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    console.print(f"choreographies: seed {asked.seed}, {asked.cases} cases")
    logging.getLogger("counterpoint").propagate = False
    logging.getLogger("counterpoint").setLevel(logging.ERROR)
    began = time.monotonic()
    total = Result()
    count = min(BATCH, asked.cases)
    run = functools.partial(run_batch, asked.seed, count=count)
    context = multiprocessing.get_context("fork")
    with context.Pool(asked.workers, maxtasksperchild=20) as pool:
        for result in pool.imap_unordered(run, range(-(-asked.cases // count))):
            total.add(result)
            for found in result.found[:VIOLATIONS_SHOWN]:
                console.print(found, markup=False, soft_wrap=True)
    seconds = time.monotonic() - began
    console.print(f"{total.cases:,} cases, {seconds:.0f} s, {total.cases / seconds:.1f} cases/s")
    if total.found:
        console.print(f"[bold red]{len(total.found)} VIOLATIONS[/]")
    else:
        console.print("[green]every event reached everybody, in order, with its effects once[/]")
    return 1 if total.found or not total.cases else 0


if __name__ == "__main__":
    sys.exit(main())
