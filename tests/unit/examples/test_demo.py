"""What the demo looks for, it would find: orders that end differently, recorded steps repeated."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from examples.shop import books
from examples.shop.books import Verdict
from examples.shop.catalog import load_orders
from examples.shop.evidence import Aftermath, Evidence, compare, gather_evidence, steps_due
from examples.shop.figures import Figures
from examples.shop.forms import CHOREOGRAPHED, ORCHESTRATED
from examples.shop.mix.books import violations
from examples.shop.report import Run, differences

ORDERS = load_orders()[:3]
VERDICT = Verdict(confirmed=1, charged_cents=500, outcomes={"7": "confirmed", "8": "undone"})
RUN = Run(
    form=ORCHESTRATED,
    directory=Path(),
    verdict=VERDICT,
    violations=[],
    figures=Figures(2, 1.0, 2, 0, 0, 8.0, 0.1, 0.2),
    evidence=Evidence(frozenset(), frozenset(), frozenset(), {}),
    aftermath=Aftermath(0, 0, ()),
    unfinished=[],
)


def with_verdict(verdict: Verdict) -> Run:
    return replace(RUN, form=CHOREOGRAPHED, verdict=verdict)


def write(directory: Path, service: str, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(directory / f"{service}.db")) as db, db:
        db.execute(statement, values)


def test_runs_that_end_alike_do_not_differ() -> None:
    assert differences([RUN, with_verdict(VERDICT)]) == []


def test_order_that_ends_otherwise_or_not_at_all_is_a_difference() -> None:
    other = replace(VERDICT, outcomes={"7": "declined"})

    assert differences([RUN, with_verdict(other)]) == [
        "order 7: confirmed orchestrated, declined choreographed",
        "order 8: undone orchestrated, None choreographed",
    ]


def test_sum_that_differs_is_a_difference() -> None:
    other = replace(VERDICT, charged_cents=501)

    assert differences([RUN, with_verdict(other)]) == [
        "charged_cents: 500 orchestrated, 501 choreographed"
    ]


def test_run_is_good_only_without_violations_unfinished_orders_and_repeated_steps() -> None:
    assert RUN.good
    assert not replace(RUN, violations=["order 7: never ended"]).good
    assert not replace(RUN, unfinished=["order-7"]).good
    assert not replace(RUN, aftermath=Aftermath(0, 0, ("order-7/1/1",))).good


async def test_reaction_that_runs_again_though_it_is_recorded_is_found(empty_shop: Path) -> None:
    app = CHOREOGRAPHED.make_app(empty_shop)
    async with app:
        for order in ORDERS:
            await CHOREOGRAPHED.submit(app, order)
        await app.idle(30)
    async with app.client() as client:
        evidence = await gather_evidence(CHOREOGRAPHED, client, empty_shop)
    step = f"orders.enter_order:orders/order-{ORDERS[0].id}"
    before = compare(evidence, empty_shop)
    write(
        empty_shop,
        "orders",
        "INSERT INTO calls (key, step, name, attempt, at, reached) "
        "VALUES ('k', ?, 'orders.enter_order', 1, 0, 1)",
        step,
    )

    assert step in evidence.recorded
    assert evidence.interrupted == frozenset()
    assert before == Aftermath(0, 0, ())
    assert compare(evidence, empty_shop).repeated == (step,)


async def test_reaction_that_is_not_marked_as_done_is_due(empty_shop: Path) -> None:
    app = CHOREOGRAPHED.make_app(empty_shop)
    async with app:
        await CHOREOGRAPHED.submit(app, ORDERS[0])
        await app.idle(30)
    done = steps_due(empty_shop)
    write(
        empty_shop,
        "counterpoint",
        "DELETE FROM reactions WHERE subscription IN "
        "(SELECT number FROM subscriptions WHERE name = 'payments.take_payment')",
    )

    assert done == []
    assert steps_due(empty_shop) == [f"payments.take_payment:orders/order-{ORDERS[0].id}"]


def test_books_of_the_mix_find_what_was_not_sent_or_not_ordered(empty_shop: Path) -> None:
    write(empty_shop, "orders", "INSERT INTO orders VALUES ('7', 'ALFKI', 5000)")
    write(empty_shop, "orders", "INSERT INTO order_lines VALUES ('7', 1, 250)")
    ending = "INSERT INTO endings (order_id, ending, key) VALUES ('7', 'confirmed', 'k')"
    write(empty_shop, "orders", ending)
    unsent = violations(empty_shop)
    write(empty_shop, "shipping", "INSERT INTO parcels (order_id) VALUES ('7'), ('8')")
    write(empty_shop, "purchasing", "INSERT INTO shipped VALUES (1, 250, 100)")
    write(empty_shop, "purchasing", "INSERT INTO purchases VALUES (1, 100)")

    assert unsent == [
        "order 7: 0 parcels for 1 confirmed",
        "product 1: 250 sold, and 0 left the house",
    ]
    assert violations(empty_shop) == [
        "order 8: 1 parcels for 0 confirmed",
        "product 1: 250 left the house, and 100 were ordered, in lots of 100",
    ]
    assert books.check(empty_shop).outcomes == {"7": "confirmed"}
