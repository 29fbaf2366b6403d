"""What comes from outside in a round: orders and visits, in batches, from a node and a client."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.crash.flow import OrderPlaced, Visited

from counterpoint import Event

ORDERS_MIN, ORDERS_MAX = 12, 36
VISITS_MIN, VISITS_MAX = 30, 90
CUSTOMERS = 5
PRODUCTS = 8
CENTS_MAX = 10_000
BATCH_MAX = 4


@dataclass(frozen=True)
class Batch:
    """Events that are published together."""

    number: int
    events: Sequence[Event]
    id: str | None
    """The id that its only event is given; such a batch is published again by every node."""


def make_plan(dice: random.Random) -> list[Batch]:
    """Return the batches of a round, in the order in which they are published."""
    events: list[Event] = [_order(dice, n) for n in range(dice.randint(ORDERS_MIN, ORDERS_MAX))]
    visits = dice.randint(VISITS_MIN, VISITS_MAX)
    events += [Visited(customer=f"c{dice.randrange(CUSTOMERS)}", number=n) for n in range(visits)]
    dice.shuffle(events)
    batches: list[Batch] = []
    while events:
        count = dice.choice((1, 1, 1, BATCH_MAX))
        taken, events = events[:count], events[count:]
        number = len(batches)
        id = f"given-{number}" if len(taken) == 1 and dice.random() < 1 / 3 else None
        batches.append(Batch(number, taken, id))
    return batches


def _order(dice: random.Random, number: int) -> OrderPlaced:
    return OrderPlaced(
        order_id=f"o{number}",
        cents=dice.randint(1, CENTS_MAX),
        product=f"p{dice.randrange(PRODUCTS)}",
        quantity=dice.randint(1, 25),
        checked=dice.random() < 0.3,
        poison=dice.random() < 0.04,
    )
