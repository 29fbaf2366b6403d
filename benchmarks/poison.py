"""10,000 good events beside a poison one: its retries and its death must not slow the others."""

import asyncio
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from statistics import median

from benchmarks.table import Options, Table
from counterpoint import App, Event, Retry, Service

payments = Service("payments")
RETRY = Retry(max_attempts=6, first=timedelta(milliseconds=20), cap=timedelta(milliseconds=200))
KEYS = 1_000


@payments.event(key="account")
class Booked(Event):
    account: str
    amount: int


@payments.on(Booked, retry=RETRY)
async def settle(event: Booked) -> None:
    if event.amount < 0:
        raise ConnectionError("the provider cannot be reached")


async def _run(path: Path, events: int, *, poison: bool) -> tuple[float, int]:
    """Return events/s until the last good one is done, and how many wait behind the poison."""
    app = App("bench", services=[payments], store=f"sqlite:///{path}")
    async with app:
        started = time.perf_counter()
        if poison:
            await app.publish(Booked(account="poisoned", amount=-1))
            await app.publish(*(Booked(account="poisoned", amount=n) for n in range(10)))
        for first in range(0, events, 100):
            batch = range(first, min(events, first + 100))
            await app.publish(*(Booked(account=f"a{n % KEYS}", amount=n) for n in batch))
        messaging = app.node.messaging
        # Not `app.idle()`: that waits for the retries of the poison event, too.
        while messaging.dispatcher.deliveries.under_way or messaging.streams.live.backlog:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        rate = events / (time.perf_counter() - started)
        await app.idle()
        parked = 0
        if poison:
            parked = sum(one.parked for one in await app.subscriptions())
    return rate, parked


def measure(options: Options) -> Table:
    """Compare a run with a poison message with one without, in interleaved rounds."""
    rounds, events = (1, 1_000) if options.quick else (7, 10_000)
    found: dict[bool, list[float]] = {False: [], True: []}
    parked = 0
    for _ in range(rounds):
        for poison in (False, True):
            with tempfile.TemporaryDirectory(dir=options.directory) as folder:
                rate, behind = asyncio.run(_run(Path(folder, "b.db"), events, poison=poison))
            found[poison].append(rate)
            parked = max(parked, behind)
    clean, beside = median(found[False]), median(found[True])
    return Table(
        f"{events:,} events of {KEYS:,} keys, without and beside a poison one",
        ("run", "events/s", "ratio"),
        [
            ("without", f"{clean:,.0f}", "1.00"),
            ("beside a poison event", f"{beside:,.0f}", f"{beside / clean:.2f}"),
        ],
        {"without": found[False], "beside": found[True], "parked": parked},
        [f"{parked} events of the poisoned key wait behind the dead letter"],
    )
