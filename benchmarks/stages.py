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
import time
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import bare, bare_postgres, postgres, sagas
from benchmarks.case import Case, Line, Numbers, Options, Round
from benchmarks.orders import run_saga
from benchmarks.postgres_server import Server

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


IN_FLIGHT = 100
BARE, PLAIN, STAGED = "bare loop", "engine", "engine, watched by stage"


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
def wrapped(watch: Stopwatch) -> Generator[None]:
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


Cpu = Callable[[Path, int], float]
"""Runs so many order sagas on new data and returns the µs of CPU of each."""


def _plain(folder: Path, *, cpu: Cpu, count: int) -> Numbers:
    return {"cpu_us": cpu(folder, count)}


def _staged(folder: Path, *, cpu: Cpu, count: int) -> Numbers:
    watch = Stopwatch()
    with wrapped(watch):
        cpu(folder, count)
    inside, around = cost_of_wrapping()
    return {
        f"{stage.partition(':')[0]}_cpu_us": max(
            0.0,
            watch.seconds[stage] - watch.entered[stage] * inside - watch.left_for[stage] * around,
        )
        / count
        * 1e6
        for stage in BUDGET
    }


def _units(stage: str) -> Callable[[Round], float]:
    name = f"{stage.partition(':')[0]}_cpu_us"

    def value(found: Round) -> float:
        own = found[STAGED]
        part = own[name] / sum(own.values())
        return part * found[PLAIN]["cpu_us"] / found[BARE]["cpu_us"] * 100

    return value


def _together(found: Round) -> float:
    return found[PLAIN]["cpu_us"] / found[BARE]["cpu_us"] * 100


def case(options: Options) -> Case:
    """Print the budget table."""

    def bare_cpu(folder: Path, count: int) -> float:
        return bare.measure(folder, sagas=count).cpu_us_per_saga

    def engine_cpu(folder: Path, count: int) -> float:
        run = sagas.run_engine(folder / "engine.db", run_saga, count, IN_FLIGHT)
        return asyncio.run(run).cpu_us_per_saga

    return _case("SQLite", options.count(3_000, 300), bare_cpu, engine_cpu)


def case_postgres(options: Options) -> Case:
    """Print the same table on PostgreSQL; the server's CPU is not in it."""
    server = Server()

    def bare_cpu(_: Path, count: int) -> float:
        with server.database() as name:
            run = bare_postgres.run(
                server.url(name),
                sagas=count,
                rows=bare.SAGA_ROWS,
                in_flight=IN_FLIGHT,
                watch=lambda _: contextlib.nullcontext(),
            )
            return asyncio.run(run).cpu_us_per_saga

    def engine_cpu(_: Path, count: int) -> float:
        with server.database() as name:
            url, watch = server.url(name), contextlib.nullcontext()
            run = postgres.run_engine(url, postgres.SAGA, count, IN_FLIGHT, lambda _: watch)
            return asyncio.run(run).cpu_us_per_saga

    made = _case("PostgreSQL", options.count(3_000, 300), bare_cpu, engine_cpu)
    server.notes += made.notes
    return replace(made, beside=server.running, notes=server.notes)


def _case(where: str, count: int, bare_cpu: Cpu, engine_cpu: Cpu) -> Case:
    return Case(
        f"CPU of one order saga on {where} by stage, 100 in flight; the bare loop's is 100 units",
        {
            BARE: partial(_plain, cpu=bare_cpu, count=count),
            PLAIN: partial(_plain, cpu=engine_cpu, count=count),
            STAGED: partial(_staged, cpu=engine_cpu, count=count),
        },
        [
            *(
                Line(f"stage {stage}", _units(stage), "units", at_most=goal, detail=True)
                for stage, goal in BUDGET.items()
            ),
            Line("CPU of an order saga, all stages", _together, "units", at_most=200),
        ],
        notes=[
            "the stages' µs hold some of the watching; their units are scaled to the run without"
        ],
    )
