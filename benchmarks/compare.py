"""Compares two files of figures: what did a change of the engine do?

    python -m benchmarks compare BEFORE.json AFTER.json [NAME ...]

Times and rates move with the machine's speed. Each round's are brought to one speed with what the
fixed work took just before and after it: CPU figures with the loop's CPU time, runs that wait for
the disk with the durable write, all others with the loop's time by the clock. Bytes, counts and
ratios within a run are left alone. A difference counts when both files have three rounds or more,
and they do not overlap.
"""

import argparse
import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.units import heading, in_short, unit_of

Figures = Mapping[str, Any]
SAME, BETTER, WORSE, DIFFERENT = "", "better", "WORSE", "different"
ROUNDS_MIN = 3
"""With fewer, chance puts them apart too often."""
TOLD = {
    "machine": ("system", "processor", "cores", "python", "sqlite"),
    "settings": ("quick", "directory", "environment"),
}
"""What should be the same in both."""
STYLES = {BETTER: "green", WORSE: "red"}


@dataclass(frozen=True)
class Pair:
    """One figure in both files, round by round."""

    what: str
    better: int
    """1: more is better; -1: less is; 0: nobody said."""
    before: Sequence[float]
    after: Sequence[float]
    steady_before: Sequence[float]
    """The same at one speed of the machine."""
    steady_after: Sequence[float]

    @property
    def ratio(self) -> float:
        """Return after ÷ before as measured."""
        return _over(self.after, self.before)

    @property
    def steady_ratio(self) -> float:
        """Return after ÷ before with the machine's speed taken off."""
        return _over(self.steady_after, self.steady_before)

    @property
    def verdict(self) -> str:
        """Return whether the rounds of the two lie apart, and which are better."""
        if min(len(self.before), len(self.after)) < ROUNDS_MIN:
            return SAME
        up = min(self.steady_after) > max(self.steady_before)
        down = max(self.steady_after) < min(self.steady_before)
        if not up and not down:
            return SAME
        if not self.better:
            return DIFFERENT
        return BETTER if up == (self.better > 0) else WORSE


def _shown(ratio: float) -> str:
    return "" if math.isnan(ratio) else f"{ratio:.2f}"


def _over(after: Sequence[float], before: Sequence[float]) -> float:
    below = statistics.median(before)
    return statistics.median(after) / below if below else math.nan


def pairs(before: Figures, after: Figures, reference: Mapping[str, float]) -> Iterator[Pair]:
    """Yield every figure that both files have of one case."""
    for run, numbers in after["rounds"][0].items():
        for number in numbers:
            if number not in before["rounds"][0].get(run, {}):
                continue
            values = [[one[run][number] for one in case["rounds"]] for case in (before, after)]
            steady = [_steady(case, run, number, reference) for case in (before, after)]
            better = unit_of(number).better
            yield Pair(f"{run}: {heading(number)}", better, *values, *steady)
    lines = {line["what"]: line for line in before["summary"]}
    for line in after["summary"]:
        if "÷" in line["what"] and line["what"] in lines:
            values = [lines[line["what"]]["rounds"], line["rounds"]]
            yield Pair(line["what"], _direction(line["goal"]), *values, *values)


def _direction(goal: str) -> int:
    return {"≥": 1, "≤": -1}.get(goal[:1], 0)


def speeds(case: Figures) -> Sequence[Mapping[str, float]]:
    """Return what the fixed work took beside each round: the mean of before and after it."""
    told: Sequence[Mapping[str, float]] = case["calibration"]
    return [
        {name: (first[name] + second[name]) / 2 for name in first}
        for first, second in pairwise(told)
    ]


def _steady(
    case: Figures, run: str, number: str, reference: Mapping[str, float]
) -> Sequence[float]:
    unit = unit_of(number)
    values = [one[run][number] for one in case["rounds"]]
    if unit.grows_with is None:
        return values
    name = f"{unit.grows_with}_ms"
    if unit.grows_with == "wall" and run in case["waits_for_disk"]:
        name = "disk_ms"
    return [
        value * (reference[name] / speed[name]) ** unit.power
        for value, speed in zip(values, speeds(case), strict=True)
    ]


def reference_of(before: Figures) -> Mapping[str, float]:
    """Return the speed to which all figures of a case are brought: the first file's median."""
    rows: Sequence[Mapping[str, float]] = before["calibration"]
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def differences(before: Figures, after: Figures) -> list[str]:
    """Return what makes the two files hard to compare."""
    said = [
        f"{name}: {before[part][name]} and {after[part][name]}"
        for part, names in TOLD.items()
        for name in names
        if before[part][name] != after[part][name]
    ]
    if before["settings"]["quick"] or after["settings"]["quick"]:
        said.append("a quick run shows that it works, not how fast")
    return said


def show(console: Console, name: str, found: Sequence[Pair]) -> None:
    """Print one case."""
    table = Table()
    table.add_column("figure", overflow="fold")
    for title in ("before", "after", "after ÷ before", "machine taken off", ""):
        table.add_column(title, justify="right")
    for pair in found:
        table.add_row(
            pair.what,
            in_short(statistics.median(pair.before)),
            in_short(statistics.median(pair.after)),
            _shown(pair.ratio),
            _shown(pair.steady_ratio),
            pair.verdict,
            style=STYLES.get(pair.verdict, ""),
        )
    console.print(name, style="bold")
    console.print(table)


def main(words: list[str], console: Console) -> int:
    """Print the comparison; 2 if there is nothing to compare."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help="these cases only")
    arguments = parser.parse_args(words)
    for path in (arguments.before, arguments.after):
        if not path.is_file():
            parser.error(f"{path} is no file: name two of var/bench/*.json")
    before, after = (json.loads(path.read_text()) for path in (arguments.before, arguments.after))
    both = [name for name in after["cases"] if name in before["cases"]]
    names = [name for name in both if not arguments.names or name in arguments.names]
    for title, figures in (("before", before), ("after", after)):
        told = figures["machine"]
        changed = ", changed" if told["changed"] else ""
        console.print(f"{title}: commit {told['commit'][:12]}{changed}, {told['at']}")
    for said in differences(before, after):
        console.print(f"WARNING: {said}", style="yellow")
    for name in names:
        old, new = before["cases"][name], after["cases"][name]
        show(console, name, list(pairs(old, new, reference_of(old))))
    if not names:
        console.print("the two files have no case in common")
        return 2
    return 0
