"""The commands in this process, on a store that no node hosts; beside a node: tests/acceptance."""

import asyncio
import json
import re
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from counterpoint.cli.main import cli, run
from counterpoint.cli.target import load_app

SHOP = """
import asyncio
from datetime import timedelta
from counterpoint import App, BusinessError, Retry, Service, workflow

orders = Service("orders")

class Refused(BusinessError):
    why: str

@orders.activity(retry=Retry(first=timedelta(minutes=1), cap=timedelta(minutes=1)))
async def book(order: str, fails: str = "no") -> str:
    if fails == "refused":
        raise Refused(why="too late")
    if fails == "down":
        raise ConnectionError("the bookshop does not answer")
    return order

@orders.workflow
async def place(order: str, fails: str = "no") -> str:
    booked = await book(order, fails)
    return {"no": booked}[fails]

@orders.workflow
async def named(order: str, *, fast: bool = False) -> str:
    return order

@orders.workflow
async def approval() -> str:
    return await workflow.signal("approved", str)

app = App("shop", services=[orders], store="sqlite:///shop.db")
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "shop.db").write_bytes(filled())
    enter(tmp_path, monkeypatch)
    monkeypatch.setattr("counterpoint.cli.posting.PATIENCE_SECONDS", 0.05)
    return tmp_path


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
    sys.modules.pop("shop", None)  # of another test
    patch.setenv("COUNTERPOINT_APP", "shop:app")


async def fill() -> None:
    """One execution that completed, one that failed, one that waits; no node afterwards."""
    app: Any = load_app("shop:app")
    workflows = app.registry.workflows
    async with app:
        done = await app.start(workflows["orders.place"], "a", "no", id="done")
        await done.result(30)
        await app.start(workflows["orders.place"], "b", "refused", id="refused")
        await app.idle(30)
        await app.start(workflows["orders.place"], "c", "bug", id="bug")
        await app.idle(30)
        await app.start(workflows["orders.approval"], id="waiting")
        await app.idle(30)


def counterpoint(*args: str) -> Result:
    return CliRunner().invoke(cli, args, env={"COLUMNS": "200"})


def lines(*args: str) -> list[Any]:
    return [json.loads(line) for line in counterpoint(*args).stdout.splitlines()]


# ---- list -------------------------------------------------------------------------------------


def test_list_shows_the_newest_first(shop: Path) -> None:
    result = counterpoint("list")

    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[0] == ["id", "workflow", "status", "started", "took"]
    assert [row[:3] for row in rows[1:]] == [
        ["waiting", "orders.approval", "running"],
        ["bug", "orders.place", "failed"],
        ["refused", "orders.place", "failed"],
        ["done", "orders.place", "completed"],
    ]


def test_list_filters_and_writes_a_line_of_json_each(shop: Path) -> None:
    found = lines("list", "--json", "--status", "failed", "--workflow", "orders.place")
    none = lines("list", "--json", "--since", "2999-01-01")

    assert [entry["id"] for entry in found] == ["bug", "refused"]
    assert found[0].keys() == {
        *("id", "run", "workflow", "status", "created_at", "finished_at", "correlation_id"),
        "parent",
    }
    assert none == []


def test_list_says_that_there_is_more_and_that_there_is_nothing(shop: Path) -> None:
    short = counterpoint("list", "--limit", "1")
    none = counterpoint("list", "--status", "incident")

    assert "--limit 10 shows them" in short.stderr
    assert none.stdout == "no such executions\n"


def test_list_of_an_empty_store_says_so(shop: Path) -> None:
    async def make() -> None:
        from counterpoint import App

        async with App("empty", services=[], store="sqlite:///empty.db"):
            pass

    asyncio.run(make())

    assert counterpoint("list", "--store", "empty.db").stdout == "no executions\n"


# ---- show and journal -------------------------------------------------------------------------


def test_show_tells_the_story_without_the_apps_code(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COUNTERPOINT_APP")

    result = counterpoint("show", "refused", "--store", "shop.db")

    assert "refused  orders.place (workflow)  failed" in result.stdout
    assert "1 orders.book ✗ failed" in result.stdout
    assert "orders.Refused: why='too late'" in result.stdout


def test_show_as_json_has_all_of_the_description(shop: Path) -> None:
    (shown,) = lines("show", "done", "--json")

    assert (shown["status"], shown["result"], shown["calls"][0]["state"]) == (
        *("completed", "a"),
        "completed",
    )
    assert (shown["posted"], shown["workflow_known"]) == ([], True)


def test_show_says_that_no_node_moves_a_live_execution(shop: Path) -> None:
    text = counterpoint("show", "waiting")
    (plain,) = lines("show", "waiting", "--json")

    said = "no node hosts this store: nothing moves until one runs (counterpoint run shop:app)"
    assert text.stdout.splitlines()[1] == said
    assert plain["hosted_by"] is None


def test_a_bug_is_shown_with_its_type_and_line(shop: Path) -> None:
    text = counterpoint("show", "bug")
    verbose = counterpoint("show", "bug", "--verbose")
    (plain,) = lines("show", "bug", "--json")
    waited = counterpoint("start", "place", "c", "bug", "--id", "bug", "--wait")

    assert re.search(r"builtins\.KeyError: 'bug' \(shop\.py:\d+, in place\)\n", text.stdout)
    assert "Traceback" not in text.stdout
    assert verbose.stdout.rstrip().endswith("KeyError: 'bug'")
    assert plain["traceback"].rstrip().endswith("KeyError: 'bug'")
    assert waited.stderr == "error: bug failed: builtins.KeyError: 'bug'\n"


def test_show_names_what_the_app_does_not_have(shop: Path) -> None:
    other = "counterpoint.cli.demo_shop:app"

    result = counterpoint("show", "done", "--app", other, "--store", "shop.db")

    assert f"no service of {other} has orders.place: " in result.stdout
    assert f"no service of {other} has orders.book" in result.stdout


def test_journal_numbers_the_records(shop: Path) -> None:
    result = counterpoint("journal", "done")

    rows = [line.split()[:1] + line.split()[2:3] for line in result.stdout.splitlines()]
    assert result.stdout.startswith("done  orders.place, started ")
    assert "1  0.000 s  started    workflow=orders.place" in result.stdout
    assert [row[0] for row in rows[2:]] == ["1", "2", "3", "4"]


def test_journal_as_json_is_a_line_for_each_record(shop: Path) -> None:
    records = lines("journal", "done", "--json")

    assert [record["type"] for record in records] == ["started", "scheduled", "completed", "ended"]
    assert records[0].keys() == {"seq", "type", "at", "data"}


@pytest.mark.parametrize("command", ["show", "journal", "cancel", "retry"])
def test_an_unknown_id_is_not_found(shop: Path, command: str) -> None:
    result = counterpoint(command, "nothing")

    assert result.exit_code == 3
    assert result.stderr == "error: no execution has the id 'nothing'\n"


# ---- start, signal, cancel, retry with no node ------------------------------------------------


def test_a_start_without_a_node_is_stored_and_says_so(shop: Path) -> None:
    result = counterpoint("start", "place", "x", "--id", "new")
    again = counterpoint("start", "place", "x", "--id", "new")

    assert result.exit_code == 0
    assert result.stdout == "new: the start of orders.place is stored\n"
    assert "no node has taken it yet" in result.stderr
    assert "(counterpoint run shop:app)" in result.stderr
    assert again.stdout == "new: was started before, with the same arguments\n"


def test_a_stored_start_is_seen_by_list_and_show(shop: Path) -> None:
    counterpoint("start", "place", "x", "--id", "new")

    listed = counterpoint("list")
    shown = counterpoint("show", "new")

    assert "1 start waits for a node" in listed.stderr
    assert shown.exit_code == 3
    assert "new is not started yet" in shown.stderr


def test_a_start_of_an_id_with_other_arguments_is_refused(shop: Path) -> None:
    result = counterpoint("start", "place", "other", "--id", "done")

    assert result.exit_code == 1
    assert "the id 'done' is taken" in result.stderr


def test_a_stored_start_of_an_id_is_not_stored_again_otherwise(shop: Path) -> None:
    counterpoint("start", "place", "x", "--id", "new")

    other = counterpoint("start", "place", "y", "--id", "new")
    another = counterpoint("start", "approval", "--id", "new")

    assert (other.exit_code, another.exit_code) == (1, 1)
    assert "its start is stored, with other arguments" in other.stderr
    assert "the start of another workflow is stored" in another.stderr


def test_a_start_as_json_says_whether_a_node_has_it(shop: Path) -> None:
    (new,) = lines("start", "place", "--json-args", '{"order": "x"}', "--id", "new", "--json")
    (old,) = lines("start", "place", "a", "--id", "done", "--json")

    same = {"workflow": "orders.place", "begins_at": None}
    assert new == {"id": "new", "existed": False, "taken": False, **same}
    assert old == {"id": "done", "existed": True, "taken": True, **same}


def test_waiting_for_what_has_ended_writes_its_result(shop: Path) -> None:
    text = counterpoint("start", "place", "a", "--id", "done", "--wait")
    (plain,) = lines("start", "place", "a", "--id", "done", "--wait", "--json")

    assert text.stdout == 'done: completed\n"a"\n'
    assert plain == {
        "id": "done",
        "workflow": "orders.place",
        "status": "completed",
        "result": "a",
        "error": None,
        "error_type": None,
    }


def test_waiting_for_what_failed_says_why(shop: Path) -> None:
    result = counterpoint("start", "place", "b", "refused", "--id", "refused", "--wait", "--json")

    assert result.exit_code == 1
    assert result.stderr == "error: refused failed: orders.Refused: why='too late'\n"
    assert json.loads(result.stdout)["error_type"] == "orders.Refused"


def test_waiting_is_given_up_after_the_timeout(shop: Path) -> None:
    result = counterpoint("start", "approval", "--id", "waiting", "--wait", "--timeout", "0")

    assert result.exit_code == 5
    assert "goes on; it waits for the signal 'approved'" in result.stderr


def test_a_number_stands_for_itself_where_text_is_wanted(shop: Path) -> None:
    started = counterpoint("start", "place", "2", "--id", "new")

    assert (started.exit_code, started.stdout) == (0, "new: the start of orders.place is stored\n")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("start", "named", "o", "fast=true"), "fast cannot be given"),
        (("start", "named", "o", "true"), "fast cannot be given"),
        (("start", "place", "--json-args", "[1]"), "order: Input should be a valid string"),
        (("start", "place", "\udc80"), "the argument 'order'"),
        (("start", "place", "[" * 100_000), "is nested too deeply"),
        (("signal", "waiting", "approved", "\udc80"), "the value"),
        (("run", "shop:app", "--stop-within", "inf"), "--stop-within inf is no time"),
    ],
)
def test_whatever_input_raises_is_one_line(
    shop: Path, arguments: tuple[str, ...], why: str
) -> None:
    result = counterpoint(*arguments)

    assert (result.exit_code, isinstance(result.exception, SystemExit)) == (2, True)
    assert result.stderr.startswith("error: ")
    assert why in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_timeout_needs_a_wait(shop: Path) -> None:
    result = counterpoint("start", "place", "a", "--timeout", "1")

    assert (result.exit_code, "pass both" in result.stderr) == (2, True)


def test_a_signal_a_cancel_and_a_retry_are_stored_without_a_node(shop: Path) -> None:
    signal = counterpoint("signal", "waiting", "approved", '"Ada"')
    (cancel,) = lines("cancel", "waiting", "--json", "--actor", "Ada", "--reason", "late")
    retry = counterpoint("retry", "refused")
    shown = counterpoint("show", "waiting")

    assert signal.stdout == "waiting: the signal 'approved' is sent\n"
    assert "no node has taken it yet" in signal.stderr
    assert cancel == {"id": "waiting", "taken": False}
    assert retry.stdout == "refused: the request to retry is sent\n"
    assert "a node to take a signal 'approved', posted " in shown.stdout
    assert "a node to take a cancel, posted " in shown.stdout


def test_a_retry_of_what_completed_does_nothing(shop: Path) -> None:
    text = counterpoint("retry", "done")
    (plain,) = lines("retry", "done", "--json")

    assert text.stdout == "done: it is completed, there is nothing to retry\n"
    assert plain == {"id": "done", "taken": True}


def test_a_cancel_of_what_ended_is_refused(shop: Path) -> None:
    result = counterpoint("cancel", "done")

    assert result.exit_code == 1
    assert result.stderr == "error: done: it is completed and cannot be cancelled\n"


def test_a_user_without_a_name_acts_without_one(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise KeyError("uid")

    monkeypatch.setattr("getpass.getuser", nobody)

    assert counterpoint("cancel", "waiting").exit_code == 0


# ---- around all commands ----------------------------------------------------------------------


def test_a_missing_store_is_named_and_not_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COUNTERPOINT_APP", raising=False)

    result = counterpoint("list")

    assert result.exit_code == 4
    assert result.stderr.startswith(f"error: there is no store counterpoint.db in {tmp_path}: ")
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_written() -> None:
    assert counterpoint("--version").stdout.startswith("counterpoint 0")


@pytest.mark.parametrize(
    "command", ["run", "start", "list", "show", "journal", "signal", "cancel", "retry", "demo"]
)
def test_every_help_has_an_example_and_the_exit_codes(command: str) -> None:
    text = counterpoint(command, "--help").stdout

    assert f"Example: counterpoint {command}" in text
    assert "Exit codes: 0 done; 1 " in text


def test_an_interrupted_command_says_so(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("counterpoint.cli.list.resolve", interrupt)

    result = counterpoint("list")

    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


def test_a_reader_that_goes_away_ends_the_command_quietly(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(**_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("counterpoint.cli.main.cli", broken)

    with pytest.raises(SystemExit) as ended:
        run()

    assert ended.value.code == 1
