"""Temporal's development server on a file; worker and client in this process, sandbox as it comes.

A saga is done when `execute_workflow` returns or raises. Compensation is written by hand, as its
samples do. The development server is documented as not meant for production.
"""

# What it imports is in an environment of its own, which the type checkers of the gate do not see.
# mypy: disable-error-code="import-not-found,untyped-decorator"
# pyright: basic, reportMissingImports=false
# ruff: noqa: ARG001 - everybody's activities take the same

import subprocess
import sys
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from benchmarks.rivals.workers.protocol import Undone, serve, work

undone = Undone()
AT_MOST = timedelta(seconds=30)


@activity.defn
async def create(order_id: str, amount: float) -> dict[str, str]:
    return {"order_id": order_id, "status": "created"}


@activity.defn
async def authorize(order_id: str, amount: float) -> dict[str, str]:
    return {"order_id": order_id, "authorization": "a-1"}


@activity.defn
async def reserve(order_id: str, in_stock: bool) -> dict[str, str]:
    if not in_stock:
        raise ApplicationError("out of stock", non_retryable=True)
    return {"order_id": order_id, "reservation": "r-1"}


@activity.defn
async def discard(order_id: str) -> None:
    undone.note(order_id, "discard")


@activity.defn
async def void(order_id: str) -> None:
    undone.note(order_id, "void")


@workflow.defn
class PlaceOrder:
    @workflow.run
    async def run(self, order_id: str, amount: float, in_stock: bool) -> dict[str, str]:
        undo = []
        call = workflow.execute_activity
        try:
            await call(create, args=[order_id, amount], start_to_close_timeout=AT_MOST)
            undo.append(discard)
            authorization = await call(
                authorize, args=[order_id, amount], start_to_close_timeout=AT_MOST
            )
            undo.append(void)
            await call(reserve, args=[order_id, in_stock], start_to_close_timeout=AT_MOST)
        except ActivityError:
            for step in reversed(undo):
                await call(step, args=[order_id], start_to_close_timeout=AT_MOST)
            raise
        return {"order_id": order_id, "authorization": authorization["authorization"]}


def look() -> str:
    """Return the versions."""
    asked = [str(Path(sys.executable).with_name("temporal")), "--version"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    return f"sdk {version('temporalio')}, {' '.join(said[2:])}"


async def main(settings: dict[str, str]) -> None:
    """Measure."""
    client = await Client.connect(settings["address"])

    async def run(order_id: str, twin: bool) -> None:
        order = [order_id, 99.5, not twin]
        try:
            await client.execute_workflow(
                PlaceOrder.run, args=order, id=order_id, task_queue="orders"
            )
        except WorkflowFailureError:
            if not twin:
                raise
        else:
            assert not twin, "the twin succeeded"
        undone.check(order_id, twin)

    steps = [create, authorize, reserve, discard, void]
    async with Worker(client, task_queue="orders", workflows=[PlaceOrder], activities=steps):
        await serve(run, version=look(), sync="SQLite in the server, its own settings")


if __name__ == "__main__":
    work(main)
