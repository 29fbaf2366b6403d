"""Thousands of good events beside a poison one: its retries and death must not slow the others."""

import asyncio
import logging
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

from benchmarks.case import Case, Line, Numbers, Options, ratio
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


async def _run(path: Path, events: int, poison: bool) -> Numbers:
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
    return {"per_second": rate, "parked_count": parked}


def measure(folder: Path, *, events: int, poison: bool) -> Numbers:
    """Return events a second until the last good one is done; how many wait behind the poison."""
    log = logging.getLogger("counterpoint")
    level = log.level
    log.setLevel(logging.CRITICAL)  # the failed attempts and the dead letter are meant
    try:
        return asyncio.run(_run(folder / "b.db", events, poison))
    finally:
        log.setLevel(level)


def case(options: Options) -> Case:
    """Compare a run with a poison message with one without."""
    events = options.count(6_000, 500)
    without, beside = "without", "beside a poison event"
    return Case(
        f"{events:,} events of {KEYS:,} keys, without and beside a poison one",
        {
            without: partial(measure, events=events, poison=False),
            beside: partial(measure, events=events, poison=True),
        },
        [
            Line(
                "events a second beside a poison one ÷ without",
                ratio(beside, without, "per_second"),
            )
        ],
    )
