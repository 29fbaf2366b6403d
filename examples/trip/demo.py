"""Books seven trips, each of which ends in another way, and balances the books of all companies.

`python -m examples.trip.demo [--keep DIR]`; exit code 0 only if every trip ended as told here, and
each is kept as a whole or undone as a whole. The journals stay in `var/trip`.
"""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from counterpoint import App, Execution, ExecutionFailed, NotDone, Status

from examples.trip import airline, hotel, payments
from examples.trip.app import FOLDER, STORE, make_app, reopen
from examples.trip.books import check
from examples.trip.itinerary import Card, Decision, Itinerary, Leg, Trip
from examples.trip.process import ASKED, book_trip

DAY = timedelta(milliseconds=400)
"""What stands for the day that people get to answer."""
WAIT = timedelta(seconds=10)
FULL = "Hotel Venice"
LOG = "node.log"
Running = Execution[Itinerary]


class Narrator:
    """Prints what happens, with the seconds since the trip began."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def title(self, text: str) -> None:
        """Begin with the next trip."""
        print(f"\n{text}")
        self.began = time.monotonic()

    def company(self, _: str, who: str, what: str) -> None:
        """Tell what a company did."""
        print(f"  {time.monotonic() - self.began:5.2f} s  {who:<8} {what}")

    def note(self, text: str) -> None:
        """Tell what people see and do."""
        print(f"  {'':7}  {text}")


narrator = Narrator()


# ---- what people do ------------------------------------------------------------------------------


async def approve(execution: Running) -> None:
    """Say yes, once somebody is asked."""
    while "approval" not in (await execution.describe()).awaited_signals:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    narrator.note("Grace approves")
    await execution.signal("approval", Decision(approved=True, by="Grace"))


async def approve_late(execution: Running) -> None:
    """Say yes, once there has been a reminder."""
    await asyncio.sleep(DAY.total_seconds())
    await approve(execution)


async def decline(execution: Running) -> None:
    """Say no; nobody has to be asked yet for that, the answer is kept."""
    narrator.note("Grace declines: take the train")
    await execution.signal("approval", Decision(approved=False, by="Grace", why="take the train"))


async def do_nothing(_: Running) -> None:
    """Let the time pass."""


async def mend_the_machine(execution: Running) -> None:
    """Past the pivot nothing is undone: mend what is broken, and let it go on."""
    airline.company.machine_works = False
    await approve(execution)
    await incident(execution)
    narrator.note("somebody mends the machine, and Linus retries")
    airline.company.machine_works = True
    await execution.retry(actor="Linus", reason="the machine is mended")


async def look_at_the_statement(execution: Running) -> None:
    """Find out whether the card was charged, and say so."""
    await approve(execution)
    call = await incident(execution)
    number = payments.bank.look_up(execution.id)
    narrator.note(f"Linus reads the bank's statement: there is a charge, number {number}")
    await execution.resolve(call, result=number, actor="Linus", reason="seen on the statement")


async def look_wrongly(execution: Running) -> None:
    """Say that the card was not charged although it was: the key stops the second charge."""
    await approve(execution)
    call = await incident(execution)
    narrator.note("Linus reads the statement of the wrong day: no charge there")
    await execution.resolve(call, error=NotDone(), actor="Linus", reason="not on the statement")
    await incident(execution, after=1)
    narrator.note("the customer has had enough, and Linus cancels")
    await execution.cancel(actor="Linus", reason="the customer called")


async def incident(execution: Running, *, after: int = 0) -> int:
    """Wait until a person is needed, tell what that person reads, and return the call."""
    while True:
        raised = [one for one in await execution.journal() if one.type == "incident"]
        told = await execution.describe()
        if told.incidents and len(raised) > after:
            break
        await asyncio.sleep(0.01)
    for one in told.incidents:
        narrator.note(f"INCIDENT ({one.cause}): {one.message}")
    return told.incidents[0].call or 0


# ---- the stories ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """One trip there and back, what people do about it, and how it has to end."""

    title: str
    id: str
    customer: str
    city: str
    card: Card
    people: Callable[[Running], Awaitable[None]]
    ending: Status

    @property
    def trip(self) -> Trip:
        """What is booked."""
        legs = (Leg("LX2082"), Leg("LX2083", bags=0))
        hotel = f"Hotel {self.city}"
        return Trip(self.id, self.customer, self.city, legs, hotel, "small car", 84_000, self.card)


DONE, UNDONE, CANCELLED = Status.COMPLETED, Status.COMPENSATED, Status.CANCELLED
STORIES = (
    Story(
        "Lisbon: approved after a reminder, and a restart",
        "trip-1", "Ada", "Lisbon", Card.SLOW, approve_late, DONE,
    ),
    Story(
        "Oslo: declined by a person",
        "trip-2", "Alan", "Oslo", Card.GOOD, decline, UNDONE,
    ),
    Story(
        "Paris: nobody answers",
        "trip-3", "Barbara", "Paris", Card.GOOD, do_nothing, UNDONE,
    ),
    Story(
        "Venice: the hotel is full, so the flights are undone",
        "trip-4", "Edsger", "Venice", Card.GOOD, do_nothing, UNDONE,
    ),
    Story(
        "Lisbon again: the ticket machine breaks past the pivot",
        "trip-5", "Ada", "Lisbon", Card.UNREACHABLE, mend_the_machine, DONE,
    ),
    Story(
        "Rome: the card is charged, and the answer is lost",
        "trip-6", "Donald", "Rome", Card.ANSWER_LOST, look_at_the_statement, DONE,
    ),
    Story(
        "Vienna: charged with an error, resolved wrongly, cancelled",
        "trip-7", "Tony", "Vienna", Card.CHARGED_THEN_500, look_wrongly, CANCELLED,
    ),
)  # fmt: skip


async def tell(app: App, story: Story) -> Status:
    """Run one story to its end."""
    execution = await app.start(book_trip, story.trip, DAY, id=story.id)
    await story.people(execution)
    with suppress(ExecutionFailed):
        itinerary = await execution.result(timeout=WAIT)
        narrator.note(f"{', '.join(itinerary.tickets)}; approved by {itinerary.approved_by}")
    told = await execution.describe()
    why = told.cancel_reason or (f"{told.error_type}: {told.error}" if told.error else "")
    narrator.note(f"{told.status.upper()}{': ' if why else ''}{why}")
    return told.status


async def demonstrate(directory: Path) -> bool:
    """Run all stories on a store in *directory*; return whether everything is as promised."""
    reopen(narrator.company)
    hotel.company.stock[f"room at {FULL}"] = 0
    app = make_app(directory)
    first, *_ = STORIES
    print(f"{len(ASKED)} people are asked in turn; each has {DAY.total_seconds()} s, not a day.")
    narrator.title(first.title)
    async with app:
        await app.start(book_trip, first.trip, DAY, id=first.id)
        await asyncio.sleep(DAY.total_seconds() / 2)
    narrator.note("the node stops; the next one goes on where it was")
    endings: dict[Trip, Status] = {}
    async with app:
        for story in STORIES:
            if story is not first:
                narrator.title(story.title)
            endings[story.trip] = await tell(app, story)
        found = [one.id async for one in app.executions(attributes={"destination": "Lisbon"})]
    print(f"\nTrips to Lisbon, found by attribute: {', '.join(sorted(found))}")
    return verdict(endings)


def verdict(endings: dict[Trip, Status]) -> bool:
    """Print whether the books balance, and every trip ended as told."""
    wrong = check(endings)
    wrong += [
        f"{story.id} is {endings[story.trip]}, not {story.ending}"
        for story in STORIES
        if endings[story.trip] is not story.ending
    ]
    if wrong:
        print(
            "The books of airline, hotel, car rental and bank DO NOT BALANCE:", *wrong, sep="\n  "
        )
        return False
    print(
        "The books of airline, hotel, car rental and bank balance: each trip is kept as a whole, "
        "or undone as a whole."
    )
    return True


def main() -> int:
    """Run the demo that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m examples.trip.demo", description=__doc__)
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help=f"leave the files there, not in {FOLDER}"
    )
    given: Path | None = parser.parse_args().keep
    if given is not None and given.is_dir() and any(given.iterdir()):
        parser.error(f"{given} is not empty: name a new folder")
    directory = given or FOLDER
    directory.mkdir(parents=True, exist_ok=True)
    for name in (STORE, f"{STORE}-wal", f"{STORE}-shm", f"{STORE}.lock", LOG):
        (directory / name).unlink(missing_ok=True)
    logging.basicConfig(filename=directory / LOG, format="%(asctime)s %(message)s")
    good = asyncio.run(demonstrate(directory))
    store = f"--store {directory / STORE}"
    print(
        "\nWhere to look next"
        "\n  the saga              examples/trip/process.py"
        f"\n  what happened to one  .venv/bin/counterpoint show trip-7 {store}"
        f"\n  all trips to Lisbon   .venv/bin/counterpoint list --where @destination=Lisbon {store}"
        f"\n  what the node said    {directory / LOG}"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
