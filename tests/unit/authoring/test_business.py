"""Business errors: facts by keyword, validated, and the same again after the journal."""

import copy
import pickle
from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from counterpoint import ArgumentsError, BusinessError, DefinitionError
from counterpoint.authoring.business import business_type
from counterpoint.authoring.failures import error_of, failure_of, safe_str
from counterpoint.errors import ActivityFailed, RecordedError


class Declined(BusinessError):
    reason: str
    amount: Decimal = Decimal(1)
    limit: ClassVar[int] = 3


class DeclinedTwice(Declined):
    times: list[int]


class Renamed(BusinessError, name="elsewhere.Other"):
    reason: str


class Other(BusinessError):
    amount: int


def there_and_back(error: BaseException) -> Exception:
    return error_of(failure_of(error, "shop"), there_and_back)


def test_facts_are_fields_with_defaults() -> None:
    error = Declined(reason="limit")

    assert (error.reason, error.amount) == ("limit", Decimal(1))
    assert error.facts == {"reason": "limit", "amount": Decimal(1)}
    assert str(error) == "reason='limit', amount=Decimal('1')"
    assert repr(error).startswith("Declined(")


def test_subclasses_inherit_fields() -> None:
    error = there_and_back(DeclinedTwice(reason="limit", amount=Decimal("2.50"), times=[1, 2]))

    assert isinstance(error, DeclinedTwice)
    assert error.facts == {"reason": "limit", "amount": Decimal("2.50"), "times": [1, 2]}


def test_an_error_without_facts_is_named_by_its_type() -> None:
    class Empty(BusinessError): ...

    assert str(Empty()) == "Empty"


def test_unknown_facts_are_refused_by_name() -> None:
    with pytest.raises(ArgumentsError, match="no field reazon; its fields are") as caught:
        Declined(reazon="limit")  # type: ignore[call-arg]

    assert caught.value.fields == ("reazon",)


@pytest.mark.parametrize("facts", [{"reason": 1}, {}])
def test_facts_that_do_not_validate_are_refused_by_name(facts: dict[str, Any]) -> None:
    with pytest.raises(ArgumentsError, match="Declined does not accept these facts") as caught:
        Declined(**facts)

    assert caught.value.fields == ("reason",)


def test_facts_are_coerced_as_arguments_are() -> None:
    make: Any = Declined

    assert make(reason="limit", amount=5).amount == Decimal(5)


@pytest.mark.parametrize("field", ["payload", "facts", "args", "add_note", "from_payload"])
def test_fields_that_errors_have_themselves_are_refused(field: str) -> None:
    with pytest.raises(DefinitionError, match=f"attribute '{field}' of their own"):
        type("Bad", (BusinessError,), {"__annotations__": {field: str}})


def test_an_unresolvable_annotation_is_a_definition_error() -> None:
    class Bad(BusinessError):
        when: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(DefinitionError, match="Bad: the annotation names 'Nowhere'"):
        Bad(when=1)


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))],  # noqa: S301
)
def test_errors_can_be_copied_and_pickled(again: Callable[[Any], Any]) -> None:
    error = DeclinedTwice(reason="limit", times=[1])
    error.add_note("seen")

    other = again(error)

    assert type(other) is DeclinedTwice
    assert (other.facts, other.args) == (error.facts, error.args)
    assert other.__notes__ == ["seen"]


def test_a_fact_recorded_before_a_field_was_added_gets_its_default() -> None:
    error = Declined.from_payload(b'{"reason":"limit"}')

    assert error.facts == {"reason": "limit", "amount": Decimal(1)}


def test_the_recorded_name_is_the_service_and_the_class_unless_given() -> None:
    assert failure_of(Declined(reason=""), "payments").type == "payments.Declined"
    assert failure_of(Renamed(reason=""), "payments").type == "elsewhere.Other"


def test_a_given_name_is_not_taken_for_a_class_of_that_name() -> None:
    error = there_and_back(Renamed(reason="x"))

    assert type(error) is Renamed
    assert business_type("shop.Other", there_and_back) is Other


def test_of_two_modules_the_one_of_the_function_decides() -> None:
    def module(name: str) -> dict[str, Any]:
        space: dict[str, Any] = {"__name__": name, "BusinessError": BusinessError}
        exec("class Lost(BusinessError):\n    n: int\ndef act() -> None: ...", space)  # noqa: S102
        return space

    first, second = module("shop.payments"), module("shop.inventory")
    apart: dict[str, Any] = {"__name__": "shop.payments.acts"}
    exec("def act() -> None: ...", apart)  # noqa: S102

    assert business_type("shop.Lost", first["act"]) is first["Lost"]
    assert business_type("shop.Lost", second["act"]) is second["Lost"]
    assert business_type("shop.Lost", apart["act"]) is first["Lost"]


def test_an_unknown_class_leaves_its_facts() -> None:
    failure = failure_of(Declined(reason="x"), "shop")
    gone = type(failure)("shop.Gone", failure.message, business=True, facts=failure.facts)

    error = error_of(gone, there_and_back)

    assert isinstance(error, RecordedError)
    assert error.facts["reason"] == "x"


def test_an_activitys_failure_crosses_with_its_facts() -> None:
    failed = ActivityFailed(
        "shop.act",
        call=3,
        attempts=2,
        outcome_unknown=True,
        type="builtins.OSError",
        message="no route",
        facts={"n": 1},
    )

    error = there_and_back(failed)

    assert isinstance(error, ActivityFailed)
    assert vars(error) == vars(failed)
    assert str(error) == str(failed)
    assert str(error).endswith("no route")


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class Surrogates(Exception):
    def __str__(self) -> str:
        return "\ud800"


@pytest.mark.parametrize("error", [Unspeakable(), Surrogates()])
def test_an_error_that_cannot_be_shown_is_recorded_by_its_type(error: Exception) -> None:
    failure = failure_of(error, "shop")

    assert failure.type.endswith(type(error).__name__)
    assert "cannot be shown" in failure.message
    assert safe_str(error) == failure.message


def test_messages_and_tracebacks_are_bounded() -> None:
    try:
        raise ValueError("x" * 10_000)
    except ValueError as error:
        failure = failure_of(error, "shop")

    assert len(failure.message) == 2_000
    assert len(failure.traceback or "") <= 4_000
