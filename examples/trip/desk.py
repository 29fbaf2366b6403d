"""The travel desk: asks people, and tells the customer how it ended."""

from dataclasses import dataclass, field

from counterpoint import Service

from examples.trip.company import Say, silence
from examples.trip.itinerary import Itinerary, Trip

desk = Service("desk")
NAME = "desk"


@dataclass
class Letters:
    """What was written: by trip, in order."""

    sent: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    say: Say = silence

    def write(self, reference: str, text: str) -> None:
        """Write a letter; the same one about the same trip is written once."""
        if (reference, text) not in self.sent:
            self.sent.append((reference, text))
            self.say(reference, NAME, text)

    def about(self, reference: str) -> list[str]:
        """Return what was written about a trip."""
        return [text for about, text in self.sent if about == reference]

    def reopen(self, say: Say) -> None:
        """Begin with no letters."""
        self.sent.clear()
        self.say = say


letters = Letters()


@desk.activity
async def ask(trip: Trip, whom: str) -> None:
    """Ask somebody to approve a trip."""
    price = f"{trip.price_cents / 100:.2f}"
    letters.write(
        trip.id, f"asks {whom}: may {trip.customer} go to {trip.destination} for {price}?"
    )


@desk.activity
async def confirm(trip: Trip, itinerary: Itinerary) -> None:
    """Send the customer the tickets."""
    letters.write(trip.id, f"sends {trip.customer} {len(itinerary.tickets)} tickets")


@desk.activity
async def apologise(trip: Trip) -> None:
    """Tell the customer that the trip is off."""
    letters.write(trip.id, f"tells {trip.customer} that the trip is off")
