"""Parameters and results as recorded JSON: bound as Python binds, and the same value again."""

import enum
import inspect
import math
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from typing_extensions import TypedDict

from counterpoint import ArgumentsError, DefinitionError, PayloadError
from counterpoint.authoring.signature import Codec, Signature


class Colour(enum.Enum):
    RED = "red"


class Model(BaseModel):
    n: int
    inner: "Model | None" = None


@dataclass
class Point:
    x: float
    tags: set[str]


class Own:
    """No type of Pydantic's."""


class Typed(TypedDict):
    at: datetime
    of: tuple[int, ...]


def there_and_back(hint: Any, value: Any) -> Any:
    codec = Codec(hint, "the value")
    return codec.decode(codec.encode(value))


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Decimal, Decimal("1.10")),
        (datetime, datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)),
        (date, date(2026, 1, 2)),
        (timedelta, timedelta(days=1, microseconds=1)),
        (uuid.UUID, uuid.UUID(int=5)),
        (Colour, Colour.RED),
        (Model, Model(n=1, inner=Model(n=2))),
        (Point, Point(1.5, {"a", "b"})),
        (Typed, {"at": datetime(2026, 1, 1, tzinfo=UTC), "of": (1, 2)}),
        (tuple[int, str], (1, "a")),
        (set[int], {1, 2}),
        (frozenset[str], frozenset({"a"})),
        (bytes, b"\xff\x00"),
        (float, math.inf),
        (dict[str, list[Point]], {"a": [Point(0, set())]}),
        (int | None, None),
        (int | str, "1"),
        (Model | Point, Point(1, {"x"})),
        (str, "\ufffd \U0001f600"),
        (dict[str, int], {"\ufffd": 1}),
        (None, None),
        (Any, {"a": [1, None]}),
    ],
)
def test_a_value_is_the_same_again(hint: Any, value: Any) -> None:
    again = there_and_back(hint, value)

    assert again == value
    assert type(again) is type(value)


def test_not_a_number_is_not_a_number_again() -> None:
    assert math.isnan(there_and_back(float, math.nan))


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (str, "\ud800"),
        (dict[str, int], {"\udc00": 1}),
        (dict[str, dict[str, int]], {"a": {"\udc00": 1}}),
        (list[Any], [{"\udc00": 1}]),
        (Any, object()),
    ],
)
def test_what_cannot_be_written_is_a_payload_error(hint: Any, value: Any) -> None:
    with pytest.raises(PayloadError, match="the value cannot be recorded"):
        Codec(hint, "the value").encode(value)


@pytest.mark.parametrize("hint", [Own, list[Own]])
def test_a_type_unknown_to_pydantic_is_a_definition_error(hint: Any) -> None:
    with pytest.raises(DefinitionError, match="Pydantic cannot validate"):
        Codec(hint, "the value")


# ---- binding ----------------------------------------------------------------------------------

NAMES = "abcd"


@st.composite
def functions(draw: st.DrawFn) -> Any:
    count = draw(st.integers(0, len(NAMES)))
    positional = draw(st.integers(0, count))
    defaults = draw(st.integers(0, positional))
    keyword = [draw(st.booleans()) for _ in range(count - positional)]
    first = [
        f"{name}: int" + ("" if index < positional - defaults else f" = {index + 100}")
        for index, name in enumerate(NAMES[:positional])
    ]
    rest = [
        f"{name}: int" + (f" = {index + 200}" if has_default else "")
        for index, (name, has_default) in enumerate(
            zip(NAMES[positional:count], keyword, strict=True)
        )
    ]
    parameters = ", ".join([*first, *(["*", *rest] if rest else [])])
    space: dict[str, Any] = {}
    exec(f"def function({parameters}) -> None: ...", space)  # noqa: S102
    return space["function"]


@given(
    functions(),
    st.lists(st.integers(0, 9), max_size=5),
    st.dictionaries(st.sampled_from("abcdx"), st.integers(10, 19), max_size=5),
)
def test_arguments_bind_as_python_binds_them(
    function: Any, args: list[int], kwargs: dict[str, int]
) -> None:
    signature = Signature(function, "shop.function")
    refused = ""
    expected: inspect.BoundArguments | None = None
    try:
        expected = inspect.signature(function).bind(*args, **kwargs)
    except TypeError as error:
        refused = str(error)
    if expected is None:
        with pytest.raises(TypeError, match=re.escape(f"shop.function: {refused}")):
            signature.bind(tuple(args), kwargs)
        return
    expected.apply_defaults()

    bound = signature.bind(tuple(args), kwargs)

    assert list(bound.items()) == list(expected.arguments.items())


def test_defaults_are_recorded_in_the_order_of_the_parameters() -> None:
    def function(a: int, b: int = 2, *, c: str = "c") -> None: ...

    signature = Signature(function, "shop.function")
    ways: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((1,), {}),
        ((1, 2), {}),
        ((), {"b": 2, "a": 1}),
        ((1,), {"c": "c"}),
    ]

    bodies = {bytes(signature.encode_arguments(args, kwargs)) for args, kwargs in ways}

    assert bodies == {b'{"a":1,"b":2,"c":"c"}'}


def test_arguments_recorded_before_a_parameter_was_added_leave_it_to_its_default() -> None:
    def function(a: int, added: int = 5) -> int:
        return a + added

    signature = Signature(function, "shop.function")

    assert function(**signature.decode_arguments(b'{"a":1}')) == 6  # type: ignore[arg-type]


def test_arguments_recorded_before_a_parameter_was_removed_are_read_without_it() -> None:
    def function(a: int) -> None: ...

    decoded = Signature(function, "x").decode_arguments(b'{"a":1,"b":2}')  # type: ignore[arg-type]

    assert decoded == {"a": 1}


def test_arguments_of_another_type_name_their_fields() -> None:
    def function(order: Model, n: int) -> None: ...

    signature = Signature(function, "shop.function")

    with pytest.raises(ArgumentsError, match=r"shop\.function does not accept") as caught:
        signature.encode_arguments(({"n": "many"}, "x"), {})

    assert caught.value.fields == ("order.n", "n")


def test_arguments_of_another_type_that_fit_are_converted() -> None:
    def function(n: int, at: Decimal) -> None: ...

    assert bytes(Signature(function, "x").encode_arguments(("5", 2.5), {})) == b'{"n":5,"at":"2.5"}'


def test_a_result_of_a_wrong_type_is_a_payload_error() -> None:
    def function() -> int: ...  # type: ignore[empty-body]

    with pytest.raises(PayloadError, match="returned 'many', which is not what"):
        Signature(function, "shop.function").encode_result("many")


def test_a_value_whose_repr_fails_is_named_by_its_type() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise ValueError

    def function(n: int) -> None: ...

    with pytest.raises(ArgumentsError, match="a Shy whose repr fails"):
        Signature(function, "shop.function").encode_arguments((Shy(),), {})


# ---- refusals ---------------------------------------------------------------------------------


def test_parameters_without_annotation_are_refused() -> None:
    def function(a, b: int) -> None: ...  # type: ignore[no-untyped-def]

    with pytest.raises(DefinitionError, match="'a' needs a type annotation"):
        Signature(function, "shop.function")


@pytest.mark.parametrize("parameters", ["*a: int", "**a: int", "a: int, /"])
def test_parameters_without_a_name_of_their_own_are_refused(parameters: str) -> None:
    space: dict[str, Any] = {}
    exec(f"def function({parameters}) -> None: ...", space)  # noqa: S102

    with pytest.raises(DefinitionError, match="has no name to record it under"):
        Signature(space["function"], "shop.function")


def test_names_declared_further_down_are_resolved_later() -> None:
    space: dict[str, Any] = {}
    exec("def function(a: 'Later') -> 'Later': ...", space)  # noqa: S102
    signature = Signature(space["function"], "shop.function")
    with pytest.raises(DefinitionError, match="names 'Later', which is not defined"):
        signature.resolve()

    space["Later"] = int

    assert bytes(signature.encode_arguments((1,), {})) == b'{"a":1}'
