"""Restate's side of the order saga: a service behind an ASGI server, called by Restate's server.

Compensation is written by hand, as its documents do. The error of the twin says what was undone.
"""

# What it imports is in an environment of its own, which the type checkers of the gate do not see.
# mypy: disable-error-code="import-not-found,untyped-decorator"
# pyright: basic, reportMissingImports=false
# ruff: noqa: ARG001 - everybody's activities take the same

from typing import TypedDict

import restate
from restate.exceptions import TerminalError

TERMINAL_STATUS = 409


class Order(TypedDict):
    order_id: str
    amount: float
    in_stock: bool


async def create(order_id: str, amount: float) -> dict[str, str]:
    return {"order_id": order_id, "status": "created"}


async def authorize(order_id: str, amount: float) -> dict[str, str]:
    return {"order_id": order_id, "authorization": "a-1"}


async def reserve(order_id: str, in_stock: bool) -> dict[str, str]:
    if not in_stock:
        raise TerminalError("out of stock", status_code=TERMINAL_STATUS)
    return {"order_id": order_id, "reservation": "r-1"}


async def discard(order_id: str) -> str:
    return "discard"


async def void(order_id: str) -> str:
    return "void"


orders = restate.Service("orders")


@orders.handler()
async def place(ctx: restate.Context, order: Order) -> dict[str, str]:
    order_id, amount = order["order_id"], order["amount"]
    undo = []
    try:
        await ctx.run_typed("create", create, order_id=order_id, amount=amount)
        undo.append(discard)
        authorization = await ctx.run_typed(
            "authorize", authorize, order_id=order_id, amount=amount
        )
        undo.append(void)
        await ctx.run_typed("reserve", reserve, order_id=order_id, in_stock=order["in_stock"])
    except TerminalError as error:
        undone = [
            await ctx.run_typed(step.__name__, step, order_id=order_id) for step in reversed(undo)
        ]
        raise TerminalError(" ".join([*undone, str(error)]), status_code=TERMINAL_STATUS) from error
    return {"order_id": order_id, "authorization": authorization["authorization"]}


app = restate.app(services=[orders])
