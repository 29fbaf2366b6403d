"""dura: tasks of checkpoints on SQLite, taken from a queue by threads.

A saga is done when the engine's own record says that its task has completed; it is asked as soon as
the handler is over. Workers look for work every millisecond instead of every second. Failures are
not recorded, so the handler undoes by hand and returns what became of the order.
"""

# What it imports is in an environment of its own, which the type checkers of the gate do not see.
# mypy: disable-error-code="import-not-found,untyped-decorator"
# pyright: basic, reportMissingImports=false

import asyncio
import threading
from functools import partial
from importlib.metadata import version
from pathlib import Path

from dura import ClaimedTask, DurableEngine, run_worker

from benchmarks.rivals.workers.protocol import Undone, serve, work

undone = Undone()

WORKERS = 2
"""As in its quick start; 1, 4 and 8 were not clearly better here."""
POLL_SECONDS = 0.001


class OutOfStock(Exception):  # noqa: N818 - an outcome
    pass


def create(order_id: str) -> dict[str, str]:
    return {"order_id": order_id, "status": "created"}


def authorize(order_id: str) -> dict[str, str]:
    return {"order_id": order_id, "authorization": "a-1"}


def reserve(order_id: str, in_stock: bool) -> dict[str, str]:
    if not in_stock:
        raise OutOfStock("sku-1")
    return {"order_id": order_id, "reservation": "r-1"}


def undo(order_id: str, name: str) -> None:
    undone.note(order_id, name)


def place_order(engine: DurableEngine, task: ClaimedTask) -> dict[str, str]:
    order_id, in_stock = task.params["order_id"], task.params["in_stock"]
    step, task_id, undone_by = engine.checkpoint, task.task_id, []
    try:
        step(task_id=task_id, step_name="create", fn=lambda: create(order_id))
        undone_by.append("discard")
        authorization = step(task_id=task_id, step_name="authorize", fn=lambda: authorize(order_id))
        undone_by.append("void")
        step(task_id=task_id, step_name="reserve", fn=lambda: reserve(order_id, in_stock))
    except OutOfStock:
        for name in reversed(undone_by):
            step(task_id=task_id, step_name=name, fn=partial(undo, order_id, name))
        return {"order_id": order_id, "status": "compensated"}
    return {"order_id": order_id, "status": "placed", **authorization}


async def main(settings: dict[str, str]) -> None:
    """Measure."""
    loop = asyncio.get_running_loop()
    engine = DurableEngine(Path(settings["folder"], "dura.db"))
    over: dict[str, asyncio.Event] = {}
    stop = threading.Event()

    def handler(engine: DurableEngine, task: ClaimedTask) -> dict[str, str]:
        try:
            return place_order(engine, task)
        finally:
            loop.call_soon_threadsafe(over[task.params["order_id"]].set)

    async def run(order_id: str, twin: bool) -> None:
        event = over[order_id] = asyncio.Event()
        params = {"order_id": order_id, "in_stock": not twin}
        task_id = engine.spawn_task(name="place-order", params=params).task_id
        await event.wait()
        del over[order_id]
        while (seen := engine.get_task(task_id)).state in ("pending", "running"):  # noqa: ASYNC110
            await asyncio.sleep(0.0005)
        assert seen.state == "completed", seen
        assert seen.result["status"] == ("compensated" if twin else "placed"), seen
        undone.check(order_id, twin)

    for number in range(WORKERS):
        named = {"worker_id": f"worker-{number}", "handlers": {"place-order": handler}}
        asked = {"stop_event": stop, "poll_interval": POLL_SECONDS, **named}
        threading.Thread(target=run_worker, args=(engine,), kwargs=asked, daemon=True).start()
    ask = engine._conn().execute  # noqa: SLF001 - only its own connection knows
    journal, full = (
        ask(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
    )
    sync = f"journal_mode={journal}, synchronous={'FULL' if full == 2 else full}"
    await serve(run, version=version("dura"), sync=sync)
    stop.set()


if __name__ == "__main__":
    work(main)
