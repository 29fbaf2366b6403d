"""The crash proof: `python -m tests.crash.run --rounds 200 [--seed S]`; `make crash N=200`.

Each round takes a slice of the shop's orders through a node that is killed (SIGKILL) one to three
times, at random moments of its start-up, its load and its shutdown, and then lets a last node
finish. In half of the rounds the orders come from a client process that lives on. It must hold:

* at every restart, each acknowledged start is in the store, and no step whose outcome was recorded
  then reaches a service afterwards (by the services' own call logs);
* at the end every acknowledged start has ended, and the books of the services balance.

Exit code 1 if anything does not.
"""

import argparse
import functools
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from tests.crash.rounds import PHASES, Result, Round, make_template

VIOLATIONS_SHOWN = 20
LINES_WITHOUT_TERMINAL = 10


def main() -> int:
    """Run the rounds that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.run")
    parser.add_argument("--rounds", type=int, default=200, metavar="N")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 4), metavar="N")
    parser.add_argument("--only", type=int, metavar="ROUND", help="run this one of the rounds")
    given = parser.parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    numbers = range(given.rounds) if given.only is None else [given.only]
    console.print(f"seed {given.seed}, {len(numbers)} rounds, {given.jobs} at a time")
    began = time.monotonic()
    total = Result()
    with tempfile.TemporaryDirectory() as folder:
        make_template(Path(folder))
        run = functools.partial(_round, given.seed, Path(folder))
        context = multiprocessing.get_context("fork")
        with context.Pool(given.jobs, maxtasksperchild=50) as pool, _progress(console) as shown:
            tell = _teller(console, shown, len(numbers), began)
            for result in pool.imap_unordered(run, numbers):
                total.add(result)
                tell(total)
    _print(console, total, time.monotonic() - began)
    return 1 if total.violations or total.rounds < len(numbers) else 0


def _round(seed: int, template: Path, number: int) -> Result:
    return Round(seed, number, template).run()


def _progress(console: Console) -> Progress | nullcontext[None]:
    if not console.is_terminal:
        return nullcontext()
    return Progress(console=console, transient=True)


def _teller(
    console: Console, progress: Progress | None, rounds: int, began: float
) -> Callable[[Result], None]:
    """Return what shows how far the rounds are: a bar, or some lines without a terminal."""
    task = progress.add_task("rounds", total=rounds) if progress is not None else None
    step = max(1, rounds // LINES_WITHOUT_TERMINAL)

    def tell(total: Result) -> None:
        speed = total.rounds / (time.monotonic() - began)
        words = f"{speed:.1f} rounds/s, {len(total.violations)} violations"
        if progress is not None and task is not None:
            progress.update(task, completed=total.rounds, description=words)
        elif total.rounds % step == 0:
            console.print(f"{total.rounds:>5} rounds, {words}")

    return tell


def _print(console: Console, total: Result, seconds: float) -> None:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    rows = [
        ("rounds", total.rounds),
        ("orders", total.orders),
        *((f"  {outcome}", count) for outcome, count in sorted(total.outcomes.items())),
        ("acknowledged starts, all ended", total.acknowledged),
        *((f"kills during {phase}", total.kills[phase]) for phase in PHASES),
        ("shutdowns over before their kill", total.clean_stops),
        ("executions that a kill interrupted", total.interrupted),
        ("steps under way at a kill", total.under_way),
        ("attempts recorded as lost", total.lost_attempts),
        ("incidents (a step lost three times), retried", total.incidents),
        ("steps recorded at the end", total.recorded),
        ("violations", len(total.violations)),
    ]
    for name, figure in rows:
        table.add_row(name, f"{figure:,}")
    console.print(table)
    for violation in total.violations[:VIOLATIONS_SHOWN]:
        console.print(violation, style="red", markup=False)
    if len(total.violations) > VIOLATIONS_SHOWN:
        console.print(f"and {len(total.violations) - VIOLATIONS_SHOWN} more", style="red")
    console.print(f"{seconds:.0f} s, {total.rounds / seconds:.1f} rounds/s")
    words = (
        "[bold red]PROMISES WERE BROKEN[/]" if total.violations else "[green]every promise held[/]"
    )
    console.print(words)


if __name__ == "__main__":
    sys.exit(main())
