"""`resolve`, `terminate` and `reset` where no node runs; beside one: tests/acceptance."""

import asyncio
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.hearing import hearing
from typer.testing import CliRunner, Result

from counterpoint.cli.main import cli
from counterpoint.cli.target import load_app, open_client, resolve

SHOP = """
from dataclasses import dataclass
from datetime import timedelta
from counterpoint import App, BusinessError, Retry, Service, workflow

orders, payments = Service("orders"), Service("payments")

@dataclass
class Receipt:
    number: str

class Declined(BusinessError):
    reason: str
    limit: int = 0

@orders.activity
async def create(order: str) -> str:
    return order

hour = timedelta(hours=1)

@create.compensation(retry=Retry(max_attempts=1, first=hour, cap=hour))
async def discard(order: str) -> None:
    raise ConnectionError("the desk is closed")

@payments.activity(at_most_once=True)
async def charge(order: str) -> Receipt:
    raise ConnectionError("no answer")

@payments.activity(at_most_once=True)
async def note(order: str) -> str:
    raise ConnectionError("no answer")

@payments.activity(at_most_once=True)
async def ring(order: str) -> None:
    raise ConnectionError("no answer")

@orders.saga
async def place(order: str) -> str:
    workflow.set_attributes(customer="c-1")
    await create(order)
    return (await charge(order)).number

@orders.saga
async def undone(order: str) -> None:
    await create(order)
    raise ValueError("no")

@orders.workflow
async def noted(order: str) -> str:
    return await note(order)

@orders.workflow
async def twice(order: str) -> None:
    import asyncio
    await asyncio.gather(ring(order), ring(order))

@orders.workflow
async def family(order: str) -> str:
    return await noted(order)

@orders.workflow
async def done(order: str) -> str:
    await create(order)
    return await create(order)

app = App("shop", services=[orders, payments], store="sqlite:///shop.db")
"""
STARTED = {
    "pay": "place",
    "undo": "undone",
    "note": "noted",
    "two": "twice",
    "top": "family",
    "end": "done",
}
INCIDENTS = 6
"""One of each but `end`; `two` has one for each of its calls, and that of `top` is its child's."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with an execution of each workflow that ran as far as it can; copied by each test."""
    directory = tmp_path_factory.mktemp("shop")
    (directory / "shop.py").write_text(SHOP)
    with pytest.MonkeyPatch.context() as patch:
        enter(directory, patch)
        asyncio.run(fill())
    return directory


async def fill() -> None:
    app: Any = load_app("shop:app")
    async with app:
        async with hearing("incident in", times=INCIDENTS):
            for id, name in STARTED.items():
                await app.start(app.registry.workflows[f"orders.{name}"], id, id=id)
        await app.execution("end").result(10)


@pytest.fixture
def shop(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("shop.py", "shop.db"):
        (tmp_path / name).write_bytes((filled / name).read_bytes())
    enter(tmp_path, monkeypatch)
    return tmp_path


def enter(directory: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(directory)
    patch.setattr(sys, "path", [str(directory), *sys.path])
    patch.setattr(sys, "modules", dict(sys.modules))
    patch.setenv("COUNTERPOINT_APP", "shop:app")
    patch.setattr("counterpoint.cli.posting.PATIENCE_SECONDS", 0.01)


def counterpoint(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, env={"COLUMNS": "300"})


def posted() -> list[dict[str, Any]]:
    """Return what waits for a node: what was given, without what was left open."""

    async def read() -> list[dict[str, Any]]:
        async with open_client(resolve("shop:app", None)) as client:
            return [
                {"id": one.execution_id, "kind": one.kind, **one.detail}
                async for one in client.posted()
            ]

    letters = asyncio.run(read())
    return [{k: v for k, v in one.items() if v not in (None, False)} for one in letters]


def said() -> dict[str, Any]:
    """Return the only letter, without what every letter to `pay` has."""
    (letter,) = posted()
    for name in ("id", "kind", "actor"):
        letter.pop(name)
    return letter


# ---- resolve: one -----------------------------------------------------------------------------


def test_a_result_is_sent_with_who_and_why(shop: Path) -> None:
    result = counterpoint(
        *("resolve", "pay", "2", "--result", '{"number": "r-1"}'),
        *("--actor", "Ada", "--reason", "seen"),
    )

    assert result.exit_code == 0
    assert result.stdout == 'pay: call 2, payments.charge, returned {"number": "r-1"}\n'
    assert "no node has taken it yet" in result.stderr
    assert posted() == [
        {
            "id": "pay",
            "kind": "resolve",
            "call": 2,
            "returned": True,
            "result": {"number": "r-1"},
            "actor": "Ada",
            "reason": "seen",
        }
    ]


@pytest.mark.parametrize("text", ["17", "r-17", '"r-17"'])
def test_a_result_is_taken_as_text_where_only_that_fits(shop: Path, text: str) -> None:
    assert counterpoint("resolve", "note", "1", "--result", text).exit_code == 0
    assert posted()[0]["result"] == text.strip('"')


def test_not_done_asks_for_another_try(shop: Path) -> None:
    result = counterpoint("resolve", "pay", "2", "--not-done", "--json")

    assert json.loads(result.stdout) == {"id": "pay", "taken": False}
    assert said() == {"call": 2, "not_done": True}


def test_done_is_for_what_returns_nothing_and_for_what_is_undone(shop: Path) -> None:
    undone = counterpoint("resolve", "undo", "1", "--done")

    assert undone.stdout == "undo: the undoing of call 1, orders.create, is done\n"
    assert said() == {"call": 1, "done": True}
    assert counterpoint("resolve", "two", "1", "--done").exit_code == 0


def test_a_business_error_is_recorded_with_its_facts_and_its_defaults(shop: Path) -> None:
    result = counterpoint(
        "resolve", "pay", "2", "--error", "payments.Declined", "--facts", '{"reason": "x"}'
    )

    kind, message, business, facts, *_ = said()["error"]
    assert result.exit_code == 0
    assert (kind, business, facts) == ("payments.Declined", True, {"reason": "x"})
    assert message == "reason='x', limit=0"


@pytest.mark.parametrize(
    ("text", "recorded"),
    [
        ("TimeoutError:the bank said: no", ("builtins.TimeoutError", "the bank said: no")),
        ("ValueError", ("builtins.ValueError", "")),
        ("bank.Refused: no", ("bank.Refused", "no")),
        ("bank.Declined: no", ("bank.Declined", "no")),
    ],
)
def test_another_error_is_recorded_by_its_name_and_message(
    shop: Path, text: str, recorded: tuple[str, str]
) -> None:
    result = counterpoint("resolve", "pay", "2", "--error", text)

    kind, message, business, *_ = said()["error"]
    assert result.exit_code == 0
    assert (kind, message, business) == (*recorded, False)


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        ("pay 2", 2, "one of --result, --error, --done and --not-done"),
        ("pay 2 --done --not-done", 2, "not with 2 of them"),
        ("pay 2 --done --facts {}", 2, "--facts belong to --error"),
        ("pay --not-done", 2, r"name the CALL to resolve; open: 2 (payments.charge)"),
        ("pay 9 --not-done", 1, "it has no call 9; open: 2 (payments.charge)"),
        ("end 1 --not-done", 1, "it is completed and cannot be resolved"),
        ("pay 1 --not-done", 1, "call 1 has settled"),
        ("nobody 1 --not-done", 3, "no execution has the id 'nobody'"),
        ("top 1 --not-done", 1, "call 1 is the child top/1: resolve or end that"),
        ("pay 2 --done", 2, "payments.charge returns something (call 2 of pay): pass it with"),
        ("pay 2 --result {}", 2, "payments.charge does not return such a result: number: Field"),
        ("pay 2 --result {", 2, "the result is not JSON"),
        ("pay 2 --error payments.Declind", 2, "did you mean Declined?"),
        ("pay 2 --error Bug --facts {}", 2, "shop:app has no business error 'Bug': it has"),
        ("pay 2 --error a-b", 2, "write TYPE or TYPE:MESSAGE"),
        ("pay 2 --error :m", 2, "write TYPE or TYPE:MESSAGE"),
        ("pay 2 --error payments.Declined --facts []", 2, "--facts is no JSON object"),
        ("pay 2 --error payments.Declined", 2, "reason: Field required; pass them with --facts"),
        ("pay 2 --error payments.Declined:no", 2, "its facts say what happened; pass --facts"),
        ('pay 2 --error Declined --facts {"reason":"x","by":1}', 2, "has no fact by"),
        ("undo 1 --result 1", 2, "is being undone by orders.discard: pass --done if"),
        ("undo 1 --error ValueError", 2, "is being undone by orders.discard: pass --done if"),
        ("pay 2 --not-done --call-of charge", 2, "--call-of is for --where and --from"),
        ("pay 2 --not-done --yes", 2, "--yes, --rate and --limit are for --where"),
        ("--not-done", 2, "name an ID, or choose executions with --where"),
        ("pay --from - --not-done", 2, "--from names the executions"),
    ],
    ids=lambda given: given if isinstance(given, str) and " " in given else "",
)
def test_an_answer_that_cannot_be_given_is_refused_with_what_to_do(
    shop: Path, arguments: str, code: int, why: str
) -> None:
    result = counterpoint("resolve", *arguments.split(" "))

    assert (result.exit_code, result.stderr.count("\n")) == (code, 1)
    assert why in result.stderr
    assert posted() == []


def test_without_the_app_only_a_plain_error_can_be_named(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COUNTERPOINT_APP")
    answer = ("resolve", "pay", "2", "--store", "shop.db")

    business = counterpoint(*answer, "--error", "payments.Declined", "--facts", '{"reason":"x"}')
    plain = counterpoint(*answer, "--error", "TimeoutError")

    assert (business.exit_code, "pass --app" in business.stderr) == (2, True)
    assert plain.exit_code == 0


# ---- resolve: many ----------------------------------------------------------------------------


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


# ---- terminate, reset, retry ------------------------------------------------------------------


def test_terminate_of_one_asks_nothing_and_many_need_yes(shop: Path) -> None:
    one = counterpoint("terminate", "pay", "--actor", "Ada", "--reason", "by hand")
    dry = counterpoint("terminate", "--where", "service=orders")

    assert one.stdout == "pay: the request to terminate is sent\n"
    assert "no node has taken it yet" in one.stderr
    assert posted() == [{"id": "pay", "kind": "terminate", "actor": "Ada", "reason": "by hand"}]
    assert dry.stdout.startswith("this would terminate 5 executions:")
    assert counterpoint("terminate", "end").exit_code == 1


def test_reset_says_what_will_happen_again_and_acts_with_yes(shop: Path) -> None:
    dry = counterpoint("reset", "end", "--to", "3")
    before = posted()
    real = counterpoint("reset", "end", "--to", "3", "--yes", "--actor", "Ada", "--json")

    assert before == []
    assert dry.stdout.splitlines() == [
        "end: run 2 would begin from record 3",
        "these had happened, or may have, and happen again under new idempotency keys:",
        "  call 2, orders.create: completed",
    ]
    assert "pass --yes to do it" in dry.stderr
    plain = json.loads(real.stdout)
    assert (plain["run"], plain["to"], plain["dry_run"], plain["taken"]) == (2, 3, False, False)
    assert [call["call"] for call in plain["happened"]] == [2]
    assert posted() == [{"id": "end", "kind": "reset", "to": 3, "actor": "Ada"}]


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        ("pay --to 1", 1, "it has not ended (incident), and only what has is reset: end it first"),
        ("end --to 99", 1, "its journal has the records 1 to 6, not 99"),
        ("end --to 6", 1, "record 6 is its end: choose one before it"),
        ("nobody --to 1", 3, "no execution has the id 'nobody'"),
        ("--to 1", 2, "name an ID, or choose executions"),
        ("end --to 1 --rate 5", 2, "--yes, --rate and --limit are for --where"),
        ("--to 1 --where status=running", 2, "only what has ended is reset"),
    ],
    ids=lambda given: given if isinstance(given, str) and "--" in given else "",
)
def test_a_reset_that_cannot_be_is_refused(shop: Path, arguments: str, code: int, why: str) -> None:
    result = counterpoint("reset", *arguments.split(" "))

    assert result.exit_code == code
    assert why in result.stderr
    assert posted() == []


def test_many_are_reset_after_a_dry_run(shop: Path) -> None:
    choice = ("reset", "--to", "1", "--where", "service=orders", "--rate", "10000")

    dry = counterpoint(*choice)
    real = counterpoint(*choice, "--yes")

    assert "  end: 2 calls happen again\n" in dry.stdout
    assert real.stdout == "the request to reset is sent to 1 of 1 execution\n"
    assert [letter["kind"] for letter in posted()] == ["reset"]


def test_a_retry_that_could_do_it_twice_names_the_commands_instead(shop: Path) -> None:
    result = counterpoint("retry", "pay")

    assert result.exit_code == 1
    assert "if it did not, to try it again: counterpoint resolve pay 2 --not-done" in result.stderr


# ---- show and list ----------------------------------------------------------------------------


def test_show_tells_incidents_children_attributes_and_undoing(shop: Path) -> None:
    pay, top, leg, undo = (
        counterpoint("show", id).stdout for id in ("pay", "top", "top/1", "undo")
    )

    assert "  if it happened: counterpoint resolve pay 2 --result JSON\n" in pay
    assert "attributes  customer=c-1\n" in pay
    assert "    child top/1: incident\n" in top
    assert "(call 1) to end, which is an incident: counterpoint show top/1\n" in top
    assert "parent     top (call 1)\n" in leg
    assert "  if it is undone already: counterpoint resolve undo 1 --done\n" in undo
    assert "undoing\n└── 1 orders.create: being undone\n" in undo


def test_commands_that_show_writes_name_the_store_and_app_that_it_was_given(shop: Path) -> None:
    given = ("--store", "./shop.db", "--app", "shop:app")

    lines = counterpoint("show", "pay", *given).stdout.splitlines()
    command = next(line for line in lines if "--not-done" in line).partition("counterpoint ")[2]

    assert command == "resolve pay 2 --not-done --store ./shop.db"
    assert counterpoint(*command.split()).exit_code == 0


def test_show_has_runs_and_children_in_its_json(shop: Path) -> None:
    plain = json.loads(counterpoint("show", "top", "--json").stdout)

    assert (plain["earlier_runs"], plain["open_children"]) == ([], {"top/1": "incident"})


def test_children_are_found_by_their_parent(shop: Path) -> None:
    found = counterpoint("list", "--where", "parent=top", "--json")
    none = counterpoint("list", "--where", "parent=pay")
    nobody = counterpoint("list", "--where", "parent=nobody")

    assert json.loads(found.stdout)["id"] == "top/1"
    assert none.stdout == "no such executions\n"
    assert (nobody.exit_code, "no execution has the id 'nobody'" in nobody.stderr) == (3, True)


def test_an_incident_is_found_by_its_kind(shop: Path) -> None:
    found = counterpoint("list", "--where", "incident=patience", "--json")

    assert json.loads(found.stdout)["id"] == "undo"


def test_list_shows_attributes_where_asked(shop: Path) -> None:
    text = counterpoint("list", "--where", "id=pay", "--attributes").stdout
    lines = counterpoint("list", "--attributes", "--json").stdout.splitlines()

    said = {one["id"]: one["attributes"] for one in map(json.loads, lines)}
    assert text.splitlines()[0].split()[-1] == "attributes"
    assert text.splitlines()[1].endswith(" customer=c-1")
    assert said["pay"] == {"customer": "c-1"}
    assert said["end"] == {}
