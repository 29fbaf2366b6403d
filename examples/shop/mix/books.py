"""Balances the books of shipping and purchasing against those of the orders."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from examples.shop.mix.purchasing import LOT
from examples.shop.own_file import read


def violations(directory: Path) -> list[str]:
    """Return every broken rule; the three services of the orders have their own."""
    sold = _units(
        read(
            directory,
            "orders",
            "SELECT product_id, quantity FROM order_lines JOIN endings USING (order_id) "
            "WHERE ending = 'confirmed'",
        )
    )
    bought = _units(read(directory, "purchasing", "SELECT product_id, units FROM purchases"))
    counted = _units(read(directory, "purchasing", "SELECT product_id, units FROM shipped"))
    found = _parcels(directory)
    for product in sorted(sold | counted | bought):
        if counted[product] != sold[product]:
            found.append(
                f"product {product}: {sold[product]} sold, and {counted[product]} left the house"
            )
        if bought[product] != counted[product] // LOT * LOT:
            found.append(
                f"product {product}: {counted[product]} left the house, and {bought[product]} "
                f"were ordered, in lots of {LOT}"
            )
    return found


def _parcels(directory: Path) -> list[str]:
    """Each confirmed order is one parcel, and no other order is any."""
    sent = Counter(
        order for (order,) in read(directory, "shipping", "SELECT order_id FROM parcels")
    )
    confirmed = "SELECT order_id FROM endings WHERE ending = 'confirmed'"
    due = Counter({order for (order,) in read(directory, "orders", confirmed)})
    return [
        f"order {order}: {sent[order]} parcels for {due[order]} confirmed"
        for order in sorted(sent | due)
        if sent[order] != due[order]
    ]


def _units(rows: Iterable[tuple[int, int]]) -> Counter[int]:
    units: Counter[int] = Counter()
    for product, quantity in rows:
        units[product] += quantity
    return units
