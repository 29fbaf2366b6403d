"""The unit of work: the order saga, three activities that return a small dict, and its twin.

The failing twin is the same saga whose third activity raises a business error, so that the first
two are undone. Activities do nothing, so that what is measured is the engine.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from counterpoint import App, BusinessError, ExecutionFailed, Service

orders, payments, inventory = Service("orders"), Service("payments"), Service("inventory")


class OutOfStock(BusinessError):  # noqa: N818 - an outcome
    """The stock does not suffice."""

    sku: str


@orders.activity
async def create(order_id: str, amount: float) -> dict[str, str]:  # noqa: ARG001
    return {"order_id": order_id, "status": "created"}


@create.compensation
async def discard(order_id: str) -> None:
    """Undo `create`."""


@payments.activity
async def authorize(order_id: str, amount: float) -> dict[str, str]:  # noqa: ARG001
    return {"order_id": order_id, "authorization": "a-1"}


@authorize.compensation
async def void(order_id: str, result: dict[str, str] | None) -> None:
    """Undo `authorize`."""


@inventory.activity
async def reserve(order_id: str, in_stock: bool) -> dict[str, str]:
    if not in_stock:
        raise OutOfStock(sku="sku-1")
    return {"order_id": order_id, "reservation": "r-1"}


@orders.saga
async def place_order(order_id: str, amount: float, in_stock: bool) -> dict[str, str]:
    await create(order_id, amount)
    authorization = await authorize(order_id, amount)
    await reserve(order_id, in_stock)
    return {"order_id": order_id, "authorization": authorization["authorization"]}


def make_app(where: Path | str, *, hosts: Sequence[str] | None = None) -> App:
    """Return the app on the SQLite file at a path, or on the store of a URL."""
    store = where if isinstance(where, str) else f"sqlite:///{where}"
    hosted: dict[str, Any] = {} if hosts is None else {"hosts": list(hosts)}
    return App("orders", services=[orders, payments, inventory], store=store, **hosted)


async def run_saga(app: App, order_id: str) -> None:
    """Run one order that succeeds."""
    await app.run(place_order, order_id, 99.5, True, id=order_id)


async def run_twin(app: App, order_id: str) -> None:
    """Run one order that is undone."""
    try:
        await app.run(place_order, order_id, 99.5, False, id=order_id)
    except ExecutionFailed as failed:
        if failed.status != "compensated":
            raise
    else:
        raise AssertionError("the twin succeeded")
