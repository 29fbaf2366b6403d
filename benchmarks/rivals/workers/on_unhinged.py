"""unhinged: tasks of memoised steps on SQLite, taken from a queue by a worker on the same loop.

A saga is done when the queue's own record says that its task has completed. It is asked as soon as
the handler is over instead of by the package's back-off of 50 ms and more, and the worker looks for
work every millisecond instead of four times a second: both favour it. Failures are not recorded,
so the handler undoes by hand and returns what became of the order.
"""

# What it imports is in an environment of its own, which the type checkers of the gate do not see.
# mypy: disable-error-code="import-not-found,untyped-decorator"
# pyright: basic, reportMissingImports=false

import asyncio
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unhinged.aio import AsyncTaskContext, AsyncUnhinged

from benchmarks.rivals.workers.protocol import Undone, serve, work

undone = Undone()


class OutOfStock(Exception):  # noqa: N818 - an outcome
    pass


async def create(order_id: str) -> dict[str, str]:
    return {"order_id": order_id, "status": "created"}


async def authorize(order_id: str) -> dict[str, str]:
    return {"order_id": order_id, "authorization": "a-1"}


async def reserve(order_id: str, in_stock: bool) -> dict[str, str]:
    if not in_stock:
        raise OutOfStock("sku-1")
    return {"order_id": order_id, "reservation": "r-1"}


async def undo(order_id: str, name: str) -> None:
    undone.note(order_id, name)


async def place_order(params: dict[str, Any], ctx: AsyncTaskContext) -> dict[str, str]:
    order_id, undone_by = params["order_id"], []
    try:
        await ctx.step("create", lambda: create(order_id))
        undone_by.append("discard")
        authorization = await ctx.step("authorize", lambda: authorize(order_id))
        undone_by.append("void")
        await ctx.step("reserve", lambda: reserve(order_id, params["in_stock"]))
    except OutOfStock:
        for name in reversed(undone_by):
            await ctx.step(name, partial(undo, order_id, name))
        return {"order_id": order_id, "status": "compensated"}
    return {"order_id": order_id, "status": "placed", **authorization}


async def main(settings: dict[str, str]) -> None:
    """Measure."""
    app = AsyncUnhinged(str(Path(settings["folder"], "unhinged.db")), queue_name="orders")
    over: dict[str, asyncio.Event] = {}

    async def handler(params: dict[str, Any], ctx: AsyncTaskContext) -> dict[str, str]:
        try:
            return await place_order(params, ctx)
        finally:
            over[ctx.task_id].set()

    app.register_task("place-order")(handler)

    async def run(order_id: str, twin: bool) -> None:
        task_id = app.spawn("place-order", {"order_id": order_id, "in_stock": not twin})["task_id"]
        event = over[task_id] = asyncio.Event()
        await event.wait()
        del over[task_id]
        while not (seen := app.fetch_task_result(task_id)).terminal:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert seen.state == "completed", seen
        assert seen.result["status"] == ("compensated" if twin else "placed"), seen
        undone.check(order_id, twin)

    worker = asyncio.create_task(app.start_worker(concurrency=100, poll_interval=0.001))
    ask = app.engine._conn.execute  # noqa: SLF001 - only its own connection knows
    journal, full = (
        ask(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
    )
    sync = f"journal_mode={journal}, synchronous={'FULL' if full == 2 else full}"
    await serve(run, version=version("unhinged"), sync=sync)
    worker.cancel()


if __name__ == "__main__":
    work(main)
