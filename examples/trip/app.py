"""The trip app: its services composed, and the companies that they call."""

from pathlib import Path

from counterpoint import App

from examples.trip import airline, cars, desk, hotel, payments
from examples.trip.company import Say, silence
from examples.trip.process import book_trip, trips

FOLDER = Path("var/trip")
STORE = "counterpoint.db"
SERVICES = (
    trips,
    airline.airline,
    hotel.hotel,
    cars.cars,
    payments.payments,
    desk.desk,
)
COMPANIES = (airline.company, hotel.company, cars.company)


def make_app(directory: Path) -> App:
    """Return the app with its executions in a folder."""
    return App("trips", services=SERVICES, store=f"sqlite:///{directory / STORE}")


def reopen(say: Say = silence) -> None:
    """Give every company empty books; *say* is told what they do."""
    for company in COMPANIES:
        company.reopen(say)
    airline.company.machine_works = True
    airline.company.tickets.clear()
    payments.bank.reopen(say)
    desk.letters.reopen(say)


app = make_app(FOLDER)

__all__ = ["app", "book_trip", "make_app", "reopen"]
