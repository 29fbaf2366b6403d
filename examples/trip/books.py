"""Balances the books of all companies: each trip is kept as a whole, or undone as a whole."""

from collections import Counter
from collections.abc import Mapping

from counterpoint import Status

from examples.trip import airline, cars, desk, hotel, payments
from examples.trip.company import Company
from examples.trip.itinerary import Trip

Endings = Mapping[Trip, Status]


def check(endings: Endings) -> list[str]:
    """Return what is wrong with the books, given how each trip ended; empty if they balance."""
    violations = [
        f"{trip.id} ({status}): {rule}"
        for trip, status in endings.items()
        for rule in (_kept(trip) if status is Status.COMPLETED else _undone(trip))
    ]
    known = {trip.id for trip in endings}
    booked = {one.reference for company in _companies() for one in company.bookings}
    paid = {one.reference for one in payments.bank.statement}
    violations += [f"{id}: booked by nobody" for id in sorted((booked | paid) - known)]
    return violations


def _companies() -> list[Company]:
    return [airline.company, hotel.company, cars.company]


def _kept(trip: Trip) -> list[str]:
    wanted = Counter([f"room at {trip.hotel}", trip.car])
    for leg in trip.legs:
        wanted[f"seat {leg.flight}"] += 1
        wanted[f"bag {leg.flight}"] += 1 if leg.bags else 0
    kept = sum((company.kept(trip.id) for company in _companies()), Counter[str]())
    wrong: list[str] = []
    if +wanted != kept:
        wrong.append(f"it needs {dict(+wanted)} and has {dict(kept)}")
    if any(one.what.startswith("seat") for one in airline.company.held(trip.id)):
        wrong.append("a seat has no ticket")
    charges = [one.cents for one in payments.bank.statement if one.reference == trip.id]
    if charges != [trip.price_cents]:
        wrong.append(f"charged {charges} and not once {trip.price_cents} cents")
    letters = desk.letters.about(trip.id)
    if len([text for text in letters if text.startswith("sends")]) != 1:
        wrong.append("the tickets were not sent once")
    if any(text.startswith("tells") for text in letters):
        wrong.append("the customer was told that it is off")
    return wrong


def _undone(trip: Trip) -> list[str]:
    kept = sum((company.kept(trip.id) for company in _companies()), Counter[str]())
    wrong = [f"{company} still has {count}" for company, count in kept.items()]
    if payments.bank.balance(trip.id):
        wrong.append(f"{payments.bank.balance(trip.id)} cents were not returned")
    if any(wanted.startswith(f"{trip.id}/") for wanted in airline.company.tickets):
        wrong.append("tickets were printed")
    letters = desk.letters.about(trip.id)
    if len([text for text in letters if text.startswith("tells")]) != 1:
        wrong.append("the customer was not told once that it is off")
    if any(text.startswith("sends") for text in letters):
        wrong.append("the tickets were sent")
    return wrong
