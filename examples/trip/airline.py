"""The airline: seats and bags are held, and become tickets that cannot be given back."""

from dataclasses import dataclass, field
from datetime import timedelta

from counterpoint import Retry, Service, activity

from examples.trip.company import Company
from examples.trip.itinerary import Leg

airline = Service("airline")
QUICK = Retry(max_attempts=3, first=timedelta(milliseconds=20))


@dataclass
class Airline(Company):
    """An airline has a machine that prints tickets, and it breaks."""

    machine_works: bool = True
    tickets: dict[str, str] = field(default_factory=dict[str, str])
    """Ticket by what was asked for: asked twice, it is printed once."""

    def print_ticket(self, reference: str, flight: str) -> str:
        """Print the ticket of a held seat.

        Raises:
            RuntimeError: the machine is broken.
        """
        if not self.machine_works:
            self.say(reference, self.name, f"the ticket machine is broken ({flight})")
            raise RuntimeError("the ticket machine is broken")
        wanted = f"{reference}/{flight}"
        if wanted not in self.tickets:
            self.tickets[wanted] = f"ticket {len(self.tickets) + 1} for {flight}"
            self.use(reference, f"seat {flight}")
            self.use(reference, f"bag {flight}")
            self.say(reference, self.name, f"prints {self.tickets[wanted]}")
        return self.tickets[wanted]


company = Airline("airline")


@airline.activity
async def hold_seat(trip_id: str, flight: str) -> int:
    """Set a seat aside."""
    return company.hold(trip_id, f"seat {flight}", activity.info().idempotency_key)


@hold_seat.compensation
async def release_seat(trip_id: str, flight: str) -> None:
    """Give the seat back: by trip and flight, so that it needs no result and may be repeated."""
    company.release(trip_id, f"seat {flight}")


@airline.activity
async def hold_bags(trip_id: str, leg: Leg) -> int:
    """Set room for the bags of a leg aside."""
    return company.hold(trip_id, f"bag {leg.flight}", activity.info().idempotency_key)


@hold_bags.compensation
async def release_bags(trip_id: str, leg: Leg) -> None:
    """Give the room for the bags back."""
    company.release(trip_id, f"bag {leg.flight}")


@airline.activity(retry=QUICK)
async def issue_ticket(trip_id: str, flight: str) -> str:
    """Print a ticket. It has no compensation: it is called past the pivot only."""
    return company.print_ticket(trip_id, flight)


@airline.saga
async def book_leg(trip_id: str, leg: Leg) -> int:
    """Hold what one leg needs: a saga of its own, which its parent undoes as one step."""
    seat = await hold_seat(trip_id, leg.flight)
    if leg.bags:
        await hold_bags(trip_id, leg)
    return seat
