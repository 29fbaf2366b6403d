"""Edda on SQLite: activities with compensations of their own, run by the engine on failure.

A saga is done when `start` returns or, for the twin, raises once the instance is marked as failed;
`start` returns an id, not a result, so the instance's status is not asked again. Its settings for
SQLite are its own: a rollback journal and a pool of 15 connections that cannot be changed. A
compensation gets the keyword arguments of its activity and the items of its result; activities are
therefore called by keyword, since positional arguments would not reach it.
"""

# What it imports is in an environment of its own, which the type checkers of the gate do not see.
# mypy: disable-error-code="import-not-found,untyped-decorator"
# pyright: basic, reportMissingImports=false
# ruff: noqa: ARG001 - everybody's activities take the same

from importlib.metadata import version
from pathlib import Path

from edda import (
    EddaApp,
    TerminalError,
    WorkflowContext,
    activity,
    compensation,
    on_failure,
    workflow,
)
from sqlalchemy import text

from benchmarks.rivals.workers.protocol import Undone, serve, work

undone = Undone()


@compensation
async def discard(ctx: WorkflowContext, order_id: str, amount: float, status: str) -> None:
    undone.note(order_id, "discard")


@activity
@on_failure(discard)
async def create(ctx: WorkflowContext, order_id: str, amount: float) -> dict[str, str]:
    return {"order_id": order_id, "status": "created"}


@compensation
async def void(ctx: WorkflowContext, order_id: str, amount: float, authorization: str) -> None:
    undone.note(order_id, "void")


@activity
@on_failure(void)
async def authorize(ctx: WorkflowContext, order_id: str, amount: float) -> dict[str, str]:
    return {"order_id": order_id, "authorization": "a-1"}


@activity
async def reserve(ctx: WorkflowContext, order_id: str, in_stock: bool) -> dict[str, str]:
    if not in_stock:
        raise TerminalError("out of stock")
    return {"order_id": order_id, "reservation": "r-1"}


@workflow
async def place_order(
    ctx: WorkflowContext, order_id: str, amount: float, in_stock: bool
) -> dict[str, str]:
    await create(ctx, order_id=order_id, amount=amount)
    authorization = await authorize(ctx, order_id=order_id, amount=amount)
    await reserve(ctx, order_id=order_id, in_stock=in_stock)
    return {"order_id": order_id, "authorization": authorization["authorization"]}


async def run(order_id: str, twin: bool) -> None:
    try:
        await place_order.start(order_id=order_id, amount=99.5, in_stock=not twin)
    except TerminalError:
        if not twin:
            raise
    else:
        assert not twin, "the twin succeeded"
    undone.check(order_id, twin)


async def main(settings: dict[str, str]) -> None:
    """Measure."""
    path = Path(settings["folder"], "edda.db")
    app = EddaApp(service_name="orders", db_url=f"sqlite:///{path}")
    await app.initialize()
    async with app.storage.engine.connect() as connection:
        journal = (await connection.execute(text("PRAGMA journal_mode"))).scalar()
        full = (await connection.execute(text("PRAGMA synchronous"))).scalar()
    sync = f"journal_mode={journal}, synchronous={'FULL' if full == 2 else full}"
    await serve(run, version=version("edda-framework"), sync=sync)


if __name__ == "__main__":
    work(main)
