"""A store with recorded executions of a small app, for the commands that read journals."""

import asyncio
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from counterpoint.cli.main import cli
from counterpoint.cli.target import load_app

SHOP = """
import asyncio
from counterpoint import App, BusinessError, Service, workflow

orders = Service("orders")

class Refused(BusinessError):
    why: str

@orders.activity
async def book(order: str) -> str:
    if order == "bad":
        raise Refused(why="no")
    return order

@orders.activity
async def send(order: str) -> str:
    return order + " sent"

@orders.workflow
async def leg(city: str) -> str:
    return await book(city)

@orders.workflow
async def trip(city: str) -> str:
    return await leg(city)

@orders.workflow
async def place(order: str) -> str:
    booked = await book(order)
    total = count(booked)
    both = await asyncio.gather(send(order), send(booked))
    go = await workflow.signal("go", str)
    return booked + go

def count(text: str) -> int:
    length = len(text)
    return length

@orders.workflow
async def poll(seen: int) -> int:
    workflow.set_attributes(seen=seen)
    if seen < 2:
        workflow.continue_as_new(seen + 1)
    return seen

app = App("shop", services=[orders], store="sqlite:///shop.db")
"""
BOOKED = SHOP.splitlines().index("    booked = await book(order)") + 1
"""The number of that line."""
GO = SHOP.splitlines().index('    go = await workflow.signal("go", str)') + 1


def make_shop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the app and its store in *folder*, and go there."""
    (folder / "shop.db").write_bytes(filled())
    enter(folder, monkeypatch)
    return folder


@cache
def filled() -> bytes:
    """Return the store's file; it is recorded once, and each test has a copy."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        enter(Path(folder), patch)
        asyncio.run(fill())
        return (Path(folder) / "shop.db").read_bytes()


def enter(folder: Path, patch: pytest.MonkeyPatch) -> None:
    (folder / "shop.py").write_text(SHOP)
    patch.chdir(folder)
    patch.setattr(sys, "path", [str(folder), *sys.path])
    patch.setattr(sys, "modules", dict(sys.modules))
    patch.setenv("COUNTERPOINT_APP", "shop:app")
    sys.modules.pop("shop", None)


async def fill() -> None:
    """Record `done`, `waiting`, `refused`, `trip` with its child, and `poll` in three runs."""
    app: Any = load_app("shop:app")
    start = {name.partition(".")[2]: found for name, found in app.registry.workflows.items()}
    async with app:
        for name in ("done", "waiting"):
            await app.start(start["place"], name, id=name)
            await app.idle(30)
        await app.execution("done").signal("go", "!")
        await app.start(start["place"], "bad", id="refused")
        await app.start(start["trip"], "Rome", id="trip")
        await app.idle(30)
        await app.start(start["poll"], 0, id="poll")
        await app.idle(30)


def change_code(folder: Path, old: str, new: str) -> None:
    """Deploy other code."""
    source = folder / "shop.py"
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new))
    sys.modules.pop("shop", None)


def counterpoint(*args: str, stdin: str | None = None) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(cli, args, input=stdin, env={"COLUMNS": "200"})
