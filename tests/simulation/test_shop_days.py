"""A few days of the shop with everything that can go wrong; `make simulate` runs many more."""

from collections.abc import Iterator

import pytest
from examples.shop import orders
from tests.simulation import shop

from counterpoint.testing.simulation import Simulation, SimulationFailed

SEEDS = 5


@pytest.mark.parametrize("day", shop.DAYS, ids=lambda day: day.name)
def test_promises_are_kept_and_the_books_balance(day: shop.Day) -> None:
    report = shop.run(day, SEEDS)

    assert report.seeds == SEEDS
    assert report.faults.total() > SEEDS


def test_books_that_do_not_balance_are_found() -> None:
    day = shop.DAYS[0]

    def confirm_nothing(simulation: Simulation) -> Iterator[str]:
        orders.file.write(lambda db: db.execute("DELETE FROM endings"))
        yield from day.check(simulation)

    with pytest.raises(SimulationFailed, match="never ended, not in exactly one way"):
        shop.run(shop.Day(day.name, day.app, day.scenario, confirm_nothing), [1])
