"""DBOS Transact: workflows and steps on ordinary async functions, awaited in this process.

A saga is done when the workflow's call returns or raises. Compensation is written by hand, as its
documents do. As installed SQLite has a rollback journal; WAL is a second row, set in the file.
"""

# What it imports is in an environment of its own, which the type checkers of the gate do not see.
# mypy: disable-error-code="import-not-found,untyped-decorator"
# pyright: basic, reportMissingImports=false
# ruff: noqa: ARG001 - everybody's activities take the same

import os
import sqlite3
from importlib.metadata import version
from pathlib import Path

from dbos import DBOS, SetWorkflowID
from sqlalchemy import create_engine, text

from benchmarks.rivals.workers.protocol import Undone, serve, work

undone = Undone()


class OutOfStock(Exception):  # noqa: N818 - an outcome
    pass


@DBOS.step()
async def create(order_id: str, amount: float) -> dict[str, str]:
    return {"order_id": order_id, "status": "created"}


@DBOS.step()
async def authorize(order_id: str, amount: float) -> dict[str, str]:
    return {"order_id": order_id, "authorization": "a-1"}


@DBOS.step()
async def reserve(order_id: str, in_stock: bool) -> dict[str, str]:
    if not in_stock:
        raise OutOfStock("sku-1")
    return {"order_id": order_id, "reservation": "r-1"}


@DBOS.step()
async def discard(order_id: str) -> None:
    undone.note(order_id, "discard")


@DBOS.step()
async def void(order_id: str) -> None:
    undone.note(order_id, "void")


@DBOS.workflow()
async def place_order(order_id: str, amount: float, in_stock: bool) -> dict[str, str]:
    undo = []
    try:
        await create(order_id, amount)
        undo.append(discard)
        authorization = await authorize(order_id, amount)
        undo.append(void)
        await reserve(order_id, in_stock)
    except OutOfStock:
        for step in reversed(undo):
            await step(order_id)
        raise
    return {"order_id": order_id, "authorization": authorization["authorization"]}


async def run(order_id: str, twin: bool) -> None:
    with SetWorkflowID(order_id):
        try:
            await place_order(order_id, 99.5, not twin)
        except OutOfStock:
            if not twin:
                raise
        else:
            assert not twin, "the twin succeeded"
    undone.check(order_id, twin)


def look(url: str) -> str:
    """Return the settings in force on a connection of the database."""
    with create_engine(url).connect() as connection:
        if url.startswith("sqlite"):
            journal = connection.execute(text("PRAGMA journal_mode")).scalar()
            full = connection.execute(text("PRAGMA synchronous")).scalar()
            return f"journal_mode={journal}, synchronous={ {1: 'NORMAL', 2: 'FULL'}.get(full) }"
        values = [
            f"{name}={connection.execute(text(f'SHOW {name}')).scalar()}"
            for name in ("fsync", "synchronous_commit")
        ]
        return ", ".join(values)


async def main(settings: dict[str, str]) -> None:
    """Measure."""
    path = Path(settings["folder"], "dbos.sqlite")
    url = settings.get("url", f"sqlite:///{path}")
    if settings.get("wal"):
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    os.chdir(settings["folder"])
    DBOS(config={"name": "orders", "system_database_url": url, "log_level": "WARNING"})
    DBOS.launch()
    await serve(run, version=version("dbos"), sync=look(url))


if __name__ == "__main__":
    work(main)
