import io
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from counterpoint import App, ArgumentsError, Service
from counterpoint.cli.arguments import find_workflow, read_arguments, read_value
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.target import Target


class Line(BaseModel):
    sku: str
    count: int


orders = Service("orders")
returns = Service("returns")


@orders.workflow
async def place(order: str, amount: Decimal, lines: list[Line], note: str = "none") -> None: ...


@orders.workflow(name="orders.check")
async def check_order(within: timedelta, deep: bool = False) -> None: ...


@returns.workflow(name="returns.check")
async def check_return() -> None: ...


class Sku(BaseModel):
    code: str

    def model_post_init(self, _: object) -> None:
        if self.code == "broken":
            raise KeyError("a user's mistake")


@orders.workflow
async def ship(
    order: str, count: int = 1, ref: str | int = 0, sku: Sku | None = None, *, fast: bool = False
) -> None: ...


TARGET = Target(App("shop", services=[orders, returns], store="memory:"), "shop:app")


def arguments(*texts: str, whole: str | None = None) -> list[Any]:
    return read_arguments(find_workflow(TARGET, "place"), texts, whole)


def test_arguments_come_in_order_or_by_name_and_defaults_fill_the_rest() -> None:
    values = arguments("o-1", 'lines=[{"sku": "a", "count": 2}]', "amount=12.30")

    assert values == ["o-1", Decimal("12.30"), [Line(sku="a", count=2)], "none"]


def test_a_decimal_in_quotes_keeps_all_its_digits() -> None:
    values = arguments("o-1", '"0.10000000000000000001"', "[]")

    assert str(values[1]) == "0.10000000000000000001"


def test_text_with_an_equals_sign_that_names_no_parameter_is_a_value() -> None:
    assert arguments("a=b", "1", "[]")[0] == "a=b"


def test_json_args_take_an_object_or_a_list() -> None:
    by_name = arguments(whole='{"order": "o", "amount": 1, "lines": []}')
    in_order = arguments(whole='["o", 1, []]')

    assert by_name == in_order == ["o", Decimal(1), [], "none"]


def test_json_args_come_from_stdin_or_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "args.json").write_text('["o", 1, []]')
    monkeypatch.setattr("sys.stdin", io.StringIO('["o", 1, []]'))

    from_stdin = arguments(whole="-")
    from_file = arguments(whole=f"@{tmp_path}/args.json")

    assert from_stdin == from_file == ["o", Decimal(1), [], "none"]


def shipped(*texts: str) -> list[Any]:
    return read_arguments(find_workflow(TARGET, "ship"), texts, None)


@pytest.mark.parametrize("text", ["2", "2.50", "true", "null", "[1]", '{"a": 1}', "1e3"])
def test_json_that_only_fits_as_text_is_text(text: str) -> None:
    by_position = shipped(text)
    by_name = shipped(f"order={text}")

    assert by_position[0] == by_name[0] == text


def test_json_wins_where_both_fit() -> None:
    assert shipped('"2"', "3", "4") == ["2", 3, 4, None]
    assert shipped("a", "3", '"4"')[2] == "4"


def test_what_fits_neither_way_says_how_to_write_text() -> None:
    with pytest.raises(ArgumentsError, match=r"sku: .*; as text, write '\"2\"'$"):
        shipped("o", "sku=2")


def test_a_parameter_by_name_only_cannot_be_given() -> None:
    with pytest.raises(CommandError, match=r"^fast cannot be given: .*, fast: bool = False"):
        shipped("o", "fast=true")


def test_whatever_a_users_type_raises_is_one_line() -> None:
    with pytest.raises(CommandError, match=r"^orders\.ship cannot be started .*: KeyError: "):
        shipped("o", 'sku={"code": "broken"}')


def test_text_that_is_not_unicode_is_one_line() -> None:
    with pytest.raises(CommandError, match="UnicodeEncodeError"):
        shipped("\udc80")


@pytest.mark.parametrize(
    ("texts", "whole", "message"),
    [
        (("o", '{"x"', "[]"), None, "'amount' is not JSON"),
        (("o", "order=p"), None, "'order' is given twice"),
        (("o",), None, "amount, lines is missing: orders.place takes"),
        (("1", "2", "3", "4", "5"), None, "5 arguments are too many"),
        (("o",), "[]", "one by one or with --json-args"),
        ((), "[1, 2, 3, 4, 5]", "5 arguments are too many"),
        ((), '{"order": "o", "size": 1}', "no parameter size"),
        ((), "12", "neither a JSON object"),
        ((), "@no/such/file", "No such file"),
    ],
)
def test_wrong_arguments_are_refused_with_what_to_write(
    texts: tuple[str, ...], whole: str | None, message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        arguments(*texts, whole=whole)


def test_arguments_of_another_type_name_their_field() -> None:
    with pytest.raises(ArgumentsError, match=r"lines\.0\.count") as refused:
        arguments("o", "1", '[{"sku": "a", "count": "many"}]')

    assert refused.value.fields == ("lines.0.count",)


def test_a_workflow_is_found_by_its_full_name_or_a_clear_last_part() -> None:
    found = [find_workflow(TARGET, name).name for name in ("orders.place", "place")]

    assert found == ["orders.place", "orders.place"]


@pytest.mark.parametrize(
    ("name", "message", "code"),
    [
        ("check", r"orders\.check or returns\.check", Exit.USAGE),
        ("orders.plaice", r"did you mean orders\.place\?", Exit.NOT_FOUND),
        ("xyz", r"it has orders\.check, orders\.place, orders\.ship", Exit.NOT_FOUND),
    ],
)
def test_an_unclear_workflow_is_refused_with_the_names(name: str, message: str, code: Exit) -> None:
    with pytest.raises(CommandError, match=message) as refused:
        find_workflow(TARGET, name)

    assert refused.value.code is code


def test_a_value_is_json_or_plain_text() -> None:
    raw = [bytes(read_value(text, "it")) for text in ("12", "true", "Ada L", '"x"')]

    assert raw == [b"12", b"true", b'"Ada L"', b'"x"']
