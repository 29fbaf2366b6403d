"""A store with executions that need a person, where no node runs, for the commands that help."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.hearing import hearing
from typer.testing import CliRunner, Result

from counterpoint.cli.main import cli
from counterpoint.cli.target import load_app, open_client, resolve

SHOP = """
from dataclasses import dataclass
from datetime import timedelta
from counterpoint import App, BusinessError, Retry, Service, workflow

orders, payments = Service("orders"), Service("payments")

@dataclass
class Receipt:
    number: str

class Declined(BusinessError):
    reason: str
    limit: int = 0

@orders.activity
async def create(order: str) -> str:
    return order

hour = timedelta(hours=1)

@create.compensation(retry=Retry(max_attempts=1, first=hour, cap=hour))
async def discard(order: str) -> None:
    raise ConnectionError("the desk is closed")

@payments.activity(at_most_once=True)
async def charge(order: str) -> Receipt:
    raise ConnectionError("no answer")

@payments.activity(at_most_once=True)
async def note(order: str) -> str:
    raise ConnectionError("no answer")

@payments.activity(at_most_once=True)
async def ring(order: str) -> None:
    raise ConnectionError("no answer")

@orders.saga
async def place(order: str) -> str:
    workflow.set_attributes(customer="c-1")
    await create(order)
    return (await charge(order)).number

@orders.saga
async def undone(order: str) -> None:
    await create(order)
    raise ValueError("no")

@orders.workflow
async def noted(order: str) -> str:
    return await note(order)

@orders.workflow
async def twice(order: str) -> None:
    import asyncio
    await asyncio.gather(ring(order), ring(order))

@orders.workflow
async def family(order: str) -> str:
    return await noted(order)

@orders.workflow
async def done(order: str) -> str:
    await create(order)
    return await create(order)

app = App("shop", services=[orders, payments], store="sqlite:///shop.db")
"""
STARTED = {
    "pay": "place",
    "undo": "undone",
    "note": "noted",
    "two": "twice",
    "top": "family",
    "end": "done",
}
INCIDENTS = 6
"""One of each but `end`; `two` has one for each of its calls, and that of `top` is its child's."""


def make_filled(directory: Path) -> Path:
    """Run an execution of each workflow as far as it can; `copy_shop` is for each test."""
    (directory / "shop.py").write_text(SHOP)
    with pytest.MonkeyPatch.context() as patch:
        enter(directory, patch)
        asyncio.run(fill())
    return directory


async def fill() -> None:
    app: Any = load_app("shop:app")
    async with app:
        async with hearing("incident in", times=INCIDENTS):
            for id, name in STARTED.items():
                await app.start(app.registry.workflows[f"orders.{name}"], id, id=id)
        await app.execution("end").result(30)


def copy_shop(filled: Path, directory: Path, patch: pytest.MonkeyPatch) -> Path:
    for name in ("shop.py", "shop.db"):
        (directory / name).write_bytes((filled / name).read_bytes())
    enter(directory, patch)
    return directory


def enter(directory: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(directory)
    patch.setattr(sys, "path", [str(directory), *sys.path])
    patch.setattr(sys, "modules", dict(sys.modules))
    sys.modules.pop("shop", None)  # of another test
    patch.setenv("COUNTERPOINT_APP", "shop:app")
    patch.setattr("counterpoint.cli.posting.PATIENCE_SECONDS", 0.01)


def counterpoint(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, env={"COLUMNS": "300"})


def posted() -> list[dict[str, Any]]:
    """Return what waits for a node: what was given, without what was left open."""

    async def read() -> list[dict[str, Any]]:
        async with open_client(resolve("shop:app", None)) as client:
            return [
                {"id": one.execution_id, "kind": one.kind, **one.detail}
                async for one in client.posted()
            ]

    letters = asyncio.run(read())
    return [{k: v for k, v in one.items() if v not in (None, False)} for one in letters]
