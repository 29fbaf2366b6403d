"""What the runner and a worker say to each other: one JSON object a line.

A worker says what it is once it can work; then it answers every request with its figures, until its
input ends. This is all that workers share, with each other and with the engine: it needs the
standard library only, since it runs in the environment of each rival. Lines go to the standard
output as it was at the start; whatever a rival prints later goes to the standard error.
"""

import asyncio
import json
import logging
import os
import platform
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict, dataclass, field
from typing import Any

Run = Callable[[str, bool], Awaitable[None]]
"""Runs the saga of an order, or its failing twin; returns when the rival says that it is done."""


class Undone:
    """Which compensations ran for which order: a twin counts as done only if it was undone."""

    def __init__(self) -> None:
        self._names: defaultdict[str, list[str]] = defaultdict(list)

    def note(self, order_id: str, name: str) -> None:
        """Remember that a compensation ran (in any thread)."""
        self._names[order_id].append(name)

    def check(self, order_id: str, twin: bool) -> None:
        """Raise unless the twin was undone in the right order, once, and the saga not at all."""
        names, expected = self._names.pop(order_id, []), ["void", "discard"] if twin else []
        if names != expected:
            raise AssertionError(f"compensations that ran: {names}; expected: {expected}")


@dataclass(frozen=True)
class Request:
    """What is measured next."""

    name: str
    """Prefix of the orders' ids: no two requests to one worker have the same."""
    twin: bool
    in_flight: int
    seconds: float
    """For how long sagas are started."""
    sagas_max: int
    patience_seconds: float
    """For how long the last ones are waited for, after that."""


@dataclass(frozen=True)
class Reply:
    """What was seen; CPU is that of the worker's process alone."""

    done: int
    seconds: float
    """From the first start to the last end."""
    cpu_seconds: float
    p50_ms: float | None
    p99_ms: float | None
    unfinished: int = 0
    """Sagas that nobody waited for any longer."""
    errors: dict[str, int] = field(default_factory=dict[str, int])
    """How many sagas ended otherwise than they should, by what was raised."""


def percentile_ms(ordered: list[float], percent: int) -> float | None:
    """Return a percentile of *ordered* seconds in ms, None if there is nothing."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1e3


def described(error: BaseException) -> str:
    """Return what was raised, in one short line."""
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:160]


async def measure(run: Run, request: Request) -> Reply:
    """Keep so many sagas in flight until the time is over, and wait for the last ones."""
    latencies: list[float] = []
    errors: Counter[str] = Counter()
    numbers = iter(range(request.sagas_max))
    cpu_started, started = time.process_time(), time.perf_counter()

    async def lane() -> None:
        for number in numbers:
            began = time.perf_counter()
            try:
                await run(f"{request.name}-{number:07}", request.twin)
            except Exception as error:  # noqa: BLE001 - a finding, not the end of the run
                errors[described(error)] += 1
            else:
                latencies.append(time.perf_counter() - began)
            if time.perf_counter() - started >= request.seconds:
                return

    lanes = [asyncio.create_task(lane()) for _ in range(request.in_flight)]
    _, late = await asyncio.wait(lanes, timeout=request.seconds + request.patience_seconds)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    for unfinished in late:
        unfinished.cancel()
    latencies.sort()
    return Reply(
        done=len(latencies),
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        p50_ms=percentile_ms(latencies, 50),
        p99_ms=percentile_ms(latencies, 99),
        unfinished=len(late),
        errors=dict(errors),
    )


class _Output:
    """The one output of this process that is the runner's."""

    descriptor = 1


def _say(message: dict[str, Any]) -> None:
    os.write(_Output.descriptor, json.dumps(message).encode() + b"\n")


async def serve(run: Run, **facts: str) -> None:
    """Say *facts* (version, settings in force), then answer requests until the input ends."""
    loop = asyncio.get_running_loop()
    _say({**facts, "python": platform.python_version()})
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        _say(asdict(await measure(run, Request(**json.loads(line)))))


def work(main: Callable[[dict[str, str]], Coroutine[Any, Any, None]]) -> None:
    """Run *main* with the settings that the runner gave, and leave without looking back.

    Warnings are not logged: some rivals write a traceback for every failing twin. Rivals keep
    threads and pools; what they still do after the last reply is nobody's concern.
    """
    _Output.descriptor = os.dup(1)
    os.dup2(2, 1)
    logging.disable(logging.WARNING)
    asyncio.run(main(json.loads(sys.argv[1])))
    sys.stderr.flush()
    os._exit(0)
