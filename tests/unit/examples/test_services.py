"""The services of the shop: idempotent, and right when the original never happened."""

from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from examples.shop import orders
from examples.shop.catalog import Line, Order
from examples.shop.inventory import AlreadyReleased, OutOfStock, release, reserve
from examples.shop.own_file import read
from examples.shop.payments import Authorization, PaymentDeclined, authorize, void
from examples.shop.weather import answer_lost

from counterpoint.testing import UnitAttempt, attempt

CUSTOMER = "ALFKI"
ORDER = Order("7", CUSTOMER, (Line(1, 10),), Decimal("50.00"))
FINE_WEATHER = 3
"""No third attempt fails by the example's own rule."""


def call(key: str, number: int = FINE_WEATHER) -> AbstractContextManager[UnitAttempt]:
    return attempt(idempotency_key=key, attempt=number)


def rows(shop: Path, service: str, table: str) -> list[tuple[Any, ...]]:
    return read(shop, service, f"SELECT * FROM {table}")  # noqa: S608 - a constant


async def charge(key: str, amount: str = "50.00") -> Authorization:
    with call(key):
        return await authorize("7", CUSTOMER, Decimal(amount))


async def test_same_key_is_charged_once_and_answered_alike(empty_shop: Path) -> None:
    first, second = await charge("k"), await charge("k")

    assert first == second
    assert len(rows(empty_shop, "payments", "charges")) == 1
    assert len(rows(empty_shop, "payments", "calls")) == 2


async def test_declined_key_stays_declined(empty_shop: Path) -> None:
    for _ in range(2):
        with pytest.raises(PaymentDeclined, match="over the credit limit"):
            await charge("k", "99999.00")

    assert len(rows(empty_shop, "payments", "declines")) == 1
    assert rows(empty_shop, "payments", "charges") == []


async def test_charge_is_returned_once(empty_shop: Path) -> None:
    authorization = await charge("k")
    for _ in range(2):
        with call("kc"):
            await void("7", authorization)

    assert [row[2] for row in rows(empty_shop, "payments", "refunds")] == [5000]


async def test_charge_that_arrives_after_it_was_voided_is_declined(empty_shop: Path) -> None:
    with call("kc"):
        await void("7", None)

    with pytest.raises(PaymentDeclined, match="voided before it arrived"):
        await charge("k")
    assert rows(empty_shop, "payments", "charges") == []
    assert rows(empty_shop, "payments", "refunds") == []


async def test_same_key_reserves_once(empty_shop: Path) -> None:
    for _ in range(2):
        with call("k"):
            assert await reserve("7", Line(1, 10)) == 1

    assert read(empty_shop, "inventory", "SELECT opening - stock FROM products LIMIT 1") == [(10,)]


async def test_release_puts_units_back_once(empty_shop: Path) -> None:
    with call("k"):
        await reserve("7", Line(1, 10))
    for _ in range(2):
        with call("kc"):
            release("7", Line(1, 10))

    assert read(empty_shop, "inventory", "SELECT opening - stock FROM products LIMIT 1") == [(0,)]


async def test_reservation_that_arrives_after_its_release_is_refused(empty_shop: Path) -> None:
    with call("kc"):
        release("7", Line(1, 10))

    with call("k"), pytest.raises(AlreadyReleased):
        await reserve("7", Line(1, 10))


async def test_line_that_a_full_shelf_cannot_serve_is_refused(empty_shop: Path) -> None:
    with call("k"), pytest.raises(OutOfStock) as short:
        await reserve("7", Line(1, 500))

    assert short.value.facts == {"product_id": 1, "wanted": 500, "available": 117}
    assert rows(empty_shop, "inventory", "deliveries") == []


async def test_shelf_is_filled_up_for_an_order_that_finds_too_few(empty_shop: Path) -> None:
    for key, order in (("k", "7"), ("l", "8")):
        with call(key):
            await reserve(order, Line(1, 100))

    assert rows(empty_shop, "inventory", "deliveries") == [(1, 100)]
    assert read(empty_shop, "inventory", "SELECT stock FROM products LIMIT 1") == [(17,)]


async def test_order_that_arrives_after_it_was_cancelled_is_refused(empty_shop: Path) -> None:
    with call("kc"):
        orders.cancel(ORDER)

    with call("k"), pytest.raises(orders.OrderCancelled):
        await orders.create(ORDER)
    assert rows(empty_shop, "orders", "orders") == []


async def test_lost_answer_leaves_the_charge_and_the_next_attempt_finds_it(
    empty_shop: Path,
) -> None:
    key = next(k for k in map(str, range(1000)) if _answer_lost(k))
    with call(key, 1), pytest.raises(ConnectionError):
        await authorize("7", CUSTOMER, Decimal("50.00"))
    with call(key, 2):
        authorization = await authorize("7", CUSTOMER, Decimal("50.00"))

    assert authorization.number == 1
    assert len(rows(empty_shop, "payments", "charges")) == 1


def _answer_lost(key: str) -> bool:
    with call(key, 1) as running:
        return answer_lost(running.facts)
