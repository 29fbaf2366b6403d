"""What a benchmark is: things that are measured in turns, and lines for the summary.

A case has several runs. A round measures each of them once, one after the other, so that whatever
slows the machine down for a minute meets all of them. Every number of every round is kept; tables
show the median, the least and the most.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.units import in_short

ROUNDS = 5

Numbers = Mapping[str, float]
"""What one run showed: each number's name ends with its unit (see `benchmarks.units`)."""
Round = Mapping[str, Numbers]
"""What one round showed, by run."""
Run = Callable[[Path], Numbers]
"""Measures one thing once; gets an empty folder (or the prepared one, see `Case.prepare`)."""


@dataclass(frozen=True)
class Options:
    """How much is measured, and where databases are made."""

    quick: bool = False
    """A tenth or less of everything, once: shows that it works, not how fast anything is."""
    directory: Path | None = None
    """A folder on the disk that is measured; None: the system's folder for temporary files."""
    rounds: int | None = None
    """None: what each case says."""

    def count(self, of_all: int, of_quick: int) -> int:
        """Return how many to measure."""
        return of_quick if self.quick else of_all


@dataclass(frozen=True)
class Line:
    """One line of the summary: a number that is taken from each round, and its goal."""

    what: str
    value: Callable[[Round], float]
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    detail: bool = False
    """Shown with its case only, not in the summary of all."""

    @property
    def goal(self) -> str:
        """The goal in words; empty where there is none."""
        if self.at_least is not None:
            return f"≥ {in_short(self.at_least)} {self.unit}".rstrip()
        if self.at_most is not None:
            return f"≤ {in_short(self.at_most)} {self.unit}".rstrip()
        return ""

    def met(self, value: float) -> bool | None:
        """Return whether *value* reaches the goal; None where there is none."""
        if self.at_least is not None:
            return value >= self.at_least
        if self.at_most is not None:
            return value <= self.at_most
        return None


@dataclass(frozen=True)
class Case:
    """One question, and how it is answered."""

    title: str
    runs: Mapping[str, Run]
    lines: Sequence[Line] = ()
    prepare: Callable[[Path], None] | None = None
    """Makes once, in a folder that all runs then get, what every round begins with."""
    beside: Callable[[Path], AbstractContextManager[object]] | None = None
    """Runs beside the whole case, for example a server; gets a folder of its own."""
    rounds: int = ROUNDS
    waits_for_disk: Sequence[str] = ()
    """Runs whose times are the disk's; those of the others are the processor's."""
    notes: Sequence[str] = ()


def of(run: str, number: str) -> Callable[[Round], float]:
    """Return what takes one number of one run from a round."""
    return lambda found: found[run][number]


def ratio(run: str, over: str, number: str) -> Callable[[Round], float]:
    """Return what divides a number of one run by that of another one of the same round."""
    return lambda found: found[run][number] / found[over][number]
