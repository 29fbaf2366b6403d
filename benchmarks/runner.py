"""Runs cases: rounds in turns, the machine's speed beside them, every number kept."""

import contextlib
import gc
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import calibration
from benchmarks.calibration import Speed
from benchmarks.case import Case, Line, Numbers, Options, Round, Run
from benchmarks.units import unit_of

Tell = Callable[[str], None]
"""Is told what begins now: `round 2 of 5: saga, alone`."""


@dataclass(frozen=True)
class Outcome:
    """What a case showed."""

    case: Case
    found: Sequence[Round]
    speeds: Sequence[Speed]
    """Of the machine: before the first round, and after each."""
    seconds: float
    cpu_seconds: float
    """Of this process and its children."""
    load: tuple[float, float, float] = field(default_factory=os.getloadavg)
    """Of the machine when the case was over."""

    def values(self, line: Line) -> Sequence[float]:
        """Return what a line of the summary takes from each round."""
        return [line.value(found) for found in self.found]

    def numbers(self, run: str, number: str) -> Sequence[float]:
        """Return one number of one run, by round."""
        return [found[run][number] for found in self.found]

    def figures(self) -> dict[str, Any]:
        """Return everything, for the file."""
        return {
            "title": self.case.title,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "load": self.load,
            "calibration": [asdict(speed) for speed in self.speeds],
            "unsteady": calibration.warning(self.speeds),
            "waits_for_disk": list(self.case.waits_for_disk),
            "rounds": [{run: dict(numbers) for run, numbers in one.items()} for one in self.found],
            "summary": [
                {"what": line.what, "unit": line.unit, "goal": line.goal, "rounds": values}
                for line in self.case.lines
                for values in [self.values(line)]
            ],
        }


def measure(case: Case, options: Options, tell: Tell) -> Outcome:
    """Measure a case."""
    started, cpu_started = time.perf_counter(), _cpu_seconds()
    rounds = 1 if options.quick or case.rounds == 1 else options.rounds or case.rounds
    found: list[Round] = []
    with (
        tempfile.TemporaryDirectory(dir=options.directory) as shared,
        tempfile.TemporaryDirectory(dir=options.directory, ignore_cleanup_errors=True) as served,
        case.beside(Path(served)) if case.beside else contextlib.nullcontext(),
    ):
        if case.prepare:
            tell("preparing")
            case.prepare(Path(shared))
        speeds = [calibration.measure(options.directory)]
        for number in range(rounds):
            found.append(_round(case, options, Path(shared), number, rounds, tell))
            speeds.append(calibration.measure(options.directory))
    seconds, cpu_seconds = time.perf_counter() - started, _cpu_seconds() - cpu_started
    return Outcome(case, found, speeds, seconds, cpu_seconds)


def _cpu_seconds() -> float:
    return sum(os.times()[:4])


def _round(
    case: Case, options: Options, shared: Path, number: int, rounds: int, tell: Tell
) -> Round:
    names = list(case.runs)
    first = number % len(names)  # nothing is always measured right after the same other thing
    found: dict[str, Numbers] = {}
    for name in names[first:] + names[:first]:
        tell(f"round {number + 1} of {rounds}: {name}")
        gc.collect()
        found[name] = _run(case.runs[name], options, shared if case.prepare else None)
    return {name: found[name] for name in names}


def _run(run: Run, options: Options, shared: Path | None) -> Numbers:
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        numbers = run(shared or Path(folder))
    for name in numbers:
        unit_of(name)
    return numbers
