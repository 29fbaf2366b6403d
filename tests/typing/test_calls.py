"""What calls of activities, workflows and handles are, as both type checkers see it.

Each `type: ignore` marks an error that has to be there: mypy reports those that are not needed.
The functions are read by the checkers and never run.
"""

from decimal import Decimal
from typing import Any, assert_type

from counterpoint import App, Execution, Retry, Service, workflow
from counterpoint.authoring.activity import Activity
from counterpoint.authoring.call import Call

shop = Service("shop")


@shop.activity
async def authorize(order_id: str, amount: Decimal) -> int:
    return 1


@shop.activity(retry=Retry(max_attempts=3), concurrency=2)
async def reserve(order_id: str, *, count: int = 1) -> list[str]:
    return [order_id] * count


@shop.activity
def send(text: str) -> bool:
    return bool(text)


@shop.activity(name="shop.old")
def print_label(text: str) -> None: ...


@authorize.compensation
async def void(order_id: str, result: int | None) -> None: ...


@reserve.compensation(retry=Retry(max_attempts=2))
async def release(order_id: str) -> None: ...


@shop.stub
async def insure(order_id: str, value: Decimal, *, days: int = 1) -> int:
    return 1


@insure.compensation
async def end_insurance(order_id: str, result: int | None) -> None: ...


@shop.stub(name="shop.print")
def print_elsewhere(text: str) -> bool:
    return bool(text)


@shop.saga
async def calls_what_is_elsewhere(order_id: str) -> int:
    assert_type(await insure(order_id, Decimal(1), days=2), int)
    assert_type(await print_elsewhere("hello"), bool)
    await insure(order_id)  # type: ignore[call-arg]
    await insure(order_id, "1")  # type: ignore[arg-type]
    workflow.compensate_with(print_elsewhere, "bye")
    workflow.compensate_with(print_elsewhere)  # type: ignore[call-arg]
    return 1


@shop.saga
async def place_order(order_id: str, amount: Decimal) -> int:
    assert_type(await authorize(order_id, amount), int)
    assert_type(await authorize(order_id, amount=amount), int)
    assert_type(await reserve(order_id, count=2), list[str])
    assert_type(await send("hello"), bool)
    assert_type(authorize(order_id, amount), Call[int])
    assert_type(await workflow.signal("approved", bool), bool)
    assert_type(await workflow.signal("approved", bool, timeout=5), bool)
    assert_type(await workflow.signal("anything"), Any)
    return 1


@shop.workflow(version=2)
async def remind(order_id: str) -> None:
    await print_label(order_id)


@shop.workflow
async def with_a_default(order_id: str, copies: int = 1) -> str:
    return order_id * copies


@shop.workflow
async def with_a_keyword(order_id: str, *, copies: int = 1) -> str:
    return order_id * copies


@shop.saga(version=2)
async def with_a_keyword_too(*, copies: int = 1) -> str:
    return "" * copies


async def starts(app: App) -> None:
    assert_type(await app.run(place_order, "1", Decimal(5)), int)
    assert_type(await app.run(place_order, "1", Decimal(5), id="order-1", timeout=5), int)
    assert_type(await app.start(place_order, "1", Decimal(5)), Execution[int])
    assert_type(await (await app.start(place_order, "1", Decimal(5))).result(), int)
    assert_type(await app.run(with_a_default, "1", 2), str)
    assert_type(await app.run(with_a_keyword, "1"), str)
    assert_type(await app.run(with_a_keyword_too), str)
    assert_type(app.execution("order-1"), Execution[Any])
    await app.run(remind, "1")


async def refused(app: App) -> None:
    await authorize("1")  # type: ignore[call-arg]
    await authorize("1", "5")  # type: ignore[arg-type]
    await authorize("1", amout=Decimal(5))  # type: ignore[call-arg]
    await reserve("1", 2)  # type: ignore[call-arg]
    await app.run(place_order, "1", 5)  # type: ignore[misc]
    await app.start(place_order, "1")  # type: ignore[misc]
    await app.start(remind, "1", "2")  # type: ignore[misc]
    await app.start(authorize, "1", Decimal(5))  # type: ignore[arg-type]
    await workflow.signal("approved", bool, timeout="soon")  # type: ignore[call-overload]


def test_decorated_functions_keep_their_types() -> None:
    assert_type(authorize.name, str)
    assert isinstance(authorize, Activity)
    assert isinstance(send, Activity)
    assert void.__name__ == "void"
    assert_type(place_order.version, int)
