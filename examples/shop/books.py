"""Balances the books of the three services, from nothing but their own files.

`python -m examples.shop.books DIR` prints the verdict; its exit code is 0 if the books balance.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from examples.shop.own_file import folder, read

T = TypeVar("T")

Report: TypeAlias = Callable[[str], None]
ByOrder: TypeAlias = defaultdict[str, list[T]]
Units: TypeAlias = tuple[int, int]
"""A product and so many units of it."""


@dataclass
class Verdict:
    """What the books say; `violations` names every broken rule, and for which order or product."""

    confirmed: int = 0
    declined: int = 0
    undone: int = 0
    charged_cents: int = 0
    returned_cents: int = 0
    reserved_units: int = 0
    outcomes: dict[str, str] = field(default_factory=dict)
    """`confirmed`, `declined` or `undone`, by order."""
    violations: list[str] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        """Whether no rule is broken."""
        return not self.violations

    @property
    def orders(self) -> int:
        """Orders that ended in exactly one way."""
        return self.confirmed + self.declined + self.undone


@dataclass
class Books:
    """The rows of the three files, by order."""

    totals: dict[str, int]
    lines: ByOrder[Units]
    endings: ByOrder[str]
    charges: ByOrder[int]
    refunds: ByOrder[int]
    declines: ByOrder[str]
    shortages: ByOrder[int]
    reservations: ByOrder[Units]
    releases: ByOrder[Units]
    products: dict[int, Units]
    """Stock at the start and now."""
    deliveries: Counter[int]


def check(directory: Path) -> Verdict:
    """Return the verdict on the files in *directory*."""
    books = _read(directory)
    verdict = Verdict()
    known = books.totals.keys() | books.endings.keys()
    for order in sorted(known):
        _check_order(books, order, verdict)
    for what, rows in (
        ("charge", books.charges),
        ("refund", books.refunds),
        ("reservation", books.reservations),
        ("release", books.releases),
    ):
        for order in sorted(rows.keys() - known):
            verdict.violations.append(f"order {order}: a {what} for an order that nobody knows")
    _check_stock(books, verdict)
    verdict.charged_cents = sum(sum(cents) for cents in books.charges.values())
    verdict.returned_cents = sum(sum(cents) for cents in books.refunds.values())
    _check_money(books, verdict)
    return verdict


def _check_order(books: Books, order: str, verdict: Verdict) -> None:
    def violated(rule: str) -> None:
        verdict.violations.append(f"order {order}: {rule}")

    endings = books.endings[order]
    if len(endings) != 1:
        how = "never ended" if not endings else "ended as " + " and ".join(endings)
        violated(f"{how}, not in exactly one way")
        return
    declined = len(books.declines[order])
    if declined and endings == ["confirmed"]:
        violated("confirmed although its payment was declined")
    elif endings == ["confirmed"]:
        verdict.confirmed += 1
        verdict.outcomes[order] = "confirmed"
        _check_confirmed(books, order, violated)
    elif declined:
        verdict.declined += 1
        verdict.outcomes[order] = "declined"
        if declined > 1:
            violated(f"declined {declined} times")
        if books.charges[order] or books.refunds[order]:
            violated("declined, and yet money moved")
        if books.reservations[order]:
            violated("declined, and yet stock was reserved")
    else:
        verdict.undone += 1
        verdict.outcomes[order] = "undone"
        _check_undone(books, order, violated)


def _check_confirmed(books: Books, order: str, violated: Report) -> None:
    charges = books.charges[order]
    if charges != [books.totals.get(order)]:
        violated(f"confirmed, but charged {charges} and not once {books.totals.get(order)} cents")
    if books.refunds[order]:
        violated("confirmed, and yet its charge was returned")
    if sorted(books.reservations[order]) != sorted(books.lines[order]):
        violated(
            f"confirmed, but {books.reservations[order]} (product, units) was reserved, "
            f"and not each of {books.lines[order]} once"
        )
    if books.releases[order]:
        violated("confirmed, and yet a reservation was released")


def _check_undone(books: Books, order: str, violated: Report) -> None:
    charges, refunds = books.charges[order], books.refunds[order]
    if len(charges) > 1:
        violated(f"charged {len(charges)} times")
    if sorted(charges) != sorted(refunds):
        violated(f"undone, but charges of {charges} were returned as {refunds} cents")
    held, back = books.reservations[order], books.releases[order]
    if len({product for product, _ in held}) != len(held):
        violated("a product was reserved more than once")
    if sorted(held) != sorted(back):
        violated(f"undone, but reservations {held} were released as {back}")
    if (held or books.shortages[order]) and not charges:
        violated("stock was reserved for it before it was paid")


def _check_stock(books: Books, verdict: Verdict) -> None:
    held: Counter[int] = Counter()
    for rows in books.reservations.values():
        for product, quantity in rows:
            held[product] += quantity
    for rows in books.releases.values():
        for product, quantity in rows:
            held[product] -= quantity
    for product, (opening, stock) in sorted(books.products.items()):
        there = opening + books.deliveries[product]
        if there != stock + held[product]:
            verdict.violations.append(
                f"product {product}: {opening} at the start and {books.deliveries[product]} "
                f"delivered are not {stock} left and {held[product]} reserved"
            )
        if stock < 0:
            verdict.violations.append(f"product {product}: the stock is {stock}")
    verdict.reserved_units = held.total()


def _check_money(books: Books, verdict: Verdict) -> None:
    sold = sum(
        books.totals.get(order, 0)
        for order, endings in books.endings.items()
        if endings == ["confirmed"]
    )
    if sold != verdict.charged_cents - verdict.returned_cents:
        verdict.violations.append(
            f"the till: {verdict.charged_cents} cents charged and {verdict.returned_cents} "
            f"returned are not the {sold} of the confirmed orders"
        )


def _read(directory: Path) -> Books:
    def rows(service: str, columns: str, table: str) -> list[tuple[Any, ...]]:
        return read(directory, service, f"SELECT {columns} FROM {table}")  # noqa: S608 - constants

    def by_order(service: str, columns: str, table: str) -> ByOrder[Any]:
        found: ByOrder[Any] = defaultdict(list)
        for order, *rest in rows(service, f"order_id, {columns}", table):
            found[order].append(tuple(rest) if len(rest) > 1 else rest[0])
        return found

    deliveries: Counter[int] = Counter()
    for product, quantity in rows("inventory", "product_id, quantity", "deliveries"):
        deliveries[product] += quantity
    return Books(
        totals=dict(rows("orders", "order_id, total_cents", "orders")),
        lines=by_order("orders", "product_id, quantity", "order_lines"),
        endings=by_order("orders", "ending", "endings"),
        charges=by_order("payments", "cents", "charges"),
        refunds=by_order("payments", "cents", "refunds"),
        declines=by_order("payments", "reason", "declines"),
        shortages=by_order("inventory", "product_id", "shortages"),
        reservations=by_order("inventory", "product_id, quantity", "reservations"),
        releases=by_order("inventory", "product_id, quantity", "releases"),
        products={
            product: (opening, stock)
            for product, opening, stock in rows(
                "inventory", "product_id, opening, stock", "products"
            )
        },
        deliveries=deliveries,
    )


def main() -> int:
    """Print the verdict on the folder that the command line names."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else folder()
    if not (directory / "orders.db").exists():
        print(f"{directory} has no books: name the folder of a shop", file=sys.stderr)
        return 2
    verdict = check(directory)
    print(
        f"{verdict.orders} orders: {verdict.confirmed} confirmed, {verdict.declined} declined, "
        f"{verdict.undone} undone"
    )
    for violation in verdict.violations:
        print(f"  {violation}")
    print("the books balance" if verdict.balanced else "the books do not balance")
    return 0 if verdict.balanced else 1


if __name__ == "__main__":
    sys.exit(main())
