"""A store with events, dead letters and a parked event, where no node runs, for the commands."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from counterpoint.cli.main import cli
from counterpoint.cli.target import load_app, open_client, resolve

SHOP = """
from counterpoint import App, Event, Retry, Service

orders, shipping = Service("orders"), Service("shipping")

@orders.event(key="order_id")
class Ordered(Event):
    \"\"\"Somebody ordered something.\"\"\"
    order_id: str
    quantity: int

@shipping.on(Ordered, retry=Retry(max_attempts=1))
async def pack(event: Ordered) -> None:
    if event.quantity < 1:
        raise ValueError(f"nothing to pack for {event.order_id}")

app = App("shop", services=[orders, shipping], store="sqlite:///shop.db")
"""
QUANTITIES = [("a", 0), ("a", 2), ("b", 0), ("c", 1)]
"""The events of the log: two dead letters, and one event that waits behind the first."""


def make_filled(directory: Path) -> Path:
    """Run a node until the reactions have done what they can; `copy_shop` is for each test."""
    (directory / "shop.py").write_text(SHOP)
    with pytest.MonkeyPatch.context() as patch:
        enter(directory, patch)
        asyncio.run(fill())
    return directory


async def fill() -> None:
    app: Any = load_app("shop:app")
    ordered = app.registry.contracts["orders.Ordered"].event_class
    async with app:
        for number, (order, quantity) in enumerate(QUANTITIES, 1):
            await app.publish(ordered(order_id=order, quantity=quantity), id=f"e-{number}")
        await app.idle(30)


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


def counterpoint(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=stdin, env={"COLUMNS": "300"})


def lines(*arguments: str) -> list[Any]:
    result = counterpoint(*arguments)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


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


def run_node() -> None:
    """Let a node take what was posted, and stop."""

    async def host() -> None:
        app: Any = load_app("shop:app")
        async with app:
            await app.idle(30)

    asyncio.run(host())


FIRST, SECOND = "shipping.pack:orders/e-1", "shipping.pack:orders/e-3"
