"""How fast is the machine just now? A fixed loop and a fixed write, timed beside every round.

The speed of a shared machine moves by a factor of two within the hour, and so do all figures. What
the same loop took beside them tells a faster engine from a faster minute.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

REPEATS = 5
SPINS = 20_000
WRITES = 15
PAGE = bytes(4096)
STEADY = {"wall_ms": 1.25, "cpu_ms": 1.25, "disk_ms": 2.0}
"""The most and the least of one case may be this far apart before a warning is due."""


@dataclass(frozen=True)
class Speed:
    """What the fixed work took, in ms (medians)."""

    wall_ms: float
    """Of the loop, by the clock: grows when others want the processor too."""
    cpu_ms: float
    """Of the loop, in CPU time: grows when the processor itself is slower."""
    disk_ms: float
    """Of writing 4 KiB to the end of a file and making it durable."""


@dataclass
class _Cell:
    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value


def spin() -> int:
    """Do what an engine does most: calls, attributes, small tuples, dictionaries."""
    cell, table, total = _Cell(), dict[int, tuple[int, str]](), 0
    for number in range(SPINS):
        total += cell.add(number & 7)
        table[number & 255] = (total, "step")
        if table.get(number & 127) is None:
            total -= 1
    return total


def measure(directory: Path | None) -> Speed:
    """Return how fast the machine is; takes about a tenth of a second."""
    wall: list[float] = []
    cpu: list[float] = []
    for _ in range(REPEATS):
        started, cpu_started = time.perf_counter(), time.process_time()
        spin()
        cpu.append(time.process_time() - cpu_started)
        wall.append(time.perf_counter() - started)
    return Speed(
        statistics.median(wall) * 1e3,
        statistics.median(cpu) * 1e3,
        statistics.median(_writes(directory)) * 1e3,
    )


def _writes(directory: Path | None) -> Sequence[float]:
    seconds: list[float] = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(WRITES):
            started = time.perf_counter()
            file.write(PAGE)
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - started)
    return seconds


def moved(speeds: Sequence[Speed]) -> dict[str, float]:
    """Return how far apart the slowest and the fastest are, by what was timed."""
    columns = zip(*(asdict(speed).items() for speed in speeds), strict=True)
    return {
        column[0][0]: max(value for _, value in column) / min(value for _, value in column)
        for column in columns
    }


def warning(speeds: Sequence[Speed]) -> str | None:
    """Return what to say about a case whose minute was not steady."""
    apart = {name: by for name, by in moved(speeds).items() if by > STEADY[name]}
    if not apart:
        return None
    words = {
        "wall_ms": "the fixed loop",
        "cpu_ms": "its CPU time",
        "disk_ms": "a durable write",
    }
    said = ", ".join(f"{words[name]} by {by:.2f}x" for name, by in apart.items())
    return f"not a steady machine while this was measured: {said}"
