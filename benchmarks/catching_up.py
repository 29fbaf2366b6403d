"""A new reaction begins at the beginning of a million events: how fast, in what memory."""

import asyncio
import resource
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from benchmarks.table import Options, Table
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


def _rss_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def _catch_up(path: Path) -> tuple[float, float, int]:
    before = _rss_mib()
    app = App("bench", services=[stock], store=f"sqlite:///{path}", keep_finished=_FOR_EVER)
    started = time.perf_counter()
    pending = 0
    async with app:
        while not app.node.messaging.quiet:
            pending = max(pending, app.node.messaging.dispatcher.pending)
            await asyncio.sleep(0.01)
    return time.perf_counter() - started, _rss_mib() - before, pending


def measure(options: Options) -> Table:
    """Fill a log, then let a reaction that is new catch up with it."""
    events = 20_000 if options.quick else 1_000_000
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        path = Path(folder, "log.db")
        asyncio.run(_fill(path, events))
        seconds, mib, pending = asyncio.run(_catch_up(path))
    return Table(
        f"A new reaction catches up with {events:,} events of {KEYS:,} keys",
        ("events/s", "seconds", "memory it added, MiB", "events in memory at most", "bound"),
        [
            (
                f"{events / seconds:,.0f}",
                f"{seconds:.1f}",
                f"{mib:.0f}",
                f"{pending:,}",
                f"{PENDING_MAX:,}",
            )
        ],
        {"seconds": seconds, "mib": mib, "pending": pending},
    )
