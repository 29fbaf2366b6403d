"""`events`, `contracts` and `subscriptions` on a store that no node hosts."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.cli.dead import (
    copy_shop,
    counterpoint,
    lines,
    make_filled,
    posted,
    run_node,
)

from counterpoint.cli.completion import complete_subscriptions, complete_types
from counterpoint.cli.target import load_app
from counterpoint.errors import ContractError

TYPE = "orders.Ordered"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_filled(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def shop(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return copy_shop(filled, tmp_path, monkeypatch)


def cloudevent(**attributes: Any) -> str:
    whole = {
        "specversion": "1.0",
        "id": "t-1",
        "source": "till",
        "type": TYPE,
        "data": {"order_id": "d", "quantity": 3},
    }
    return json.dumps({**whole, **attributes})


# ---- events list ------------------------------------------------------------------------------


def test_events_are_listed_newest_first(shop: Path) -> None:
    rows = [line.split() for line in counterpoint("events", "list").stdout.splitlines()]

    assert rows[0] == ["position", "type", "version", "key", "recorded", "id"]
    assert [row[:4] for row in rows[1:]] == [
        ["4", TYPE, "1", "c"],
        ["3", TYPE, "1", "b"],
        ["2", TYPE, "1", "a"],
        ["1", TYPE, "1", "a"],
    ]
    assert rows[1][-1] == "orders/e-4"


def test_events_are_filtered_and_written_as_json(shop: Path) -> None:
    found = lines("events", "list", "--key", "a", "--oldest-first", "--json")

    assert [one["id"] for one in found] == ["e-1", "e-2"]
    assert found[1]["data"] == {"order_id": "a", "quantity": 2}
    assert found[0]["recorded_at"].endswith("Z")
    assert [one["id"] for one in lines("events", "list", "--json", "--correlation", "e-3")] == [
        "e-3"
    ]
    between = lines("events", "list", "--json", "--after", "1", "--until", "3", "--type", TYPE)
    assert [one["position"] for one in between] == [3, 2]
    assert lines("events", "list", "--json", "--since", "2999-01-01") == []


def test_events_show_their_data_if_asked_and_that_there_are_more(shop: Path) -> None:
    result = counterpoint("events", "list", "--data", "--limit", "1")

    assert result.stdout.splitlines()[1].endswith('{"order_id": "c", "quantity": 1}')
    assert "--limit 10 shows them" in result.stderr
    assert counterpoint("events", "list", "--key", "none").stdout == "no such events\n"


def test_events_are_listed_by_the_last_part_of_their_type(shop: Path) -> None:
    assert len(lines("events", "list", "--type", "Ordered", "--json")) == 4

    unknown = counterpoint("events", "list", "--type", "GuestLeft")
    assert (unknown.exit_code, unknown.stdout) == (3, "")
    assert f"shop:app has no event 'GuestLeft': it has {TYPE}" in unknown.stderr


def test_events_of_a_forgotten_contract_are_listed(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert counterpoint("contracts", "reset", TYPE).exit_code == 0
    monkeypatch.delenv("COUNTERPOINT_APP")
    assert lines("contracts", "list", "--store", "shop.db", "--json") == []

    assert len(lines("events", "list", "--store", "shop.db", "--type", TYPE, "--json")) == 4


def test_events_can_be_listed_without_the_app(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COUNTERPOINT_APP")

    assert len(lines("events", "list", "--store", "shop.db", "--json")) == 4


def test_a_store_that_does_not_exist_is_an_error(shop: Path) -> None:
    result = counterpoint("events", "list", "--store", "other.db")

    assert result.exit_code == 4
    assert "there is no store other.db" in result.stderr


# ---- events tail ------------------------------------------------------------------------------


def test_tail_begins_above_a_position(shop: Path) -> None:
    result = counterpoint("events", "tail", "--after", "1", "--limit", "2")

    first, second = result.stdout.splitlines()
    assert first.startswith("2  ")
    assert first.endswith(f'UTC  {TYPE}  a  {{"order_id": "a", "quantity": 2}}')
    assert second.startswith("3  ")


def test_tail_writes_what_comes_after_it_began(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pause = asyncio.sleep

    async def publish_meanwhile(seconds: float) -> None:
        monkeypatch.setattr(asyncio, "sleep", pause)
        app: Any = load_app("shop:app")
        ordered = app.registry.contracts[TYPE].event_class
        async with app:
            await app.publish(ordered(order_id="late", quantity=1), id="e-5")

    monkeypatch.setattr("counterpoint.cli.events_tail.asyncio.sleep", publish_meanwhile)

    (event,) = lines("events", "tail", "--limit", "1", "--json", "--type", TYPE)

    assert (event["id"], event["position"]) == ("e-5", 5)


def test_ctrl_c_ends_tail_in_peace(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(seconds: float) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr("counterpoint.cli.events_tail.asyncio.sleep", interrupted)

    result = counterpoint("events", "tail", "--after", "3")

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1


# ---- events replay ----------------------------------------------------------------------------


def test_a_replay_is_asked_for_with_yes_only(shop: Path) -> None:
    args = ("events", "replay", "shipping.pack", "--first", "1", "--last", "3", "--key", "a")

    dry = counterpoint(*args)
    assert dry.stdout == "this would deliver 2 events to shipping.pack again\n"
    assert "pass --yes" in dry.stderr
    assert posted() == []

    real = counterpoint(*args, "--publish", "--yes", "--actor", "Ada", "--reason", "lost")
    assert real.stdout == "shipping.pack: the replay of 2 events is asked for\n"
    assert "no node has taken it yet" in real.stderr
    assert posted() == [
        {
            "id": "shipping.pack",
            "kind": "replay",
            "name": "shipping.pack",
            "first": 1,
            "last": 3,
            "key": "a",
            "publish": True,
            "actor": "Ada",
            "reason": "lost",
        }
    ]


def test_a_replay_says_as_json_how_many_events_it_has(shop: Path) -> None:
    args = ("events", "replay", "shipping.pack", "--first", "2", "--json")

    assert lines(*args) == [
        {"reaction": "shipping.pack", "events": 3, "dry_run": True, "taken": False}
    ]


@pytest.mark.parametrize(
    ("reaction", "first", "words"),
    [("shipping.pick", "1", "no reaction is called"), ("shipping.pack", "9", "from 1 to 4")],
)
def test_a_replay_that_cannot_be_is_refused(
    shop: Path, reaction: str, first: str, words: str
) -> None:
    result = counterpoint("events", "replay", reaction, "--first", first, "--yes")

    assert result.exit_code == 2
    assert words in result.stderr
    assert posted() == []


# ---- events publish ---------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["file", "stdin"])
def test_a_cloudevent_is_published_from_a_file_or_stdin(shop: Path, how: str) -> None:
    Path("event.json").write_text(cloudevent())

    if how == "file":
        result = counterpoint("events", "publish", "event.json")
    else:
        result = counterpoint("events", "publish", "-", stdin=cloudevent())

    assert result.exit_code == 0
    assert result.stdout == f"till/t-1: {TYPE} is stored\n"
    assert "no node has taken it yet" in result.stderr
    run_node()
    (event,) = lines("events", "list", "--json", "--key", "d")
    assert (event["source"], event["id"], event["data"]["quantity"]) == ("till", "t-1", 3)


def test_an_event_of_the_app_is_published_by_its_type(shop: Path) -> None:
    data = '{"order_id": "d", "quantity": "4"}'

    result = counterpoint(
        *("events", "publish", "Ordered", data, "--id", "mine", "--correlation", "f", "--json")
    )

    assert json.loads(result.stdout) == {
        "id": "mine",
        "source": "orders",
        "type": TYPE,
        "taken": False,
    }
    run_node()
    (event,) = lines("events", "list", "--json", "--correlation", "f")
    assert event["data"] == {"order_id": "d", "quantity": 4}


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["nothing.json"], 2, "name a file with a CloudEvent"),
        (["-", "--id", "x"], 2, "for TYPE and DATA"),
        (["Odered", "{}"], 3, "has no event 'Odered'"),
        (["Ordered", "{"], 2, "is not JSON"),
        (["Ordered", '{"order_id": "d"}'], 2, "quantity: Field required"),
        (["Ordered", '{"order_id": "c", "quantity": 2}', "--id", "e-4"], 1, "with other data"),
    ],
)
def test_an_event_that_cannot_be_published_is_refused(
    shop: Path, args: list[str], code: int, words: str
) -> None:
    result = counterpoint("events", "publish", *args)

    assert result.exit_code == code
    assert words in result.stderr
    assert posted() == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "is not JSON"),
        (cloudevent(specversion="0.3"), "specversion"),
        (cloudevent(type="orders.Odered"), "it has orders.Ordered"),
    ],
)
def test_a_malformed_cloudevent_is_one_line(shop: Path, body: str, words: str) -> None:
    result = counterpoint("events", "publish", "-", stdin=body)

    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_publishing_needs_an_app(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COUNTERPOINT_APP")

    result = counterpoint("events", "publish", "-", "--store", "shop.db", stdin=cloudevent())

    assert result.exit_code == 2
    assert "no app is named" in result.stderr


# ---- contracts --------------------------------------------------------------------------------


def test_contracts_are_listed_with_what_was_published(shop: Path) -> None:
    rows = [line.split() for line in counterpoint("contracts", "list").stdout.splitlines()]
    (found,) = lines("contracts", "list", "--json")

    assert rows[0] == ["type", "version", "key", "published", "declared"]
    assert rows[1][:3] == [TYPE, "1", "order_id"]
    assert rows[1][-1] == "yes"
    assert (found["type"], found["declared"]) == (TYPE, True)


def test_without_the_app_contracts_are_what_was_published(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COUNTERPOINT_APP")

    result = counterpoint("contracts", "show", "Ordered", "--store", "shop.db")

    assert result.stdout.startswith(f"{TYPE} version 1, of orders\nkey        order_id\n")
    assert "declared" not in result.stdout


def test_a_contract_is_shown_with_its_schema(shop: Path) -> None:
    result = counterpoint("contracts", "show", "Ordered")

    assert result.stdout.startswith(
        f"{TYPE} version 1, of orders\nSomebody ordered something.\nkey        order_id\n"
    )
    assert "declared   yes\n" in result.stdout
    schema = json.loads(result.stdout.partition("\nschema\n")[2])
    assert set(schema["properties"]) == {"order_id", "quantity"}
    assert lines("contracts", "show", TYPE, "--json")[0]["schema"] == schema


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["Odered"], "has no event 'Odered'"),
        (["Ordered", "--version", "2"], "has no version 2: it has 1"),
    ],
)
def test_an_unknown_contract_is_not_found(shop: Path, args: list[str], words: str) -> None:
    result = counterpoint("contracts", "show", *args)

    assert result.exit_code == 3
    assert words in result.stderr


def test_a_changed_contract_is_taken_after_a_reset(shop: Path) -> None:
    source = Path("shop.py").read_text()
    Path("shop.py").write_text(source.replace("quantity: int", "quantity: int | str"))
    with pytest.raises(ContractError):
        run_node()
    result = counterpoint("contracts", "reset", "Ordered", "--actor", "Ada", "--reason", "draft")

    assert result.stdout == f"{TYPE}: 1 version is forgotten\n"
    run_node()

    async def acts() -> list[tuple[str, str | None, str | None]]:
        async with load_app("shop:app").client() as client:
            return [(one.kind, one.actor, one.reason) async for one in client.acts(TYPE)]

    assert asyncio.run(acts()) == [("reset-contract", "Ada", "draft")]


def test_a_reset_is_refused_while_a_node_runs(shop: Path) -> None:
    async def beside_a_node() -> Any:
        async with load_app("shop:app"):
            return await asyncio.to_thread(counterpoint, "contracts", "reset", "Ordered")

    result = asyncio.run(beside_a_node())

    assert result.exit_code == 4
    assert "a node runs on sqlite:///shop.db" in result.stderr
    assert lines("contracts", "list", "--json")[0]["published_at"] is not None


def test_a_reset_of_what_was_never_published_is_not_found(shop: Path) -> None:
    assert counterpoint("contracts", "reset", "Packed", "--json").exit_code == 3
    assert lines("contracts", "reset", TYPE, "--json") == [{"type": TYPE, "versions": 1}]
    assert counterpoint("contracts", "reset", TYPE).exit_code == 3


# ---- subscriptions ----------------------------------------------------------------------------


@pytest.mark.parametrize("args", [["subscriptions"], ["subscriptions", "list"]])
def test_subscriptions_are_listed(shop: Path, args: list[str]) -> None:
    header, row = counterpoint(*args).stdout.splitlines()

    assert header.split() == ["name", "event", "lane", "position", "behind", "dead", "parked"]
    assert row.split() == ["shipping.pack", TYPE, "4", "0", "2", "1"]


def test_subscriptions_are_short_for_their_list_with_options_too(shop: Path) -> None:
    assert lines("subscriptions", "--json") == lines("subscriptions", "list", "--json")
    assert "delete" in counterpoint("subscriptions", "--help").stdout


def test_without_the_app_nobody_says_that_a_reaction_is_removed(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COUNTERPOINT_APP")

    assert lines("subscriptions", "--store", "shop.db", "--json")[0]["removed"] is None
    assert "removed" not in counterpoint("subscriptions", "--store", "shop.db").stdout


def remove_reaction() -> None:
    source = Path("shop.py").read_text()
    Path("shop.py").write_text(source.replace("async def pack", "async def pack_quickly"))


def test_the_subscription_of_a_removed_reaction_is_deleted_with_yes_only(shop: Path) -> None:
    remove_reaction()

    shown = counterpoint("subscriptions")
    dry = counterpoint("subscriptions", "delete", "shipping.pack")
    assert "removed" in shown.stdout
    assert "counterpoint subscriptions delete shipping.pack" in shown.stderr
    assert dry.stdout == (
        "this would delete shipping.pack with 2 dead letters, 1 parked and 0 new events\n"
    )
    assert posted() == []

    real = counterpoint("subscriptions", "delete", "shipping.pack", "--yes", "--reason", "moved")
    assert real.stdout == "shipping.pack: the request to delete it is sent\n"
    assert posted()[0]["reason"] == "moved"
    run_node()
    assert [one["name"] for one in lines("subscriptions", "--json")] == ["shipping.pack_quickly"]


def test_the_subscription_of_a_reaction_of_the_app_is_not_deleted(shop: Path) -> None:
    result = counterpoint("subscriptions", "delete", "shipping.pack", "--yes")

    assert result.exit_code == 1
    assert "take it out of the app first" in result.stderr
    assert counterpoint("subscriptions", "delete", "shipping.pick").exit_code == 3
    assert posted() == []


# ---- completion -------------------------------------------------------------------------------


def test_types_and_reactions_are_offered(shop: Path) -> None:
    context: Any = SimpleNamespace(params={"app": "shop:app"})

    assert complete_types(context, "ord") == [TYPE]
    assert complete_types(context, "x") == []
    assert complete_subscriptions(context, "") == ["shipping.pack"]
