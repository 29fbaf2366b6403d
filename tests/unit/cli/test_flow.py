"""`counterpoint flow`: a flow as a tree, as JSON and as a diagram."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.runtime.flow_shop import FAILS, SERVICES, OrderPlaced, StockShort, place, sell
from typer.testing import CliRunner, Result

from counterpoint import App, ExecutionFailed
from counterpoint.cli import flow as module
from counterpoint.cli.main import cli
from counterpoint.testing import Harness


def counterpoint(*args: str) -> Result:
    return CliRunner().invoke(cli, args, env={"COLUMNS": "200", "COUNTERPOINT_APP": ""})


async def fill(url: str) -> None:
    """Let three flows happen, on virtual time, in a file."""
    app = App("shop", services=SERVICES, store=url)
    FAILS.clear()
    async with Harness(app, store=app._open_store(), rehearse=False) as harness:
        FAILS.update({"authorize": 2, "void": 1})
        with pytest.raises(ExecutionFailed):
            await harness.run(place, "o", "gold", id="o")
        FAILS.update({"take_payment": 1, "give_back": 99})
        await app.publish(OrderPlaced(order="c", item="gold"), correlation_id="c")
        await harness.idle()
        await app.publish(StockShort(order="c"), correlation_id="c")
        await harness.idle()
        await harness.run(sell, "m", id="m")
        await harness.idle()
    FAILS.clear()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("flows") / "shop.db"
    asyncio.run(fill(f"sqlite:///{file}"))
    return str(file)


def tree(store: str, flow_id: str) -> list[str]:
    result = counterpoint("flow", flow_id, "--store", store)
    assert result.exit_code == 0, result.stderr
    return result.stdout.splitlines()


def test_a_saga_is_printed_with_its_calls_retries_and_compensations(store: str) -> None:
    first, *rest = tree(store, "o")

    assert first.startswith("o  began ")
    assert first.endswith(", took 400 ms")
    assert rest == [
        "1 execution, 3 calls, 2 compensations, 3 retries",
        "orders.place o compensated in 400 ms",
        "stock.Short: item='gold'",
        "├── 1 orders.create ✓ completed in 0 ms",
        "│   ↶ undone by orders.withdraw in 0 ms",
        "├── 2 payments.authorize ✓ completed in 300 ms, 3 attempts",
        "│   attempts 1 to 2 failed: builtins.ConnectionError: no route to the bank of authorize",
        "│   ↶ undone by payments.void in 100 ms, 2 attempts",
        "│   attempt 1 failed: builtins.ConnectionError: no route to the bank of void",
        "└── 3 stock.reserve ✗ failed in 0 ms",
        "    stock.Short: item='gold'",
    ]


def test_a_choreography_is_printed_with_its_dead_letters_and_what_waits(store: str) -> None:
    _, *rest = tree(store, "c")

    assert rest == [
        "4 events, 3 reactions, 4 retries, 1 dead letter, 1 waiting",
        "orders.OrderPlaced of c  +0.000 s",
        "└── payments.take_payment ✓ completed in 100 ms, 2 attempts",
        "    attempt 1 failed: builtins.ConnectionError: no route to the bank of take_payment",
        "    └── payments.PaymentTaken of c  +0.100 s",
        "        └── stock.set_aside ✓ completed in 0 ms",
        "            └── stock.StockShort of c  +0.100 s",
        "                └── payments.give_back ✗ a dead letter, 4 attempts",
        "                    attempts 1 to 4 failed: builtins.ConnectionError: no route to the "
        "bank of give_back",
        "                    waits for a person to redrive or discard the dead letter",
        "stock.StockShort of c  +0.800 s",
        "└── payments.give_back … waiting",
        "    waits for an earlier event of the key 'c', which is a dead letter of "
        "payments.give_back",
    ]


def test_both_styles_are_printed_as_one_tree(store: str) -> None:
    text = "\n".join(tree(store, "ship-m"))

    assert "m  began " in text
    assert (
        """\
└── 3 orders.note ✓ completed in 0 ms
    └── orders.OrderNoted of m  +0.000 s
        └── parcels.ship ship-m completed in 1 s
            ├── 1 parcels.wrap ✓ completed in 0 ms
            │   └── parcels.wrap ship-m/1 completed in 0 ms
            │       └── 1 parcels.pack ✓ completed in 0 ms
            └── parcels.ParcelShipped of m  +1.000 s
                └── orders.remember ✓ completed in 0 ms
                    └── orders.thank thank-m completed in 0 ms
                        └── 1 orders.write ✓ completed in 0 ms"""
        in text
    )


def test_json_has_every_step_with_the_number_of_its_cause(store: str) -> None:
    result = counterpoint("flow", "c", "--store", store, "--json")

    plain = json.loads(result.stdout)
    assert (plain["id"], plain["dead_letters"], plain["ended_at"]) == ("c", 1, None)
    causes = [(one["number"], one["cause"], one["kind"]) for one in plain["steps"]]
    assert causes[:3] == [(1, None, "event"), (2, 1, "reaction"), (3, 2, "event")]


@pytest.mark.parametrize(
    ("form", "first"), [("mermaid", "sequenceDiagram"), ("plantuml", "@start")]
)
def test_a_diagram_goes_to_stdout_or_to_a_file(
    store: str, tmp_path: Path, form: str, first: str
) -> None:
    file = tmp_path / "flow.txt"

    printed = counterpoint("flow", "m", "--store", store, "--format", form)
    written = counterpoint("flow", "m", "--store", store, "--format", form, "-o", str(file))

    assert printed.stdout.startswith(first)
    assert file.read_text(encoding="utf-8") == printed.stdout
    assert written.stdout == ""
    assert "written to" in written.stderr


def test_what_draws_long_diagrams_is_said(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MERMAID_CHARACTERS_MAX", 100)
    monkeypatch.setattr(module, "_PLANTUML_LINES_MAX", 10)

    mermaid = counterpoint("flow", "m", "--store", store, "--format", "mermaid")
    plantuml = counterpoint("flow", "m", "--store", store, "--format", "plantuml")

    assert "maxTextSize" in mermaid.stderr
    assert "-tsvg" in plantuml.stderr


@pytest.mark.parametrize(
    ("args", "words", "code"),
    [
        (("nothing",), "no flow, execution, reaction or event has the id 'nothing'", 3),
        (("m", "--json", "--format", "mermaid"), "without --json", 2),
        (("m", "-o", "file"), "pass --format", 2),
        (("m", "--format", "mermaid", "-o", "/nowhere/file"), "cannot be written", 2),
    ],
)
def test_what_cannot_be_done_is_an_error(
    store: str, args: tuple[str, ...], words: str, code: int
) -> None:
    result = counterpoint("flow", *args, "--store", store)

    assert words in result.stderr
    assert result.exit_code == code


async def test_a_start_that_no_node_has_taken_is_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    app = App("shop", services=SERVICES, store=f"sqlite:///{file}")
    async with app:
        pass
    async with app.client() as client:
        await client.start(sell, "m", id="later")

    result = await asyncio.to_thread(counterpoint, "flow", "later", "--store", str(file))

    assert "later is not started yet: its start is stored" in result.stderr
    assert result.exit_code == 3
