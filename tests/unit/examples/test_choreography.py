"""The reactions of the shop: what they return, and that a key has one effect however often."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from examples.shop import choreography as c
from examples.shop.catalog import Line
from examples.shop.events import (
    OrderConfirmed,
    OrderPlaced,
    OrderRejected,
    PaymentAuthorized,
    PaymentRefunded,
    PaymentRefused,
    StockReserved,
    StockShort,
)
from examples.shop.mix.events import OrderSold, ParcelShipped, StockLow
from examples.shop.mix.purchasing import LOT, count_goods
from examples.shop.mix.shipping import send_parcel
from examples.shop.own_file import read

from counterpoint.testing import attempt

LINES = (Line(1, 10), Line(2, 5))
SHORT = (*LINES, Line(3, 10_000))
FINE_WEATHER = 3


async def twice(reaction: Any, event: Any, key: str) -> Any:
    """Run a reaction as after a crash: again, with the same key; it has to answer alike."""
    answers = []
    for number in (FINE_WEATHER, FINE_WEATHER + 1):
        with attempt(idempotency_key=key, attempt=number):
            answers.append(await reaction(event))
    assert answers[0] == answers[1]
    return answers[0]


def count(shop: Path, service: str, table: str) -> int:
    found: int = read(shop, service, f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608 - constants
    return found


def taken(shop: Path) -> int:
    units: int = read(shop, "inventory", "SELECT sum(opening - stock) FROM products")[0][0]
    return units


def placed(total: str) -> OrderPlaced:
    return OrderPlaced(order_id="7", customer_id="ALFKI", lines=LINES, total=Decimal(total))


def authorized(lines: tuple[Line, ...]) -> PaymentAuthorized:
    return PaymentAuthorized(order_id="7", authorization=1, lines=lines)


async def test_order_is_charged_once(empty_shop: Path) -> None:
    answer = await twice(c.take_payment, placed("50.00"), "k")

    assert answer == authorized(LINES)
    assert count(empty_shop, "payments", "charges") == 1


async def test_order_over_the_limit_is_refused_and_not_charged(empty_shop: Path) -> None:
    answer = await twice(c.take_payment, placed("99999.00"), "k")

    assert isinstance(answer, PaymentRefused)
    assert "over the credit limit" in answer.reason
    assert count(empty_shop, "payments", "charges") == 0
    assert count(empty_shop, "payments", "declines") == 1


async def test_every_line_is_reserved_once_under_one_key(empty_shop: Path) -> None:
    answer = await twice(c.reserve_stock, authorized(LINES), "k")

    assert answer == StockReserved(order_id="7")
    assert count(empty_shop, "inventory", "reservations") == len(LINES)
    assert taken(empty_shop) == 15


async def test_all_is_put_back_once_when_a_line_is_short(empty_shop: Path) -> None:
    answer = await twice(c.reserve_stock, authorized(SHORT), "k")

    assert answer == StockShort(order_id="7", product_ids=(3,))
    assert count(empty_shop, "inventory", "reservations") == len(LINES)
    assert count(empty_shop, "inventory", "releases") == len(LINES)
    assert taken(empty_shop) == 0


async def test_money_is_given_back_once(empty_shop: Path) -> None:
    await twice(c.take_payment, placed("50.00"), "k")
    await twice(c.refund, StockShort(order_id="7", product_ids=(3,)), "l")

    assert read(empty_shop, "payments", "SELECT cents FROM refunds") == [(5000,)]


@pytest.mark.parametrize(
    ("reaction", "event"),
    [
        (c.reject_unpaid, PaymentRefused(order_id="7", reason="too much")),
        (c.reject_short, PaymentRefunded(order_id="7")),
    ],
    ids=["unpaid", "short"],
)
async def test_order_that_came_to_nothing_is_cancelled_once(
    empty_shop: Path, reaction: Any, event: Any
) -> None:
    answer = await twice(reaction, event, "k")

    assert answer == OrderRejected(order_id="7")
    assert read(empty_shop, "orders", "SELECT ending FROM endings") == [("cancelled",)]


async def test_order_is_confirmed_once(empty_shop: Path) -> None:
    answer = await twice(c.confirm_order, StockReserved(order_id="7"), "k")

    assert answer == OrderConfirmed(order_id="7")
    assert read(empty_shop, "orders", "SELECT ending FROM endings") == [("confirmed",)]


async def test_parcel_is_sent_once(empty_shop: Path) -> None:
    answer = await twice(send_parcel, OrderSold(order_id="7", lines=LINES), "k")

    assert answer == ParcelShipped(order_id="7", parcel=1, lines=LINES)
    assert count(empty_shop, "shipping", "parcels") == 1


async def test_goods_of_a_parcel_are_counted_once_and_ordered_by_the_lot(empty_shop: Path) -> None:
    lines = (Line(1, LOT - 1), Line(2, 2 * LOT + 1))
    first = await twice(count_goods, ParcelShipped(order_id="7", parcel=1, lines=lines), "k")
    second = await twice(count_goods, ParcelShipped(order_id="8", parcel=2, lines=lines), "l")

    assert first == [StockLow(product_id=2, units=2 * LOT)]
    assert second == [StockLow(product_id=1, units=LOT), StockLow(product_id=2, units=2 * LOT)]
    assert read(empty_shop, "purchasing", "SELECT product_id, units FROM shipped") == [
        (1, 2 * LOT - 2),
        (2, 4 * LOT + 2),
    ]
