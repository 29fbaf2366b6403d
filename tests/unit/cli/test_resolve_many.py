"""`resolve --where` and `resolve --from` where no node runs."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.cli.stuck import copy_shop, counterpoint, make_filled, posted
from typer.testing import CliRunner

from counterpoint.cli.main import cli


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_filled(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def shop(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return copy_shop(filled, tmp_path, monkeypatch)


def test_many_get_one_answer_after_a_dry_run(shop: Path) -> None:
    choice = ("resolve", "--where", "incident=unknown-outcome", "--call-of", "payments.charge")

    dry = counterpoint(*choice, "--not-done")
    before = posted()
    real = counterpoint(*choice, "--not-done", "--yes", "--rate", "10000")

    assert "  pay: call 2, payments.charge, did not happen: it is tried again" in dry.stdout
    assert dry.stdout.startswith("this would resolve 1 execution; 3 would be refused:\n")
    assert (dry.exit_code, before) == (1, [])
    assert "sent to 1 of 4 executions" in real.stdout
    assert real.exit_code == 1
    assert [letter["id"] for letter in posted()] == ["pay"]


def test_of_several_calls_that_need_a_person_none_is_guessed(shop: Path) -> None:
    result = counterpoint("resolve", "--where", "id=two", "--done", "--json")

    (refused,) = json.loads(result.stdout)["refused"]
    assert refused["reason"].startswith(
        "several calls need a person: 1 (payments.ring), 2 (payments.ring); answer each by"
    )


ANSWERS = {
    "csv": """\
id,call,outcome,result,error,facts,reason
pay,charge,,"{""number"": ""r-1""}",,,in the books
note,1,not-done,,,,
two,1,done,,,,
two,2,,,TimeoutError:late,,

undo,1,done,,,,
""",
    "json": """\
{"id": "pay", "call": "payments.charge", "result": {"number": "r-1"}, "reason": "in the books"}
{"id": "note", "call": 1, "outcome": "not-done"}

{"id": "two", "call": 1, "outcome": "done"}
{"id": "two", "call": 2, "error": "TimeoutError:late"}
{"id": "undo", "call": "1", "outcome": "done"}
""",
}


@pytest.mark.parametrize("form", ANSWERS)
def test_a_file_has_an_answer_for_each(shop: Path, form: str) -> None:
    (shop / "answers").write_text(ANSWERS[form])

    dry = counterpoint("resolve", "--from", "answers")
    before = posted()
    real = counterpoint(
        *("resolve", "--from", "answers", "--yes", "--rate", "10000"),
        *("--reason", "looked", "--actor", "Ada"),
    )

    assert before == []
    assert dry.stdout.startswith("this would resolve 5 calls:\n")
    assert (real.exit_code, real.stdout) == (
        0,
        "the request to resolve is sent to 5 of 5 calls\n",
    )
    letters = posted()
    assert [(one["id"], one["call"], one["reason"]) for one in letters] == [
        ("pay", 2, "in the books"),
        ("note", 1, "looked"),
        ("two", 1, "looked"),
        ("two", 2, "looked"),
        ("undo", 1, "looked"),
    ]
    assert letters[0]["result"] == {"number": "r-1"}
    assert letters[3]["error"][:2] == ["builtins.TimeoutError", "late"]


def test_a_line_without_an_answer_gets_the_one_of_the_command_line(shop: Path) -> None:
    (shop / "ids.csv").write_text("id,call\npay,2\nnote,1\n")

    nothing = counterpoint("resolve", "--from", "ids.csv", "--yes")
    result = counterpoint("resolve", "--from", "ids.csv", "--not-done", "--yes")

    assert (nothing.exit_code, "or in an outcome column" in nothing.stderr) == (2, True)
    assert result.exit_code == 0
    assert [(one["id"], one["not_done"]) for one in posted()] == [("pay", True), ("note", True)]


PARTLY_WRONG = """\
id,call,outcome,result
nobody,1,done,
end,1,,1
pay,7,done,
undo,charge,done,
two,1,,5
top,1,,5
note,1,not-done,
note,note,not-done,
"""


def test_a_file_of_which_anything_would_be_refused_is_not_sent(shop: Path) -> None:
    (shop / "answers.csv").write_text(PARTLY_WRONG)

    dry = counterpoint("resolve", "--from", "answers.csv")
    plain = counterpoint("resolve", "--from", "answers.csv", "--yes", "--json")
    text = counterpoint("resolve", "--from", "answers.csv", "--yes")

    report = json.loads(plain.stdout)
    refused = {one["id"]: one["reason"] for one in report["refused"]}
    assert (dry.exit_code, plain.exit_code, text.exit_code) == (1, 1, 1)
    assert dry.stdout.startswith("this would resolve 1 call; 7 would be refused:\n")
    assert "--yes would send none" in dry.stderr
    assert (report["done"], report["matched"]) == (0, 8)
    assert refused["end"] == "it is completed"
    assert refused["pay"] == "it has no call 7; open: 2 (payments.charge)"
    assert refused["undo"] == "no call of charge needs a person"
    assert refused["two"].startswith("payments.ring does not return such a result")
    assert refused["top"] == "call 1 is the child top/1: resolve or end that"
    assert refused["note"] == "call 1 is answered in an earlier line already"
    assert "nothing was done, as 7 of 8 calls would be refused" in text.stderr
    assert posted() == []


def test_what_would_be_refused_can_be_left_out(shop: Path) -> None:
    (shop / "answers.csv").write_text(PARTLY_WRONG)

    result = counterpoint("resolve", "--from", "answers.csv", "--yes", "--skip-refused")
    one = counterpoint("resolve", "note", "1", "--not-done", "--skip-refused")

    assert result.exit_code == 1
    assert result.stdout.startswith("the request to resolve is sent to 1 of 8 calls\n7 refused:\n")
    assert [letter["id"] for letter in posted()] == ["note"]
    assert (one.exit_code, "--skip-refused is for --from" in one.stderr) == (2, True)


def test_an_answer_that_names_no_call_is_refused_with_the_file(shop: Path) -> None:
    (shop / "answers.csv").write_text("id,call,outcome\nnote,1,not-done\npay,,not-done\n")

    without = counterpoint("resolve", "--from", "answers.csv", "--yes")
    before = posted()
    named = counterpoint("resolve", "--from", "answers.csv", "--yes", "--call-of", "charge")

    assert without.exit_code == 2
    assert "line 3 names no call of pay: write its number, or the name" in without.stderr
    assert before == []
    assert named.exit_code == 0
    assert [(letter["id"], letter["call"]) for letter in posted()] == [("note", 1), ("pay", 2)]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "payments.chrage",
            "shop:app has no activity 'payments.chrage': did you mean payments.charge",
        ),
        ("chrage", "did you mean payments.charge?"),
        ("orders.charge", ""),
        ("orders.dicsard", "did you mean orders.discard?"),
        ("xyz", "it has orders.create, orders.discard, payments.charge, payments.note, "),
    ],
)
def test_an_activity_that_the_app_does_not_have_is_refused_with_those_like_it(
    shop: Path, name: str, why: str
) -> None:
    result = counterpoint("resolve", "--where", "status=incident", "--not-done", "--call-of", name)

    assert (result.exit_code, why in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("execution,outcome\npay,done\n", "line 1: there is no column execution: write the"),
        ("call,outcome\n2,done\n", "line 1 has no id"),
        ("id,call,outcome\npay,2,done\n,1,done\n", "line 3 has no id"),
        ("id,outcome\npay,done\n", "line 2 names no call of pay"),
        ('{"id": "pay", "call": true}\n', "line 1: call is a number, or the name of"),
        ("id,outcome\npay\n", "line 2 has more or fewer cells"),
        ("id,outcome\npay,done,2\n", "line 2 has more or fewer cells"),
        ("id,outcome\npay,yes\n", "line 2: outcome 'yes': write done or not-done"),
        ("id,outcome,result\npay,done,1\n", "line 2: done has no result"),
        ("id,result,error\npay,1,x\n", "line 2: it has a result and an error"),
        ("id,facts\npay,{}\n", "line 2: facts belong to an error"),
        ("id,result\npay,{\n", "line 2: the result is not JSON"),
        ("id,error,facts\npay,x,1\n", "line 2: facts is no JSON object"),
        ("id,call,outcome\npay,2,done\npay,2,done\n", "line 3: pay is answered in line 2 already"),
        ('id,outcome\n"pay,done\n', "is not CSV"),
        ('{"id": "pay", "call": 2, "outcome": "done"}\n{"id": 5}\n', "line 2: id is text"),
        ('{"id": "pay"\n', "line 1 is no JSON object"),
        ('{"id": "pay", "facts": []}\n', "line 1: facts are a JSON object"),
        ('{"id": "pay", "out": 1}\n', "line 1: there is no column out"),
    ],
)
def test_one_wrong_line_stops_the_whole_file(shop: Path, text: str, why: str) -> None:
    (shop / "answers").write_text(text)

    result = counterpoint("resolve", "--from", "answers", "--yes")

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert why in result.stderr
    assert posted() == []


def test_a_file_may_come_from_stdin_and_one_that_cannot_be_read_is_named(shop: Path) -> None:
    (shop / "bytes").write_bytes(b"id\n\xff\n")
    piped = CliRunner().invoke(cli, ["resolve", "--from", "-", "--yes"], input="id,outcome\n")

    assert (piped.exit_code, piped.stdout) == (0, "no such calls\n")
    assert "No such file" in counterpoint("resolve", "--from", "nothing.csv").stderr
    assert "it is not UTF-8" in counterpoint("resolve", "--from", "bytes").stderr


def test_a_damaged_journal_stops_no_act_on_others(shop: Path) -> None:
    with closing(sqlite3.connect("shop.db")) as db, db:
        (key,) = db.execute("SELECT key FROM executions WHERE id = 'note'").fetchone()
        db.execute("UPDATE journal SET body = x'00' WHERE execution_key = ?", (key,))

    found = counterpoint("list", "--where", "incident=unknown", "--json", "--attributes")
    acted = counterpoint("resolve", "--where", "status=incident", "--not-done", "--yes", "--json")
    retried = counterpoint("retry", "--where", "id=note", "--yes", "--json")

    ids = [json.loads(line)["id"] for line in found.stdout.splitlines()]
    assert ids == ["top/1", "two", "pay"]
    assert "note is left out: the journal" in found.stderr
    assert "note" in [one["id"] for one in json.loads(acted.stdout)["refused"]]
    assert json.loads(acted.stdout)["done"] == 3
    assert "is damaged" in json.loads(retried.stdout)["refused"][0]["reason"]
