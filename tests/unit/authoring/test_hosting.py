"""What a process knows of an app, and what it hosts of it."""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from counterpoint import App, DefinitionError, Event, ExecutionExistsError, Service, activity
from counterpoint.stores.memory import MemoryStore

orders = Service("orders")
payments = Service("payments")
stock = Service("stock")
reserved: list[str] = []
"""What the reaction of stock has heard of."""


@payments.event(key="order_id")
class Paid(Event):
    order_id: str


@payments.activity
async def charge(order_id: str) -> str:
    return f"paid {order_id}"


@charge.compensation
async def refund(order_id: str) -> None: ...


@orders.saga
async def place(order_id: str) -> str:
    return await charge(order_id)


@payments.saga
async def settle(order_id: str) -> str:
    return await charge(order_id)


@stock.on(Paid)
async def reserve(event: Paid) -> None:
    reserved.append(event.order_id)


@stock.activity
async def order_more(order_id: str) -> str:
    return activity.start(settle, order_id, id=f"settle-{order_id}")


@stock.workflow
async def refill(order_id: str) -> str:
    return await order_more(order_id)


def app(**settings: Any) -> App:
    settings.setdefault("store", "memory:")
    return App("shop", services=[orders, payments, stock], **settings)


def test_without_names_all_services_are_hosted() -> None:
    shop = app()

    assert shop.hosts == ("orders", "payments", "stock")
    assert shop.registry.hosted_by(()).activities == shop.registry.activities


def test_a_node_has_the_code_of_its_services_and_the_contracts_of_all() -> None:
    whole = app().registry
    here = whole.hosted_by(["payments"])

    assert [*here.services] == ["payments"]
    assert [*here.activities] == ["payments.charge"]
    assert [*here.compensations] == ["payments.charge"]
    assert [*here.workflows] == [*here.programs] == ["payments.settle"]
    assert [*here.reactions] == []
    assert here.contracts == whole.contracts
    assert [*whole.hosted_by(["stock"]).reactions] == ["stock.reserve"]


def test_a_workflow_knows_the_calls_of_services_that_are_elsewhere() -> None:
    program = app().registry.hosted_by(["orders"]).programs["orders.place"]

    assert program.knows("payments.charge")
    assert program.knows("payments.settle")
    assert not program.knows("payments.unknown")
    assert program.compensation_of("payments.charge") == "payments.refund"


def test_the_whole_of_a_part_is_the_app() -> None:
    whole = app().registry
    part = whole.hosted_by(["orders"])

    assert part.whole is whole
    assert whole.whole is whole
    assert [*part.hosted_by(["payments"]).services] == ["payments"]


def test_names_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERPOINT_HOSTS", "payments, orders")

    assert app().hosts == ("payments", "orders")
    assert app(hosts=["stock"]).hosts == ("stock",)


def test_an_app_without_services_is_a_client_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COUNTERPOINT_HOSTS", "payments")

    assert App("client", services=[], store="memory:").hosts == ()


def test_an_environment_that_names_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERPOINT_HOSTS", " , ")

    with pytest.raises(DefinitionError, match="COUNTERPOINT_HOSTS names nothing"):
        app()


def test_a_service_that_the_app_has_not_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(DefinitionError) as refused:
        app(hosts=["payment"])

    assert str(refused.value) == (
        "the app has no service 'payment' to host; did you mean 'payments'?; its services are "
        "orders, payments, stock"
    )


@pytest.mark.parametrize("wrong", ["payments", [], [1], 5])
def test_what_is_no_list_of_names_is_refused(wrong: Any) -> None:
    with pytest.raises(DefinitionError, match="hosts"):
        app(hosts=wrong)


def test_a_choreography_is_checked_over_the_whole_app() -> None:
    shop = app(hosts=["orders"])

    assert "stock.reserve" in shop.registry.reactions


# ---- hosted in part, on a store of one node ---------------------------------------------------


async def test_a_store_of_one_node_warns_that_the_rest_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        async with app(hosts=["orders"]):
            pass

    assert "what needs payments, stock waits" in caplog.text


async def test_a_node_of_everything_warns_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with app(hosts=["stock", "payments", "orders"], block_warning=timedelta(0)):
            pass

    assert [one.message for one in caplog.records if one.name == "counterpoint"] == []


async def test_a_start_of_what_is_elsewhere_is_durable_and_waits_for_its_node(
    tmp_path: Path,
) -> None:
    store = f"sqlite:///{tmp_path}/shop.db"

    async with app(store=store, hosts=["orders"]) as shop:
        await shop.start(settle, "7", id="settle-7")
        posted = [(one.execution_id, one.kind) async for one in shop.posted()]
        assert posted == [("settle-7", "start")]
    async with app(store=store, hosts=["payments"]) as shop, asyncio.timeout(30):
        assert await shop.execution("settle-7").result() == "paid 7"


async def test_a_start_of_what_is_elsewhere_is_durable_when_it_returns() -> None:
    store = MemoryStore()

    async with app(store=store, hosts=["orders"]) as shop:
        await shop.start(settle, "7", id="settle-7")
        await shop.node.crash()
    await store.open(node=False)

    assert [letter.execution_id for letter in await store.mail(after=0, limit=9)] == ["settle-7"]


async def test_a_second_start_of_what_is_elsewhere_must_mean_the_same(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/shop.db"
    async with app(store=store) as shop:
        await shop.run(settle, "7", id="settle-7")

    async with app(store=store, hosts=["orders"]) as shop:
        assert await shop.run(settle, "7", id="settle-7") == "paid 7"
        with pytest.raises(ExecutionExistsError):
            await shop.start(settle, "8", id="settle-7")


async def test_an_activity_starts_what_is_elsewhere(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/shop.db"

    async with app(store=store, hosts=["stock"]) as shop, asyncio.timeout(30):
        assert await shop.run(refill, "7") == "settle-7"
    async with app(store=store, hosts=["payments"]) as shop, asyncio.timeout(30):
        assert await shop.execution("settle-7").result() == "paid 7"


async def test_a_call_of_what_is_elsewhere_waits_and_goes_on_where_it_is_hosted(
    tmp_path: Path,
) -> None:
    store = f"sqlite:///{tmp_path}/shop.db"

    async with app(store=store, hosts=["orders"]) as shop:
        await shop.start(place, "7", id="order-7")
        await shop.idle(30)
        assert shop.node.unhosted == {"payments.charge"}
    async with app(store=store) as shop, asyncio.timeout(30):
        assert await shop.execution("order-7").result() == "paid 7"


async def test_an_event_is_published_to_services_that_are_elsewhere(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/shop.db"
    reserved.clear()
    async with app(store=store):
        pass  # so that the subscription of stock is known

    async with app(store=store, hosts=["orders"]) as shop:
        await shop.publish(Paid(order_id="7"))
        await shop.idle(30)
        assert reserved == []
    async with app(store=store, hosts=["stock"]) as shop:
        await shop.idle(30)
        assert reserved == ["7"]
