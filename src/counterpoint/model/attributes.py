"""Attributes: what a workflow says about itself, as the short texts that executions are found by.

A value is recorded as text, so the same value has to give the same text wherever it is set or
searched for: numbers as Python writes them, times in UTC.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

from counterpoint.errors import ArgumentsError

ATTRIBUTE_NAME_CHARS_MAX = 64
ATTRIBUTE_TEXT_CHARS_MAX = 200


def attribute_text(value: object) -> str:
    """Return the text that stands for the value of an attribute.

    Text stands for itself, `True` is `true`, a member of an enum is its value, a date or time is
    ISO 8601 (`2026-01-31T12:00:00Z`), and other numbers and UUIDs are what `str` makes of them.

    Raises:
        ArgumentsError: the value is of another type, a time without its zone, or longer than 200
            characters.
    """
    text = _text(value)
    if text is None:
        raise ArgumentsError(
            f"an attribute cannot be a {type(value).__name__}: give it a str, int, bool, float, "
            "Decimal, date, datetime, UUID or Enum"
        )
    if len(text) > ATTRIBUTE_TEXT_CHARS_MAX:
        raise ArgumentsError(
            f"an attribute has at most {ATTRIBUTE_TEXT_CHARS_MAX} characters, not {len(text)}"
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ArgumentsError(f"an attribute cannot be written as UTF-8: {text!a}") from None
    return text


def attribute_texts(attributes: Mapping[str, object]) -> dict[str, str | None]:
    """Return the texts of attributes by name; None, which deletes one, stays None.

    Raises:
        ArgumentsError: a name is no identifier or longer than 64 characters, or `attribute_text`
            refuses a value; `fields` names the culprit.
    """
    texts: dict[str, str | None] = {}
    for name, value in attributes.items():
        check_attribute_name(name)
        try:
            texts[name] = None if value is None else attribute_text(value)
        except ArgumentsError as error:
            raise ArgumentsError(f"{name}: {error}", fields=[name]) from None
    return texts


def check_attribute_name(name: object) -> None:
    """Refuse what cannot be the name of an attribute.

    Raises:
        ArgumentsError: it is no identifier, or longer than 64 characters.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ArgumentsError(
            f"{name!r} cannot be the name of an attribute: use letters, digits and underscores",
            fields=[str(name)],
        )
    if len(name) > ATTRIBUTE_NAME_CHARS_MAX:
        raise ArgumentsError(
            f"the name of an attribute has at most {ATTRIBUTE_NAME_CHARS_MAX} characters, "
            f"not {len(name)}",
            fields=[name],
        )


def _text(value: object) -> str | None:
    """Return the text of a value of any length; None for a type that has none."""
    match value:
        case Enum():
            return _text(value.value)
        case str():
            return str.__str__(value)
        case bool():
            return "true" if value else "false"
        case int():
            return _integer(value)
        case float():
            return float.__repr__(value)
        case Decimal() | UUID():
            return str(value)
        case datetime():
            return _moment(value)
        case date():
            return value.isoformat()
        case _:
            return None


def _integer(value: int) -> str:
    if value.bit_length() > 4 * ATTRIBUTE_TEXT_CHARS_MAX:  # Python may refuse to write it at all
        raise ArgumentsError(
            f"an attribute has at most {ATTRIBUTE_TEXT_CHARS_MAX} characters: the number is longer"
        )
    return int.__repr__(value)


def _moment(value: datetime) -> str:
    if value.tzinfo is None:
        raise ArgumentsError(
            "an attribute cannot be a time without its zone: give it one, such as "
            "moment.replace(tzinfo=UTC)"
        )
    try:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        raise ArgumentsError(f"{value} has no time in UTC") from None
