"""One event that many services react to: reactions a second, and how long until all have."""

import asyncio
import time
from functools import partial
from pathlib import Path

from benchmarks.case import Case, Line, Numbers, Options, of
from benchmarks.units import share
from counterpoint import App, Event, Service

source = Service("source")
WARM_UP = 5
AT_ONCE = 100


@source.event(key="key")
class Ticked(Event):
    key: str


def _audience(number: int) -> Service:
    service = Service(f"service-{number}")

    @service.on(Ticked)
    async def take(event: Ticked) -> None:
        """Do nothing: what is measured is the way here."""

    return service


async def _run(path: Path, services: int, reactions: int, alone: int) -> Numbers:
    audience = [_audience(number) for number in range(services)]
    seconds: list[float] = []
    async with App("ticks", services=[source, *audience], store=f"sqlite:///{path}") as app:
        for number in range(WARM_UP + alone):
            started = time.perf_counter()
            await app.publish(Ticked(key=f"alone-{number}"))
            await app.idle()
            seconds.append(time.perf_counter() - started)
        events = max(1, reactions // services)
        started, cpu_started = time.perf_counter(), time.process_time()
        for first in range(0, events, AT_ONCE):
            numbers = range(first, min(events, first + AT_ONCE))
            await app.publish(*(Ticked(key=f"k-{number}") for number in numbers))
        await app.idle()
        took, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    return {
        "per_second": events * services / took,
        "cpu_us": cpu / (events * services) * 1e6,
        "one_event_p50_ms": share(seconds[WARM_UP:], 50) * 1e3,
    }


def measure(folder: Path, *, services: int, reactions: int, alone: int) -> Numbers:
    """Let *services* react to each event."""
    return asyncio.run(_run(folder / "ticks.db", services, reactions, alone))


def case(options: Options) -> Case:
    """Let one, ten and a hundred services react."""
    reactions, alone = options.count(10_000, 1_000), options.count(50, 5)
    runs = {f"{n} react": n for n in (1, 10, 100)}
    last = "100 react"
    return Case(
        "Fan-out of one event: reactions a second, and one event alone until all have reacted",
        {
            name: partial(measure, services=n, reactions=reactions, alone=alone)
            for name, n in runs.items()
        },
        [
            *(Line(f"reactions a second, {n} to an event", of(n, "per_second")) for n in runs),
            Line("one event alone, 100 reactions, p50", of(last, "one_event_p50_ms"), "ms"),
        ],
    )
