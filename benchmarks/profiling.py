"""Where one loaded run spends its CPU, by module and by function.

    python -m benchmarks profile [saga|twin|flow|replay] [--count N] [--in-flight N] [--cumulative]
    python -m benchmarks profile postgres-saga|postgres-twin|postgres-flow ...

The time comes from samples: every few milliseconds of CPU a signal looks at the stack, which
changes nothing about a run that lasts seconds. Python delivers a signal between two instructions,
so time in C (SQLite, Pydantic, asyncio's own) falls to the Python function that called it, and the
straight lines before a call sometimes to what is called. The calls are counted exactly, in a second
run under cProfile; that run's times are not used, because watching every call makes small functions
look expensive.
"""

import argparse
import asyncio
import contextlib
import cProfile
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import choreographed, postgres, replay, sagas
from benchmarks.bare import Figures
from benchmarks.load import Around
from benchmarks.orders import run_saga, run_twin
from benchmarks.postgres_server import Server
from benchmarks.units import in_short

Load = Callable[[Path, int, int, Around], Coroutine[Any, Any, Figures]]
EVERY_SECONDS = 0.001
"""Of CPU; the system's clock may make it four times as long."""
COUNTED_MAX = 1_000
"""Units of the run whose calls are counted."""
Function = tuple[str, str, int]
"""Module, name and first line."""


async def _saga(path: Path, count: int, in_flight: int, around: Around) -> Figures:
    return await sagas.run_engine(path, run_saga, count, in_flight, around)


async def _twin(path: Path, count: int, in_flight: int, around: Around) -> Figures:
    return await sagas.run_engine(path, run_twin, count, in_flight, around)


async def _replay(_: Path, count: int, in_flight: int, around: Around) -> Figures:  # noqa: ARG001
    return replay.replay_often(count, around)


async def _on_postgres(
    path: Path, count: int, in_flight: int, around: Around, *, kind: str
) -> Figures:
    server = Server()
    with server.running(path.parent), server.database() as name:
        url = server.url(name)
        return await postgres.run_engine(url, kind, count, in_flight, lambda _: around)


LOADS: dict[str, Load] = {
    "saga": _saga,
    "twin": _twin,
    "flow": choreographed.run_flows,
    "replay": _replay,
    "postgres-saga": partial(_on_postgres, kind=postgres.SAGA),
    "postgres-twin": partial(_on_postgres, kind=postgres.TWIN),
    "postgres-flow": partial(_on_postgres, kind=postgres.FLOW),
}
COUNTS = {"replay": 300_000}
"""Units of work, where they are smaller than an order."""


class Samples:
    """Counts the functions that were at work, and those that had called them."""

    def __init__(self) -> None:
        self.own: Counter[Function] = Counter()
        self.with_callees: Counter[Function] = Counter()
        self.lines: Counter[tuple[Function, int]] = Counter()
        self.cpu_seconds = 0.0
        self._names = Names()

    @property
    def total(self) -> int:
        """How often was looked."""
        return self.own.total()

    @contextlib.contextmanager
    def watching(self) -> Generator[None]:
        """Look at the main thread's stack while this is open."""
        before = signal.signal(signal.SIGPROF, self._look)
        started = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            self.cpu_seconds = time.process_time() - started
            signal.signal(signal.SIGPROF, before)

    def _look(self, _: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        top = self._names.of(frame.f_code)
        self.own[top] += 1
        self.lines[top, frame.f_lineno or 0] += 1
        above: set[Function] = set()
        while frame is not None:
            above.add(self._names.of(frame.f_code))
            frame = frame.f_back
        self.with_callees.update(above)


class Names:
    """Says what a piece of code is called."""

    def __init__(self) -> None:
        self._made = {
            id(code): (module, f"{made.__qualname__}.{name}", 0)
            for module, made in _classes()
            for name in ("__init__", "__new__", "__eq__", "__hash__")
            if (code := _code_of(vars(made).get(name))) is not None
            and code.co_filename.startswith("<")
        }
        """Methods that dataclasses and named tuples make: their code names no class."""
        self._known: dict[int, Function] = {}

    def of(self, code: CodeType) -> Function:
        """Return what it is called; two functions with equal code are still two."""
        found = self._known.get(id(code))
        if found is None:
            named = module_of(code.co_filename), code.co_qualname, code.co_firstlineno
            found = self._known[id(code)] = self._made.get(id(code), named)
        return found


def _code_of(method: object) -> CodeType | None:
    return getattr(getattr(method, "__func__", method), "__code__", None)


def _classes() -> Generator[tuple[str, type]]:
    for name, module in list(sys.modules.items()):
        if name.startswith("counterpoint"):
            for value in list(vars(module).values()):
                if isinstance(value, type) and value.__module__ == name:
                    yield name, value


def module_of(filename: str) -> str:
    """Return a file's module as it would be imported."""
    path = Path(filename)
    for folder in sorted(sys.path, key=len, reverse=True):
        if folder and path.is_relative_to(folder):
            return ".".join(path.relative_to(folder).with_suffix("").parts)
    return path.stem


def count_calls(load: Load, count: int, in_flight: int) -> tuple[Counter[Function], float]:
    """Return how often each function is called in *count* units, and all calls of one, C's too."""
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(load(Path(folder, "p.db"), count, in_flight, profile))
    calls: Counter[Function] = Counter()
    names = Names()
    everything = 0
    for entry in profile.getstats():
        everything += entry.callcount
        if isinstance(entry.code, CodeType):
            calls[names.of(entry.code)] += entry.callcount
    return calls, everything / count


def sample(
    load: Load, count: int, in_flight: int, directory: Path | None
) -> tuple[Samples, Figures]:
    """Run *count* units and return where the time went."""
    samples = Samples()
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        path = Path(folder, "p.db")
        figures = asyncio.run(load(path, count, in_flight, samples.watching()))
    return samples, figures


@dataclass(frozen=True)
class Profile:
    """What both runs showed, in µs of CPU a unit of work."""

    samples: Samples
    calls: Counter[Function]
    counted: int
    """Units whose calls these are."""
    us_a_sample: float
    """Divided by the units: what one sample stands for."""

    def modules(self) -> Table:
        """Return the table by module."""
        own: Counter[str] = Counter()
        calls: Counter[str] = Counter()
        for function, number in self.samples.own.items():
            own[function[0]] += number
        for function, number in self.calls.items():
            calls[function[0]] += number
        table = _table("module", "share", "own µs", "calls")
        for module, number in own.most_common():
            if number >= self.samples.total / 1000:
                table.add_row(module, *self._own(number), f"{calls[module] / self.counted:.1f}")
        return table

    def functions(self, top: int, *, cumulative: bool) -> Table:
        """Return the table by function, those with the most time first."""
        table = _table("function", "share", "own µs", "with callees µs", "calls")
        order = self.samples.with_callees if cumulative else self.samples.own
        for function, _ in order.most_common(top):
            module, name, line = function
            own = self.samples.own[function]
            table.add_row(
                f"{module}:{line} {name}" if line else f"{module} {name}",
                *self._own(own),
                in_short(self.samples.with_callees[function] * self.us_a_sample),
                f"{self.calls[function] / self.counted:.1f}",
            )
        return table

    def lines(self, top: int) -> Table:
        """Return the table of the lines at which most samples were taken."""
        table = _table("line", "share", "own µs")
        for ((module, name, _), line), number in self.samples.lines.most_common(top):
            table.add_row(f"{module}:{line} {name}", *self._own(number))
        return table

    def _own(self, number: int) -> tuple[str, str]:
        return f"{number / self.samples.total:.1%}", in_short(number * self.us_a_sample)


def _table(first: str, *others: str) -> Table:
    table = Table()
    table.add_column(first, overflow="fold")
    for other in others:
        table.add_column(other, justify="right")
    return table


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks profile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("load", nargs="?", default="saga", choices=LOADS)
    parser.add_argument("--count", type=int, help="units of work (10000; replay: 300000)")
    parser.add_argument("--in-flight", type=int, default=100, help="at a time (100)")
    parser.add_argument("--top", type=int, default=40, help="rows of a table (40)")
    parser.add_argument("--cumulative", action="store_true", help="order by time with callees")
    parser.add_argument("--lines", action="store_true", help="show the lines, too")
    parser.add_argument("--directory", type=Path, help="a folder on the disk to use")
    arguments = parser.parse_args(words)
    arguments.count = arguments.count or COUNTS.get(arguments.load, 10_000)
    return arguments


def main(words: list[str], console: Console) -> int:
    """Print the tables."""
    arguments = _arguments(words)
    load, in_flight = LOADS[arguments.load], arguments.in_flight
    samples, figures = sample(load, arguments.count, in_flight, arguments.directory)
    if not samples.total:
        console.print("no sample was taken: the run was too short; give a larger --count")
        return 1
    counted = min(COUNTED_MAX, arguments.count)
    calls, everything = count_calls(load, counted, in_flight)
    each = samples.cpu_seconds * 1e6 / arguments.count / samples.total
    profile = Profile(samples, calls, counted, each)
    console.print(
        f"{arguments.load}: {figures.sagas_per_second:,.0f} a second, "
        f"{figures.cpu_us_per_saga:.0f} µs of CPU each, {everything:,.0f} calls each (C included); "
        f"{samples.total:,} samples; µs and calls are of one unit of work"
    )
    console.print(profile.modules())
    console.print(profile.functions(arguments.top, cumulative=arguments.cumulative))
    if arguments.lines:
        console.print(profile.lines(arguments.top))
    return 0
