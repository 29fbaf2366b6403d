"""DESIGN 3.1, Compensation: what a compensation may be given, and what is refused with the right
signature shown."""

from typing import Any

import pytest
from tests.design.services_undoing import Refused, failed, refuse

from counterpoint import ActivityFailed, App, DefinitionError, Retry, Service
from counterpoint.authoring.activity import Activity
from counterpoint.testing import Harness

RIGHT = r"\(order: str, amount: int, result: str \| None, error: Exception \| None\)"


def paying() -> tuple[Service, Activity[..., Any]]:
    """Return a service and its activity `pay`, to which a compensation is about to be declared."""
    service = Service("bank")

    @service.activity(retry=Retry(max_attempts=1))
    async def pay(order: str, amount: int = 3) -> str:
        if order == "broken":
            raise ConnectionError("no answer")
        return f"paid {amount}"

    return service, pay


def test_unknown_name_is_refused_and_the_right_signature_shown() -> None:
    _, pay = paying()

    async def repay(order: str, currency: str) -> None: ...

    with pytest.raises(DefinitionError, match=f"which has no currency.*{RIGHT}"):
        pay.compensation(repay)


def test_parameter_of_another_type_is_refused_and_the_right_signature_shown() -> None:
    _, pay = paying()

    async def repay(order: str, amount: str) -> None: ...

    with pytest.raises(DefinitionError, match=f"'amount' has another type than.*{RIGHT}"):
        pay.compensation(repay)


def test_result_that_cannot_be_none_is_refused_and_the_right_signature_shown() -> None:
    _, pay = paying()

    async def repay(order: str, result: str) -> None: ...

    with pytest.raises(DefinitionError, match=f"`result` is None when nobody knows.*{RIGHT}"):
        pay.compensation(repay)


def test_result_of_another_type_is_refused_and_the_right_signature_shown() -> None:
    _, pay = paying()

    async def repay(order: str, result: int | None) -> None: ...

    with pytest.raises(DefinitionError, match=f"`result` has another type than.*{RIGHT}"):
        pay.compensation(repay)


@pytest.mark.parametrize("reserved", ["result", "error"])
def test_activity_parameter_called_result_or_error_is_refused(reserved: str) -> None:
    service = Service("bank")

    async def with_result(result: str) -> None: ...
    async def with_error(error: str) -> None: ...

    wrong = {"result": with_result, "error": with_error}[reserved]

    with pytest.raises(
        DefinitionError, match=f"cannot be called '{reserved}'.*its signature can be"
    ):
        service.activity(wrong)


def test_refusal_of_a_parameter_called_result_shows_a_right_signature() -> None:
    service = Service("bank")

    async def pay(order: str, result: str) -> None: ...

    with pytest.raises(DefinitionError, match=r"\(order: str, "):
        service.activity(pay)


@pytest.mark.parametrize("reserved", ["result", "error"])
def test_workflow_parameter_called_result_or_error_is_refused_once_it_is_undone(
    reserved: str,
) -> None:
    service = Service("bank")

    async def with_result(result: str) -> None: ...
    async def with_error(error: str) -> None: ...
    async def back() -> None: ...

    saga = service.saga({"result": with_result, "error": with_error}[reserved])

    with pytest.raises(DefinitionError, match=f"cannot be called '{reserved}'"):
        saga.compensation(back)


def test_second_compensation_is_refused() -> None:
    _, pay = paying()

    async def repay() -> None: ...
    async def repay_again() -> None: ...

    pay.compensation(repay)

    with pytest.raises(DefinitionError, match=r"already has a compensation: bank\.repay"):
        pay.compensation(repay_again)


def test_type_declared_further_down_is_checked_when_the_app_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service, pay = paying()

    async def repay(order: int) -> None: ...

    repay.__annotations__["order"] = "DeclaredLater"
    pay.compensation(repay)
    monkeypatch.setitem(repay.__globals__, "DeclaredLater", int)

    with pytest.raises(DefinitionError, match=f"'order' has another type than.*{RIGHT}"):
        App("bank", services=[service])


def test_compensation_of_a_child_is_checked_like_that_of_an_activity() -> None:
    service = Service("bank")

    @service.saga
    async def settle(order: str, amount: int) -> str:
        return order

    async def unsettle(order: str, currency: str) -> None: ...

    with pytest.raises(DefinitionError, match=f"which has no currency.*{RIGHT}"):
        settle.compensation(unsettle)


async def test_parameters_are_bound_by_name_in_any_order_with_result_and_defaults() -> None:
    service, pay = paying()
    seen: list[tuple[object, ...]] = []

    @pay.compensation
    async def repay(error: Exception | None, result: str | None, amount: int, order: str) -> None:
        seen.append((order, amount, result, error))

    @service.saga
    async def buy() -> None:
        await pay("tea")
        raise ValueError("changed its mind")

    async with Harness(services=[service]) as harness:
        await failed(harness, await harness.start(buy))

    assert seen == [("tea", 3, "paid 3", None)]


async def test_error_is_what_the_call_failed_with_and_result_is_none() -> None:
    service, pay = paying()
    seen: list[tuple[object, ...]] = []

    @pay.compensation
    async def repay(result: str | None, error: Exception | None) -> None:
        seen.append((result, type(error).__name__, str(error)))

    @service.saga
    async def buy() -> None:
        await pay("broken")

    async with Harness(services=[service]) as harness:
        error = await failed(harness, await harness.start(buy))

    assert isinstance(error.error, ActivityFailed)
    assert seen == [(None, "RecordedError", "builtins.ConnectionError: no answer")]


async def test_compensation_takes_as_few_parameters_as_it_needs() -> None:
    service, pay = paying()
    undone: list[str] = []

    @pay.compensation(retry=Retry(max_attempts=2))
    def repay() -> None:
        undone.append("repaid")

    @service.saga
    async def buy() -> None:
        await pay("tea")
        await refuse("too late")

    with_desk = Service("desk")
    with_desk.activities["desk.refuse"] = refuse

    async with Harness(services=[service, with_desk]) as harness:
        error = await failed(harness, await harness.start(buy))

    assert isinstance(error.error, Refused)
    assert undone == ["repaid"]
