"""Keeps a number of units of work in flight and times each of them."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from benchmarks.bare import Figures
from benchmarks.case import Numbers

WARM_UP = 50
"""The first ones compile statements and codecs."""
Around = contextlib.AbstractContextManager[object]


async def keep_in_flight(
    run: Callable[[str], Awaitable[None]],
    count: int,
    in_flight: int,
    around: Around | None = None,
) -> Figures:
    """Run *count* units, each with a name of its own, after some that warm up; inside *around*."""
    numbers = iter(range(count))
    latencies: list[float] = []
    for number in range(min(WARM_UP, count)):
        await run(f"warm-{number}")

    async def lane() -> None:
        for number in numbers:
            started = time.perf_counter()
            await run(f"order-{number:08}")
            latencies.append(time.perf_counter() - started)

    with around or contextlib.nullcontext():
        started, cpu_started = time.perf_counter(), time.process_time()
        await asyncio.gather(*(lane() for _ in range(in_flight)))
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    return Figures.of(seconds, cpu_seconds, latencies)


def numbers_of(figures: Figures) -> Numbers:
    """Return the bare loop's figures, or an engine's, under names that do not say sagas."""
    found = asdict(figures)
    return {
        "per_second": found["sagas_per_second"],
        "cpu_us": found["cpu_us_per_saga"],
        "p50_ms": found["p50_ms"],
        "p99_ms": found["p99_ms"],
    }
