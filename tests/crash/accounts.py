"""The books of the services: money and goods, by the effects in the ledger."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
from tests.crash.evidence import Evidence
from tests.crash.flow import STOCK, OrderClosed, OrderPlaced

from counterpoint.authoring.event import contract_of

ORDER = contract_of(OrderPlaced).type
CLOSED = contract_of(OrderClosed).type
STUCK = "stuck behind a dead letter"


@dataclass
class Account:
    """What was done for one order."""

    charged: int = 0
    refunded: int = 0
    reserved: int = 0
    shipped: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """How often each effect was had, under keys of their own."""


def check(evidence: Evidence) -> Iterator[str]:
    """Return what does not balance."""
    accounts = _accounts(evidence)
    closed = _closed(evidence)
    stock: Counter[str] = Counter()
    for event in evidence.stored.events:
        if event.type != ORDER:
            continue
        order = msgspec.json.decode(event.data)
        account = accounts.pop(event.key, Account())
        for what, count in account.counts.items():
            if count > 1 and what not in ("audit", "answer"):
                yield f"order {event.key}: {count} times {what}"
        stock[order["product"]] += account.reserved
        yield from _order(event.key, order, account, closed.get(event.key, []))
    for order_id in accounts:
        yield f"something was done for order {order_id}, which was never placed"
    for product, reserved in stock.items():
        if reserved > STOCK:
            yield f"{reserved} of {product} are reserved, and there were {STOCK}"


def outcomes(evidence: Evidence) -> Counter[str]:
    """Return how many orders ended how."""
    closed = _closed(evidence)
    orders = [event.key for event in evidence.stored.events if event.type == ORDER]
    hows = [(closed.get(key) or [STUCK])[0] for key in orders]
    counted = {f"  {how}": hows.count(how) for how in ("confirmed", "refused", "undone", STUCK)}
    return Counter({"orders": len(orders), **counted})


def _closed(evidence: Evidence) -> dict[str, list[str]]:
    closed: dict[str, list[str]] = {}
    for event in evidence.stored.events:
        if event.type == CLOSED:
            closed.setdefault(event.key, []).append(msgspec.json.decode(event.data)["how"])
    return closed


def _accounts(evidence: Evidence) -> dict[str, Account]:
    accounts: dict[str, Account] = {}
    for line in evidence.ledger:
        if line["do"] != "effect" or "order" not in line:
            continue
        account = accounts.setdefault(line["order"], Account())
        account.counts[line["what"]] += 1
        match line["what"]:
            case "charge":
                account.charged += line["cents"]
            case "refund":
                account.refunded += line["cents"]
            case "reserve":
                account.reserved += line["quantity"]
            case "ship":
                account.shipped += line["quantity"]
            case _:
                pass
    return accounts


def _order(
    key: str, order: Mapping[str, int], account: Account, closed: list[str]
) -> Iterator[str]:
    """Compare what was done for an order with what became of it."""
    paid = account.charged - account.refunded
    match closed:
        case ["confirmed"]:
            expected = order["cents"], order["quantity"], order["quantity"]
        case ["refused"] | ["undone"]:
            expected = 0, 0, 0
        case []:
            if paid not in (0, order["cents"]):
                yield f"order {key} is stuck, and {paid} cents were paid of {order['cents']}"
            return
        case _:
            yield f"order {key} was closed {len(closed)} times: {closed}"
            return
    if (paid, account.reserved, account.shipped) != expected:
        yield (
            f"order {key} is {closed[0]}: {paid} cents paid, {account.reserved} reserved, "
            f"{account.shipped} shipped, and not {expected}"
        )
