"""`counterpoint draw` of choreographies and of all events of an app."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from counterpoint.cli.draw import complete_names
from counterpoint.cli.main import cli

SHOP = """
from datetime import timedelta
from counterpoint import App, Choreography, Event, Service

orders, payments = Service("orders"), Service("payments")

@orders.event(key="order")
class OrderPlaced(Event):
    order: str

@payments.event(key="order")
class PaymentTaken(Event):
    order: str

@payments.on(OrderPlaced)
async def take_payment(event: OrderPlaced) -> PaymentTaken | None:
    return PaymentTaken(order=event.order)

@orders.workflow
async def place(order: str) -> str:
    return order

print("imported")
payment = Choreography(
    "payment", starts=OrderPlaced, completes=PaymentTaken, within=timedelta(seconds=30)
)
app = App("shop", services=[orders, payments], choreographies=[payment], store="sqlite:///shop.db")
plain = App("plain", services=[Service("other")], store="sqlite:///shop.db")
"""


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "drawn_events.py").write_text(SHOP.replace('print("imported")\n', ""))
    (tmp_path / "loud_events.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setenv("COUNTERPOINT_APP", "drawn_events:app")
    return tmp_path


def counterpoint(*args: str) -> Result:
    return CliRunner().invoke(cli, args, env={"COLUMNS": "200"})


def test_a_choreography_is_drawn_by_its_name() -> None:
    result = counterpoint("draw", "payment")

    assert result.exit_code == 0
    assert result.stdout == (
        """\
flowchart LR
  title{{"payment<br/>choreography, within 30 s"}}
  subgraph s1["orders"]
    n1(["OrderPlaced<br/>starts"]):::starts
  end
  subgraph s2["payments"]
    n2["take_payment"]
    n3(["PaymentTaken<br/>completes"]):::completes
  end
  title --> n1
  n1 --> n2
  n2 --> n3
  classDef starts stroke-width: 3px
  classDef completes stroke-width: 3px, stroke: #2a7d2a
"""
    )


def test_all_events_are_drawn_without_a_name(shop: Path) -> None:
    result = counterpoint("draw", "--events", "--format", "plantuml", "-o", "events.puml")

    assert result.exit_code == 0
    assert "written to events.puml" in result.stderr
    assert (shop / "events.puml").read_text().startswith("@startuml\ntitle shop\\nevents\n")


def test_a_workflow_is_drawn_as_before_beside_choreographies() -> None:
    assert counterpoint("draw", "place").stdout.startswith("flowchart TD\n")


def test_choreographies_and_events_are_written_as_json(shop: Path) -> None:
    choreography = json.loads(counterpoint("draw", "payment", "--json").stdout)
    counterpoint("draw", "--events", "--json", "-o", "events.json")
    events = json.loads((shop / "events.json").read_text())

    assert choreography["choreography"] == "payment"
    assert choreography["within_seconds"] == 30
    assert events["app"] == "shop"
    assert events["nodes"] == choreography["nodes"]
    assert events["edges"] == choreography["edges"]


def test_an_unknown_name_lists_choreographies_and_workflows() -> None:
    result = counterpoint("draw", "paiment")

    assert result.exit_code == 3
    assert (
        "drawn_events:app has no workflow or choreography 'paiment'; it has the choreographies "
        "payment, and the workflows orders.place"
    ) in result.stderr


def test_nothing_to_draw_lists_what_there_is() -> None:
    result = counterpoint("draw")

    assert result.exit_code == 2
    assert (
        "name what to draw, or pass --events: drawn_events:app has the choreographies payment, "
        "and the workflows orders.place"
    ) in result.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["payment", "--events"], "--events draws all events of the app: pass it without a name"),
        (["place", "--json"], "--json is for --events and choreographies"),
        (
            ["payment", "--json", "--format", "mermaid"],
            "--format writes a diagram: pass it without",
        ),
        (["--events", "--app", "drawn_events:plain"], "drawn_events:plain has no events: declare"),
        (["payment", "-o", "no/such/file"], "no/such/file cannot be written: No such file"),
        (["--app", "drawn_events:plain"], "pass --events: drawn_events:plain has none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_drawn_is_refused(args: list[str], words: str) -> None:
    result = counterpoint("draw", *args)

    assert result.exit_code == 2
    assert words in result.stderr


def test_a_choreography_that_cannot_work_is_an_error_of_the_app(shop: Path) -> None:
    (shop / "wrong_events.py").write_text(SHOP.replace("-> PaymentTaken | None", "-> None"))

    result = counterpoint("draw", "payment", "--app", "wrong_events:app")

    assert result.exit_code == 2
    assert "payment never reaches payments.PaymentTaken: nothing emits it" in result.stderr


def context(**params: str) -> Any:
    return SimpleNamespace(params=params)


def test_names_of_choreographies_and_workflows_are_offered() -> None:
    assert complete_names(context(app="drawn_events:app"), "") == ["payment", "orders.place"]
    assert complete_names(context(app="drawn_events:app"), "p") == ["payment"]


def test_a_completion_never_speaks_and_never_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert complete_names(context(app="loud_events:app"), "pay") == ["payment"]
    assert complete_names(context(app="nothing:app"), "pay") == []
    assert capsys.readouterr() == ("", "")
