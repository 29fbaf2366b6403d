"""`counterpoint replay`: recorded executions against today's code, for people and for CI."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.recorded import BOOKED, GO, change_code, counterpoint, make_shop

from counterpoint.cli import counting

WAIT = 'await workflow.signal("go", str)'


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_shop(tmp_path, monkeypatch)


def test_code_that_agrees_ends_with_zero(shop: Path) -> None:
    result = counterpoint("replay")

    assert result.exit_code == 0
    assert result.stdout == "8 executions: 8 agree\n"
    assert result.stderr == ""


def test_each_place_that_differs_is_shown_once_with_the_executions(shop: Path) -> None:
    change_code(shop, WAIT, 'await send("parcel")')

    result = counterpoint("replay")

    assert result.exit_code == 6
    assert result.stdout.splitlines() == [
        f"{shop}/shop.py:{GO}: orders.place: diverges: recorded is a wait for the signal 'go', "
        "the code does call 4 of orders.send",
        "    2 executions: done, waiting",
        "8 executions: 6 agree, 2 diverge",
    ]


def test_other_arguments_are_listed_and_fail_only_a_strict_replay(shop: Path) -> None:
    change_code(shop, "await book(order)", 'await book(order + "!")')

    result = counterpoint("replay")
    strict = counterpoint("replay", "--strict-arguments")

    assert (result.exit_code, strict.exit_code) == (0, 6)
    assert result.stdout.splitlines() == [
        "calls with other arguments (no failure; the results count)",
        f"{shop}/shop.py:{BOOKED}: orders.place: call 1 of orders.book",
        "    3 executions: done, waiting, refused",
        "8 executions: 8 agree, 3 with other arguments",
    ]
    assert strict.stdout.startswith("calls with other arguments\n")


def test_json_has_the_totals_and_every_finding(shop: Path) -> None:
    change_code(shop, WAIT, 'await send("parcel")')
    change_code(shop, "await book(order)", 'await book(order + "!")')

    result = counterpoint("replay", "--json", "--where", "id=done")

    assert result.exit_code == 6
    found: Any = json.loads(result.stdout)
    (finding,) = found.pop("findings")
    assert found == {
        "ok": False,
        "total": 1,
        "records": 10,
        "counts": {
            "agrees": 0,
            "diverges": 1,
            "unreadable-value": 0,
            "unknown-workflow": 0,
            "newer-version": 0,
            "damaged": 0,
        },
        "other_arguments": 1,
        "left_out": 0,
        "terminated": 0,
    }
    assert (finding["id"], finding["verdict"]) == ("done", "diverges")
    assert finding["line"] == f"{shop}/shop.py:{GO}"
    assert finding["arguments"] == [
        {
            "call": 1,
            "name": "orders.book",
            "recorded": {"order": "done"},
            "found": {"order": "done!"},
            "line": f"{shop}/shop.py:{BOOKED}",
        }
    ]


@pytest.mark.parametrize(
    ("args", "total"),
    [
        (["--where", "status=running"], 1),
        (["--where", "workflow=orders.poll"], 3),
        (["--where", "error=why"], 1),
        (["--since", "1h"], 8),
    ],
)
def test_filters_choose_what_is_replayed(shop: Path, args: list[str], total: int) -> None:
    result = counterpoint("replay", "--json", *args)

    assert (result.exit_code, json.loads(result.stdout)["total"]) == (0, total)


def test_workflows_that_the_app_lacks_are_left_out_unless_they_are_named(shop: Path) -> None:
    change_code(shop, "async def poll", "async def pull")

    left_out = counterpoint("replay")
    named = counterpoint("replay", "--where", "workflow=orders.poll")

    assert left_out.exit_code == 0
    assert left_out.stdout == "5 executions: 5 agree\n"
    assert "3 of workflows that this app does not have were left out" in left_out.stderr
    assert named.exit_code == 6
    assert "no service of this app has orders.poll" in named.stdout


def test_exported_files_are_replayed_without_a_store(shop: Path) -> None:
    counterpoint("journal", "export", "-o", "all.jsonl")
    counterpoint("journal", "export", "done", "-o", "done.jsonl")
    (shop / "shop.db").unlink()

    result = counterpoint("replay", "all.jsonl", "done.jsonl")
    change_code(shop, "async def poll", "async def pull")
    changed = counterpoint("replay", "all.jsonl")

    assert (result.exit_code, result.stdout) == (0, "9 executions: 9 agree\n")
    assert changed.exit_code == 6
    assert "3 of an unknown workflow" in changed.stdout


def test_a_damaged_journal_of_the_store_does_not_hide_the_others(shop: Path) -> None:
    import sqlite3

    connection = sqlite3.connect("shop.db")
    with connection:
        connection.execute("update journal set body = x'5b5d' where execution_key = 1")
    connection.close()

    result = counterpoint("replay")

    assert result.exit_code == 6
    assert result.stdout.endswith("8 executions: 7 agree, 1 damaged\n")


def test_mistakes_have_codes_of_their_own(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("bad.jsonl").write_text('{"format": 1}\n')

    both = counterpoint("replay", "bad.jsonl", "--since", "1h")
    bad = counterpoint("replay", "bad.jsonl")
    no_store = counterpoint("replay", "--store", "gone.db")
    monkeypatch.delenv("COUNTERPOINT_APP")
    no_app = counterpoint("replay")

    assert [r.exit_code for r in (both, bad, no_store, no_app)] == [2, 2, 4, 2]
    assert "bad.jsonl, line 1: it is no exported execution" in bad.stderr
    assert "no app is named" in no_app.stderr


def test_what_the_code_prints_is_not_among_the_results(shop: Path) -> None:
    change_code(shop, "    total = count(booked)", "    total = print('hello')")

    result = counterpoint("replay", "--json")

    assert json.loads(result.stdout)["ok"]
    assert result.stderr == "hello\nhello\n"


def test_long_work_says_how_far_it_is(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "LINE_EVERY", 3)

    result = counterpoint("replay")

    assert result.stderr == "3 of 8\n6 of 8\n"
