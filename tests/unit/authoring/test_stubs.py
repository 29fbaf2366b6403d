"""Stubs: activities that a repository calls and does not have the code of."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from counterpoint import (
    App,
    BusinessError,
    DefinitionError,
    Retry,
    Service,
    Transaction,
    workflow,
)
from counterpoint.authoring.registry import Registry
from counterpoint.errors import ExecutionFailed, NotInWorkflowError
from counterpoint.graph.flow import Kind, Step
from counterpoint.graph.reading import read_workflow
from counterpoint.testing import Harness

payments = Service("payments")
orders = Service("orders")


@payments.stub
async def authorize(order_id: str, amount: Decimal = Decimal(1)) -> int: ...  # type: ignore[empty-body]


@authorize.compensation
async def void(order_id: str, result: int | None) -> None: ...


@payments.stub(name="payments.receipt")
def send_receipt(text: str) -> None: ...


class OutOfStock(BusinessError):
    order_id: str


@orders.activity
async def pack(order_id: str) -> None:
    if order_id == "none":
        raise OutOfStock(order_id=order_id)


@orders.saga
async def place(order_id: str) -> int:
    number = await authorize(order_id, Decimal("2.50"))
    await pack(order_id)
    await send_receipt(f"order {order_id}")
    return number


@orders.workflow
async def remind(order_id: str) -> None:
    await send_receipt(order_id)


@orders.saga
async def lend(order_id: str) -> None:
    workflow.compensate_with(send_receipt, "taken back")
    await pack(order_id)


class Declined(BusinessError):
    reason: str


@orders.workflow
async def ask(order_id: str) -> str:
    try:
        await authorize(order_id)
    except Declined as declined:
        return declined.reason
    return "authorized"


def whole() -> Registry:
    return Registry([orders, payments], payload_bytes_max=1 << 20)


def with_the_code(authorized: list[str], voided: list[str]) -> Service:
    """Return the service as the repository declares it that has its code."""
    there = Service("payments")

    class Declined(BusinessError):
        reason: str

    @there.activity
    async def authorize(order_id: str, amount: Decimal = Decimal(1)) -> int:
        if order_id == "poor":
            raise Declined(reason="no money")
        authorized.append(f"{order_id} {amount}")
        return 5

    @authorize.compensation
    async def void(order_id: str, result: int | None) -> None:
        voided.append(f"{order_id} {result}")

    @there.activity(name="payments.receipt")
    async def send_receipt(text: str) -> None: ...

    return there


# ---- what it is -------------------------------------------------------------------------------


def test_a_stub_has_the_recorded_name_of_its_implementation() -> None:
    assert authorize.name == "payments.authorize"
    assert send_receipt.name == "payments.receipt"


def test_a_workflow_knows_a_stub_and_what_undoes_it() -> None:
    program = whole().programs["orders.place"]

    assert program.knows("payments.authorize")
    assert program.compensation_of("payments.authorize") == "payments.void"
    assert program.compensation_of("payments.receipt") is None


def test_nobody_hosts_a_stub_or_a_service_of_stubs_only() -> None:
    everything = whole().hosted_by(())
    of_payments = whole().hosted_by(["payments"])

    assert [*everything.services] == ["orders"]
    assert [*everything.activities] == ["orders.pack"]
    assert [*everything.compensations] == []
    assert (of_payments.services, of_payments.activities) == ({}, {})


def test_a_service_with_stubs_and_code_is_hosted_with_its_code() -> None:
    mixed = Service("payments")

    @mixed.stub
    async def authorize(order_id: str) -> int: ...  # type: ignore[empty-body]

    @mixed.activity
    async def report() -> None: ...

    here = Registry([mixed], payload_bytes_max=1000).hosted_by(["payments"])

    assert [*here.services] == ["payments"]
    assert [*here.activities] == ["payments.report"]


def test_a_drawing_shows_the_call_of_a_stub_and_what_undoes_it() -> None:
    steps = [step for step in read_workflow(place).body if isinstance(step, Step)]

    assert (steps[0].kind, steps[0].name, steps[0].undo) == (
        Kind.ACTIVITY,
        "payments.authorize",
        "payments.void",
    )


# ---- what is refused --------------------------------------------------------------------------


def declare_activity(service: Service) -> None:
    @service.activity
    async def act(n: int) -> None: ...


def declare_stub(service: Service) -> None:
    @service.stub
    async def act(n: int) -> None: ...


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (declare_activity, declare_stub),
        (declare_stub, declare_activity),
        (declare_stub, declare_stub),
    ],
)
def test_a_service_has_an_activity_or_a_stub_of_a_name(
    first: Callable[[Service], None], second: Callable[[Service], None]
) -> None:
    service = Service("shop")
    first(service)

    with pytest.raises(DefinitionError, match=r"shop\.act is declared twice"):
        second(service)


def test_a_stub_and_an_activity_of_another_service_cannot_share_a_name() -> None:
    one, other = Service("one"), Service("other")

    @one.stub(name="same.name")
    async def act(n: int) -> None: ...

    @other.activity(name="same.name")
    async def act_too(n: int) -> None: ...

    for services in ([one, other], [other, one]):
        with pytest.raises(DefinitionError, match=r"are both called same\.name"):
            App("app", services=services, store="memory:")


def test_the_types_of_a_stub_and_its_compensation_are_checked() -> None:
    service = Service("shop")

    @service.stub
    async def act(n: int) -> str: ...  # type: ignore[empty-body]

    async def undo(m: int) -> None: ...

    with pytest.raises(DefinitionError, match="which has no m"):
        act.compensation(undo)


def test_a_transaction_is_left_out_of_a_stub() -> None:
    service = Service("shop")

    async def act(tx: Transaction, n: int) -> None: ...

    declare: Any = service.stub
    with pytest.raises(DefinitionError, match="leave out tx"):
        declare(act)


@pytest.mark.parametrize("limit", [{"retry": Retry()}, {"timeout": None}])
def test_limits_of_a_compensation_stand_where_its_code_does(limit: dict[str, Any]) -> None:
    service = Service("shop")

    @service.stub
    async def act(n: int) -> None: ...

    async def undo(n: int) -> None: ...

    with pytest.raises(DefinitionError, match="stand where the code"):
        act.compensation(**limit)(undo)


async def test_outside_a_workflow_a_stub_cannot_be_called() -> None:
    with pytest.raises(NotInWorkflowError, match=r"payments\.authorize is a stub"):
        authorize("7")


async def test_an_activity_cannot_call_a_stub() -> None:
    service = Service("shop")

    @service.activity
    async def act() -> int:
        return await authorize("7")

    @service.workflow
    async def main() -> int:
        return await act()

    app = App("shop", services=[service, payments], store="memory:")
    async with app, asyncio.timeout(30):
        with pytest.raises(ExecutionFailed, match="is a stub: its code is elsewhere"):
            await app.run(main)


# ---- calls ------------------------------------------------------------------------------------


async def test_a_call_waits_until_a_node_has_the_code(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/shop.db"
    authorized: list[str] = []
    there = with_the_code(authorized, [])

    async with App("client", services=[orders, payments], store=store) as app:
        await app.start(place, "7", id="order-7")
        await app.idle(30)
        assert app.node.unhosted == {"payments.authorize"}
    async with App("all", services=[orders, there], store=store) as app, asyncio.timeout(30):
        assert await app.execution("order-7").result() == 5

    assert authorized == ["7 2.50"]


async def test_what_a_stub_has_done_is_undone(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/shop.db"
    voided: list[str] = []
    there = with_the_code([], voided)

    async with App("client", services=[orders, payments], store=store) as app:
        await app.start(place, "none", id="order-none")
        await app.idle(30)
    async with App("all", services=[orders, there], store=store) as app, asyncio.timeout(30):
        with pytest.raises(ExecutionFailed, match="compensated"):
            await app.execution("order-none").result()

    assert voided == ["none 5"]


async def test_a_business_error_arrives_as_the_class_that_the_stub_sees(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/shop.db"
    there = with_the_code([], [])

    async with App("all", services=[orders, there], store=store) as app, asyncio.timeout(30):
        with pytest.raises(ExecutionFailed, match=r"Declined"):
            await app.run(place, "poor")
        assert await app.run(ask, "poor", id="ask") == "no money"


# ---- in a harness -----------------------------------------------------------------------------


async def test_a_harness_runs_what_stands_for_a_stub() -> None:
    voided: list[str] = []

    def authorized(order_id: str, amount: Decimal) -> int:
        return 5

    def undone(order_id: str, result: int | None) -> None:
        voided.append(f"{order_id} {result}")

    def sent(text: str) -> None: ...

    async with Harness(services=[orders, payments]) as harness:
        harness.replace(authorize, authorized)
        harness.replace(void, undone)
        harness.replace("payments.receipt", sent)

        assert await harness.run(place, "7") == 5
        with pytest.raises(ExecutionFailed):
            await harness.run(place, "none")

    assert voided == ["none 5"]


async def test_a_harness_says_what_has_nothing_that_stands_for_it() -> None:
    async with Harness(services=[orders, payments]) as harness:
        with pytest.raises(ExecutionFailed, match=r"harness\.replace\(send_receipt, \.\.\.\)"):
            await harness.run(remind, "7")


async def test_a_stub_can_be_what_undoes() -> None:
    texts: list[str] = []

    def sent(text: str) -> None:
        texts.append(text)

    async with Harness(services=[orders, payments]) as harness:
        harness.replace(send_receipt, sent)
        with pytest.raises(ExecutionFailed):
            await harness.run(lend, "none")

    assert texts == ["taken back"]
