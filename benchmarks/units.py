"""The numbers of benchmarks: their units, which way is better, and how they are written."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """What the end of a number's name says about it."""

    suffix: str
    heading: str
    """How the suffix is written at the head of a column."""
    better: int
    """1: more is better; -1: less is."""
    grows_with: str | None
    """Which calibrated time it moves with, `wall` or `cpu`; None: not with the machine's speed."""

    @property
    def power(self) -> int:
        """How it moves with that time: a duration grows with it, a rate shrinks."""
        return -self.better


UNITS = (
    Unit("per_second", "a second", 1, "wall"),
    Unit("cpu_us", "CPU µs", -1, "cpu"),
    Unit("cpu_s", "CPU s", -1, "cpu"),
    Unit("us", "µs", -1, "wall"),
    Unit("ms", "ms", -1, "wall"),
    Unit("s", "s", -1, "wall"),
    Unit("mib", "MiB", -1, None),
    Unit("bytes", "bytes", -1, None),
    Unit("count", "", -1, None),
)


def unit_of(name: str) -> Unit:
    """Return the unit that a number's name ends with.

    Raises:
        ValueError: it ends with none.
    """
    for unit in UNITS:
        if name == unit.suffix or name.endswith(f"_{unit.suffix}"):
            return unit
    raise ValueError(f"{name!r} names no unit; end it with one of {[u.suffix for u in UNITS]}")


def heading(name: str) -> str:
    """Return a number's name for people."""
    unit = unit_of(name)
    stem = name.removesuffix(unit.suffix).rstrip("_").replace("_", " ")
    return f"{stem} {unit.heading}".strip()


def in_short(value: float) -> str:
    """Return a number with three figures or so."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.1 else f"{value:.2g}"


def with_range(values: Sequence[float]) -> str:
    """Return the median and, where they differ, the least and the most."""
    middle = in_short(statistics.median(values))
    if len(set(values)) == 1:
        return middle
    return f"{middle} ({in_short(min(values))} … {in_short(max(values))})"


def share(values: Sequence[float], percent: float) -> float:
    """Return a percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
