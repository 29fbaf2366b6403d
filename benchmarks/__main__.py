"""Every table: `python -m benchmarks [NAME ...] [--quick] [--directory DIR]`.

Figures go to `var/bench/<time>.json` too, with the machine and the commit.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks import (
    burst,
    catching_up,
    choreographed,
    machine,
    poison,
    recovery,
    replay,
    sagas,
    saturated,
    stages,
    waiting,
)
from benchmarks.table import Options, Table

BENCHMARKS: dict[str, Callable[[Options], Table]] = {
    "sagas": sagas.measure,
    "choreographed": choreographed.measure,
    "poison": poison.measure,
    "catching-up": catching_up.measure,
    "writes": sagas.count_writes,
    "stages": stages.measure,
    "saturated": saturated.measure,
    "replay": replay.measure,
    "recovery": recovery.measure,
    "waiting": waiting.measure,
    "burst": burst.measure,
}


def show(console: Console, table: Table) -> None:
    """Print one result."""
    shown = RichTable(title=table.title, title_justify="left")
    for number, heading in enumerate(table.headings):
        shown.add_column(heading, justify="right" if number else "left")
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
    for note in table.notes:
        console.print(note)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="small counts: does it work?")
    parser.add_argument("--directory", type=Path, help="a folder on the disk to measure")
    options = parser.parse_args()
    unknown = set(options.names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    console = Console(width=160 if not Console().is_terminal else None)
    figures: dict[str, Any] = {"machine": machine.describe(), "quick": options.quick}
    for name in options.names or BENCHMARKS:
        started = time.perf_counter()
        table = BENCHMARKS[name](Options(options.quick, options.directory))
        show(console, table)
        console.print(f"{name}: {time.perf_counter() - started:.0f} s\n")
        figures[name] = table.figures
    target = machine.ROOT / "var" / "bench" / f"{time.strftime('%Y%m%dT%H%M%S')}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(figures, indent=2) + "\n")
    console.print(f"written to {target.relative_to(machine.ROOT)}")


main()
