"""The three forms of the order process: how an order begins in each, and when it has ended."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from counterpoint import App, Client

from examples.shop.app import (
    checked_out,
    execution_id,
    make_app,
    make_mixed_app,
    order_placed,
    place_order,
)
from examples.shop.catalog import Order
from examples.shop.own_file import read


@dataclass(frozen=True)
class Form:
    """One way to run the same orders; every flow has the id `execution_id(order)`."""

    name: str
    make_app: Callable[[Path], App]
    submit: Callable[[Client, Order], Awaitable[object]]
    """Durable once it returns; submitting an order twice is submitting it once."""
    flows: str
    """The query of the store for (flow, when it began, when it ended or null), in microseconds."""

    def ended(self, directory: Path) -> set[str]:
        """Return the flows that have ended."""
        return {flow for flow, _, ended in self.times(directory) if ended is not None}

    def begun(self, directory: Path) -> set[str]:
        """Return the flows that have begun."""
        return {flow for flow, _, _ in self.times(directory)}

    def times(self, directory: Path) -> list[tuple[str, int, int | None]]:
        """Return what `flows` says."""
        return read(directory, "counterpoint", self.flows)


async def _start(client: Client, order: Order) -> None:
    await client.start(place_order, order, id=execution_id(order))


async def _place(client: Client, order: Order) -> None:
    await client.publish(order_placed(order), id=execution_id(order))


async def _check_out(client: Client, order: Order) -> None:
    await client.publish(checked_out(order), id=execution_id(order))


ORCHESTRATED = Form(
    "orchestrated",
    make_app,
    _start,
    "SELECT id, created_at, finished_at FROM executions WHERE name = 'orders.place_order'",
)
CHOREOGRAPHED = Form(
    "choreographed",
    make_app,
    _place,
    "SELECT first.id, first.recorded_at, last.recorded_at FROM events AS first "
    "LEFT JOIN events AS last ON last.key = first.key "
    "AND last.type IN ('orders.OrderConfirmed', 'orders.OrderRejected') "
    "WHERE first.type = 'orders.OrderPlaced'",
)
MIXED = Form(
    "mixed",
    make_mixed_app,
    _check_out,
    "SELECT first.id, first.recorded_at, sale.finished_at FROM events AS first "
    "LEFT JOIN executions AS sale ON sale.correlation_id = first.correlation_id "
    "AND sale.name = 'sales.sell' WHERE first.type = 'sales.CheckedOut'",
)
FORMS = (ORCHESTRATED, CHOREOGRAPHED, MIXED)
