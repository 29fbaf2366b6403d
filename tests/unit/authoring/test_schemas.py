"""Which schemas are one contract, and how the differences of others are told."""

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, create_model

from counterpoint.authoring.schemas import canonical_schema, schema_difference


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Level(IntEnum):
    LOW = 1
    HIGH = 3


class Line(BaseModel):
    sku: str
    quantity: int = 1


class Card(BaseModel):
    kind: Literal["card"] = "card"
    number: str


class Invoice(BaseModel):
    kind: Literal["invoice"] = "invoice"
    days: int


Payment: TypeAlias = Annotated[Card | Invoice, Field(discriminator="kind")]


class Tree(BaseModel):
    name: str
    children: "list[Tree]" = []
    parent: "Tree | None" = None


class Left(BaseModel):
    right: "Right | None" = None


class Right(BaseModel):
    left: Left | None = None


class Everything(BaseModel):
    title: str
    description: str | None = None
    examples: list[int] = []
    colour: Colour = Colour.RED
    level: Level = Level.LOW
    word: Literal["a", "b", 3] = "a"
    total: Decimal = Decimal("1.50")
    at: datetime
    on: date | None = None
    within: timedelta = timedelta(seconds=5)
    id: UUID
    raw: bytes = b""
    lines: tuple[Line, ...] = ()
    pair: tuple[int, str] = (1, "x")
    tags: frozenset[str] = frozenset({"x", "y", "z"})
    prices: dict[str, Decimal] = {}
    by_line: dict[str, Line] = {}
    either: int | str | None = None
    payment: Payment
    tree: Tree
    left: Left
    short: Annotated[str, Field(min_length=1, max_length=5, pattern="^[a-z]+$")]
    few: Annotated[list[int], Field(max_length=3)] = []
    ratio: Annotated[float, Field(ge=0, lt=1, multiple_of=0.5)] = 0.5


def text_of(model: type[BaseModel]) -> str:
    return canonical_schema(model.model_json_schema(mode="serialization"))


def model(**fields: object) -> str:
    """Return the text of a model with these fields; annotations, or pairs with a default."""
    definitions = {
        name: field if isinstance(field, tuple) else (field, ...) for name, field in fields.items()
    }
    made: type[BaseModel] = create_model("Order", **definitions)  # type: ignore[call-overload]
    return canonical_schema(made.model_json_schema(mode="validation"))


def shuffled(value: object, reorder: Callable[[list[object]], list[object]]) -> object:
    """Return a schema in which everything whose order does not count is in another order."""
    if isinstance(value, dict):
        names = reorder(list(value))
        return {name: _shuffled_member(str(name), value[name], reorder) for name in names}
    if isinstance(value, list):
        return [shuffled(member, reorder) for member in value]
    return value


def _shuffled_member(
    name: str, value: object, reorder: Callable[[list[object]], list[object]]
) -> object:
    if isinstance(value, list):
        if name in ("required", "enum", "anyOf", "oneOf", "allOf", "type"):
            return [shuffled(member, reorder) for member in reorder(value)]
        return value
    return shuffled(value, reorder)


@pytest.mark.parametrize(
    "kind", [Everything, Tree, Left, Right, Line], ids=lambda kind: kind.__name__
)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_order_makes_no_difference(kind: type[BaseModel], data: st.DataObject) -> None:
    schema = kind.model_json_schema(mode="serialization")

    other = shuffled(schema, lambda members: data.draw(st.permutations(members)))

    assert isinstance(other, dict)
    assert canonical_schema(other) == canonical_schema(schema)


@pytest.mark.parametrize("kind", [Everything, Tree, Left, Line], ids=lambda kind: kind.__name__)
def test_a_schema_in_canonical_form_stays_as_it_is(kind: type[BaseModel]) -> None:
    text = text_of(kind)

    assert canonical_schema(json.loads(text)) == text
    assert schema_difference(text, text) == []


@pytest.mark.parametrize("word", ["title", "description", "examples", "$comment", "deprecated"])
def test_what_only_people_read_makes_no_difference(word: str) -> None:
    plain = {"type": "object", "properties": {"a": {"type": "string"}}}
    told = {
        "type": "object",
        word: "x",
        "properties": {"a": {"type": "string", word: ["y"]}},
    }

    assert canonical_schema(told) == canonical_schema(plain)


@pytest.mark.parametrize("word", ["title", "description", "examples", "$defs", "required"])
def test_a_property_may_be_called_like_a_keyword(word: str) -> None:
    named = {"type": "object", "properties": {word: {"type": "string"}}}

    assert json.loads(canonical_schema(named)) == named


def test_docstrings_titles_and_examples_of_a_model_make_no_difference() -> None:
    class Plain(BaseModel):
        sku: str
        lines: list[Line]

    class Told(BaseModel):
        """A thing that is sold."""

        model_config = ConfigDict(title="A thing", json_schema_extra={"examples": [{"sku": "a"}]})
        sku: str = Field(title="SKU", description="Stock keeping unit", examples=["a"])
        lines: list[Line] = Field(description="What is bought")

    assert text_of(Told) == text_of(Plain)


def test_names_of_nested_classes_make_no_difference() -> None:
    def order(name: str) -> str:
        line: type[BaseModel] = create_model(name, sku=(str, ...))
        return model(lines=list[line], first=line)  # type: ignore[valid-type]

    assert order("Line") == order("OrderLine")


def test_definitions_that_differ_only_in_where_they_lead_stay_apart() -> None:
    def order(first: type[BaseModel], second: type[BaseModel]) -> str:
        one: type[BaseModel] = create_model("One", inner=(first, ...))
        two: type[BaseModel] = create_model("Two", inner=(second, ...))
        return model(one=one, two=two)

    assert order(Line, Line) != order(Line, Card)
    assert order(Line, Card) != order(Card, Line)


def test_a_circle_is_the_same_wherever_its_definitions_are_named() -> None:
    def circle(first: str, second: str, third: str) -> dict[str, object]:
        def to(name: str) -> dict[str, object]:
            return {"type": "object", "properties": {"next": {"$ref": f"#/$defs/{name}"}}}

        return {
            "$ref": f"#/$defs/{first}",
            "$defs": {first: to(second), second: to(third), third: to(first)},
        }

    assert canonical_schema(circle("a", "b", "c")) == canonical_schema(circle("z", "x", "y"))


def test_a_definition_that_nothing_leads_to_makes_no_difference() -> None:
    assert (
        canonical_schema({"type": "string", "$defs": {"A": {"type": "null"}}})
        == '{"type":"string"}'
    )


def test_defaults_count_and_their_keys_may_come_in_any_order() -> None:
    def with_default(default: object) -> str:
        return canonical_schema({"type": "object", "default": default})

    assert with_default({"title": 1, "b": [1, 2]}) == with_default({"b": [1, 2], "title": 1})
    assert with_default({"title": 1}) != with_default({})
    assert with_default({"b": [1, 2]}) != with_default({"b": [2, 1]})
    assert with_default(1.0) == with_default(1)
    assert with_default(True) != with_default(1)


@pytest.mark.parametrize(
    "members",
    [
        {"type": "array", "uniqueItems": True},
        {"anyOf": [{"type": "array", "uniqueItems": True}, {"type": "null"}]},
        {"$ref": "#/$defs/Set"},
    ],
    ids=["set", "optional set", "reference"],
)
def test_members_of_a_default_set_may_come_in_any_order(members: dict[str, object]) -> None:
    def schema(default: object) -> str:
        return canonical_schema(
            {
                "properties": {
                    "tags": {**members, "default": default},
                    "more": {
                        "type": "object",
                        "additionalProperties": members,
                        "default": {"key": default},
                    },
                    "list": {"type": "array", "items": members, "default": [default]},
                },
                "$defs": {"Set": {"type": "array", "uniqueItems": True}},
            }
        )

    assert schema(["b", "a"]) == schema(["a", "b"])
    assert schema(["b", "a"]) != schema(["a", "c"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"type": "object", "required": []}, {"type": "object"}),
        ({"type": ["null", "string"]}, {"type": ["string", "null"]}),
        ({"dependentRequired": {"a": ["b", "c"]}}, {"dependentRequired": {"a": ["c", "b"]}}),
        ({"minimum": 1}, {"minimum": 1.0}),
        (
            {"$ref": "#/definitions/A", "definitions": {"A": {"type": "null"}}},
            {"$ref": "#/$defs/B", "$defs": {"B": {"type": "null"}}},
        ),
        ({"discriminator": {"propertyName": "a"}}, {"discriminator": {"propertyName": "a"}}),
    ],
    ids=["required", "type", "dependent", "number", "definitions", "discriminator"],
)
def test_two_ways_to_write_the_same_are_equal(
    one: dict[str, object], other: dict[str, object]
) -> None:
    assert canonical_schema(one) == canonical_schema(other)


def test_the_order_of_positions_counts() -> None:
    assert model(pair=tuple[int, str]) != model(pair=tuple[str, int])


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"$ref": "#"},
        {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}},
        {"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}}},
        {"$ref": "#/$defs/Missing"},
        {"$ref": "https://example.com/schema.json"},
        {"properties": {"a": True, "b": False}, "additionalProperties": False},
        {"properties": {"a/b": {"$ref": "#/$defs/x~1y%20z"}}, "$defs": {"x/y z": {"type": "null"}}},
        {"default": float("nan"), "minimum": Decimal("1.5")},
    ],
    ids=[
        "empty",
        "root",
        "self",
        "union of itself",
        "missing",
        "elsewhere",
        "booleans",
        "escaped",
        "odd",
    ],
)
def test_odd_schemas_have_a_canonical_form_and_a_difference(schema: dict[str, object]) -> None:
    text = canonical_schema(schema)

    assert canonical_schema(json.loads(text)) == text
    assert schema_difference(text, text) == []
    assert schema_difference(text, canonical_schema({"type": "string", "minLength": 3}))
    assert schema_difference(canonical_schema({"type": "string", "minLength": 3}), text)


def test_an_enum_may_list_its_members_in_any_order() -> None:
    class Shade(Enum):
        GREEN = "green"
        RED = "red"

    assert model(colour=Shade) == model(colour=Colour)
