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


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        # A repeated start began while a scan waited for another one: what was due stayed away.
        ("orchestrated", 814142001032),
        # The store could not say whether a posted event was there: its letter stayed where it was.
        ("choreographed", 814142001005),
        ("choreographed", 814142001213),
    ],
)
def test_days_on_which_something_was_left_undone(name: str, seed: int) -> None:
    day = next(day for day in shop.DAYS if day.name == name)

    assert shop.run(day, [seed]).seeds == 1


def test_books_that_do_not_balance_are_found() -> None:
    day = shop.DAYS[0]

    def confirm_nothing(simulation: Simulation) -> Iterator[str]:
        orders.file.write(lambda db: db.execute("DELETE FROM endings"))
        yield from day.check(simulation)

    with pytest.raises(SimulationFailed, match="never ended, not in exactly one way"):
        shop.run(shop.Day(day.name, day.app, day.scenario, confirm_nothing), [1])
