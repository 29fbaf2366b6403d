"""How the differences between two schemas are told."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, create_model

from counterpoint.authoring.schemas import canonical_schema, schema_difference


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Line(BaseModel):
    sku: str
    quantity: int = 1


class Card(BaseModel):
    kind: Literal["card"] = "card"
    number: str


class Invoice(BaseModel):
    kind: Literal["invoice"] = "invoice"
    days: int


class Voucher(BaseModel):
    kind: Literal["voucher"] = "voucher"
    code: str


class Tree(BaseModel):
    name: str
    children: "list[Tree]" = []
    parent: "Tree | None" = None


def model(**fields: object) -> str:
    """Return the text of a model with these fields; annotations, or pairs with a default."""
    definitions = {
        name: field if isinstance(field, tuple) else (field, ...) for name, field in fields.items()
    }
    made: type[BaseModel] = create_model("Order", **definitions)  # type: ignore[call-overload]
    return canonical_schema(made.model_json_schema(mode="validation"))


def test_many_definitions_that_lead_to_each_other_take_little_time() -> None:
    names = [f"Node{number}" for number in range(30)]

    def nodes(odd: str) -> str:
        definitions = {
            name: {
                "type": "object",
                "properties": {to: {"$ref": f"#/$defs/{to}"} for to in names}
                | {f"value{name}": {"type": odd if name == "Node7" else "string"}},
            }
            for name in names
        }
        return canonical_schema({"$ref": "#/$defs/Node0", "$defs": definitions})

    lines = schema_difference(nodes("string"), nodes("number"))

    assert "field Node7.valueNode7: was a string, is a number" in lines


CHANGES: list[tuple[str, str, list[str]]] = [
    (model(total=str), model(total=float), ["field total: was a string, is a number"]),
    (model(total=int), model(total=int, note=str), ["field note: is new (required)"]),
    (
        model(total=int),
        model(total=int, note=(str, "-")),
        ['field note: is new (optional, default "-")'],
    ),
    (model(total=int, note=str), model(total=int), ["field note: is gone"]),
    (
        model(currency=(str, "EUR")),
        model(currency=(str, "USD")),
        ['field currency: default was "EUR", is "USD"'],
    ),
    (
        model(currency=(str, "EUR")),
        model(currency=str),
        [
            "field currency: was optional, is required",
            'field currency: has no default now, it was "EUR"',
        ],
    ),
    (
        model(currency=str),
        model(currency=(str, "EUR")),
        ["field currency: was required, is optional", 'field currency: has a default now, "EUR"'],
    ),
    (
        model(lines=list[Line]),
        model(lines=list[Card]),
        [
            'field lines[].kind: is new (optional, default "card")',
            "field lines[].number: is new (required)",
            "field lines[].quantity: is gone",
            "field lines[].sku: is gone",
        ],
    ),
    (model(note=str), model(note=str | None), ["field note: was a string, is a string or null"]),
    (
        model(note=str | None),
        model(note=int | None),
        ["field note: was a string or null, is an integer or null"],
    ),
    (
        model(word=Literal["a", "b"]),
        model(word=Literal["a", "c"]),
        ['field word: the value "b" is gone', 'field word: the value "c" is new'],
    ),
    (
        model(word=Literal["a"]),
        model(word=Literal["a", "b"]),
        ['field word: the value "b" is new'],
    ),
    (model(word=Colour), model(word=str), ['field word: was one of "green", "red", is a string']),
    (
        model(at=str),
        model(at=datetime),
        ["field at: was a string, is a string (date-time)"],
    ),
    (
        model(sku=Annotated[str, Field(max_length=5)]),
        model(sku=Annotated[str, Field(max_length=9, min_length=1)]),
        ["field sku: maxLength was 5, is 9", "field sku: minLength 1 is new"],
    ),
    (
        model(count=Annotated[int, Field(ge=1)]),
        model(count=int),
        ["field count: minimum 1 is gone"],
    ),
    (
        model(prices=dict[str, int]),
        model(prices=dict[str, str]),
        ["field prices[key]: was an integer, is a string"],
    ),
    (
        model(pair=tuple[int, str]),
        model(pair=tuple[int, int]),
        ["field pair[1]: was a string, is an integer"],
    ),
    (
        model(pair=tuple[int, str]),
        model(pair=tuple[int, str, str]),
        [
            "field pair: maxItems was 2, is 3",
            "field pair: minItems was 2, is 3",
            "field pair[2]: is new",
        ],
    ),
    (
        canonical_schema({"type": "array", "prefixItems": [{"type": "null"}]}),
        canonical_schema({"type": "array", "prefixItems": []}),
        ["field [0]: is gone"],
    ),
    (model(tags=list[str]), model(tags=set[str]), ["field tags: was a list, is a set"]),
    (
        model(tags=list[str]),
        model(tags=list[int]),
        ["field tags[]: was a string, is an integer"],
    ),
    (
        canonical_schema({"properties": {"a": {"type": ["string", "null"]}}}),
        canonical_schema({"properties": {"a": {"type": ["integer", "null"]}}}),
        ["field a: was a string or null, is an integer or null"],
    ),
    (
        canonical_schema({"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}),
        canonical_schema({"anyOf": [{"properties": {"c": {}}}, {"properties": {"d": {}}}]}),
        ["the event: was an object or an object, is another one"],
    ),
    (
        model(payment=Card | Invoice),
        model(payment=Card | Voucher),
        [
            "field payment.code: is new (required)",
            "field payment.days: is gone",
            'field payment.kind: the value "invoice" is gone',
            'field payment.kind: the value "voucher" is new',
            'field payment.kind: default was "invoice", is "voucher"',
        ],
    ),
    (
        model(payment=Annotated[Card | Invoice, Field(discriminator="kind")]),
        model(payment=Annotated[Card | Invoice | Voucher, Field(discriminator="kind")]),
        [
            'field payment: was an object with kind "card" or an object with kind "invoice", is '
            'an object with kind "card" or an object with kind "invoice" or an object with kind '
            '"voucher"'
        ],
    ),
    (model(a=Line), model(a=list[Line]), ["field a: was an object, is a list"]),
    (
        canonical_schema({"type": "object", "additionalProperties": False}),
        canonical_schema({"type": "object"}),
        ["the event: other fields were forbidden, are allowed"],
    ),
    (
        canonical_schema({"type": "object", "not": {"type": "null"}}),
        canonical_schema({"type": "object", "not": {"type": "string"}}),
        ["the event: not has changed"],
    ),
    (
        canonical_schema({"type": "object"}),
        canonical_schema({"type": "string"}),
        ["the event: was an object, is a string"],
    ),
    (
        canonical_schema({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        canonical_schema({"oneOf": [{"type": "string"}, {"type": "null"}]}),
        ["the event: its schema is another one"],
    ),
]


@pytest.mark.parametrize(
    ("published", "declared", "lines"), CHANGES, ids=[lines[0] for *_, lines in CHANGES]
)
def test_a_difference_is_told_in_words(published: str, declared: str, lines: list[str]) -> None:
    assert sorted(schema_difference(published, declared)) == sorted(lines)


def test_a_type_that_is_used_twice_is_told_of_at_both_places() -> None:
    class Small(BaseModel):
        sku: str

    lines = schema_difference(model(a=Line, b=list[Line]), model(a=Small, b=list[Small]))

    assert lines == ["field a.quantity: is gone", "field b[].quantity: is gone"]


def test_a_recursive_type_is_told_of_once() -> None:
    class Tree(BaseModel):
        name: int
        children: "list[Tree]" = []
        parent: "Tree | None" = None

    lines = schema_difference(model(tree=globals()["Tree"]), model(tree=Tree))

    assert lines == ["field tree.name: was a string, is an integer"]


def test_at_most_ten_differences_are_told_and_the_others_counted() -> None:
    twelve: dict[str, object] = {f"f{number:02}": int for number in range(12)}

    lines = schema_difference(model(**twelve), model())

    assert lines == [*(f"field f{number:02}: is gone" for number in range(10)), "and 2 more"]


def test_variants_of_a_union_are_compared_with_their_own_kind() -> None:
    class PaidCard(Card):
        paid: bool

    class PaidInvoice(Invoice):
        paid: bool

    lines = schema_difference(
        model(payment=Card | Invoice), model(payment=PaidCard | PaidInvoice | Voucher)
    )

    assert lines == [
        "field payment.paid: is new (required)",
        'field payment: was an object with kind "card" or an object with kind "invoice", is '
        'an object with kind "card" or an object with kind "invoice" or an object with kind '
        '"voucher"',
    ]
