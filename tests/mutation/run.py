"""The test of the tests: `python -m tests.mutation.run [--only NAME] [--list]`; `make mutate`.

Each mutant is put into a copy of the package, and tests run against the copy: first those that are
expected to notice, then the folders closest to what was changed, at last all of them. The first
test that fails has caught it, and so has one that hangs. The named tests run once without any
mutant before, so that a broken test catches nothing; what only the other tests catch is tried again
without the mutant for the same reason.

The table says which test caught which mutant; the same as JSON is in `var/mutants.json`. Exit code
1 if a mutant survives.
"""

import argparse
import json
import os
import queue
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text
from tests.mutation.catalog import MUTANTS
from tests.mutation.mutant import ROOT, Mutant
from tests.mutation.workspace import CannotRunError, Failed, Workspace

WORKERS_MAX = 2
WIDTH = 170
LINES_WITHOUT_TERMINAL = 20
SECONDS_OWN = 120.0
SECONDS_BASELINE = 600.0
SECONDS_CLOSE = 600.0
SECONDS_ALL = 1_800.0
CLOSE = {
    "kernel": ("tests/unit/kernel", "tests/histories", "tests/design", "tests/runtime"),
    "stores": ("tests/unit/stores", "tests/conformance", "tests/runtime", "tests/design"),
    "authoring": ("tests/unit/authoring", "tests/design", "tests/runtime"),
    "model": ("tests/unit/model", "tests/design", "tests/runtime"),
}
CLOSE_TO_ALL_OTHERS = ("tests/unit/runtime", "tests/runtime", "tests/design", "tests/simulation")
REPORT = ROOT / "var" / "mutants.json"


@dataclass(frozen=True)
class Verdict:
    """What became of one mutant."""

    name: str
    promise: str
    why: str
    caught_by: str | None
    """The first test that failed; None if the mutant survived."""
    how: str
    """What the test said, or why nothing could be run."""
    hangs: bool
    tests: str
    """Which tests caught it: its own, close or all."""
    seconds: float


class Runner:
    """Tries mutants in a few workspaces side by side."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.workers = workers
        self._free: queue.Queue[Workspace] = queue.Queue()
        for number in range(workers):
            place = folder / str(number)
            place.mkdir()
            self._free.put(Workspace(place))

    def baseline(self, tests: Sequence[str]) -> list[Failed]:
        """Return which of the named tests fail twice without any mutant."""
        files: dict[str, list[str]] = {}
        for test in dict.fromkeys(tests):
            files.setdefault(test.partition("::")[0], []).append(test)
        parts = [[t for f in list(files)[n :: self.workers] for t in files[f]] for n in (0, 1)]
        with ThreadPoolExecutor(self.workers) as pool:
            found = list(pool.map(self._without_mutant, [part for part in parts if part]))
        failed = {one.test: one for some in found for one in some}
        return self._without_mutant(list(failed)) if failed else []

    def try_all(self, mutants: Sequence[Mutant], tell: Callable[[Verdict], None]) -> list[Verdict]:
        """Return the verdicts, in the order of the mutants; *tell* hears each as it comes."""
        verdicts: dict[str, Verdict] = {}
        with ThreadPoolExecutor(self.workers) as pool:
            for done in as_completed([pool.submit(self.try_one, mutant) for mutant in mutants]):
                verdict = done.result()
                verdicts[verdict.name] = verdict
                tell(verdict)
        return [verdicts[mutant.name] for mutant in mutants]

    def try_one(self, mutant: Mutant) -> Verdict:
        """Put one mutant in, and run tests until one fails."""
        workspace = self._free.get()
        began = time.monotonic()
        text = workspace.text_of(mutant)
        try:
            workspace.put(mutant)
            which, failed = self._first_failed(workspace, mutant, text)
        except (CannotRunError, LookupError) as error:
            which, failed = "none", None
            how = f"cannot be tried: {error}"
        else:
            how = failed.why if failed is not None else "SURVIVED"
        finally:
            workspace.restore(mutant, text)
            self._free.put(workspace)
        return Verdict(
            mutant.name,
            mutant.promise,
            mutant.why,
            failed.test if failed is not None else None,
            how,
            failed is not None and failed.hangs,
            which,
            round(time.monotonic() - began, 1),
        )

    def _first_failed(
        self, workspace: Workspace, mutant: Mutant, text: str
    ) -> tuple[str, Failed | None]:
        if mutant.tests and (found := workspace.run(mutant.tests, SECONDS_OWN)):
            return "its own", found[0]
        folder = mutant.file.partition("/")[0]
        wider = [
            ("close", CLOSE.get(folder, CLOSE_TO_ALL_OTHERS), SECONDS_CLOSE),
            ("all", ("tests",), SECONDS_ALL),
        ]
        for which, tests, seconds in wider:
            for failed in workspace.run(tests, seconds):
                workspace.restore(mutant, text)
                fails_anyway = workspace.run([failed.test], SECONDS_OWN)
                workspace.put(mutant)
                if not fails_anyway:
                    return which, failed
        return "all", None

    def _without_mutant(self, tests: Sequence[str]) -> list[Failed]:
        workspace = self._free.get()
        try:
            return workspace.run(tests, SECONDS_BASELINE, all_of_them=True)
        finally:
            self._free.put(workspace)


def main() -> int:
    """Try the mutants that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.run")
    parser.add_argument("--only", action="append", metavar="NAME", help="a name or a pattern (*)")
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    workers = min(os.cpu_count() or 1, WORKERS_MAX)
    parser.add_argument("--workers", type=int, default=workers, choices=range(1, WORKERS_MAX + 1))
    asked = parser.parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    patterns = asked.only or ["*"]
    mutants = [m for m in MUTANTS if any(fnmatchcase(m.name, pattern) for pattern in patterns)]
    if not mutants:
        parser.error(f"no mutant is called {' or '.join(patterns)}; --list shows them")
    if asked.list:
        console.print(_listed(mutants))
        return 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, _progress(console) as progress:
        runner = Runner(Path(folder), asked.workers)
        broken = runner.baseline([test for mutant in mutants for test in mutant.tests])
        for one in broken:
            console.print(f"fails without any mutant: {one.test}: {one.why}", markup=False)
        if broken:
            return 1
        console.print(f"the named tests pass without a mutant ({time.monotonic() - began:.0f} s)")
        verdicts = runner.try_all(mutants, _teller(console, progress, len(mutants)))
    return _report(console, verdicts, time.monotonic() - began)


def _progress(console: Console) -> Progress | nullcontext[None]:
    return Progress(console=console, transient=True) if console.is_terminal else nullcontext()


def _teller(console: Console, progress: Progress | None, total: int) -> Callable[[Verdict], None]:
    """Return what shows how far the mutants are: a bar, or some lines without a terminal."""
    task = progress.add_task("mutants", total=total) if progress is not None else None
    step = max(1, total // LINES_WITHOUT_TERMINAL)
    done = caught = 0

    def tell(verdict: Verdict) -> None:
        nonlocal done, caught
        done += 1
        caught += verdict.caught_by is not None
        if verdict.caught_by is None:
            console.print(f"{verdict.name}: {verdict.how}", style="red", markup=False)
        if progress is not None and task is not None:
            progress.update(task, completed=done, description=f"{caught} caught")
        elif done % step == 0:
            console.print(f"{done:>4} of {total}, {caught} caught")

    return tell


def _listed(mutants: Iterable[Mutant]) -> Table:
    table = Table("mutant", "breaks", "in", "what would happen")
    for mutant in mutants:
        table.add_row(mutant.name, mutant.promise, mutant.file, mutant.why)
    return table


def _report(console: Console, verdicts: Sequence[Verdict], seconds: float) -> int:
    table = Table("mutant", "breaks")
    table.add_column("caught by", overflow="fold")
    table.add_column("after", justify="right")
    for one in verdicts:
        by = one.caught_by.removeprefix("tests/") if one.caught_by is not None else one.how
        style = None if one.caught_by is not None else "red"
        by += " (it hangs)" if one.hangs else ""
        by += "" if one.tests != "close" and one.tests != "all" else f" [{one.tests}]"
        table.add_row(one.name, one.promise, Text(by), f"{one.seconds:.0f} s", style=style)
    console.print(table)
    survived = [one.name for one in verdicts if one.caught_by is None]
    REPORT.parent.mkdir(exist_ok=True)
    figures = {
        "seconds": round(seconds),
        "caught": len(verdicts) - len(survived),
        "survived": survived,
        "mutants": [asdict(one) for one in verdicts],
    }
    REPORT.write_text(json.dumps(figures, indent=1) + "\n")
    caught = len(verdicts) - len(survived)
    console.print(f"{caught} of {len(verdicts)} mutants caught in {seconds:.0f} s")
    if survived:
        console.print(f"[bold red]SURVIVED: {', '.join(survived)}[/]")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
