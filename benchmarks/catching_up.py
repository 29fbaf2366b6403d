"""A new reaction begins at the beginning of a long log: how fast, in what memory."""

import asyncio
import shutil
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.case import Case, Line, Numbers, Options, of
from benchmarks.children import in_child
from benchmarks.machine import forget_peak, peak_bytes, resident_bytes
from counterpoint import App, Event, Service
from counterpoint.model.messages import EventRow, Messages, slot_of
from counterpoint.model.rows import Commit
from counterpoint.runtime.messaging.dispatcher import PENDING_MAX
from counterpoint.stores.sqlite import SqliteStore

stock = Service("stock")
KEYS = 10_000
_FOR_EVER = timedelta(days=36_500)
BATCH = 2_000


@stock.event(key="sku")
class Counted(Event):
    sku: str
    number: int


@stock.on(Counted, start="beginning")
async def project(event: Counted) -> None:
    """Do nothing: what is measured is the way here."""


async def _fill(path: Path, events: int) -> None:
    store = SqliteStore(path)
    await store.open(node=True)
    for first in range(0, events, BATCH):
        rows = [_row(n) for n in range(first, min(events, first + BATCH))]
        await store.commit(Commit(messages=Messages(events=rows)))
    await store.close()


def _row(number: int) -> EventRow:
    key, now = f"sku-{number % KEYS}", 1_700_000_000_000_000 + number
    data = b'{"sku":"%s","number":%d}' % (key.encode(), number)
    event_id = f"{number:032x}"
    return EventRow(
        0,
        "stock",
        event_id,
        "stock.Counted",
        1,
        key,
        slot_of(key),
        event_id,
        None,
        None,
        0,
        None,
        now,
        now,
        "json",
        data,
    )


async def _catch_up(path: Path, events: int) -> dict[str, Any]:
    forget_peak()
    before = resident_bytes()
    app = App("bench", services=[stock], store=f"sqlite:///{path}", keep_finished=_FOR_EVER)
    started, cpu_started = time.perf_counter(), time.process_time()
    pending = 0
    async with app:
        while not app.node.messaging.quiet:
            pending = max(pending, app.node.messaging.dispatcher.pending)
            await asyncio.sleep(0.01)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    return {
        "per_second": events / seconds,
        "cpu_us": cpu / events * 1e6,
        "added_mib": (peak_bytes() - before) / 2**20,
        "in_memory_count": pending,
    }


def catch_up(path: str, events: int) -> dict[str, Any]:
    """Let a node with a new reaction meet the log."""
    return asyncio.run(_catch_up(Path(path), events))


def _prepare(folder: Path, *, events: int) -> None:
    asyncio.run(_fill(folder / "log.db", events))


def _run(folder: Path, *, events: int) -> Numbers:
    path = folder / "copy.db"
    shutil.copy(folder / "log.db", path)
    numbers = in_child("benchmarks.catching_up:catch_up", path=str(path), events=events)
    for file in folder.glob("copy.db*"):
        file.unlink()
    return numbers


def case(options: Options) -> Case:
    """Fill a log, then let a reaction that is new catch up with it."""
    events = options.count(50_000, 5_000)
    name = f"{events:,} events of {KEYS:,} keys"
    return Case(
        "A new reaction catches up with the log",
        {name: partial(_run, events=events)},
        [
            Line("events a second that a new reaction catches up with", of(name, "per_second")),
            Line(
                "events in memory meanwhile",
                of(name, "in_memory_count"),
                "events",
                at_most=PENDING_MAX,
            ),
        ],
        prepare=partial(_prepare, events=events),
    )
