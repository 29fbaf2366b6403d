"""Days of the shop in its three forms, and the books that have to balance in the end."""

import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from examples.shop import books
from examples.shop.app import (
    FILES,
    MIX_FILES,
    checked_out,
    execution_id,
    make_app,
    make_mixed_app,
    open_shop,
    order_placed,
    place_order,
)
from examples.shop.catalog import Order, load_orders
from examples.shop.mix.books import violations as violations_of_the_mix
from examples.shop.own_file import folder

from counterpoint import App
from counterpoint.testing.simulation import Faults, Report, Scenario, Simulation, simulate

ORDERS_MAX = 6
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of this process's own is made in it


@cache
def _all_orders() -> list[Order]:
    return load_orders()


def _orders(simulation: Simulation) -> list[Order]:
    """Open the shop anew, and return the orders of the day."""
    close_files()
    opened = folder().parent / f"opened-{folder().name}"
    if not opened.exists():
        open_shop()
        shutil.copytree(folder(), opened)
    shutil.rmtree(folder(), ignore_errors=True)
    shutil.copytree(opened, folder())
    count = simulation.random.randint(1, ORDERS_MAX)
    return simulation.random.sample(_all_orders(), count)


def close_files() -> None:
    for file in (*FILES, *MIX_FILES):
        file.close()


async def orchestrated(simulation: Simulation) -> None:
    for order in _orders(simulation):
        await simulation.start(place_order, order, id=execution_id(order))


async def choreographed(simulation: Simulation) -> None:
    for order in _orders(simulation):
        await simulation.publish(order_placed(order), id=execution_id(order))


async def mixed(simulation: Simulation) -> None:
    for order in _orders(simulation):
        await simulation.publish(checked_out(order), id=execution_id(order))


def books_balance(simulation: Simulation) -> Iterator[str]:
    """Judge the books of the three services, unless time ran out for an order.

    An order whose deadline passed may have been confirmed before it was undone; the books have no
    words for that.
    """
    if not any(_is_late(simulation, id) for id in simulation.statuses):
        yield from books.check(folder()).violations


def all_books_balance(simulation: Simulation) -> Iterator[str]:
    """Judge the books of all five services, unless time ran out for an order or its parcel."""
    yield from books_balance(simulation)
    if not any(_is_late(simulation, id) for id in simulation.statuses):
        yield from violations_of_the_mix(folder())


def _is_late(simulation: Simulation, id: str) -> bool:
    error = simulation.error(id)
    return error is not None and error.type.endswith(("TimeoutError", "DeadlineExceeded"))


@dataclass(frozen=True)
class Day:
    """One form of the shop's day."""

    name: str
    app: App
    scenario: Scenario
    check: Callable[[Simulation], Iterator[str]]


_app, _mixed_app = make_app(Path("unused")), make_mixed_app(Path("unused"))
FAULTS = Faults(skew_max=timedelta(seconds=20))
"""Orders have five minutes: with a clock that is set by ten, most of them would be late."""
DAYS = (
    Day("orchestrated", _app, orchestrated, books_balance),
    Day("choreographed", _app, choreographed, books_balance),
    Day("mixed", _mixed_app, mixed, all_books_balance),
)


@contextmanager
def own_folder() -> Generator[None]:
    """Let the shop's files be in a folder of this process, in memory where that can be."""
    before = os.environ.get("SHOP_DIR")
    parent = IN_MEMORY if IN_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True) as made:
        os.environ["SHOP_DIR"] = str(Path(made) / "shop")
        try:
            yield
        finally:
            close_files()
            del os.environ["SHOP_DIR"]
            if before is not None:
                os.environ["SHOP_DIR"] = before


def run(day: Day, seeds: int | Sequence[int], **options: Any) -> Report:
    """Simulate one form of the shop's day; see `simulate` for the options."""
    with own_folder():
        return simulate(
            day.app,
            in_own_folder(day.scenario),
            seeds=seeds,
            faults=FAULTS,
            check=day.check,
            **options,
        )


def in_own_folder(scenario: Scenario) -> Scenario:
    """Let each process have the shop's files for itself."""

    async def own(simulation: Simulation) -> None:
        made = Path(os.environ["SHOP_DIR"])
        if made.name != str(os.getpid()):
            os.environ["SHOP_DIR"] = str(made.parent / str(os.getpid()))
        await scenario(simulation)

    return own
