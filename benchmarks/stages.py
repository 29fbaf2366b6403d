"""Where the CPU of an order saga goes, by the stages of the budget.

The functions at which a stage begins are wrapped: each call charges the thread's CPU time since the
last change to the stage that was current, so every stage gets its own time without that of stages
that it calls. A coroutine is charged turn by turn. What the wrapping costs is measured with empty
functions and taken off where it fell; the rest is scaled to the CPU of the same run unwrapped.
"""

import asyncio
import contextlib
import importlib
import inspect
import tempfile
import time
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from benchmarks import bare, sagas
from benchmarks.orders import run_saga
from benchmarks.table import Options, Table

START, LOOP, TURNS = "start: validation, fingerprint, handle, result", "loop and task", "turns"
CODING, ACTIVITIES, COMMIT = "encoding and decoding", "three activity tasks", "commit"
REST = "reserve: everything else"
BUDGET = {START: 25, LOOP: 20, TURNS: 30, CODING: 25, ACTIVITIES: 40, COMMIT: 50, REST: 10}

ENTRANCES = {
    "counterpoint.runtime.client:Client.run": START,
    "counterpoint.runtime.resident:Resident.__init__": LOOP,
    "counterpoint.kernel.execution:Execution.__init__": LOOP,
    "counterpoint.kernel.execution:Execution._begin": LOOP,
    "counterpoint.kernel.execution:Execution.evict": LOOP,
    "counterpoint.kernel.loop:WorkflowLoop.close": LOOP,
    "counterpoint.runtime.node:Node.drop": LOOP,
    "counterpoint.runtime.turns:Turns._turn": TURNS,
    "counterpoint.authoring.signature:Codec.encode": CODING,
    "counterpoint.authoring.signature:Codec.decode": CODING,
    "counterpoint.runtime.committer:journal_row": CODING,
    "counterpoint.runtime.activities:Activities.start": ACTIVITIES,
    "counterpoint.runtime.activities:Activities.run_attempt": ACTIVITIES,
    "counterpoint.runtime.effects:Effects.perform": ACTIVITIES,
    "counterpoint.runtime.committer:Committer._flush": COMMIT,
}


class Stopwatch:
    """Charges CPU time to the current stage."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.entered: Counter[str] = Counter()
        self.left_for: Counter[str] = Counter()
        self._stack = [REST]
        self._last = time.thread_time()

    def enter(self, stage: str) -> None:
        """Begin *stage* inside the current one."""
        now = time.thread_time()
        current = self._stack[-1]
        self.seconds[current] += now - self._last
        self.left_for[current] += 1
        self.entered[stage] += 1
        self._stack.append(stage)
        self._last = time.thread_time()

    def leave(self) -> None:
        """Go back to the stage around the current one."""
        now = time.thread_time()
        self.seconds[self._stack.pop()] += now - self._last
        self._last = time.thread_time()

    def wrap(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """Return *function*, charged to *stage*."""
        enter, leave = self.enter, self.leave

        def call(*args: Any, **kwargs: Any) -> Any:
            enter(stage)
            try:
                return function(*args, **kwargs)
            finally:
                leave()

        @types.coroutine
        def drive(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            coroutine = function(*args, **kwargs)
            resume, value = coroutine.send, None
            while True:
                enter(stage)
                try:
                    awaited = resume(value)
                except StopIteration as stop:
                    return stop.value
                finally:
                    leave()
                try:
                    resume, value = coroutine.send, (yield awaited)
                except BaseException as error:  # noqa: BLE001 - passed on
                    resume, value = coroutine.throw, error

        return drive if inspect.iscoroutinefunction(function) else call


@contextlib.contextmanager
def wrapped(watch: Stopwatch) -> Iterator[None]:
    """Wrap all entrances for a while."""
    undo: list[tuple[Any, str, Any]] = []
    for entrance, stage in ENTRANCES.items():
        module, _, path = entrance.partition(":")
        holder: Any = importlib.import_module(module)
        *outer, name = path.split(".")
        for part in outer:
            holder = getattr(holder, part)
        function = getattr(holder, name)
        undo.append((holder, name, function))
        setattr(holder, name, watch.wrap(function, stage))
    try:
        yield
    finally:
        for holder, name, function in undo:
            setattr(holder, name, function)


def cost_of_wrapping() -> tuple[float, float]:
    """Return the seconds that a wrapped call adds inside its stage and in the one around it."""
    watch = Stopwatch()
    inner, outer = watch.wrap(lambda: None, "inner"), watch.wrap(lambda: None, "outer")
    count = 50_000

    def calls() -> None:
        for _ in range(count):
            inner()

    outer()
    around = watch.wrap(calls, "outer")
    around()
    return watch.seconds["inner"] / count, watch.seconds["outer"] / count


def measure(options: Options) -> Table:
    """Print the budget table."""
    count = 500 if options.quick else 10_000
    least = bare.measure(options.directory, sagas=count).cpu_us_per_saga
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        plain = asyncio.run(
            sagas.run_engine(Path(folder, "plain.db"), run_saga, count, 100)
        ).cpu_us_per_saga
        watch = Stopwatch()
        with wrapped(watch):
            asyncio.run(sagas.run_engine(Path(folder, "wrapped.db"), run_saga, count, 100))
    inside, around = cost_of_wrapping()
    own = {
        stage: max(
            0.0,
            watch.seconds[stage] - watch.entered[stage] * inside - watch.left_for[stage] * around,
        )
        for stage in BUDGET
    }
    scale = plain / sum(own.values())
    rows = [
        [stage, f"{own[stage] * scale:.0f}", f"{own[stage] * scale / least * 100:.0f}", f"{goal}"]
        for stage, goal in BUDGET.items()
    ]
    rows.append(["together", f"{plain:.0f}", f"{plain / least * 100:.0f}", "200"])
    notes = [f"one bare saga costs {least:.0f} µs of CPU, which is 100 units; {count:,} sagas"]
    figures = {
        "bare_us": least,
        "engine_us": plain,
        "stages_us": {stage: own[stage] * scale for stage in BUDGET},
    }
    headings = ["stage", "CPU µs", "units", "budget"]
    return Table("CPU of one order saga by stage, 100 in flight", headings, rows, figures, notes)
