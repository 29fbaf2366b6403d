"""A bad deployment rehearsed: `python -m tests.deployment.run --sagas 500`; `make rehearse`.

Orders are under way under `counterpoint run`. The node is stopped, and code is deployed that makes
its calls in another order. It must hold:

* every order becomes an incident, and the bad code calls no service and decides nothing;
* no journal is damaged: its rows before are the first rows after, byte for byte;
* with the fixed code every order goes on as soon as its node starts, and nobody asks for it;
* of some payments the provider's answer gets lost. A person lists them, looks at each, looks into
  the provider's books and answers, through the real command line;
* then the books balance: every order is sold and paid once, or undone.

Exit code 1 if anything does not.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.deployment.commands import RehearsalError
from tests.deployment.rehearsal import Rehearsal


def main() -> int:
    """Rehearse what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.deployment.run")
    parser.add_argument("--sagas", type=int, default=500, metavar="N")
    parser.add_argument("--unknown", type=int, default=20, metavar="N", help="lost answers")
    parser.add_argument("--transcript", action="store_true", help="print the commands too")
    given = parser.parse_args()
    if not 1 <= given.unknown <= given.sagas:
        parser.error("--unknown is at least 1 and at most --sagas")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    console.print(f"{given.sagas:,} orders, {given.unknown:,} payments with a lost answer")
    began = time.monotonic()
    rehearsal = Rehearsal(Path(tempfile.mkdtemp(prefix="rehearsal-")), given.sagas, given.unknown)
    try:
        rehearsal.run()
    except RehearsalError as error:
        rehearsal.violations.append(str(error))
    if given.transcript:
        for text in rehearsal.shell.said:
            console.print(text, markup=False, soft_wrap=True)
    _print(console, rehearsal, time.monotonic() - began)
    if rehearsal.violations:
        console.print(f"its files are in {rehearsal.directory}")
        return 1
    rehearsal.discard()
    return 0


def _print(console: Console, rehearsal: Rehearsal, seconds: float) -> None:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(justify="right")
    for step in rehearsal.steps:
        took = "" if step.seconds is None else f"{step.seconds:.1f} s"
        table.add_row(step.what, step.figure, took)
    table.add_row("violations", f"{len(rehearsal.violations):,}", "")
    console.print(table)
    for violation in rehearsal.violations:
        console.print(violation, style="red", markup=False)
    words = "[bold red]IT DID NOT HOLD[/]" if rehearsal.violations else "[green]all of it held[/]"
    console.print(f"{seconds:.0f} s; {words}")


if __name__ == "__main__":
    sys.exit(main())
