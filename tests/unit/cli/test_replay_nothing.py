"""`counterpoint replay` where there is nothing to replay, or what a person has terminated."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.recorded import change_code, counterpoint, make_shop

from counterpoint.cli.target import load_app

WAIT = 'await workflow.signal("go", str)'


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_shop(tmp_path, monkeypatch)


@pytest.fixture
def terminated(shop: Path) -> Path:
    """The shop, where `waiting` is terminated and the code does not fit it any more."""

    async def terminate() -> None:
        app: Any = load_app("shop:app")
        async with app:
            await app.execution("waiting").terminate()
            await app.idle(30)

    asyncio.run(terminate())
    counterpoint("journal", "export", "waiting", "-o", "waiting.jsonl")
    change_code(shop, WAIT, 'await send("parcel") if order == "waiting" else ' + WAIT)
    return shop


@pytest.mark.parametrize(
    "args",
    [
        ["--where", "status=terminated"],
        ["--where", "workflow=orders.plaec", "--since", "2h"],
        ["--until", "2h"],
    ],
)
def test_filters_that_nothing_matches_are_a_failure(shop: Path, args: list[str]) -> None:
    result = counterpoint("replay", *args)

    assert (result.exit_code, result.stdout) == (3, "no executions\n")
    assert f"no executions match: {' '.join(args)}" in result.stderr


def test_a_file_without_executions_is_a_failure_beside_others_that_agree(shop: Path) -> None:
    counterpoint("journal", "export", "done", "-o", "done.jsonl")
    Path("empty.jsonl").write_text("")

    alone = counterpoint("replay", "empty.jsonl")
    beside = counterpoint("replay", "done.jsonl", "empty.jsonl")

    assert (alone.exit_code, beside.exit_code) == (3, 3)
    assert "no executions match: empty.jsonl has none" in alone.stderr
    assert beside.stdout == "1 execution: 1 agree\n"


def test_a_difference_counts_more_than_an_empty_file(shop: Path) -> None:
    counterpoint("journal", "export", "done", "-o", "done.jsonl")
    Path("empty.jsonl").write_text("")
    change_code(shop, WAIT, 'await send("parcel")')

    result = counterpoint("replay", "done.jsonl", "empty.jsonl")

    assert result.exit_code == 6


def test_an_app_that_has_nothing_of_the_store_is_a_failure(shop: Path) -> None:
    (shop / "shop.py").write_text(
        "from counterpoint import App, Service\n"
        'app = App("shop", services=[Service("orders")], store="sqlite:///shop.db")\n'
    )

    result = counterpoint("replay")

    assert result.exit_code == 3
    assert "no executions match: this app has none of the workflows in the store" in result.stderr


def test_a_new_project_may_allow_that_there_are_none(shop: Path) -> None:
    Path("empty.jsonl").write_text("")

    filtered = counterpoint("replay", "--where", "id=x", "--allow-none")
    file = counterpoint("replay", "empty.jsonl", "--allow-none")

    assert (filtered.exit_code, file.exit_code) == (0, 0)


def test_json_is_not_ok_where_nothing_matches(shop: Path) -> None:
    result = counterpoint("replay", "--json", "--where", "id=x")
    allowed = counterpoint("replay", "--json", "--where", "id=x", "--allow-none")

    assert result.exit_code == 3
    assert json.loads(result.stdout)["ok"] is False
    assert json.loads(allowed.stdout)["ok"] is True


def test_an_empty_store_without_filters_is_said_and_no_failure(shop: Path) -> None:
    app: Any = load_app("shop:app")
    app.store = "sqlite:///new.db"

    async def make() -> None:
        async with app:
            pass

    asyncio.run(make())
    result = counterpoint("replay", "--store", "new.db")

    assert (result.exit_code, result.stdout) == (0, "no executions\n")
    assert result.stderr == "the store has nothing to replay\n"


def test_terminated_ones_are_left_out_and_counted(terminated: Path) -> None:
    result = counterpoint("replay")
    plain: Any = json.loads(counterpoint("replay", "--json").stdout)

    assert (result.exit_code, result.stdout) == (0, "7 executions: 7 agree\n")
    assert "1 terminated one is left out: --where status=terminated shows it" in result.stderr
    assert (plain["ok"], plain["total"], plain["terminated"]) == (True, 7, 1)


def test_terminated_ones_are_replayed_if_their_status_is_named(terminated: Path) -> None:
    result = counterpoint("replay", "--where", "status=terminated")

    assert result.exit_code == 6
    assert result.stdout.endswith("1 execution: 1 diverge\n")


def test_files_are_replayed_as_they_are(terminated: Path) -> None:
    assert counterpoint("replay", "waiting.jsonl").exit_code == 6
