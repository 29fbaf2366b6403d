"""`deadletters` on a store that no node hosts."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.cli.dead import (
    FIRST,
    SECOND,
    copy_shop,
    counterpoint,
    lines,
    make_filled,
    posted,
    run_node,
)

from counterpoint.cli.completion import complete_dead_letters
from counterpoint.cli.event_options import find_name
from counterpoint.cli.failures import CommandError, Exit


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_filled(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def shop(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return copy_shop(filled, tmp_path, monkeypatch)


# ---- list, groups, show -----------------------------------------------------------------------


def test_dead_letters_are_listed(shop: Path) -> None:
    rows = [line.split() for line in counterpoint("deadletters", "list").stdout.splitlines()]

    assert rows[0] == ["id", "key", "died", "attempts", "behind", "error"]
    assert [(row[0], row[1]) for row in rows[1:]] == [(FIRST, "a"), (SECOND, "b")]
    assert " ".join(rows[1]).endswith("1 1 builtins.ValueError: nothing to pack for a")


def test_dead_letters_are_filtered_and_written_as_json(shop: Path) -> None:
    (found,) = lines("deadletters", "list", "--json", "--key", "b", "--service", "shipping")

    assert found["id"] == SECOND
    assert found["event"]["type"] == "orders.Ordered"
    assert found["data"] == {"order_id": "b", "quantity": 0}
    assert "journal" not in found
    assert counterpoint("deadletters", "list", "--key", "c").stdout == "no such dead letters\n"


@pytest.mark.parametrize(
    "filters", [["--cause", "ValueError"], ["--reaction", "pack"], ["--service", "shipping"]]
)
def test_the_last_part_of_a_name_filters_dead_letters(shop: Path, filters: list[str]) -> None:
    found = lines("deadletters", "list", "--json", *filters)

    assert [one["id"] for one in found] == [FIRST, SECOND]


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        (["--cause", "Other"], "the cause 'Other': it has builtins.ValueError"),
        (["--cause", "rror"], "the cause 'rror': it has builtins.ValueError"),
        (
            ["--reaction", "shipping.pick"],
            "no reaction 'shipping.pick': did you mean shipping.pack",
        ),
        (["--reaction", "x"], "no reaction 'x': it has shipping.pack"),
        (["--service", "x"], "no service 'x': it has orders, shipping"),
    ],
)
def test_a_filter_of_which_nothing_is_known_says_what_there_is(
    shop: Path, filters: list[str], words: str
) -> None:
    result = counterpoint("deadletters", "list", *filters)

    assert (result.exit_code, result.stdout) == (3, "")
    assert words in result.stderr


def test_a_known_name_without_dead_letters_is_no_error(shop: Path) -> None:
    result = counterpoint("deadletters", "list", "--service", "orders")
    assert (result.exit_code, result.stdout) == (0, "no such dead letters\n")

    for id in (FIRST, SECOND):
        counterpoint("deadletters", "discard", id, "--reason", "twice")
    run_node()

    for filters in (["--reaction", "pack"], ["--cause", "builtins.ValueError"]):
        result = counterpoint("deadletters", "list", *filters)
        assert (result.exit_code, result.stdout) == (0, "no such dead letters\n")


def test_a_short_name_of_several_is_refused_with_all_of_them() -> None:
    with pytest.raises(CommandError, match=r"a\.Error or b\.Error: write the full") as refused:
        find_name(["a.Error", "b.Error"], "Error", "there is none")

    assert refused.value.code is Exit.USAGE


def test_a_short_list_says_that_there_are_more(shop: Path) -> None:
    assert "--limit 10 shows them" in counterpoint("deadletters", "list", "--limit", "1").stderr


def test_dead_letters_are_counted_by_cause(shop: Path) -> None:
    rows = [line.split() for line in counterpoint("deadletters", "groups").stdout.splitlines()]
    (group,) = lines("deadletters", "groups", "--json")

    assert rows[0] == ["reaction", "cause", "count", "first", "last"]
    assert rows[1][:3] == ["shipping.pack", "builtins.ValueError", "2"]
    assert group["count"] == 2


def test_a_dead_letter_is_shown_with_all_that_is_known_of_it(shop: Path) -> None:
    text = counterpoint("deadletters", "show", FIRST).stdout

    for words in (
        f"{FIRST}  died ",
        "after 1 attempt\n",
        "event   orders.Ordered version 1, position 1, from orders\n",
        "key     a\n",
        "flow    e-1\n",
        "behind  1 event waits behind it\n",
        "error   builtins.ValueError: nothing to pack for a\n",
        '  "quantity": 0\n',
        "given up: builtins.ValueError: nothing to pack for a (shop.py:",
        "traceback\n  Traceback",
    ):
        assert words in text


def test_a_dead_letter_is_shown_as_json_with_its_journal(shop: Path) -> None:
    (found,) = lines("deadletters", "show", SECOND, "--json")

    assert [entry["type"] for entry in found["journal"]] == ["died"]
    assert found["behind"] == 0


def test_a_redriven_dead_letter_that_died_again_says_who_asked(shop: Path) -> None:
    counterpoint("deadletters", "redrive", FIRST, "--actor", "Ada", "--reason", "try")

    waits = counterpoint("deadletters", "show", FIRST)
    assert "a redrive waits for a node" in waits.stderr
    run_node()

    text = counterpoint("deadletters", "show", FIRST).stdout
    assert ": redriven by Ada: try\n" in text
    assert text.count("given up: ") == 2


@pytest.mark.parametrize("command", ["show", "redrive"])
def test_an_unknown_dead_letter_is_not_found(shop: Path, command: str) -> None:
    result = counterpoint("deadletters", command, "shipping.pack:orders/none")

    assert result.exit_code == 3
    assert "no reaction has the id" in result.stderr


def test_what_is_no_dead_letter_is_refused(shop: Path) -> None:
    result = counterpoint("deadletters", "redrive", "shipping.pack:orders/e-4")

    assert result.exit_code == 1
    assert "it is no dead letter: it is completed" in result.stderr


@pytest.mark.parametrize(
    ("id", "code", "words"),
    [
        ("shipping.pack:orders/e-4", 1, "completed; counterpoint flow shipping.pack:orders/e-4 "),
        ("shipping.pack:orders/none", 3, "counterpoint deadletters list has the dead letters"),
    ],
)
def test_what_is_no_dead_letter_is_shown_with_what_to_look_at(
    shop: Path, id: str, code: int, words: str
) -> None:
    result = counterpoint("deadletters", "show", id)

    assert result.exit_code == code
    assert words in result.stderr


def test_an_execution_that_is_a_reaction_says_what_shows_it(shop: Path) -> None:
    dead = counterpoint("show", FIRST)
    done = counterpoint("show", "shipping.pack:orders/e-4")
    none = counterpoint("show", "shipping.pack:orders/none")

    assert [one.exit_code for one in (dead, done, none)] == [3, 3, 3]
    assert f"counterpoint flow {FIRST} and counterpoint deadletters show {FIRST}" in dead.stderr
    assert "reaction; counterpoint flow shipping.pack:orders/e-4 shows" in done.stderr
    assert none.stderr == "error: no execution has the id 'shipping.pack:orders/none'\n"


# ---- redrive ----------------------------------------------------------------------------------


def test_a_redrive_is_sent_with_who_and_why(shop: Path) -> None:
    result = counterpoint("deadletters", "redrive", FIRST, "--actor", "Ada", "--reason", "try")

    assert result.stdout == f"{FIRST}: the request to redrive it is sent\n"
    assert "no node has taken it yet" in result.stderr
    (letter,) = posted()
    assert (letter["kind"], letter["id"]) == ("redrive", FIRST)
    assert (letter["actor"], letter["reason"]) == ("Ada", "try")


@pytest.mark.parametrize("how", ["file", "stdin"])
def test_a_redrive_with_other_data_sends_it(shop: Path, how: str) -> None:
    data = '{"order_id": "a", "quantity": 9}'
    Path("data.json").write_text(data)

    if how == "file":
        result = counterpoint("deadletters", "redrive", FIRST, "--edit", "data.json", "--json")
    else:
        result = counterpoint("deadletters", "redrive", FIRST, "--edit", "-", "--json", stdin=data)

    assert json.loads(result.stdout) == {"id": FIRST, "taken": False}
    assert posted()[0]["data"] == json.loads(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{", "--edit - is not JSON"),
        ("null", "is the data of no event"),
        ('{"order_id": "a"}', "quantity: Field required"),
        ('{"order_id": "b", "quantity": 1}', "publish a new event"),
    ],
)
def test_wrong_data_is_refused_before_it_is_sent(shop: Path, data: str, words: str) -> None:
    result = counterpoint("deadletters", "redrive", FIRST, "--edit", "-", stdin=data)

    assert result.exit_code == 2
    assert words in result.stderr
    assert posted() == []


def test_many_are_redriven_with_yes_only(shop: Path) -> None:
    args = ("deadletters", "redrive", "--reaction", "shipping.pack")

    dry = counterpoint(*args, "--cause", "builtins.ValueError")
    assert dry.stdout == f"this would redrive 2 dead letters:\n  {FIRST}\n  {SECOND}\n"
    assert "pass --yes" in dry.stderr
    assert posted() == []

    real = counterpoint(*args, "--yes", "--rate", "1000")
    assert real.stdout == "the request to redrive is sent to 2 of 2 dead letters\n"
    assert [letter["id"] for letter in posted()] == [FIRST, SECOND]


def test_many_are_redriven_by_the_last_part_of_names(shop: Path) -> None:
    args = ("deadletters", "redrive", "--reaction", "pack", "--cause", "ValueError", "--json")

    (report,) = lines(*args)

    assert report["ids"] == [FIRST, SECOND]


@pytest.mark.parametrize("filters", [["pick"], ["pack", "--cause", "Other"]])
def test_nothing_known_is_redriven_with_an_error(shop: Path, filters: list[str]) -> None:
    result = counterpoint("deadletters", "redrive", "--yes", "--reaction", *filters)

    assert result.exit_code == 3
    assert posted() == []


def test_many_are_counted_as_json(shop: Path) -> None:
    args = ("deadletters", "redrive", "--reaction", "shipping.pack", "--json")

    (report,) = lines(*args)

    assert (report["dry_run"], report["matched"], report["ids"]) == (True, 2, [FIRST, SECOND])


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--cause", "builtins.ValueError", "--yes"],
        [FIRST, "--reaction", "shipping.pack"],
        [FIRST, "--yes"],
        [FIRST, "--edit", "nothing.json"],
        ["--reaction", "shipping.pack", "--edit", "-"],
    ],
)
def test_a_redrive_of_nothing_clear_is_wrong_usage(shop: Path, args: list[str]) -> None:
    assert counterpoint("deadletters", "redrive", *args).exit_code == 2
    assert posted() == []


# ---- discard ----------------------------------------------------------------------------------


def test_a_dead_letter_is_discarded_with_a_reason(shop: Path) -> None:
    result = counterpoint("deadletters", "discard", FIRST, "--reason", "twice", "--actor", "Ada")

    assert result.stdout == f"{FIRST}: the request to discard it is sent\n"
    assert posted()[0]["reason"] == "twice"
    run_node()
    assert [one["id"] for one in lines("deadletters", "list", "--json")] == [SECOND]


@pytest.mark.parametrize("reason", [[], ["--reason", " "]])
def test_a_dead_letter_is_not_discarded_without_a_reason(shop: Path, reason: list[str]) -> None:
    assert counterpoint("deadletters", "discard", FIRST, *reason).exit_code == 2
    assert posted() == []


def test_ids_of_dead_letters_are_offered(shop: Path) -> None:
    context: Any = SimpleNamespace(params={"app": "shop:app"})

    assert complete_dead_letters(context, "") == [FIRST, SECOND]
    assert complete_dead_letters(context, SECOND) == [SECOND]
