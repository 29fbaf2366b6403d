"""The books of the shop: each rule, broken on purpose, is found."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from examples.shop import books

CONFIRMED = {
    "orders": [
        "INSERT INTO orders VALUES ('7', 'ALFKI', 5000)",
        "INSERT INTO order_lines VALUES ('7', 1, 10), ('7', 2, 3)",
        "INSERT INTO endings (order_id, ending, key) VALUES ('7', 'confirmed', 'k')",
    ],
    "payments": ["INSERT INTO charges (order_id, cents, key) VALUES ('7', 5000, 'k')"],
    "inventory": [
        "INSERT INTO reservations (order_id, product_id, quantity, key) "
        "VALUES ('7', 1, 10, 'k'), ('7', 2, 3, 'l')",
        "UPDATE products SET stock = stock - 10 WHERE product_id = 1",
        "UPDATE products SET stock = stock - 3 WHERE product_id = 2",
    ],
}
UNDONE = {
    "orders": [
        "INSERT INTO orders VALUES ('8', 'ALFKI', 700)",
        "INSERT INTO order_lines VALUES ('8', 1, 4), ('8', 2, 999)",
        "INSERT INTO endings (order_id, ending, key) VALUES ('8', 'cancelled', 'k')",
    ],
    "payments": [
        "INSERT INTO charges (order_id, cents, key) VALUES ('8', 700, 'k')",
        "INSERT INTO refunds (order_id, cents, key) VALUES ('8', 700, 'k')",
    ],
    "inventory": [
        "INSERT INTO reservations (order_id, product_id, quantity, key) VALUES ('8', 1, 4, 'k')",
        "INSERT INTO releases (order_id, product_id, quantity, key) VALUES ('8', 1, 4, 'k')",
        "INSERT INTO shortages VALUES ('8', 2, 34)",
    ],
}
DECLINED = {
    "orders": [
        "INSERT INTO orders VALUES ('9', 'ALFKI', 900000)",
        "INSERT INTO order_lines VALUES ('9', 1, 4)",
        "INSERT INTO endings (order_id, ending, key) VALUES ('9', 'cancelled', 'k')",
    ],
    "payments": ["INSERT INTO declines VALUES ('9', 'too much')"],
}


def write(directory: Path, service: str, *statements: str) -> None:
    with closing(sqlite3.connect(directory / f"{service}.db")) as db, db:
        for statement in statements:
            db.execute(statement)


@pytest.fixture
def shop(empty_shop: Path) -> Path:
    """A shop with one order of each outcome."""
    for order in (CONFIRMED, UNDONE, DECLINED):
        for service, statements in order.items():
            write(empty_shop, service, *statements)
    return empty_shop


def test_books_of_one_order_of_each_outcome_balance(shop: Path) -> None:
    verdict = books.check(shop)

    assert verdict.violations == []
    assert verdict.balanced
    assert (verdict.confirmed, verdict.declined, verdict.undone) == (1, 1, 1)
    assert (verdict.charged_cents, verdict.returned_cents) == (5700, 700)
    assert verdict.reserved_units == 13


BROKEN = [
    ("orders", "DELETE FROM endings WHERE order_id = '7'", "order 7: never ended"),
    (
        "orders",
        "INSERT INTO endings (order_id, ending, key) VALUES ('7', 'cancelled', 'l')",
        "order 7: ended as confirmed and cancelled",
    ),
    ("payments", "DELETE FROM charges WHERE order_id = '7'", "order 7: confirmed, but charged []"),
    (
        "payments",
        "INSERT INTO charges (order_id, cents, key) VALUES ('7', 5000, 'again')",
        "order 7: confirmed, but charged [5000, 5000]",
    ),
    (
        "payments",
        "UPDATE charges SET cents = 4999 WHERE order_id = '7'",
        "order 7: confirmed, but charged [4999]",
    ),
    (
        "payments",
        "INSERT INTO refunds (order_id, cents, key) VALUES ('7', 5000, 'k')",
        "order 7: confirmed, and yet its charge was returned",
    ),
    (
        "inventory",
        "DELETE FROM reservations WHERE order_id = '7' AND product_id = 2",
        "order 7: confirmed, but [(1, 10)]",
    ),
    (
        "inventory",
        "INSERT INTO reservations (order_id, product_id, quantity, key) VALUES ('7', 1, 10, 'x')",
        "order 7: confirmed, but [(1, 10), (2, 3), (1, 10)]",
    ),
    (
        "inventory",
        "INSERT INTO releases (order_id, product_id, quantity, key) VALUES ('7', 1, 10, 'x')",
        "order 7: confirmed, and yet a reservation was released",
    ),
    (
        "payments",
        "INSERT INTO declines VALUES ('7', 'too much')",
        "order 7: confirmed although its payment was declined",
    ),
    (
        "payments",
        "DELETE FROM refunds WHERE order_id = '8'",
        "order 8: undone, but charges of [700] were returned as []",
    ),
    (
        "payments",
        "INSERT INTO refunds (order_id, cents, key) VALUES ('8', 700, 'again')",
        "order 8: undone, but charges of [700] were returned as [700, 700]",
    ),
    (
        "payments",
        "INSERT INTO charges (order_id, cents, key) VALUES ('8', 700, 'again')",
        "order 8: charged 2 times",
    ),
    (
        "inventory",
        "DELETE FROM releases WHERE order_id = '8'",
        "order 8: undone, but reservations [(1, 4)] were released as []",
    ),
    (
        "inventory",
        "INSERT INTO reservations (order_id, product_id, quantity, key) VALUES ('8', 1, 4, 'x')",
        "order 8: a product was reserved more than once",
    ),
    (
        "payments",
        "INSERT INTO charges (order_id, cents, key) VALUES ('9', 900000, 'k')",
        "order 9: declined, and yet money moved",
    ),
    (
        "inventory",
        "INSERT INTO reservations (order_id, product_id, quantity, key) VALUES ('9', 1, 4, 'k')",
        "order 9: declined, and yet stock was reserved",
    ),
    ("payments", "INSERT INTO declines VALUES ('9', 'again')", "order 9: declined 2 times"),
    (
        "payments",
        "INSERT INTO charges (order_id, cents, key) VALUES ('66', 1, 'k')",
        "order 66: a charge for an order that nobody knows",
    ),
    (
        "inventory",
        "INSERT INTO releases (order_id, product_id, quantity, key) VALUES ('66', 1, 1, 'k')",
        "order 66: a release for an order that nobody knows",
    ),
    ("inventory", "UPDATE products SET stock = stock + 1 WHERE product_id = 1", "product 1: "),
    ("inventory", "INSERT INTO deliveries VALUES (2, 200)", "product 2: 51 at the start and 200"),
    ("inventory", "UPDATE products SET stock = -1 WHERE product_id = 3", "product 3: the stock is"),
    (
        "payments",
        "UPDATE refunds SET cents = 600 WHERE order_id = '8'",
        "the till: 5700 cents charged and 600 returned",
    ),
]


@pytest.mark.parametrize(("service", "change", "found"), BROKEN, ids=[b[2] for b in BROKEN])
def test_broken_rule_is_found(shop: Path, service: str, change: str, found: str) -> None:
    write(shop, service, change)

    verdict = books.check(shop)

    assert not verdict.balanced
    assert [v for v in verdict.violations if v.startswith(found)], verdict.violations


def test_money_of_an_undone_order_that_was_never_paid_but_had_stock_is_missed(shop: Path) -> None:
    write(shop, "payments", "DELETE FROM charges WHERE order_id = '8'", "DELETE FROM refunds")

    violations = books.check(shop).violations

    assert violations == ["order 8: stock was reserved for it before it was paid"]
