"""`counterpoint draw`, and the diagrams of `counterpoint show`."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from counterpoint.cli.main import cli
from counterpoint.cli.target import load_app

SHOP = """
from counterpoint import App, Service

orders, other = Service("orders"), Service("other")

@orders.activity
async def book(order: str) -> str:
    return order

@orders.workflow
async def place(order: str) -> str:
    return await book(order)

@orders.workflow
async def again(order: str) -> str:
    return order

@other.workflow(name="other.again")
async def once_more(order: str) -> str:
    return order

app = App("shop", services=[orders, other], store="sqlite:///shop.db")
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "drawn_shop.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setenv("COUNTERPOINT_APP", "drawn_shop:app")
    return tmp_path


def counterpoint(*args: str) -> Result:
    return CliRunner().invoke(cli, args, env={"COLUMNS": "200"})


def test_draw_writes_mermaid_unless_asked_otherwise(shop: Path) -> None:
    result = counterpoint("draw", "orders.place")

    assert result.exit_code == 0
    assert result.stdout == (
        """\
flowchart TD
  n1(["orders.place(order)<br/>workflow"])
  n2["orders.book"]
  n3(["ends: await book(order)"]):::ended
  n1 --> n2
  n2 --> n3
  classDef ended stroke-width: 3px
"""
    )


def test_draw_takes_the_last_part_of_a_name_where_it_is_clear(shop: Path) -> None:
    clear = counterpoint("draw", "place", "--format", "plantuml")
    unclear = counterpoint("draw", "again")

    assert clear.stdout.startswith("@startuml\ntitle orders.place(order)")
    assert "'again' may be orders.again or other.again" in unclear.stderr
    assert unclear.exit_code == 2


def test_draw_lists_what_exists_where_a_workflow_does_not(shop: Path) -> None:
    result = counterpoint("draw", "orders.plase")

    assert result.exit_code == 3
    assert "no workflow 'orders.plase'; it has orders.again, orders.place, other.again" in (
        result.stderr
    )


def test_draw_writes_a_file(shop: Path) -> None:
    written = counterpoint("draw", "place", "-o", "place.mmd")
    refused = counterpoint("draw", "place", "-o", "no/such/place.mmd")

    assert written.stdout == ""
    assert (shop / "place.mmd").read_text().startswith("flowchart TD\n")
    assert refused.exit_code == 2
    assert "cannot be written: No such file or directory" in refused.stderr


async def run_one() -> None:
    app: Any = load_app("drawn_shop:app")
    async with app:
        await app.run(app.registry.workflows["orders.place"], "a;b", id="order-7")


@pytest.mark.parametrize(
    ("form", "first", "call"),
    [
        ("mermaid", "sequenceDiagram\n", '  code->>p1: 1 book<br/>{"order": "a#59;b"}\n'),
        ("plantuml", "@startuml\n", "code -> p1 : 1 book\\n&#123;&#34;order&#34;: "),
    ],
)
def test_show_draws_what_happened(shop: Path, form: str, first: str, call: str) -> None:
    asyncio.run(run_one())

    result = counterpoint("show", "order-7", "--format", form)

    assert result.exit_code == 0
    assert result.stdout.startswith(first)
    assert call in result.stdout


def test_show_refuses_two_forms_at_once_and_knows_who_does_not_exist(shop: Path) -> None:
    asyncio.run(run_one())

    both = counterpoint("show", "order-7", "--format", "mermaid", "--json")
    nobody = counterpoint("show", "order-8", "--format", "mermaid")

    assert both.exit_code == 2
    assert "pass it without --json and --verbose" in both.stderr
    assert nobody.exit_code == 3
