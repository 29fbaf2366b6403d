"""The payment provider, as one has to expect it: a stand-in for a system on the network.

It is slow, it charges and then fails, it loses answers. It knows the keys of the requests that it
has seen and refuses a second one; but it does not say what became of the first. Only its statement,
which a person can read, shows that.
"""

import asyncio
from dataclasses import dataclass, field

from examples.trip.company import Say, silence
from examples.trip.itinerary import Card

SLOW_SECONDS = 0.1
NAME = "bank"


class Refused(Exception):
    """The provider answers that it will not charge this card: it has not."""


class Duplicate(Exception):
    """The provider has seen this key before, and does not say what became of it (409)."""


class ServerError(Exception):
    """The provider answers 500: it may have charged the card, or not."""


@dataclass
class Entry:
    """One line of the statement."""

    number: int
    reference: str
    cents: int
    """Negative where money went back."""


@dataclass
class Bank:
    """The provider's books, and what goes wrong with its answers."""

    statement: list[Entry] = field(default_factory=list[Entry])
    keys: set[str] = field(default_factory=set[str])
    voided: set[str] = field(default_factory=set[str])
    declined: set[str] = field(default_factory=set[str])
    unreachable: set[str] = field(default_factory=set[str])
    """Keys of requests that found nobody."""
    say: Say = silence

    async def charge(self, key: str, reference: str, card: Card, cents: int) -> int:
        """Charge a card; return the number of the entry.

        Raises:
            ConnectionRefusedError: nobody was there; nothing was sent.
            Refused: the card is not charged.
            Duplicate: the key is known.
            ServerError, ConnectionResetError: nobody can tell from here what happened.
        """
        if card is Card.UNREACHABLE and key not in self.unreachable:
            self.unreachable.add(key)
            raise ConnectionRefusedError("nobody answers at the bank")
        if card is Card.LOST_ON_THE_WAY and key not in self.unreachable:
            self.unreachable.add(key)
            raise ConnectionResetError("the connection to the bank broke")
        if card is Card.SLOW:
            await asyncio.sleep(SLOW_SECONDS)
        if key in self.keys:
            self.say(reference, NAME, "refuses a request that it has seen before")
            raise Duplicate(f"409: {key} was used before")
        self.keys.add(key)
        if reference in self.voided:
            raise Refused("the payment was voided before it arrived")
        if card is Card.DECLINED:
            self.declined.add(reference)
            self.say(reference, NAME, "declines the card")
            raise Refused("insufficient funds")
        number = self._enter(reference, cents)
        self.say(reference, NAME, f"charges {cents / 100:.2f}")
        if card is Card.CHARGED_THEN_500:
            raise ServerError("500: internal error")
        if card is Card.ANSWER_LOST:
            raise ConnectionResetError("the connection to the bank broke")
        return number

    def void(self, reference: str) -> int:
        """Give back what was charged under a reference, and refuse what may still arrive."""
        self.voided.add(reference)
        cents = self.balance(reference)
        if cents:
            self._enter(reference, -cents)
            self.say(reference, NAME, f"returns {cents / 100:.2f}")
        else:
            self.say(reference, NAME, "finds nothing to return")
        return cents

    def balance(self, reference: str) -> int:
        """Return what a customer has paid and not got back, in cents."""
        return sum(one.cents for one in self.statement if one.reference == reference)

    def look_up(self, reference: str) -> int | str:
        """Return what a person sees on the screen: the number of a charge, or why there is none."""
        charges = (one for one in self.statement if one.reference == reference and one.cents > 0)
        charge = next((one.number for one in charges), None)
        return charge or ("declined" if reference in self.declined else "never heard of it")

    def reopen(self, say: Say) -> None:
        """Begin with an empty statement."""
        self.statement.clear()
        self.keys.clear()
        self.voided.clear()
        self.declined.clear()
        self.unreachable.clear()
        self.say = say

    def _enter(self, reference: str, cents: int) -> int:
        number = len(self.statement) + 1
        self.statement.append(Entry(number, reference, cents))
        return number
