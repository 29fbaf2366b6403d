"""Services, activities, compensations and workflows: what is refused, and what a call is."""

import asyncio
from datetime import timedelta
from typing import Any, Optional

import pytest
from tests.unit.kernel.driving import run_workflow

from counterpoint import App, DefinitionError, Retry, Service
from counterpoint.errors import NotInWorkflowError, PayloadTooLargeError


class Receipt:
    """A type that is not Pydantic's."""


def shop() -> Service:
    return Service("shop")


def activity(service: Service, **options: Any) -> Any:
    @service.activity(**options)
    async def authorize(order_id: str, amount: int = 5) -> str:
        return f"{order_id} {amount}"

    return authorize


# ---- services ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "1st", "a b", "a.b", "a" * 65, "é"])
def test_names_of_services_are_short_words(name: str) -> None:
    with pytest.raises(DefinitionError, match="is not a service name"):
        Service(name)


def test_names_are_the_service_and_the_function_unless_given() -> None:
    service = shop()

    assert activity(service).name == "shop.authorize"
    assert activity(service, name="old.name").name == "old.name"


def test_two_definitions_of_one_name_are_refused() -> None:
    service = shop()
    activity(service)

    with pytest.raises(DefinitionError, match=r"two activities are called shop\.authorize"):
        activity(service)


def test_two_services_of_one_name_are_refused() -> None:
    with pytest.raises(DefinitionError, match="two services are called 'shop'"):
        App("app", services=[shop(), shop()], store="memory:")


def test_one_name_in_two_services_is_refused() -> None:
    first, second = shop(), Service("other")
    activity(first, name="same.name")
    activity(second, name="same.name")

    with pytest.raises(DefinitionError, match=r"two activities are called same\.name"):
        App("app", services=[first, second], store="memory:")


def test_a_type_unknown_to_pydantic_is_refused_when_the_app_is_built() -> None:
    service = shop()

    @service.activity
    async def act(receipt: Receipt) -> None: ...

    with pytest.raises(DefinitionError, match=r"the arguments of shop\.act: Pydantic cannot"):
        App("app", services=[service], store="memory:")


# ---- activities -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["result", "error"])
def test_parameters_that_compensations_need_are_refused(name: str) -> None:
    space: dict[str, Any] = {}
    exec(f"async def act({name}: int) -> None: ...", space)  # noqa: S102

    with pytest.raises(DefinitionError, match=f"a parameter cannot be called '{name}'"):
        shop().activity(space["act"])


def test_generators_and_callables_are_refused() -> None:
    def generator() -> Any:
        yield 1

    async def stream() -> Any:
        yield 1

    for wrong in (generator, stream, int, print, object()):
        declare: Any = shop().activity
        with pytest.raises(DefinitionError, match=r"generator|not a function"):
            declare(wrong)


@pytest.mark.parametrize(
    "limit",
    [{"timeout": timedelta(0)}, {"concurrency": 0}, {"concurrency": "2"}, {"rate": 5}],
)
def test_limits_under_which_nothing_runs_are_refused(limit: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError):
        activity(shop(), **limit)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"concurrency": 0}, "shop: concurrency= is at least 1"),
        ({"concurrency": 1.5}, "shop: concurrency=1.5 is no whole number"),
        ({"rate": 5}, r"shop: rate= takes a Rate, not 5: Rate\(10\) for ten a second"),
    ],
)
def test_limits_of_services_are_checked(limit: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        Service("shop", **limit)


def test_a_limit_is_of_an_activity_or_of_a_service_by_its_name() -> None:
    service = shop()
    activity(service, name="shop")

    with pytest.raises(DefinitionError, match="an activity and a service are both called shop"):
        App("app", services=[service], store="memory:")


def test_a_workflow_is_an_async_def() -> None:
    def main() -> None: ...

    declare: Any = shop().workflow
    with pytest.raises(DefinitionError, match="declared with `async def`"):
        declare(main)


@pytest.mark.parametrize("options", [{"version": 0}, {"deadline": timedelta(0)}])
def test_workflow_options_are_checked(options: dict[str, Any]) -> None:
    async def main() -> None: ...

    with pytest.raises(DefinitionError):
        shop().workflow(**options)(main)


# ---- calls ------------------------------------------------------------------------------------


async def test_outside_a_workflow_an_activity_is_an_ordinary_coroutine_function() -> None:
    act = activity(shop())

    assert await act("order-1") == "order-1 5"
    assert [*await asyncio.gather(act("a", 1), act(amount=2, order_id="b"))] == ["a 1", "b 2"]
    call = act("c")
    assert asyncio.iscoroutine(call)
    call.close()


async def test_a_def_activity_is_one_too_and_runs_in_a_thread() -> None:
    import threading

    service = shop()

    @service.activity
    def act(n: int) -> bool:
        return threading.current_thread() is threading.main_thread()

    assert await act(1) is False


async def test_errors_and_arguments_of_a_direct_call_are_pythons_own() -> None:
    act = activity(shop())

    with pytest.raises(TypeError, match="unexpected keyword argument"):
        await act("order-1", amont=1)


def test_a_call_that_is_never_awaited_warns() -> None:
    act = activity(shop())

    with pytest.warns(RuntimeWarning, match=r"the call of shop\.authorize was never awaited"):
        act("order-1")


async def test_a_call_is_awaited_once() -> None:
    call = activity(shop())("order-1")
    await call

    with pytest.raises(RuntimeError, match="cannot reuse an already awaited call"):
        await call


def test_a_call_is_awaited_once_in_a_workflow() -> None:
    service = shop()
    act = activity(service)

    async def main() -> str:
        call = act("order-1")
        await call
        try:
            await call
        except RuntimeError as error:
            return str(error)
        return ""

    assert "already awaited" in run_workflow(main, service=service).complete(1, "x").result


def test_wrong_arguments_of_a_call_in_a_workflow_are_raised_where_it_is_awaited() -> None:
    service = shop()
    act = activity(service)

    async def main() -> list[str]:
        caught: list[str] = []
        for args in ((), ("a", "many"), ("a", 1, 2)):
            try:
                await act(*args)
            except Exception as error:  # noqa: BLE001 - what users write
                caught.append(type(error).__name__)
        return caught

    driver = run_workflow(main, service=service)

    assert driver.result == ["TypeError", "ArgumentsError", "TypeError"]
    assert driver.calls() == []


def test_arguments_over_the_limit_are_refused_where_the_call_is_awaited() -> None:
    service = shop()
    act = activity(service)

    async def main() -> None:
        await act("x" * (1 << 20))

    driver = run_workflow(main, service=service)

    assert driver.error.type.endswith(PayloadTooLargeError.__name__)
    assert "payload_bytes_max" in driver.error.message


def test_a_workflow_is_started_and_not_called() -> None:
    async def main(n: int) -> None: ...

    workflow = shop().workflow(main)

    with pytest.raises(NotInWorkflowError, match=r"app\.run\(main, \.\.\.\)` or `app\.start`"):
        workflow(1)


def test_what_was_decorated_is_kept() -> None:
    act = activity(shop())

    assert act.function.__name__ == "authorize"
    assert repr(act) == "<activity shop.authorize>"


# ---- compensations ----------------------------------------------------------------------------

RIGHT = r"\(order_id: str, amount: int, result: str \| None, error: Exception \| None\)"


def test_a_compensation_takes_any_of_the_arguments_the_result_and_the_error() -> None:
    act = activity(shop())

    async def void(result: str | None, error: Exception | None, order_id: str) -> None: ...

    act.compensation(retry=Retry(max_attempts=3), name="shop.undo")(void)

    bound = act.undo.bind(b'{"order_id":"a","amount":3}', b'"done"', None)

    assert act.undo.name == "shop.undo"
    assert act.undo.retry.max_attempts == 3
    assert bound == {"order_id": "a", "result": "done", "error": None}


def test_a_compensation_of_what_may_have_happened_gets_no_result() -> None:
    act = activity(shop())

    def void(result: str | None, error: Exception | None, amount: int) -> None: ...

    act.compensation(void)

    why = ValueError()

    assert act.undo.bind(b'{"order_id":"a"}', None, why) == {
        "result": None,
        "error": why,
        "amount": 5,  # the default of what was recorded before it was a parameter
    }


@pytest.mark.parametrize("hint", ["str | None", "Any", "Optional[str]"])
def test_a_result_that_may_be_none_anyway_needs_no_other_type(hint: str) -> None:
    space: dict[str, Any] = {"service": shop(), "Any": Any, "Optional": Optional}
    exec("@service.activity\nasync def act(n: int) -> str | None: ...", space)  # noqa: S102
    exec(f"@act.compensation\nasync def undo(result: {hint}) -> None: ...", space)  # noqa: S102

    assert space["act"].undo.bind(b'{"n":1}', b"null", None) == {"result": None}


def test_a_second_compensation_is_refused() -> None:
    act = activity(shop())
    act.compensation(_undo())

    with pytest.raises(DefinitionError, match=r"authorize already has a compensation: shop\.void"):
        act.compensation(_undo())


def _undo() -> Any:
    async def void(order_id: str) -> None: ...

    return void


def test_an_unknown_parameter_is_refused_with_the_right_signature() -> None:
    act = activity(shop())

    async def void(oder_id: str) -> None: ...

    with pytest.raises(DefinitionError, match=rf"has no oder_id; its signature can be: {RIGHT}"):
        act.compensation(void)


def test_another_type_is_refused_with_the_right_signature() -> None:
    act = activity(shop())

    async def void(order_id: int) -> None: ...

    with pytest.raises(DefinitionError, match=rf"'order_id' has another type .*{RIGHT}"):
        act.compensation(void)


def test_a_result_that_cannot_be_none_is_refused_with_the_right_signature() -> None:
    act = activity(shop())

    async def void(result: str) -> None: ...

    with pytest.raises(DefinitionError, match=rf"its type must allow that: {RIGHT}"):
        act.compensation(void)


def test_a_result_of_another_type_is_refused_with_the_right_signature() -> None:
    act = activity(shop())

    async def void(result: int | None) -> None: ...

    with pytest.raises(DefinitionError, match=rf"`result` has another type .*{RIGHT}"):
        act.compensation(void)


def test_types_declared_further_down_are_checked_when_the_app_is_built() -> None:
    space: dict[str, Any] = {"service": shop()}
    source = """
@service.activity
async def act(a: 'Later') -> 'Later': ...
@act.compensation
async def undo(a: 'Later', result: 'Other | None') -> None: ...
"""
    exec(source, space)  # noqa: S102
    space["Later"], space["Other"] = int, str

    with pytest.raises(DefinitionError, match="`result` has another type"):
        App("app", services=[space["service"]], store="memory:")


def test_an_activity_without_a_result_has_none_to_undo() -> None:
    service = shop()

    @service.activity
    async def act(n: int) -> None: ...

    @act.compensation
    async def undo(n: int, result: None) -> None: ...

    assert act.undo is not None
    assert act.undo.bind(b'{"n":1}', b"null", None) == {"n": 1, "result": None}  # type: ignore[arg-type]
