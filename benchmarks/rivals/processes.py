"""What processes cost, and what the machine can do at the moment."""

import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
PPID, TIMES = 1, slice(11, 15)
"""Fields of `/proc/<pid>/stat` after the name: the parent; CPU of itself and of ended children."""


def cpu_seconds(pids: Iterable[int]) -> float | None:
    """Return the CPU that processes and all that they started have used; None off Linux."""
    if not PROC.joinpath("self", "stat").exists():
        return None
    ticks: dict[int, int] = {}
    children: defaultdict[int, list[int]] = defaultdict(list)
    for stat in PROC.glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        pid = int(stat.parent.name)
        ticks[pid] = sum(int(word) for word in words[TIMES])
        children[int(words[PPID])].append(pid)
    waiting, total = list(pids), 0
    while waiting:
        pid = waiting.pop()
        total += ticks.get(pid, 0)
        waiting += children[pid]
    return total / os.sysconf("SC_CLK_TCK")


def loop_ms() -> float:
    """Time a fixed loop of pure Python: how fast a core is now (median of 5)."""
    seen: list[float] = []
    for _ in range(5):
        started, total = time.perf_counter(), 0
        for number in range(200_000):
            total += number & 7
        seen.append((time.perf_counter() - started) * 1e3)
    return statistics.median(seen)


def sync_ms(directory: Path | None) -> float:
    """Time durable appends of 4 KiB: how fast the disk is now (median of 40)."""
    sync = getattr(os, "fdatasync", os.fsync)
    seen: list[float] = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(40):
            started = time.perf_counter()
            file.write(bytes(4096))
            sync(file.fileno())
            seen.append((time.perf_counter() - started) * 1e3)
    return statistics.median(seen)
