"""Events and their contracts: what is refused, what a key is, how old versions are read."""

import json
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from typing import Annotated, Any, Literal, NewType
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, ValidationError

from counterpoint import App, DefinitionError, Event, Service
from counterpoint.authoring.event import Contract, check_key, contract_of, event_data, key_text
from counterpoint.errors import (
    ArgumentsError,
    InvalidEventError,
    PayloadTooLargeError,
    UnknownVersionError,
)

OrderId = NewType("OrderId", str)
Nested = NewType("Nested", OrderId)


class Colour(Enum):
    RED = "red"


class Size(StrEnum):
    BIG = "big"


class Number(IntEnum):
    ONE = 1


class Both(Flag):
    A = 1
    B = 2


def shop() -> Service:
    return Service("shop")


def event(hint: Any = str, service: Service | None = None, **options: Any) -> Any:
    cls = type("Placed", (Event,), {"__annotations__": {"key": hint}, "__module__": __name__})
    return (service or shop()).event(**{"key": "key", **options})(cls)


def refusal(**options: Any) -> str:
    with pytest.raises(DefinitionError) as raised:
        contract_of(event(**options)).resolve()
    return str(raised.value)


# ---- contracts --------------------------------------------------------------------------------


def test_a_contract_holds_what_an_event_promises() -> None:
    service = shop()

    @service.event(key="order", version=2, external=True)
    class Placed(Event):
        """An order
        was placed."""

        order: str

    contract = contract_of(Placed)

    assert service.contracts == {"shop.Placed": contract}
    assert (contract.type, contract.service, contract.version) == ("shop.Placed", "shop", 2)
    assert (contract.key_field, contract.external) == ("order", True)
    assert contract.description == "An order\nwas placed."
    assert json.loads(contract.schema)["properties"]["order"] == {"type": "string"}
    assert repr(contract) == "<event shop.Placed version 2>"


def test_an_event_without_a_docstring_has_no_description() -> None:
    assert contract_of(event()).description == ""


def test_a_name_of_its_own_is_recorded() -> None:
    assert contract_of(event(name="orders.placed")).type == "orders.placed"


def test_events_are_immutable_and_ignore_what_they_do_not_know() -> None:
    placed = event()(key="1", other=2)

    assert not hasattr(placed, "other")
    with pytest.raises(ValidationError, match="frozen"):
        placed.key = "2"


def test_a_subclass_of_an_event_has_no_contract_until_it_is_declared() -> None:
    service = shop()
    base = event(service=service)

    later: Any = type("Later", (base,), {"__module__": __name__})

    with pytest.raises(DefinitionError, match=r"^Later has no contract: declare it with @service"):
        contract_of(later)
    assert contract_of(service.event(key="key")(later)).type == "shop.Later"


@pytest.mark.parametrize("version", [0, -1, "1", 1.0, True, None], ids=repr)
def test_a_version_is_a_whole_number(version: Any) -> None:
    assert refusal(version=version) == "shop.Placed: version= is a whole number, at least 1"


@pytest.mark.parametrize("key", ["order", "", None, ["key"], ("key", "other")], ids=repr)
def test_a_key_is_one_of_the_fields(key: Any) -> None:
    assert refusal(key=key) == (
        f"shop.Placed: key={key!r} is none of its fields (key); the key says which events have to "
        "stay in order"
    )


def test_an_event_without_fields_cannot_have_a_key() -> None:
    class Empty(Event):
        pass

    with pytest.raises(DefinitionError, match=r"key='key' is none of its fields \(none\)"):
        shop().event(key="key")(Empty)


def test_what_does_not_inherit_from_event_is_refused() -> None:
    decorate: Any = shop().event(key="key")

    class Plain(BaseModel):
        key: str

    with pytest.raises(DefinitionError, match=r"inherits from Event: class Plain\(Event\)$"):
        decorate(Plain)
    with pytest.raises(DefinitionError, match=r"inherits from Event: class helper\(Event\)$"):
        decorate(type("x", (), {"__name__": "helper"})())
    with pytest.raises(DefinitionError, match=r"^Event itself is no event"):
        decorate(Event)


def test_an_event_has_one_owner() -> None:
    cls = event()

    with pytest.raises(DefinitionError) as raised:
        Service("other").event(key="key")(cls)

    assert str(raised.value) == (
        "Placed belongs to shop already, as shop.Placed: an event has one owner"
    )


def test_two_events_of_one_name_in_a_service_are_refused() -> None:
    service = shop()
    event(service=service)

    with pytest.raises(DefinitionError) as raised:
        event(service=service)

    assert str(raised.value) == "two events are called shop.Placed; pass name= to one"


def test_two_classes_of_one_name_in_an_app_are_refused() -> None:
    first, second = shop(), Service("other")
    event(service=first)
    event(service=second, name="shop.Placed")

    with pytest.raises(DefinitionError) as raised:
        App("app", services=[first, second], store="memory:")

    assert str(raised.value) == (
        f"two classes are the event shop.Placed: one of shop (key 'key') in {__name__}, one of "
        f"other (key 'key') in {__name__}: an event has one owner; pass name= to one"
    )


def test_a_type_that_is_not_defined_is_refused_when_the_app_is_built() -> None:
    service = shop()
    event("Missing", service=service)

    with pytest.raises(DefinitionError) as raised:
        App("app", services=[service], store="memory:")

    assert str(raised.value) == (
        f"shop.Placed: name 'Missing' is not defined (in the module {__name__})"
    )


@pytest.mark.parametrize("thing", [None, 5, dict, "Placed"], ids=repr)
def test_what_is_no_event_has_no_contract(thing: Any) -> None:
    with pytest.raises(DefinitionError, match=r"is not an event: a class that inherits from Event"):
        contract_of(thing)


# ---- keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "value", "text"),
    [
        (str, "a", "a"),
        (int, 7, "7"),
        (UUID, UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Colour, Colour.RED, "red"),
        (Size, Size.BIG, "big"),
        (Number, Number.ONE, "1"),
        (Both, Both.A | Both.B, "3"),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, "a"], 1, "1"),
        (Literal[Size.BIG], Size.BIG, "big"),
        (OrderId, OrderId("x"), "x"),
        (Nested, Nested(OrderId("y")), "y"),
        (Annotated[str, Field(min_length=1)], "z", "z"),
        ("OrderId", "f", "f"),
    ],
    ids=str,
)
def test_keys_are_text_of_what_identifies_things(hint: Any, value: Any, text: str) -> None:
    cls = event(hint)
    contract = contract_of(cls)
    contract.resolve()

    made = cls(key=value)

    assert contract.key_of(made) == text
    assert contract.decode(contract.encode(made), 1) == made


@pytest.mark.parametrize(
    "hint",
    [
        bool,
        float,
        bytes,
        Decimal,
        str | None,
        str | int,
        Any,
        list[str],
        None,
        Literal[True],
        Literal[Colour.RED],
    ],
    ids=str,
)
def test_other_types_cannot_be_keys(hint: Any) -> None:
    assert refusal(hint=hint).startswith(
        "shop.Placed: the key 'key' is str, int, UUID or an Enum, not "
    )


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("", "is empty"),
        ("a" * 201, "has 201 characters, at most 200 are allowed"),
        ("\ud800", "cannot be written as UTF-8"),
    ],
    ids=["empty", "long", "surrogate"],
)
def test_keys_that_cannot_be_recorded_are_refused(key: str, wrong: str) -> None:
    with pytest.raises(ArgumentsError) as raised:
        check_key("shop.Placed", "order", key)

    assert str(raised.value) == f"shop.Placed: the key order {wrong}"
    assert list(raised.value.fields) == ["order"]


def test_the_longest_key_is_accepted() -> None:
    assert check_key("shop.Placed", "order", "a" * 200) == "a" * 200


def test_a_wait_may_name_a_member_of_an_enumeration() -> None:
    assert key_text(Size.BIG) == "big"
    assert key_text(Number.ONE) == "1"


# ---- data -------------------------------------------------------------------------------------


def test_an_event_that_is_too_large_is_refused() -> None:
    cls = event()

    with pytest.raises(PayloadTooLargeError, match=r"the event shop\.Placed"):
        event_data(contract_of(cls), cls(key="a" * 100), 50)


def test_an_event_that_was_never_validated_is_refused() -> None:
    cls = event()

    with pytest.raises(ArgumentsError, match=r"^shop\.Placed does not accept these arguments"):
        contract_of(cls).encode(cls.model_construct(key=5))


def test_data_that_does_not_validate_names_the_fields() -> None:
    with pytest.raises(InvalidEventError) as raised:
        contract_of(event()).decode(b'{"key": 5}', 1)

    assert str(raised.value).startswith(
        "shop.Placed version 1: key: Input should be a valid string"
    )
    assert list(raised.value.fields) == ["key"]


def test_fields_with_an_alias_are_read_as_they_are_written() -> None:
    service = shop()

    @service.event(key="order")
    class Placed(Event):
        order: str = Field(alias="orderId")

    contract = contract_of(Placed)
    placed = Placed(orderId="1")

    assert contract.decode(contract.encode(placed), 1) == placed


# ---- older versions ---------------------------------------------------------------------------


def versioned(version: int = 3) -> Any:
    return event(version=version)


def test_upcasters_are_chained_from_the_version_of_the_data() -> None:
    cls = versioned()
    steps: list[int] = []

    def second(data: dict[str, Any]) -> dict[str, Any]:
        steps.append(2)
        return {"key": data["renamed"]}

    def first(data: dict[str, Any]) -> dict[str, Any]:
        steps.append(1)
        return {"renamed": data["old"]}

    assert cls.upcaster(2)(second) is second  # it is still an ordinary function
    assert cls.upcaster(1)(first) is first
    contract: Contract = contract_of(cls)
    contract.resolve()

    assert contract.decode(b'{"old": "a"}', 1).key == "a"
    assert contract.decode(b'{"renamed": "b"}', 2).key == "b"
    assert contract.decode(b'{"key": "c"}', 3).key == "c"
    assert steps == [1, 2, 2]


def test_data_of_a_newer_version_is_unknown() -> None:
    with pytest.raises(UnknownVersionError):
        contract_of(versioned()).decode(b"{}", 4)


def test_data_of_a_version_without_upcaster_says_what_to_declare() -> None:
    with pytest.raises(InvalidEventError) as raised:
        contract_of(versioned()).decode(b"{}", 2)

    assert str(raised.value) == (
        "shop.Placed version 2: there is no upcaster from version 2; declare @Placed.upcaster(2)"
    )


def test_a_gap_between_upcasters_is_refused_when_the_app_is_built() -> None:
    cls = versioned(4)
    cls.upcaster(1)(dict)
    cls.upcaster(3)(dict)

    with pytest.raises(DefinitionError) as raised:
        contract_of(cls).resolve()

    assert str(raised.value) == (
        "shop.Placed has an upcaster from version 1 and none from version 2: declare "
        "@Placed.upcaster(2)"
    )


def test_upcasters_may_begin_at_any_version() -> None:
    cls = versioned(4)
    cls.upcaster(3)(dict)

    contract_of(cls).resolve()


def fails(data: dict[str, Any]) -> dict[str, Any]:
    return {"key": data["missing"]}


def no_json(data: dict[str, Any]) -> dict[str, Any]:
    return {"key": Decimal(1)}


@pytest.mark.parametrize(
    ("upcaster", "data", "words"),
    [
        (fails, b"{}", "shop.Placed: the upcaster from version 2 raised KeyError: 'missing'"),
        (no_json, b"{}", "shop.Placed version 2: the upcasters made of it what is no JSON: Object"),
        (dict, b"{", "shop.Placed version 2: no JSON: Expecting property name"),
        (lambda _: 5, b"{}", "shop.Placed version 2: Input should be an object"),
        (dict, b"[5]", "shop.Placed: the upcaster from version 2 raised TypeError"),
    ],
    ids=["fails", "makes no json", "no json", "makes another thing", "gets another thing"],
)
def test_data_that_cannot_be_brought_up_is_invalid(upcaster: Any, data: bytes, words: str) -> None:
    cls = versioned()
    cls.upcaster(2)(upcaster)

    with pytest.raises(InvalidEventError) as raised:
        contract_of(cls).decode(data, 2)

    assert str(raised.value).startswith(words)


async def waits(data: dict[str, Any]) -> dict[str, Any]:
    return data


@pytest.mark.parametrize(
    ("version", "function", "words"),
    [
        (3, dict, "shop.Placed has the version 3: an upcaster is from an older one, not from 3"),
        (0, dict, "shop.Placed has the version 3: an upcaster is from an older one, not from 0"),
        ("1", dict, "shop.Placed: @Placed.upcaster('1'): the older version is a whole number"),
        (True, dict, "shop.Placed: @Placed.upcaster(True): the older version is a whole number"),
        (
            1,
            waits,
            "shop.Placed: @Placed.upcaster(1) is `async def`: an upcaster only computes, declare "
            "it with `def`",
        ),
    ],
    ids=["this one", "none", "text", "truth", "async"],
)
def test_upcasters_that_cannot_be_are_refused(version: Any, function: Any, words: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        versioned().upcaster(version)(function)

    assert str(raised.value) == words


def test_a_second_upcaster_of_a_version_is_refused() -> None:
    cls = versioned()
    cls.upcaster(1)(dict)

    with pytest.raises(DefinitionError, match="has an upcaster from version 1 already"):
        cls.upcaster(1)(dict)


def test_an_upcaster_of_a_class_without_contract_is_refused() -> None:
    class Undeclared(Event):
        key: str

    with pytest.raises(DefinitionError, match=r"^Undeclared has no contract"):
        Undeclared.upcaster(1)
