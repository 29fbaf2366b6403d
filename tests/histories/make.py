"""Records the journals of `format-1`: run it when there is a new way for a journal to be.

    python -m tests.histories.make [SCENARIO…]

What was recorded once is never recorded again: a file that exists is kept unless it is named. A new
format of exports gets a folder of its own, and the old ones stay.
"""

import asyncio
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import tests.histories.desk_scenarios  # noqa: F401 - its import declares scenarios
import tests.histories.services as s
from tests.histories.recording import DOWN, SCENARIOS, SERVICES, ended, refused, scenario
from tests.histories.services import Declined

from counterpoint import (
    Event,
    NotDone,
    Service,
    activity,
    workflow,
)
from counterpoint.model.rows import Query
from counterpoint.runtime.exports import Exporter, Found, encode_export
from counterpoint.runtime.mail import CancelMail, mail_row
from counterpoint.testing import Harness

FOLDER = Path(__file__).parent / "format-1"
HERE = f"{Path(__file__).parents[2]}/".encode()
CHEAP, DEAR = Decimal("9.50"), Decimal(1000)


@scenario
async def order_done(harness: Harness) -> None:
    await harness.run(s.place, "tea", CHEAP, id="done")
    await harness.run(s.place_beside, "tea", CHEAP, id="done-beside")
    await harness.run(s.pay, "tea", DEAR, id="declined-and-caught")


@scenario
async def order_undone(harness: Harness) -> None:
    await ended(harness, s.place, "tea", DEAR, id="undone")
    await ended(harness, s.place_beside, "tea", DEAR, id="undone-beside")
    harness.fail(s.charge, DOWN, times=None, after=True)
    harness.fail("orders.release", DOWN, times=2)
    await ended(harness, s.place, "tea", CHEAP, id="undone-with-doubt")


@scenario
async def order_being_undone(harness: Harness) -> None:
    harness.hang("orders.release", times=None)
    await harness.start(s.place, "tea", DEAR, id="compensating")


@scenario
async def workflow_failed(harness: Harness) -> None:
    harness.fail(s.reserve, DOWN, times=None)
    await ended(harness, s.plain, "tea", id="failed")
    harness.fail(s.create, Declined(reason="no", limit=Decimal(1)))
    await ended(harness, s.place, "tea", CHEAP, id="failed-with-nothing-to-undo")


@scenario
async def workflow_retried(harness: Harness) -> None:
    harness.fail(s.reserve, DOWN, times=None)
    await ended(harness, s.plain, "tea", id="retried-and-done")
    await ended(harness, s.plain, "tea", id="retried-and-failed-again")
    await harness.execution("retried-and-failed-again").retry(actor="ann", reason="again")
    await harness.advance(hours=1)
    harness.restore(s.reserve)
    await harness.execution("retried-and-done").retry(actor="ann", reason="the route is back")
    await harness.idle()
    harness.fail(s.reserve, DOWN, times=3)
    await ended(harness, s.plain, "tea", id="retried-and-running")
    harness.hang(s.reserve, times=None)
    await harness.execution("retried-and-running").retry()
    await harness.settle()


@scenario
async def attempts(harness: Harness) -> None:
    harness.fail(s.charge, DOWN, times=2)
    harness.fail(s.create, NotDone(), times=1)
    await harness.run(s.place, "tea", CHEAP, id="third-time-lucky")
    harness.hang(s.charge, times=1)
    await harness.start(s.place, "tea", CHEAP, id="lost-and-done")
    await harness.crash()
    await harness.restart()
    await harness.idle()
    harness.fail(s.charge, DOWN, times=None)
    await harness.start(s.place, "tea", CHEAP, id="waits-for-a-retry")


@scenario
async def children(harness: Harness) -> None:
    await harness.run(s.trip, ["Rome", "Oslo"], id="trip-done")
    await ended(harness, s.trip, ["Bonn", "Atlantis"], id="trip-undone-by-a-child")
    harness.fail(s.charge, Declined(reason="no", limit=Decimal(1)))
    await ended(harness, s.trip, ["Bern", "Kiel"], id="trip-undone-with-children")
    await harness.start(s.ask, "Riga", id="waits-for-a-child")
    await harness.start(s.ask, "Lund", id="answered")
    await harness.execution("answered/1").signal("report", "rain")
    await harness.start(s.ask, "Ulm", id="cancelled-with-its-child")
    await harness.execution("cancelled-with-its-child").cancel(actor="ann", reason="no need")
    await harness.start(s.ask, "Graz", id="terminated-with-its-child")
    await harness.execution("terminated-with-its-child").terminate(actor="ann")
    await harness.settle()


@scenario
async def pivot(harness: Harness) -> None:
    await harness.run(s.forward, "tea", id="past-the-pivot")
    harness.fail(s.reserve, DOWN, times=6)
    await harness.start(s.forward, "tea", id="stuck-past-the-pivot")
    await harness.start(s.forward, "tea", id="stuck-then-retried")
    await harness.advance(minutes=1)
    await refused(harness.execution("stuck-then-retried").cancel(actor="ann", reason="too late"))
    await harness.execution("stuck-then-retried").retry(actor="ann")
    await harness.settle()


@scenario
async def stopped_past_the_pivot(harness: Harness) -> None:
    for name in ("stopped", "stopped-and-failed-again"):
        await harness.start(s.forward_if, "tea", id=name)
        await harness.execution(name).signal("go", "no")
    await harness.settle()
    await harness.execution("stopped-and-failed-again").retry(actor="ann", reason="mended")
    await harness.settle()
    await harness.start(s.forward_in_time, "tea", id="late-past-the-pivot")
    await harness.advance(minutes=10)
    letter = CancelMail("ann", "sent before the pivot, taken after it")
    node = harness.app.node
    await node.post(mail_row("late-past-the-pivot", letter, node.clock.now(), node.codec))
    await harness.settle()


@scenario
async def progress(harness: Harness) -> None:
    """What the code never sees: heartbeats, attempts that a stopping node put off."""

    def beats(order: str) -> str:
        activity.heartbeat({"row": 5})
        raise DOWN

    harness.replace(s.look_up, beats)
    await harness.start(s.find, "tea", id="with-a-heartbeat")
    harness.hang(s.pack, times=None)
    for name in ("packed", "put-off"):
        await harness.start(s.packing, "tea", id=name)
    await harness.stop(timedelta(0))
    harness.restore()
    await harness.restart()
    await harness.idle()
    harness.hang(s.look_up, times=None)
    execution = await harness.start(s.reader, 2, id="signals-before-they-are-read")
    for page in ("one", "two"):
        await execution.signal("page", page)
    await harness.settle()
    harness.restore()
    await harness.crash()
    await harness.restart()
    await harness.idle()


@scenario
async def undone_otherwise(harness: Harness) -> None:
    await ended(harness, s.by_ship, "Cork", id="by-ship")
    await harness.run(s.by_call, "tea", id="failed-with-doubt-and-caught")
    harness.fail("orders.withdraw", DOWN, times=None)
    execution = await harness.start(s.place, "tea", DEAR, id="resolved-compensation")
    await harness.advance(minutes=1)
    await execution.resolve(1, done=True, actor="ann", reason="withdrawn by hand")
    await harness.settle()


@scenario
async def deadline(harness: Harness) -> None:
    execution = await harness.start(s.in_time, "tea", id="in-time")
    await execution.signal("approval", "ann")
    await harness.start(s.in_time, "tea", id="too-late")
    await harness.advance(minutes=10)
    await harness.start(s.in_time, "tea", id="still-in-time")


@scenario
async def signals(harness: Harness) -> None:
    first = await harness.start(s.approval, "tea", id="approved-late")
    await harness.advance(minutes=90)
    await first.signal("approval", "ann")
    await harness.settle()
    third = await harness.start(s.approval, "tea", id="patched")
    await harness.advance(hours=3)
    await third.signal("another", 5)
    await harness.settle()


@scenario
async def continued(harness: Harness) -> None:
    execution = await harness.start(s.poll, 0, id="poll")
    for number in (1, 2):
        await execution.signal("seen", number)
        await harness.settle()
    for number in (3, 4):
        await execution.signal("seen", number)
    await harness.settle()
    await harness.start(s.poll, 1, id="poll-that-waits")


@scenario
async def delayed(harness: Harness) -> None:
    await harness.app.start(s.place, "tea", CHEAP, id="began-later", delay=60)
    await harness.advance(minutes=2)
    for name in ("not-begun", "cancelled-unbegun", "terminated-unbegun"):
        await harness.app.start(s.place, "tea", CHEAP, id=name, delay=timedelta(days=1))
    await harness.execution("cancelled-unbegun").cancel()
    await harness.execution("terminated-unbegun").terminate()
    await harness.settle()


@scenario
async def at_most_once(harness: Harness) -> None:
    await harness.start(s.by_transfer, "tea", id="nobody-knows")
    await harness.start(s.by_transfer, "tea", id="resolved")
    await harness.execution("resolved").resolve(
        2, result="transferred", actor="ann", reason="seen at the bank"
    )
    await harness.start(s.by_transfer, "tea", id="resolved-with-an-error")
    await harness.execution("resolved-with-an-error").resolve(
        2, error=Declined(reason="the bank says", limit=Decimal(0)), actor="ann"
    )
    await harness.idle()


@scenario
async def cancelled(harness: Harness) -> None:
    harness.hang(s.charge, times=None)
    for name in ("cancelled-saga", "terminated-saga"):
        await harness.start(s.place, "tea", CHEAP, id=name)
    await harness.execution("cancelled-saga").cancel(actor="ann", reason="by phone")
    await harness.execution("terminated-saga").terminate(actor="ann", reason="by phone")
    await harness.start(s.approval, "tea", id="cancelled-workflow")
    await harness.execution("cancelled-workflow").cancel()
    harness.hang("orders.withdraw", times=None)
    await harness.start(s.place, "tea", DEAR, id="terminated-while-undone")
    await harness.execution("terminated-while-undone").terminate()
    await harness.idle()


@scenario
async def incidents(harness: Harness) -> None:
    harness.fail("orders.release", DOWN, times=None)
    await harness.start(s.place, "tea", DEAR, id="impatient")
    await harness.advance(minutes=5)
    harness.hang(s.look_up, times=None)
    await harness.start(s.find, "tea", id="lost-three-times")
    for _ in range(3):
        await harness.crash()
        await harness.restart()
        await harness.advance(minutes=1)


@scenario
async def stopped_by_other_code(harness: Harness) -> None:
    await deploy_other_code(harness)


@scenario
async def other_code_and_back(harness: Harness) -> None:
    await deploy_other_code(harness)
    harness.restore()
    await harness.restart(services=s.SERVICES)
    await harness.idle()
    await harness.execution("stopped").signal("approval", "bob")
    await harness.settle()


async def deploy_other_code(harness: Harness) -> None:
    """Let executions meet code that does not agree with their journals."""
    for name in ("stopped", "stopped-and-signalled"):
        await harness.start(s.in_time, "tea", id=name)
    harness.hang(s.look_up, times=None)
    await harness.start(s.find, "tea", id="stopped-in-a-call")
    await harness.start(s.approval, "tea", id="not-looked-at")
    changed = Service("orders")
    changed.activities.update(s.orders.activities)

    @changed.saga(name="orders.in_time")
    async def not_in_time(order: str) -> str:
        return str(await s.reserve(order))

    @changed.workflow(name="orders.find")
    async def lose(order: str) -> str:
        return str(await s.reserve(order))

    @changed.workflow(name="orders.approval")
    async def no_approval(order: str) -> str:
        return order

    await harness.restart(services=[changed, *s.SERVICES[1:]])
    await harness.execution("stopped").signal("another", 1)
    await harness.execution("stopped-and-signalled").signal("another", 1)
    await harness.settle()
    await harness.execution("stopped-and-signalled").signal("approval", "ann")
    await harness.settle()


@scenario
async def reset(harness: Harness) -> None:
    execution = await harness.start(s.dice, 6, id="dice")
    await harness.settle()
    await execution.signal("again", 1)
    await harness.settle()
    records = await execution.journal()
    await execution.reset(to=len(records) - 3, actor="ann", reason="once more")
    await harness.settle()
    await ended(harness, s.place, "tea", DEAR, id="undone")
    failed = await ended(harness, s.pay, "tea", CHEAP, id="paid")
    await failed.reset(to=2)
    await harness.idle()


@scenario
async def started_by_events(harness: Harness) -> None:
    for order in ("tea", "milk"):
        await harness.publish(s.OrderPlaced(order=order))
    await harness.publish(*(s.Shipped(order="tea", parcel=number) for number in (1, 2)))
    await harness.publish(s.Shipped(order="milk", parcel=3))
    await harness.run(s.announcing, "bread", id="announced")
    await harness.publish(s.OrderMoved(order="salt"), id="moved")
    await harness.settle()


@scenario
async def waits_for_events(harness: Harness) -> None:
    await harness.publish(s.Shipped(order="kept", parcel=4))
    await harness.run(s.await_parcel, "kept", id="kept")
    for name in ("late", "never", "cancelled", "terminated"):
        await harness.start(s.await_parcel, name, id=name)
    await harness.execution("cancelled").cancel(actor="ann")
    await harness.execution("terminated").terminate(actor="ann")
    await harness.advance(minutes=90)
    await harness.publish(s.Shipped(order="late", parcel=5))
    await harness.advance(hours=1)
    await harness.start(s.await_parcel, "tea", id="still-waiting")


@scenario
async def events_continued(harness: Harness) -> None:
    await harness.start(s.parcels, "tea", [], id="parcels")
    for number in (1, 2):
        await harness.publish(s.Shipped(order="tea", parcel=number))
    for number in (3, 4):
        await harness.publish(s.Shipped(order="tea-too", parcel=number))
    await harness.start(s.parcels, "milk", [], id="parcels-that-wait")


@scenario
async def events_retried(harness: Harness) -> None:
    harness.fail(s.reserve, DOWN, times=6)
    failed = await ended(harness, s.ship_and_fail, "tea", id="retried-and-shipped")
    await ended(harness, s.ship_and_fail, "milk", id="retried-and-waits")
    await harness.publish(s.Shipped(order="tea", parcel=7))
    await failed.retry(actor="ann")
    await harness.execution("retried-and-waits").retry(actor="ann")
    await harness.idle()
    reset = await ended(harness, s.await_parcel, "never", id="reset-to-its-wait")
    await harness.publish(s.Shipped(order="never", parcel=8))
    await reset.reset(to=3, actor="ann")
    await harness.idle()


@scenario
async def events_of_another_version(harness: Harness) -> None:
    """An event that the code cannot read, and code that can."""
    await harness.publish(s.Shipped(order="tea", parcel=9))
    newer, reader = Service("shipping"), Service("orders")

    @newer.event(key="order", version=2, name="shipping.Shipped")
    class Shipped(Event):
        order: str
        parcel: int
        weight: int

    @Shipped.upcaster(1)
    def weighed(data: dict[str, Any]) -> dict[str, Any]:
        raise KeyError("weight")

    @reader.workflow(name="orders.await_parcel")
    async def await_parcel(order: str) -> int:
        found = await workflow.event(
            Shipped, key=order, keep=timedelta(hours=1), timeout=timedelta(hours=1)
        )
        return found.parcel

    await harness.restart(services=[newer, reader])
    await harness.start(await_parcel, "tea", id="read-later")
    await harness.restart(services=s.SERVICES)
    await harness.idle()


async def make(name: str) -> list[bytes]:
    """Return the lines of a scenario's executions, oldest first."""
    async with Harness(services=SERVICES) as harness:
        await SCENARIOS[name](harness)
        exporter = Exporter(harness.store, harness.app.codec)
        found = Found(harness.store, Query())
        await found.count()
        exports = [await exporter.read(row) async for row in found.rows()]
        lines = [encode_export(export) for export in exports if export is not None]
        return [line.replace(HERE, b"") for line in lines]


def main() -> None:
    wanted = sys.argv[1:]
    for name in SCENARIOS:
        file = FOLDER / f"{name}.jsonl"
        if name in wanted or not (wanted or file.exists()):
            lines = asyncio.run(make(name))
            file.write_bytes(b"\n".join(lines) + b"\n")
            sys.stdout.write(f"{file.name}: {len(lines)} lines\n")


if __name__ == "__main__":
    main()
