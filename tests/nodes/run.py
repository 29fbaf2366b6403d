"""The proof with several nodes: `python -m tests.nodes.run --rounds 50 [--seed S]`; `make nodes`.

Each round has a store of its own in PostgreSQL, three nodes and a client. The nodes host one
service of the shop each, or two, or all. The client and the nodes submit orders at a pace; every
few seconds a node is killed (SIGKILL) or stands still (SIGSTOP) for less or longer than its lease,
or the server is restarted, fast or immediately. In some rounds nothing fails, and there are
deploys: every one to two seconds a node is told to stop, with SIGTERM or as `counterpoint drain`
does, and another process takes its place. Attempts and commits take longer there, so that some are
always under way, and nothing at all may be lost or made twice. When nine tenths of the orders have
ended, the trouble is over, and the rest has to end. `judge` says what must hold then.

Exit code 1 if anything does not. The files of a round that broke a promise stay in `var/nodes`:
the books, the logs of the nodes, their attempts, what was done to them, and a dump of the store.
"""

import argparse
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.crash.rounds import Result
from tests.nodes.member import LAYOUTS
from tests.nodes.planted import PLANTS
from tests.nodes.rounds import FORMS, Plan, Round
from tests.nodes.server import Server, end_on_sigterm
from tests.nodes.troubles import DEPLOY, DRAINED, SIGTERM, TROUBLES

FOLDER = Path("var/nodes")
WIDTH = 120
MIX = ("nodes", DEPLOY, "nodes", "server", "nodes", DEPLOY, "both")
"""The troubles of rounds in turn; with two forms and three layouts, each meets each."""
DEPLOY_LEASE_SECONDS = 10.0
"""At least: no node may be declared lost there because the machine was busy for a moment."""
DEPLOY_RATE = 30.0
"""Orders a second, at most: there is time for many deploys in a round."""


def main() -> int:
    """Run the rounds that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.nodes.run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, metavar="N")
    parser.add_argument("--orders", type=int, default=830, metavar="N", help="in each round")
    parser.add_argument("--rate", type=float, default=80.0, metavar="N", help="orders a second")
    parser.add_argument("--lease", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument("--form", choices=FORMS, action="append", help="only this one")
    parser.add_argument("--layout", choices=LAYOUTS, action="append", help="only this one")
    parser.add_argument("--trouble", choices=(*TROUBLES, "none"), action="append")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--only", type=int, metavar="ROUND", help="run this one of the rounds")
    parser.add_argument("--keep", action="store_true", help="keep the files of every round")
    parser.add_argument("--plant", choices=PLANTS, help="break it: violations have to be found")
    given = parser.parse_args()
    end_on_sigterm()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    console.print(f"seed {given.seed}, {given.rounds} rounds of {given.orders} orders")
    numbers = range(given.rounds) if given.only is None else [given.only]
    totals = {form: Result() for form in given.form or FORMS}
    began = time.monotonic()
    with Server() as server:
        for number in numbers:
            plan = choose(given, number)
            planted = {} if given.plant is None else PLANTS[given.plant]
            ran = Round(plan, server, FOLDER, kept=given.keep, **planted)
            result = ran.run()
            totals[plan.form].add(result)
            _tell(console, plan, result, [one.seconds for one in ran.cluster.departures])
    for form, total in totals.items():
        _print(console, form, total)
    broken = sum(len(total.violations) for total in totals.values())
    console.print(f"{time.monotonic() - began:.0f} s")
    console.print("[bold red]PROMISES WERE BROKEN[/]" if broken else "[green]every promise held[/]")
    return 1 if broken else 0


def choose(given: argparse.Namespace, number: int) -> Plan:
    """Return what a round is about: every combination comes in turn."""

    def turn(choices: Sequence[str], step: int) -> str:
        return choices[number // step % len(choices)]

    forms, layouts = given.form or list(FORMS), given.layout or list(LAYOUTS)
    trouble = turn(given.trouble or MIX, 1)
    return Plan(
        number,
        given.seed,
        turn(forms, 1),
        turn(layouts, len(forms)),
        trouble,
        given.orders,
        min(given.rate, DEPLOY_RATE) if trouble == DEPLOY else given.rate,
        max(given.lease, DEPLOY_LEASE_SECONDS) if trouble == DEPLOY else given.lease,
    )


def _tell(console: Console, plan: Plan, result: Result, stops: Sequence[float]) -> None:
    figures = result.figures
    deploys = figures[SIGTERM] + figures[DRAINED]
    console.print(
        f"{plan.name}: {figures['seconds']} s, {figures['nodes killed']} kills, {deploys} deploys, "
        f"no stop took longer than {max(stops, default=0.0):.1f} s, "
        f"{figures['  declared lost']} declared lost, {figures['executions taken over']} "
        f"executions taken over, {len(result.violations)} violations"
    )
    for violation in result.violations:
        console.print(violation, style="red", markup=False)


def _print(console: Console, form: str, total: Result) -> None:
    table = Table(title=form, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("rounds", f"{total.rounds:,}")
    for name, figure in total.figures.items():
        table.add_row(name, f"{figure:,}")
    table.add_row("violations", f"{len(total.violations):,}")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
