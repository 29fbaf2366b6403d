"""Rivals on the same order saga: `python -m benchmarks.rivals [NAME ...] [--quick] [--rounds N]`.

Installs what is missing under `var/rivals`, then runs Counterpoint, the bare loop and every rival
in interleaved rounds. Figures go to `var/bench/rivals-<time>.json`; `--from` shows them again.
"""

import argparse
import time
from pathlib import Path

from rich.console import Console

from benchmarks import machine
from benchmarks.rivals import report, rounds
from benchmarks.rivals.catalogue import BARE, COUNTERPOINT, RIVALS

PAGE = machine.ROOT / "docs" / "explanation" / "rivals.md"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rivals", description=__doc__)
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help=", ".join(RIVALS))
    add("--quick", action="store_true", help="one round of a second each: does it work?")
    add("--rounds", type=int, help="interleaved rounds (5)")
    add("--seconds", type=float, help="how long sagas are started in a case (3)")
    add("--directory", type=Path, help="a folder on the disk to measure")
    add("--install-only", action="store_true", help="install what is missing, measure nothing")
    add("--from", dest="earlier", type=Path, help="show the figures of an earlier run")
    add("--markdown", action="store_true", help="print Markdown")
    add("--page", action="store_true", help=f"put the tables into {PAGE.relative_to(machine.ROOT)}")
    options = parser.parse_args()
    unknown = set(options.names) - RIVALS.keys()
    if unknown:
        parser.error(
            f"no rival is called {', '.join(sorted(unknown))}; there are {', '.join(RIVALS)}"
        )
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds is at least 1")
    if options.earlier is not None and not options.earlier.is_file():
        parser.error(f"{options.earlier} is no file: name one of var/bench/rivals-*.json")
    return options


def main() -> None:
    """Measure, print, write."""
    options = _options()
    progress = Console(stderr=True, highlight=False)
    wanted = {COUNTERPOINT, BARE, *(options.names or RIVALS)}
    names = [name for name in RIVALS if name in wanted]
    if options.install_only:
        reasons = rounds.install(names, progress.print)
        progress.print(f"{len(names) - len(reasons)} of {len(names)} are installed")
        return
    if options.earlier:
        described, visits = report.read(options.earlier)
    else:
        measured = rounds.Options(
            seconds=options.seconds or (1.0 if options.quick else 3.0),
            directory=options.directory,
        )
        described = {**machine.describe(), "seconds": measured.seconds}
        count = options.rounds or (1 if options.quick else 5)
        visits = rounds.measure(names, count, measured, progress.print)
        name = f"rivals-{time.strftime('%Y%m%dT%H%M%S')}.json"
        report.write(machine.ROOT / "var" / "bench" / name, described, visits)
        progress.print(f"written to var/bench/{name}")
    text = report.markdown(described, visits)
    if options.page:
        report.put_into(PAGE, text)
    if options.markdown:
        print(text, end="")
    elif not options.page:
        report.show(Console(width=None if Console().is_terminal else 180), visits)


if __name__ == "__main__":
    main()
