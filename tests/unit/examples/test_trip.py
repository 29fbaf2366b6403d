"""The trip: each ending leaves the books of all companies balanced, wherever a node dies."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from examples.trip import airline, cars, desk, hotel, payments
from examples.trip.app import SERVICES, reopen
from examples.trip.books import check
from examples.trip.itinerary import Card, Decision, Itinerary, Leg, Trip
from examples.trip.process import PATIENCE, book_trip

from counterpoint import Execution, ExecutionFailed, NodeStoppedError, NotDone, Status, StoreError
from counterpoint.testing import Harness

CITY = "Lisbon"
YES = Decision(approved=True, by="Grace")
NO = Decision(approved=False, by="Grace", why="too dear")
QUICKLY = timedelta(milliseconds=1)


def trip(card: Card = Card.GOOD, id: str = "trip-1") -> Trip:
    legs = (Leg("out", bags=2), Leg("back", bags=0))
    return Trip(id, "Ada", CITY, legs, "Ritz", "van", 84_000, card)


def full(reference: str) -> dict[str, Any]:
    """What each company has for a trip."""
    return {
        "airline": dict(airline.company.kept(reference)),
        "hotel": dict(hotel.company.kept(reference)),
        "cars": dict(cars.company.kept(reference)),
        "bank": payments.bank.balance(reference),
    }


NOTHING = {"airline": {}, "hotel": {}, "cars": {}, "bank": 0}
EVERYTHING = {
    "airline": {"seat out": 1, "bag out": 1, "seat back": 1},
    "hotel": {"room at Ritz": 1},
    "cars": {"van": 1},
    "bank": 84_000,
}


@pytest.fixture
async def harness(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Harness]:
    reopen()
    monkeypatch.setattr(hotel, "SECONDS", 0)
    async with Harness(services=SERVICES) as harness:
        yield harness
    reopen()


async def booked(harness: Harness, card: Card = Card.GOOD) -> Execution[Itinerary]:
    """Start a trip, and answer yes."""
    execution = await harness.start(book_trip, trip(card), PATIENCE, id="trip-1")
    await execution.signal("approval", YES)
    await harness.idle()
    return execution


async def ended(
    harness: Harness, execution: Execution[Itinerary], booked: Trip | None = None
) -> Status:
    """Wait for the end; the books have to balance."""
    with suppress(ExecutionFailed):
        await harness.result(execution)
    status = (await execution.describe()).status
    assert check({booked or trip(): status}) == []
    return status


async def test_approved_trip_is_kept_as_a_whole(harness: Harness) -> None:
    execution = await booked(harness)

    itinerary = await harness.result(execution)

    assert await ended(harness, execution) is Status.COMPLETED
    assert itinerary.tickets == ("ticket 1 for out", "ticket 2 for back")
    assert itinerary.approved_by == "Grace"
    assert full("trip-1") == EVERYTHING


async def test_each_leg_is_a_child(harness: Harness) -> None:
    execution = await booked(harness)

    legs = [call for call in (await execution.describe()).calls if call.child]

    assert [call.name for call in legs] == ["airline.book_leg"] * 2
    for call in legs:
        child = await harness.execution(call.child or "").describe()
        assert (child.parent, child.status) == ("trip-1", Status.COMPLETED)


async def test_trip_is_found_by_customer_and_destination(harness: Harness) -> None:
    await booked(harness)

    found = harness.app.executions(attributes={"customer": "Ada", "destination": CITY})

    assert [one.id async for one in found] == ["trip-1"]


async def test_people_are_asked_reminded_and_escalated_to_until_one_answers(
    harness: Harness,
) -> None:
    execution = await harness.start(book_trip, trip(), PATIENCE, id="trip-1")
    await harness.advance(PATIENCE - QUICKLY)
    first = len(desk.letters.sent)
    await harness.advance(PATIENCE + QUICKLY)
    await execution.signal("approval", YES)

    assert await ended(harness, execution) is Status.COMPLETED
    asked = [text.partition(":")[0] for text in desk.letters.about("trip-1")[:3]]
    assert first == 1
    assert asked == ["asks the manager", "asks the manager again", "asks the head of travel"]


async def test_trip_is_undone_when_nobody_answers(harness: Harness) -> None:
    began = harness.now
    execution = await harness.start(book_trip, trip(), PATIENCE, id="trip-1")

    assert await ended(harness, execution) is Status.COMPENSATED
    assert harness.now - began >= 3 * PATIENCE
    assert (await execution.describe()).error_type == "trips.NobodyAnswered"
    assert full("trip-1") == NOTHING


async def test_declined_trip_is_undone_and_the_customer_is_told_last(harness: Harness) -> None:
    execution = await harness.start(book_trip, trip(), PATIENCE, id="trip-1")
    await execution.signal("approval", NO)

    assert await ended(harness, execution) is Status.COMPENSATED
    assert full("trip-1") == NOTHING
    assert harness.calls[-1].name == "desk.apologise"
    assert payments.bank.statement == []


async def test_full_hotel_undoes_flights_and_car(harness: Harness) -> None:
    hotel.company.stock["room at Ritz"] = 0

    execution = await harness.start(book_trip, trip(), PATIENCE, id="trip-1")

    assert await ended(harness, execution) is Status.COMPENSATED
    assert (await execution.describe()).error_type == "hotel.SoldOut"
    assert full("trip-1") == NOTHING


async def test_seat_that_is_sold_out_undoes_the_other_leg(harness: Harness) -> None:
    airline.company.stock["seat back"] = 0

    execution = await harness.start(book_trip, trip(), PATIENCE, id="trip-1")

    assert await ended(harness, execution) is Status.COMPENSATED
    assert (await execution.describe()).error_type == "airline.SoldOut"
    assert full("trip-1") == NOTHING


async def test_broken_ticket_machine_is_an_incident_and_the_trip_goes_forward(
    harness: Harness,
) -> None:
    airline.company.machine_works = False
    execution = await booked(harness)
    told = await execution.describe()
    airline.company.machine_works = True
    await execution.retry(actor="Linus")

    assert [one.cause for one in told.incidents] == ["past-pivot"] * 2
    assert await ended(harness, execution) is Status.COMPLETED
    assert payments.bank.balance("trip-1") == 84_000


async def test_declined_card_undoes_the_trip(harness: Harness) -> None:
    execution = await booked(harness, Card.DECLINED)

    assert await ended(harness, execution) is Status.COMPENSATED
    assert (await execution.describe()).error_type == "payments.PaymentDeclined"
    assert [c.name for c in harness.calls if c.name == "payments.refund"] == []


async def test_unreachable_bank_is_tried_again(harness: Harness) -> None:
    execution = await booked(harness, Card.UNREACHABLE)

    assert await ended(harness, execution) is Status.COMPLETED
    assert [c.attempt for c in harness.calls if c.name == "payments.charge"] == [1, 2]


@pytest.mark.parametrize("card", [Card.ANSWER_LOST, Card.CHARGED_THEN_500, Card.LOST_ON_THE_WAY])
async def test_charge_in_doubt_is_not_made_again_and_asks_a_person(
    harness: Harness, card: Card
) -> None:
    execution = await booked(harness, card)
    await harness.advance(days=30)

    told = await execution.describe()

    assert [(one.cause, one.call) for one in told.incidents] == [("unknown-outcome", 7)]
    assert len([c for c in harness.calls if c.name == "payments.charge"]) == 1


async def test_charge_that_a_person_has_seen_is_taken_for_done(harness: Harness) -> None:
    execution = await booked(harness, Card.ANSWER_LOST)

    await execution.resolve(7, result=payments.bank.look_up("trip-1"), actor="Linus")

    assert await ended(harness, execution) is Status.COMPLETED
    assert (await harness.result(execution)).charge == 1


async def test_charge_that_never_was_is_made_when_a_person_says_so(harness: Harness) -> None:
    execution = await booked(harness, Card.LOST_ON_THE_WAY)

    await execution.resolve(7, error=NotDone(), actor="Linus")

    assert await ended(harness, execution) is Status.COMPLETED
    assert len(payments.bank.statement) == 1


async def test_person_who_looked_wrongly_does_not_charge_twice(harness: Harness) -> None:
    execution = await booked(harness, Card.CHARGED_THEN_500)
    await execution.resolve(7, error=NotDone(), actor="Linus")
    await harness.idle()
    told = await execution.describe()
    await execution.resolve(7, result=payments.bank.look_up("trip-1"), actor="Linus")

    assert "409" in told.incidents[0].message
    assert await ended(harness, execution) is Status.COMPLETED
    assert len(payments.bank.statement) == 1


@pytest.mark.parametrize("card", [Card.ANSWER_LOST, Card.LOST_ON_THE_WAY])
async def test_trip_whose_charge_is_in_doubt_can_be_cancelled(harness: Harness, card: Card) -> None:
    execution = await booked(harness, card)

    await execution.cancel(actor="Linus", reason="the customer called")

    assert await ended(harness, execution) is Status.CANCELLED
    assert full("trip-1") == NOTHING


async def test_charge_that_hangs_asks_a_person_when_its_time_is_over(harness: Harness) -> None:
    harness.hang(payments.charge)
    execution = await booked(harness)
    await harness.advance(seconds=5)

    assert (await execution.describe()).incidents[0].cause == "unknown-outcome"
    await execution.resolve(7, error=NotDone())
    assert await ended(harness, execution) is Status.COMPLETED


async def answer_everything(harness: Harness, execution: Execution[Itinerary]) -> None:
    """Do what a person at the travel desk does, until the trip has ended."""
    for _ in range(20):
        await harness.advance(seconds=1)
        told = await execution.describe()
        if not told.status.live:
            return
        if "approval" in told.awaited_signals:
            await execution.signal("approval", YES)
        for one in told.incidents:
            assert one.cause == "unknown-outcome"
            seen = payments.bank.look_up("trip-1")
            if isinstance(seen, int):
                await execution.resolve(7, result=seen, actor="Linus")
            elif seen == "declined":
                declined = payments.PaymentDeclined(reason="seen on the statement")
                await execution.resolve(7, error=declined, actor="Linus")
            else:
                await execution.resolve(7, error=NotDone(), actor="Linus")


COMMITS = 25
"""More than a trip takes."""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "applied-but-failed"])
@pytest.mark.parametrize(
    ("card", "rooms", "expected"),
    [
        (Card.ANSWER_LOST, 1, Status.COMPLETED),
        (Card.DECLINED, 1, Status.COMPENSATED),
        (Card.GOOD, 0, Status.COMPENSATED),
    ],
)
async def test_trip_is_kept_or_undone_wherever_the_node_dies(
    monkeypatch: pytest.MonkeyPatch, card: Card, rooms: int, expected: Status, when: Any
) -> None:
    monkeypatch.setattr(hotel, "SECONDS", 0)
    for commit in range(1, COMMITS):
        reopen()
        hotel.company.stock["room at Ritz"] = rooms
        async with Harness(services=SERVICES) as harness:
            harness.crash_at_commit(commit, when=when)
            with suppress(NodeStoppedError, StoreError):  # the client of a dying node
                execution = await harness.start(book_trip, trip(card), PATIENCE, id="trip-1")
                await answer_everything(harness, execution)
            if when == "before":
                await harness.restart()
            harness.store.heal()
            await harness.advance(seconds=1)  # the node has looked at its store again
            execution = await harness.start(book_trip, trip(card), PATIENCE, id="trip-1")
            await answer_everything(harness, execution)

            assert await ended(harness, execution, trip(card)) is expected
    reopen()


def lose_ticket() -> None:
    airline.company.bookings[0].state = "held"


BROKEN = [
    ("a seat is missing", lambda: airline.company.bookings.pop(), "it needs"),
    ("a seat without a ticket", lambda: lose_ticket(), "a seat has no ticket"),
    ("a room too many", lambda: hotel.company.hold("trip-1", "suite", "k"), "it needs"),
    ("no money", lambda: payments.bank.statement.clear(), "charged []"),
    ("a second charge", lambda: payments.bank.statement.append(payments.bank.statement[0]), "char"),
    ("told it is off", lambda: desk.letters.write("trip-1", "tells Ada"), "was told"),
    ("nothing sent", lambda: desk.letters.sent.clear(), "were not sent"),
    ("a stranger's car", lambda: cars.company.hold("trip-9", "van", "k"), "trip-9: booked by nob"),
]


@pytest.mark.parametrize(("change", "found"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
async def test_books_of_a_kept_trip_show_what_is_wrong(
    harness: Harness, change: Any, found: str
) -> None:
    await booked(harness)
    change()

    assert any(found in one for one in check({trip(): Status.COMPLETED}))


async def test_books_of_an_undone_trip_show_what_was_left(harness: Harness) -> None:
    await booked(harness)

    wrong = check({trip(): Status.COMPENSATED})

    assert len(wrong) == 9  # 3 of the airline, room, car, money, tickets, 2 letters
    assert all(one.startswith("trip-1 (compensated): ") for one in wrong)


def test_company_gives_the_same_key_the_same_answer() -> None:
    reopen()

    numbers = [hotel.company.hold("trip-1", "room", "key") for _ in range(2)]

    assert numbers == [1, 1]
    assert len(hotel.company.bookings) == 1
    reopen()


def test_company_refuses_what_arrives_after_its_release() -> None:
    reopen()
    hotel.company.release("trip-1", "room")

    with pytest.raises(Exception, match="hotel"):
        hotel.company.hold("trip-1", "room", "key")
    assert hotel.company.kept("trip-1") == {}
    reopen()


async def test_bank_refuses_a_charge_that_arrives_after_it_was_voided() -> None:
    reopen()
    payments.bank.void("trip-1")

    with pytest.raises(Exception, match="voided before it arrived"):
        await payments.bank.charge("key", "trip-1", Card.GOOD, 100)
    assert payments.bank.statement == []
    reopen()
