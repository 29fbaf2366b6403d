"""What can be an attribute, and which text stands for it."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from uuid import UUID

import pytest

from counterpoint.errors import ArgumentsError
from counterpoint.model.attributes import attribute_text, attribute_texts


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Day(Enum):
    FIRST = date(2026, 1, 31)


class Whole(int):
    def __repr__(self) -> str:
        return f"Whole({int(self)})"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("c-1", "c-1"),
        ("", ""),
        ("ünï", "ünï"),
        ("x" * 200, "x" * 200),
        (5, "5"),
        (-(10**198), "-1" + "0" * 198),
        (Whole(7), "7"),
        (True, "true"),
        (False, "false"),
        (0.1, "0.1"),
        (Decimal("12.50"), "12.50"),
        (date(2026, 1, 31), "2026-01-31"),
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00Z"),
        (
            datetime(2026, 1, 31, 1, tzinfo=timezone(timedelta(hours=2))),
            "2026-01-30T23:00:00Z",
        ),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Colour.RED, "red"),
        (Level.HIGH, "3"),
        (Day.FIRST, "2026-01-31"),
    ],
    ids=repr,
)
def test_a_value_has_one_text(value: object, text: str) -> None:
    assert attribute_text(value) == text
    assert type(attribute_text(value)) is str


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "cannot be a NoneType"),
        ([1], "cannot be a list"),
        (b"x", "cannot be a bytes"),
        ("x" * 201, "at most 200 characters, not 201"),
        (10**200, "not 201"),
        (10**100_000, "the number is longer"),
        ("\ud800", "UTF-8"),
        (datetime(2026, 1, 31), "without its zone"),  # noqa: DTZ001 - what is refused
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), "no time in UTC"),
    ],
    ids=[
        "none",
        "list",
        "bytes",
        "text",
        "number",
        "huge number",
        "surrogate",
        "naive time",
        "late",
    ],
)
def test_any_other_value_is_refused(value: object, why: str) -> None:
    with pytest.raises(ArgumentsError, match=why):
        attribute_text(value)


def test_none_stays_none_as_it_deletes_the_attribute() -> None:
    assert attribute_texts({"customer": "c-1", "amount": None}) == {
        "customer": "c-1",
        "amount": None,
    }


@pytest.mark.parametrize("name", ["", "a-b", "1a", "a b", "@a", "\ud800", "x" * 65])
def test_a_name_that_is_no_short_identifier_is_refused(name: str) -> None:
    with pytest.raises(ArgumentsError, match="name of an attribute") as caught:
        attribute_texts({"good": 1, name: 1})

    assert caught.value.fields == (name,)


def test_a_refused_value_is_named() -> None:
    with pytest.raises(ArgumentsError, match="lines: an attribute cannot be a list") as caught:
        attribute_texts({"x" * 64: 1, "lines": []})

    assert caught.value.fields == ("lines",)
