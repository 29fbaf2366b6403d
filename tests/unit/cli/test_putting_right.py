"""`resolve`, `terminate` and `reset` where no node runs; beside one: tests/acceptance."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.stuck import copy_shop, counterpoint, make_filled, posted


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_filled(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def shop(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return copy_shop(filled, tmp_path, monkeypatch)


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


# ---- terminate, reset, retry ------------------------------------------------------------------


def test_terminate_of_one_asks_nothing_and_many_need_yes(shop: Path) -> None:
    one = counterpoint("terminate", "pay", "--actor", "Ada", "--reason", "by hand")
    dry = counterpoint("terminate", "--where", "service=orders")

    assert one.stdout == "pay: the request to terminate is sent\n"
    assert "no node has taken it yet" in one.stderr
    assert posted() == [{"id": "pay", "kind": "terminate", "actor": "Ada", "reason": "by hand"}]
    assert dry.stdout.startswith("this would terminate 5 executions:")
    assert counterpoint("terminate", "end").exit_code == 1


def test_a_child_whose_parent_is_not_chosen_is_acted_on(shop: Path) -> None:
    counterpoint("terminate", "--where", "workflow=orders.noted", "--yes", "--rate", "10000")

    assert [letter["id"] for letter in posted()] == ["note", "top/1"]


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
