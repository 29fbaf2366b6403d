"""The shop in its three forms: the same orders end alike, and deliveries again change nothing."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from examples.shop import books
from examples.shop.app import FILES, MIX_FILES, STORE, open_shop
from examples.shop.catalog import Order, load_orders
from examples.shop.evidence import steps_due
from examples.shop.forms import CHOREOGRAPHED, MIXED, ORCHESTRATED, Form
from examples.shop.mix.books import violations as violations_of_the_mix
from examples.shop.own_file import read, services_in

from counterpoint import App
from counterpoint.model.cloudevents import to_structured
from counterpoint.model.messages import EventQuery

FEW = 40
MANY = 200
IDLE_WITHIN_SECONDS = 100


@pytest.fixture
def shops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["Shops"]:
    """Shops with stock and no orders, one at a time."""
    yield Shops(tmp_path, monkeypatch)
    close_files()


class Shops:
    """Opens one shop after the other; the services' files are those of the last one."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.monkeypatch = monkeypatch

    def open(self, name: str) -> Path:
        """Return the folder of a new shop."""
        close_files()
        directory = self.directory / name
        self.monkeypatch.setenv("SHOP_DIR", str(directory))
        open_shop()
        return directory


def close_files() -> None:
    for file in (*FILES, *MIX_FILES):
        file.close()


async def run(form: Form, directory: Path, orders: list[Order]) -> books.Verdict:
    async with form.make_app(directory) as app:
        for order in orders:
            await form.submit(app, order)
        await app.idle(IDLE_WITHIN_SECONDS)
    return books.check(directory)


async def wait(app: App) -> None:
    await app.idle(IDLE_WITHIN_SECONDS)


def change(directory: Path, *statements: str) -> None:
    with closing(sqlite3.connect(directory / STORE)) as db, db:
        for statement in statements:
            db.execute(statement)


def calls(directory: Path) -> int:
    """Return how often anything reached a service."""
    return sum(
        read(directory, service, "SELECT count(*) FROM calls")[0][0]
        for service in services_in(directory)
    )


def events(directory: Path) -> int:
    count: int = read(directory, "counterpoint", "SELECT count(*) FROM events")[0][0]
    return count


@pytest.mark.slow
async def test_every_order_ends_alike_in_both_forms_and_the_books_are_the_same(
    shops: Shops,
) -> None:
    orders = load_orders()[:MANY]
    orchestrated, choreographed = [
        await run(form, shops.open(form.name), orders) for form in (ORCHESTRATED, CHOREOGRAPHED)
    ]

    assert orchestrated.violations == []
    assert orchestrated.outcomes.keys() == {order.id for order in orders}
    assert (orchestrated.confirmed, orchestrated.declined, orchestrated.undone) == (114, 15, 71)
    assert choreographed == orchestrated


async def test_mix_ends_its_orders_as_the_saga_does_and_ships_and_restocks_what_is_sold(
    shops: Shops,
) -> None:
    orders = load_orders()[: 3 * FEW]
    alone, mixed = [
        await run(form, shops.open(form.name), orders) for form in (ORCHESTRATED, MIXED)
    ]
    purchases = read(shops.directory / MIXED.name, "purchasing", "SELECT count(*) FROM purchases")

    assert mixed == alone
    assert mixed.balanced
    assert violations_of_the_mix(shops.directory / MIXED.name) == []
    assert purchases[0][0] > 0


@pytest.mark.parametrize("form", [CHOREOGRAPHED, MIXED], ids=lambda form: form.name)
async def test_every_event_delivered_again_changes_nothing(shops: Shops, form: Form) -> None:
    directory = shops.open(form.name)
    verdict = await run(form, directory, load_orders()[:FEW])
    before = calls(directory), events(directory)
    change(directory, "UPDATE subscriptions SET position = 0")
    async with form.make_app(directory) as app:
        await wait(app)

    assert verdict.orders == FEW
    assert steps_due(directory) == []
    assert (calls(directory), events(directory)) == before
    assert books.check(directory) == verdict
    assert verdict.balanced


async def test_every_event_posted_again_as_the_same_cloudevent_changes_nothing(
    shops: Shops,
) -> None:
    directory = shops.open("shop")
    verdict = await run(CHOREOGRAPHED, directory, load_orders()[:FEW])
    before = calls(directory), events(directory)
    async with CHOREOGRAPHED.make_app(directory) as app:
        log = await app.node.store.events(EventQuery(limit=10_000))
        for row in log:
            assert await app.publish_cloudevent(to_structured(row)) == row.id
        await wait(app)

    assert len(log) > 3 * FEW
    assert (calls(directory), events(directory)) == before
    assert books.check(directory) == verdict


async def test_without_the_marks_of_the_inbox_the_books_would_not_balance(shops: Shops) -> None:
    directory = shops.open("shop")
    verdict = await run(CHOREOGRAPHED, directory, load_orders()[:FEW])
    change(directory, "UPDATE subscriptions SET position = 0", "DELETE FROM reactions")
    async with CHOREOGRAPHED.make_app(directory) as app:
        await wait(app)

    assert verdict.balanced
    assert not books.check(directory).balanced


async def test_reaction_whose_mark_is_lost_runs_again_and_has_no_second_effect(
    shops: Shops,
) -> None:
    directory = shops.open("shop")
    verdict = await run(CHOREOGRAPHED, directory, load_orders()[:FEW])
    before = calls(directory)
    change(
        directory,
        "UPDATE subscriptions SET position = 0",
        "DELETE FROM reactions WHERE subscription IN "
        "(SELECT number FROM subscriptions WHERE name = 'orders.enter_order')",
    )
    async with CHOREOGRAPHED.make_app(directory) as app:
        await wait(app)

    assert calls(directory) == before + FEW
    assert books.check(directory) == verdict
