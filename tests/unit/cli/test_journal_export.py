"""`counterpoint journal export` and `import`: all that a store has of executions, as lines."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.recorded import counterpoint, make_shop
from typer.main import get_command

from counterpoint import App
from counterpoint.cli import journal_commands
from counterpoint.cli.main import cli
from counterpoint.runtime.exports import encode_export, read_lines

HISTORIES = sorted((Path(__file__).parents[2] / "histories").glob("format-*/*.jsonl"))
ALL = ["done", "waiting", "refused", "trip", "trip/1", "poll", "poll", "poll"]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_shop(tmp_path, monkeypatch)


def exported(*args: str) -> list[Any]:
    result = counterpoint("journal", "export", *args)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def ids(*args: str) -> list[str]:
    return [one["id"] for one in exported(*args)]


# ---- the group ----------------------------------------------------------------------------------


def test_an_id_is_enough_to_show_a_journal(shop: Path) -> None:
    short = counterpoint("journal", "done", "--json")
    long = counterpoint("journal", "show", "done", "--json")
    behind = counterpoint("journal", "--json", "--store", "shop.db", "done")

    assert short.exit_code == 0
    assert json.loads(short.stdout.splitlines()[0])["type"] == "started"
    assert short.stdout == long.stdout == behind.stdout


def test_an_execution_that_is_called_like_a_subcommand_is_reached(shop: Path) -> None:
    lines = [{**one, "id": "export"} for one in exported("done")]
    Path("named.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    counterpoint("journal", "import", "named.jsonl")

    assert "started" in counterpoint("journal", "show", "export").stdout
    assert ids("export") == ["export"]
    assert "no execution has the id 'gone'" in counterpoint("journal", "gone").stderr


def test_help_names_the_subcommands_and_nothing_is_a_usage_error(shop: Path) -> None:
    described = counterpoint("journal", "-h")
    nothing = counterpoint("journal")

    assert described.exit_code == 0
    for name in ("show", "export", "import"):
        assert name in described.stdout
    assert nothing.exit_code == 2
    assert "export" in nothing.stdout + nothing.stderr
    assert journal_commands.HELP.splitlines()[0] in described.stdout


def test_tab_offers_ids_beside_the_subcommands(shop: Path) -> None:
    group: Any = get_command(cli)
    journal = group.commands["journal"]
    context = journal.make_context("journal", ["show", "done"], resilient_parsing=True)

    everything = [item.value for item in journal.shell_complete(context, "")]
    some = [item.value for item in journal.shell_complete(context, "ex")]

    assert everything[:3] == ["show", "export", "import"]
    assert set(ALL) <= set(everything)
    assert some == ["export"]


# ---- export -------------------------------------------------------------------------------------


def test_all_executions_are_exported_oldest_first(shop: Path) -> None:
    found = exported()

    assert [one["id"] for one in found] == ALL
    assert [one["run"] for one in found if one["id"] == "poll"] == [1, 2, 3]


def test_a_line_has_the_row_the_attributes_and_the_records(shop: Path) -> None:
    (done,) = exported("done")
    child = exported("trip/1")[0]
    last = exported("poll")[-1]

    assert (done["format"], done["status"], done["name"]) == (1, "completed", "orders.place")
    assert done["records"][0][0] == "started"
    assert done["records"][1] == ["scheduled", 1, "orders.book", {"order": "done"}, False]
    assert sum(done["commits"]) == len(done["records"])
    assert child["parent"] == child["root"] == {"id": "trip", "run": 1}
    assert last["attributes"] == {"seen": "2"}


@pytest.mark.parametrize(
    ("args", "found"),
    [
        (["done", "trip", "done"], ["done", "trip"]),
        (["poll"], ["poll", "poll", "poll"]),
        (["--where", "status=running"], ["waiting"]),
        (["--where", "workflow=orders.place"], ["done", "waiting", "refused"]),
        (["--where", "id=*i*g"], ["waiting"]),
        (["--where", "correlation=trip"], ["trip", "trip/1"]),
        (["--where", "@seen=1"], ["poll"]),
        (["--where", "error=why"], ["refused"]),
        (["--since", "1h", "--where", "service=orders"], ALL),
        (["--until", "1h"], []),
    ],
)
def test_executions_are_chosen_by_id_and_by_filters(
    shop: Path, args: list[str], found: list[str]
) -> None:
    assert ids(*args) == found


def test_more_than_a_page_is_exported_in_order(shop: Path) -> None:
    (one,) = exported("done")
    copies = [json.dumps({**one, "id": f"copy-{number:03}"}) + "\n" for number in range(230)]
    Path("copies.jsonl").write_text("".join(copies))

    assert counterpoint("journal", "import", "copies.jsonl").exit_code == 0

    assert ids("--where", "id=copy-*") == [f"copy-{number:03}" for number in range(230)]
    assert ids() == ALL + [f"copy-{number:03}" for number in range(230)]


def test_a_file_gets_its_name_once_it_is_complete(shop: Path) -> None:
    result = counterpoint("journal", "export", "-o", "all.jsonl")

    assert result.stdout == ""
    assert result.stderr == "exported 8 executions\n"
    assert [line.export().id for line in read_lines(Path("all.jsonl"))] == ALL
    assert not Path("all.jsonl.part").exists()


def test_wrong_use_is_one_line(shop: Path) -> None:
    both = counterpoint("journal", "export", "done", "--where", "status=failed")
    gone = counterpoint("journal", "export", "gone")
    nowhere = counterpoint("journal", "export", "-o", "none/all.jsonl")

    assert (both.exit_code, gone.exit_code, nowhere.exit_code) == (2, 3, 2)
    assert "exclude each other" in both.stderr
    assert "no execution has the id 'gone'" in gone.stderr
    assert "none/all.jsonl cannot be written: No such file" in nowhere.stderr


def test_a_damaged_journal_is_named_and_left_out(shop: Path) -> None:
    damage("refused")

    result = counterpoint("journal", "export")

    assert result.exit_code == 4
    assert "left out: " in result.stderr
    assert len(result.stdout.splitlines()) == len(ALL) - 1


def damage(execution_id: str) -> None:
    import sqlite3

    connection = sqlite3.connect("shop.db")
    with connection:
        connection.execute(
            "update journal set body = x'5b5d' where execution_key ="
            " (select key from executions where id = ?)",
            [execution_id],
        )
    connection.close()


# ---- import -------------------------------------------------------------------------------------


def test_what_is_imported_is_exported_again_as_it_was(shop: Path) -> None:
    counterpoint("journal", "export", "-o", "all.jsonl")

    result = counterpoint("journal", "import", "all.jsonl", "--store", "copy.db", "--live")

    assert result.exit_code == 0, result.stderr
    assert result.stdout == "sqlite:///copy.db: 8 executions imported\n"
    counterpoint("journal", "export", "-o", "again.jsonl", "--store", "copy.db")
    assert Path("again.jsonl").read_bytes() == Path("all.jsonl").read_bytes()


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: str(file.stem))
def test_histories_are_imported_and_exported_as_they_were(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COUNTERPOINT_APP", raising=False)

    result = counterpoint("journal", "import", str(file), "--store", "copy.db", "--live")

    assert result.exit_code == 0, result.stderr
    again = counterpoint("journal", "export", "--store", "copy.db").stdout.encode().splitlines()
    assert again == [encode_export(line.export()) for line in read_lines(file)]


def test_a_node_goes_on_with_what_was_imported(shop: Path) -> None:
    counterpoint("journal", "export", "-o", "all.jsonl")
    counterpoint("journal", "import", "all.jsonl", "--store", "copy.db", "--live")

    async def go_on() -> str:
        from counterpoint.cli.target import resolve

        app: App = resolve("shop:app", "copy.db").app
        async with app:
            await app.execution("waiting").signal("go", "?")
            return str(await app.execution("waiting").result(30))

    assert asyncio.run(go_on()) == "waiting?"


def test_what_is_there_is_skipped_and_live_ones_are_refused(shop: Path) -> None:
    counterpoint("journal", "export", "-o", "all.jsonl")

    first = counterpoint("journal", "import", "all.jsonl", "--store", "copy.db", "--json")
    second = counterpoint("journal", "import", "all.jsonl", "--store", "copy.db")

    assert first.exit_code == second.exit_code == 1
    assert json.loads(first.stdout) == {
        "imported": 7,
        "skipped": 0,
        "live": 1,
        "live_ids": ["waiting"],
        "without_parent": 0,
    }
    assert "1 live refused (waiting): a node would go on with them" in first.stderr
    assert second.stdout == (
        "sqlite:///copy.db: 0 executions imported, 7 skipped that were there already\n"
    )


def test_an_execution_that_is_there_with_other_content_is_an_error(shop: Path) -> None:
    first, second = exported("done", "refused")
    records = [list(record) for record in first["records"]]
    records[0][1] += 1
    lines = [{**second, "id": "new"}, {**first, "records": records}]
    Path("other.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))

    result = counterpoint("journal", "import", "other.jsonl")

    assert result.exit_code == 2
    assert "stopped: 1 execution imported" in result.stderr
    assert "other.jsonl, line 2: the store has run 1 of done already" in result.stderr
    assert ids("new") == ["new"]


def test_one_execution_twice_in_a_file_is_imported_once(shop: Path) -> None:
    (one,) = exported("done")
    Path("twice.jsonl").write_text((json.dumps({**one, "id": "twice"}) + "\n") * 2)

    result = counterpoint("journal", "import", "twice.jsonl", "--json")

    assert json.loads(result.stdout)["imported"] == 1
    assert json.loads(result.stdout)["skipped"] == 1


def test_a_damaged_line_stops_the_import_and_names_itself(shop: Path) -> None:
    counterpoint("journal", "export", "-o", "all.jsonl")
    lines = Path("all.jsonl").read_text().splitlines(keepends=True)
    Path("bad.jsonl").write_text(lines[0] + lines[2][:-20] + "\n" + lines[3])

    result = counterpoint("journal", "import", "bad.jsonl", "--store", "copy.db")
    again = counterpoint("journal", "import", "all.jsonl", "--store", "copy.db", "--live")

    assert result.exit_code == 2
    assert "bad.jsonl, line 2: it is no exported execution" in result.stderr
    assert "stopped: 1 execution imported" in result.stderr
    assert "7 executions imported, 1 skipped" in again.stdout


def test_a_child_without_its_parent_is_said_to_be_one(shop: Path) -> None:
    counterpoint("journal", "export", "trip/1", "-o", "child.jsonl")

    alone = counterpoint("journal", "import", "child.jsonl", "--store", "copy.db")
    beside = counterpoint("journal", "import", "child.jsonl")

    assert "1 of them are children whose parents are not in the store" in alone.stderr
    assert "1 skipped" in beside.stdout


async def test_executions_are_exported_and_replayed_beside_a_node(shop: Path) -> None:
    async with App("other", services=[], store="sqlite:///shop.db"):
        result = await asyncio.to_thread(counterpoint, "journal", "export")
        replayed = await asyncio.to_thread(counterpoint, "replay")

    assert len(result.stdout.splitlines()) == len(ALL)
    assert replayed.exit_code == 0


async def test_a_store_that_a_node_hosts_is_refused(shop: Path) -> None:
    counterpoint_export = await asyncio.to_thread(
        counterpoint, "journal", "export", "-o", "a.jsonl"
    )
    assert counterpoint_export.exit_code == 0
    async with App("other", services=[], store="sqlite:///shop.db"):
        result = await asyncio.to_thread(counterpoint, "journal", "import", "a.jsonl")
        memory = await asyncio.to_thread(
            counterpoint, "journal", "import", "a.jsonl", "--store", "memory:"
        )

    assert result.exit_code == 4
    assert "shop.db is hosted by process" in result.stderr
    assert "memory: is a store inside one process" in memory.stderr


def test_a_file_that_is_not_there_is_an_error_before_anything_is_written(shop: Path) -> None:
    counterpoint("journal", "export", "done", "-o", "done.jsonl")

    result = counterpoint("journal", "import", "done.jsonl", "gone.jsonl", "--store", "copy.db")

    assert result.exit_code == 2
    assert "gone.jsonl cannot be read: No such file" in result.stderr
    assert not Path("copy.db").exists()


def test_an_imported_store_is_a_store_like_any_other(shop: Path) -> None:
    counterpoint("journal", "export", "-o", "all.jsonl")
    counterpoint("journal", "import", "all.jsonl", "--store", "copy.db")

    listed = counterpoint("list", "--store", "copy.db", "--json").stdout.splitlines()
    shown = counterpoint("show", "trip", "--store", "copy.db")

    assert [json.loads(line)["id"] for line in listed] == [i for i in ALL[::-1] if i != "waiting"]
    assert "orders.leg" in shown.stdout
