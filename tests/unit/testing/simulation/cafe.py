"""A café with one of everything: the app that the tests of the simulation run."""

import asyncio
from datetime import timedelta

from counterpoint import App, BusinessError, Event, Retry, Service, workflow
from counterpoint.testing.simulation import Simulation

SOON = Retry(max_attempts=4, first=timedelta(seconds=1))
TIMEOUT = timedelta(seconds=10)
bar, kitchen = Service("bar"), Service("kitchen")


class Declined(BusinessError):
    guest: int


@bar.event(key="table")
class Ordered(Event):
    table: str
    dish: int


@kitchen.event(key="table")
class Cooked(Event):
    table: str
    dish: int


@kitchen.event(key="table")
class Served(Event):
    table: str
    dish: int


@bar.activity(retry=SOON, timeout=TIMEOUT)
async def seat(guest: int) -> int:
    return guest


@seat.compensation(retry=SOON, timeout=TIMEOUT)
async def unseat(guest: int) -> None:
    await asyncio.sleep(0.1)


@bar.activity(retry=SOON, timeout=TIMEOUT)
def pour(guest: int) -> int:
    return guest


@pour.compensation(retry=SOON, timeout=TIMEOUT)
def pour_away(guest: int, result: int | None) -> None: ...


@bar.activity(retry=SOON, timeout=TIMEOUT, at_most_once=True)
async def charge(guest: int) -> int:
    await asyncio.sleep(0.1)
    if guest % 3 == 2:
        raise Declined(guest=guest)
    return guest


@charge.compensation(retry=SOON, timeout=TIMEOUT)
async def refund(guest: int) -> None: ...


@bar.saga
async def evening(guest: int) -> int:
    await seat(guest)
    await asyncio.gather(pour(guest), charge(guest))
    await asyncio.sleep(60)
    await workflow.publish(Ordered(table=f"guest-{guest}", dish=guest))
    served = await workflow.event(Served, key=f"guest-{guest}")
    return served.dish + await workflow.signal("tip", int)


@kitchen.on(Ordered, retry=SOON, timeout=TIMEOUT)
async def cook(event: Ordered) -> Cooked:
    return Cooked(table=event.table, dish=event.dish)


@kitchen.on(Cooked, retry=SOON, timeout=TIMEOUT)
async def serve(event: Cooked) -> list[Served]:
    return [Served(table=event.table, dish=event.dish)]


app = App("cafe", services=[bar, kitchen], store="memory:")


async def an_evening(simulation: Simulation) -> None:
    for guest in range(3):
        await simulation.start(evening, guest, id=f"guest-{guest}")
        await simulation.publish(Ordered(table="1", dish=guest))
    for guest in range(3):
        await simulation.signal(f"guest-{guest}", "tip", 1)
