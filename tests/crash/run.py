"""The crash proof: `python -m tests.crash.run --rounds 200 [--seed S]`; `make crash N=200`.

It has so many rounds of each style. In each one a node is killed (SIGKILL) one to three times, at
random moments of its start-up, its load and its shutdown, and then a last node finishes.
Of the style *machine*, in which worse happens to a node (see `troubles`), there are half as many,
unless it is the only one.

*Orchestrated*: the node takes a slice of the shop's orders through their sagas; in half of the
rounds the orders come from a client process that lives on. It must hold:

* at every restart, each acknowledged start is in the store, and no step whose outcome was recorded
  then reaches a service afterwards (by the services' own call logs);
* at the end every acknowledged start has ended, and the books of the services balance.

*Choreographed*: the node and a client publish events, to which reactions and sagas react; the
client redrives and discards dead letters and replays events. `judge` and `order` say what must
hold at every restart and at the end.

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
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from tests.crash import disk, machine
from tests.crash.choreographed import ChoreographedRound
from tests.crash.orchestrated import OrchestratedRound, make_template
from tests.crash.planted import PLANTS
from tests.crash.rounds import Result

STYLES = (OrchestratedRound.style, ChoreographedRound.style, machine.STYLE)
MODULE = "tests.crash.run"
VIOLATIONS_SHOWN = 20
LINES_WITHOUT_TERMINAL = 10


def main() -> int:
    """Run the rounds that the command line asks for."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}")
    parser.add_argument("--rounds", type=int, default=200, metavar="N", help="of each style")
    parser.add_argument("--style", choices=STYLES, action="append", help="only this one")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 4), metavar="N")
    parser.add_argument("--only", type=int, metavar="ROUND", help="run this one of the rounds")
    parser.add_argument("--keep", action="store_true", help="keep the files of every round")
    parser.add_argument("--plant", choices=PLANTS, help="break it: violations have to be found")
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds is at least 1")
    styles = given.style or STYLES
    if machine.STYLE in styles and not disk.is_loaded():
        why_not = disk.why_not()
        if why_not is None:
            return disk.begin_again(MODULE, sys.argv[1:])
        Console(stderr=True).print(f"no full disks, sync errors or power cuts: {why_not}")
    if given.plant is not None:
        PLANTS[given.plant]()
    os.environ.pop(disk.VARIABLE, None)  # programs that these processes start have other disks
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    rounds = _choose_rounds(styles, given.rounds, given.only)
    counted = [f"{sum(of == style for of, _ in rounds)} rounds {style}" for style in styles]
    console.print(f"seed {given.seed}, {', '.join(counted)}, {given.jobs} at a time")
    began = time.monotonic()
    totals = {style: Result() for style in styles}
    with tempfile.TemporaryDirectory() as folder:
        make_template(Path(folder))
        run = functools.partial(_round, given.seed, Path(folder), given.keep)
        context = multiprocessing.get_context("fork")
        with context.Pool(given.jobs, maxtasksperchild=50) as pool, _progress(console) as shown:
            tell = _teller(console, shown, len(rounds), began)
            for style, result in pool.imap_unordered(run, rounds):
                totals[style].add(result)
                tell(totals.values())
    for style, total in totals.items():
        _print(console, style, total)
    return _verdict(console, totals.values(), len(rounds), time.monotonic() - began)


def _choose_rounds(styles: Sequence[str], count: int, only: int | None) -> list[tuple[str, int]]:
    if only is not None:
        return [(style, only) for style in styles]
    counts = dict.fromkeys(styles, count)
    if len(styles) > 1 and machine.STYLE in counts:
        counts[machine.STYLE] = (count + 1) // 2
    return [(style, n) for n in range(count) for style in styles if n < counts[style]]


def _round(seed: int, template: Path, keep: bool, which: tuple[str, int]) -> tuple[str, Result]:
    style, number = which
    if style == machine.STYLE:
        return style, machine.run_round(seed, number, template, kept=keep)
    if style == OrchestratedRound.style:
        return style, OrchestratedRound(seed, number, template, kept=keep).run()
    return style, ChoreographedRound(seed, number, kept=keep).run()


def _progress(console: Console) -> Progress | nullcontext[None]:
    if not console.is_terminal:
        return nullcontext()
    return Progress(console=console, transient=True)


def _teller(
    console: Console, progress: Progress | None, rounds: int, began: float
) -> Callable[[Collection[Result]], None]:
    """Return what shows how far the rounds are: a bar, or some lines without a terminal."""
    task = progress.add_task("rounds", total=rounds) if progress is not None else None
    step = max(1, rounds // LINES_WITHOUT_TERMINAL)

    def tell(totals: Collection[Result]) -> None:
        done = sum(total.rounds for total in totals)
        violations = sum(len(total.violations) for total in totals)
        words = f"{done / (time.monotonic() - began):.1f} rounds/s, {violations} violations"
        if progress is not None and task is not None:
            progress.update(task, completed=done, description=words)
        elif done % step == 0:
            console.print(f"{done:>5} rounds, {words}")

    return tell


def _print(console: Console, style: str, total: Result) -> None:
    table = Table(title=style, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("rounds", f"{total.rounds:,}")
    for name, figure in total.figures.items():
        table.add_row(name, f"{figure:,}")
    table.add_row("violations", f"{len(total.violations):,}")
    console.print(table)
    for violation in total.violations[:VIOLATIONS_SHOWN]:
        console.print(violation, style="red", markup=False)
    if len(total.violations) > VIOLATIONS_SHOWN:
        console.print(f"and {len(total.violations) - VIOLATIONS_SHOWN} more", style="red")


def _verdict(console: Console, totals: Collection[Result], rounds: int, seconds: float) -> int:
    done = sum(total.rounds for total in totals)
    console.print(f"{seconds:.0f} s, {done / seconds:.1f} rounds/s")
    if any(total.violations for total in totals) or done < rounds:
        console.print("[bold red]PROMISES WERE BROKEN[/]")
        return 1
    console.print("[green]every promise held[/]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
