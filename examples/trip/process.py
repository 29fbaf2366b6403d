"""The trip process: reserve, ask a person, charge; then the pivot, and only forward from there."""

import asyncio
from datetime import timedelta

from counterpoint import BusinessError, Service, workflow

from examples.trip.airline import book_leg, issue_ticket
from examples.trip.cars import reserve_car
from examples.trip.desk import apologise, ask, confirm
from examples.trip.hotel import reserve_room
from examples.trip.itinerary import Decision, Itinerary, Trip
from examples.trip.payments import charge

trips = Service("trips")
ASKED = ("the manager", "the manager again", "the head of travel")
"""Who is asked, one after the other: a question, a reminder, an escalation."""
PATIENCE = timedelta(days=1)


class NotApproved(BusinessError):
    """Somebody said no."""

    by: str
    why: str


class NobodyAnswered(BusinessError):
    """Nobody said anything, although all were asked."""

    asked: int


@trips.saga
async def book_trip(trip: Trip, patience: timedelta = PATIENCE) -> Itinerary:
    """Book a whole trip or nothing; each of the people asked gets *patience* to answer."""
    workflow.set_attributes(customer=trip.customer, destination=trip.destination)
    workflow.compensate_with(apologise, trip)  # the first, so undone last: when all else is

    await asyncio.gather(
        reserve_room(trip.id, trip.hotel),
        reserve_car(trip.id, trip.car),
        *(book_leg(trip.id, leg) for leg in trip.legs),  # one child each
    )
    decision = await approval(trip, patience)
    number = await charge(trip.id, trip.card, trip.price_cents)

    workflow.pivot()  # paid and approved: from here it is finished, not undone

    tickets = await asyncio.gather(*(issue_ticket(trip.id, leg.flight) for leg in trip.legs))
    itinerary = Itinerary(trip.id, tuple(tickets), number, decision.by)
    await confirm(trip, itinerary)
    return itinerary


async def approval(trip: Trip, patience: timedelta) -> Decision:
    """Wait for a person, remind, escalate; what leaves it undoes the trip.

    Raises:
        NotApproved: somebody said no.
        NobodyAnswered: the last one who was asked let the time pass, too.
    """
    for whom in ASKED:
        await ask(trip, whom)
        try:
            decision = await workflow.signal("approval", Decision, timeout=patience)
        except TimeoutError:
            continue
        if not decision.approved:
            raise NotApproved(by=decision.by, why=decision.why)
        return decision
    raise NobodyAnswered(asked=len(ASKED))
