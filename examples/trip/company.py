"""The books of a company that others book with: a stand-in for a system on the network.

Its rules are those that a compensation needs. The same key has its effect once and gets the same
answer. A release says what it takes back by the *reference of the customer*, so that it needs no
answer of the original. What was released before it arrived is refused when it arrives after all.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from counterpoint import BusinessError

Say = Callable[[str, str, str], None]
"""Called with a reference, who speaks, and what they say."""


def silence(reference: str, who: str, what: str) -> None:
    """Say nothing: what a company does is told to nobody unless somebody listens."""


class SoldOut(BusinessError):
    """There is none left."""

    company: str
    what: str


class Withdrawn(BusinessError):
    """The booking was taken back before it arrived."""

    company: str
    what: str


@dataclass
class Booking:
    """One line of the books: what is held for whom, under which number."""

    number: int
    reference: str
    what: str
    state: str = "held"
    """`held`, `released`, or `used` once it cannot be taken back any more."""


@dataclass
class Company:
    """What one company has, and for whom it holds it."""

    name: str
    stock: dict[str, int] = field(default_factory=dict[str, int])
    """How many of each there are; of what is not listed, enough."""
    bookings: list[Booking] = field(default_factory=list[Booking])
    answers: dict[str, int] = field(default_factory=dict[str, int])
    withdrawn: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    say: Say = silence

    def hold(self, reference: str, what: str, key: str) -> int:
        """Set one aside for a customer; return the booking's number.

        Raises:
            SoldOut: there is none left.
            Withdrawn: its release came first.
        """
        if key in self.answers:
            return self.answers[key]
        if (reference, what) in self.withdrawn:
            raise Withdrawn(company=self.name, what=what)
        taken = sum(one.what == what and one.state != "released" for one in self.bookings)
        if taken >= self.stock.get(what, taken + 1):
            self.say(reference, self.name, f"has no {what} left")
            raise SoldOut(company=self.name, what=what)
        number = self.answers[key] = len(self.bookings) + 1
        self.bookings.append(Booking(number, reference, what))
        self.say(reference, self.name, f"holds {what}")
        return number

    def release(self, reference: str, what: str) -> int:
        """Take back whatever is held for a customer, and what may still arrive; return how many."""
        self.withdrawn.add((reference, what))
        held = [one for one in self.held(reference) if one.what == what]
        for one in held:
            one.state = "released"
        self.say(reference, self.name, f"releases {what}" if held else f"never held {what}")
        return len(held)

    def use(self, reference: str, what: str) -> None:
        """Turn what is held into what cannot be taken back; again changes nothing."""
        for one in self.held(reference):
            if one.what == what:
                one.state = "used"

    def held(self, reference: str) -> list[Booking]:
        """Return what is set aside for a customer now."""
        return [one for one in self.bookings if (one.reference, one.state) == (reference, "held")]

    def kept(self, reference: str) -> Counter[str]:
        """Return what a customer has now, held or used."""
        mine = [one for one in self.bookings if one.reference == reference]
        return Counter(one.what for one in mine if one.state != "released")

    def reopen(self, say: Say = silence) -> None:
        """Begin with empty books and full shelves."""
        self.stock.clear()
        self.bookings.clear()
        self.answers.clear()
        self.withdrawn.clear()
        self.say = say
