"""What is asked for, and what the traveller gets."""

from dataclasses import dataclass
from enum import StrEnum


class Card(StrEnum):
    """Test cards, as payment providers have them: the number decides what goes wrong."""

    GOOD = "4000-good"
    SLOW = "4000-slow"
    DECLINED = "4000-declined"
    UNREACHABLE = "4000-unreachable"
    """The provider cannot be reached at first: nothing happens."""
    CHARGED_THEN_500 = "4000-charged-then-500"
    """The provider charges the card, then fails: its answer is an error."""
    ANSWER_LOST = "4000-answer-lost"
    """The provider charges the card, and the connection breaks before it says so."""
    LOST_ON_THE_WAY = "4000-lost-on-the-way"
    """The connection breaks before the provider has read the request."""


@dataclass(frozen=True)
class Leg:
    """One flight of a trip."""

    flight: str
    bags: int = 1


@dataclass(frozen=True)
class Trip:
    """What a customer wants; the reference under which every company books it is `id`."""

    id: str
    customer: str
    destination: str
    legs: tuple[Leg, ...]
    hotel: str
    car: str
    price_cents: int
    card: Card = Card.GOOD


@dataclass(frozen=True)
class Decision:
    """What a person answers, and who it was."""

    approved: bool
    by: str
    why: str = ""


@dataclass(frozen=True)
class Itinerary:
    """What the traveller gets."""

    trip_id: str
    tickets: tuple[str, ...]
    charge: int
    approved_by: str
