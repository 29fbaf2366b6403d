"""Measures the engine beside the goals of its design.

    python -m benchmarks [NAME ...] [--quick] [--rounds N] [--directory DIR] [--json FILE]
    python -m benchmarks compare BEFORE.json AFTER.json
    python -m benchmarks profile [saga|twin|flow|replay]

The first prints a table for each question and one of all lines with their goals, and writes every
round, with the machine and the commit, to `var/bench/<time>.json`.
"""

import argparse
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import compare, machine, profiling, runner, tables
from benchmarks.case import ROUNDS, Options
from benchmarks.progress import Progress
from benchmarks.rivals.environments import NotAvailableError
from benchmarks.runner import Outcome
from benchmarks.suite import CASES

WIDTH = 170


def console_on(stream: Any) -> Console:
    """Return a console that is wide enough when nobody's window says how wide it is."""
    console = Console(file=stream)
    return console if console.is_terminal else Console(file=stream, width=WIDTH)


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--quick", action="store_true", help="small counts, one round")
    parser.add_argument("--rounds", type=int, help=f"of each case that has several ({ROUNDS})")
    parser.add_argument("--directory", type=Path, help="a folder on the disk to measure")
    parser.add_argument("--json", type=Path, help="where the figures go (var/bench/<time>.json)")
    arguments = parser.parse_args(words)
    if unknown := [name for name in arguments.names if name not in CASES]:
        parser.error(f"no benchmark is called {', '.join(unknown)}; known: {', '.join(CASES)}")
    if arguments.rounds is not None and arguments.rounds < 1:
        parser.error("--rounds is at least 1")
    return arguments


class Report:
    """The file of figures; written again after every case, so that an aborted run leaves one."""

    def __init__(self, target: Path, options: Options) -> None:
        self.target = target
        self._figures: dict[str, Any] = {
            "format": 1,
            "machine": machine.describe(),
            "settings": {
                "quick": options.quick,
                "rounds": options.rounds,
                "directory": options.directory and str(options.directory),
                "environment": machine.settings_in_environment(),
            },
            "seconds": 0.0,
            "cases": {},
            "failed": [],
        }
        self._started = time.perf_counter()

    def add(self, name: str, outcome: Outcome) -> None:
        """Add what a case showed."""
        self._figures["cases"][name] = outcome.figures()
        self._write()

    def failed(self, name: str) -> None:
        """Remember that a case broke."""
        self._figures["failed"].append(name)
        self._write()

    def _write(self) -> None:
        self._figures["seconds"] = time.perf_counter() - self._started
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self.target.write_text(json.dumps(self._figures, indent=1) + "\n")


def measure(words: list[str]) -> int:
    """Measure, print, write; return how many cases broke."""
    arguments = _arguments(words)
    options = Options(arguments.quick, arguments.directory, arguments.rounds)
    names = arguments.names or list(CASES)
    console = console_on(sys.stdout)
    default = machine.ROOT / "var" / "bench" / f"{time.strftime('%Y%m%dT%H%M%S')}.json"
    report = Report(arguments.json or default, options)
    outcomes: dict[str, Outcome] = {}
    broken: list[str] = []
    with Progress(names) as progress:
        for name in names:
            try:
                outcome = runner.measure(CASES[name](options), options, progress.begin(name))
            except NotAvailableError as error:
                progress.pause()
                console.print(f"{name}: {error}", style="red")
                broken.append(name)
                report.failed(name)
                continue
            except Exception:  # noqa: BLE001 - a case that breaks costs no other its figures
                progress.pause()
                traceback.print_exc()
                broken.append(name)
                report.failed(name)
                continue
            outcomes[name] = outcome
            report.add(name, outcome)
            progress.pause()
            tables.show(console, outcome)
            console.print(f"{name}: {outcome.seconds:.0f} s, {outcome.cpu_seconds:.0f} s of CPU\n")
    if outcomes:
        tables.summary(console, outcomes, quick=options.quick)
    console.print(f"written to {report.target}; {progress.seconds:.0f} s in all")
    if broken:
        console.print(f"broken: {', '.join(broken)}", style="red")
    return len(broken)


def main() -> None:
    """Do what the first word says."""
    first, rest = sys.argv[1:2], sys.argv[2:]
    if first == ["compare"]:
        sys.exit(compare.main(rest, console_on(sys.stdout)))
    if first == ["profile"]:
        sys.exit(profiling.main(rest, console_on(sys.stdout)))
    sys.exit(bool(measure(sys.argv[1:])))


if __name__ == "__main__":
    main()
