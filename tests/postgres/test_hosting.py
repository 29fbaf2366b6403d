"""Nodes that host some services each: where work goes, and what waits, on one PostgreSQL store."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TypeAlias

import pytest
from tests.postgres.parade import until

from counterpoint import App, BusinessError, ExecutionFailed, Rate, Service
from counterpoint.stores.postgres import PostgresStore

SECONDS = 60
Parts: TypeAlias = tuple[str, list[Service], list[str]]
"""An app: its name, its services, and those that a node hosts."""
orders = Service("orders")
stubs = Service("payments")
bank = Service("payments")
post = Service("post")
done: list[str] = []
"""What the bank and the post have done."""
began: list[float] = []
"""When the post began to send."""


class Declined(BusinessError):
    reason: str


class OutOfStock(BusinessError):
    order_id: str


@bank.activity
async def authorize(order_id: str, amount: int) -> str:
    if amount > 100:
        raise Declined(reason="no money")
    done.append(f"authorized {order_id}")
    return f"authorization {order_id}"


@authorize.compensation
async def void(order_id: str, result: str | None) -> None:
    done.append(f"voided {result}")


@bank.saga
async def settle(order_id: str) -> str:
    return await authorize(order_id, 1)


@stubs.stub(name="payments.authorize")
async def authorize_there(order_id: str, amount: int) -> str:
    raise NotImplementedError


@authorize_there.compensation(name="payments.void")
async def void_there(order_id: str, result: str | None) -> None: ...


@orders.saga
async def place(order_id: str, amount: int) -> str:
    authorization = await authorize_there(order_id, amount)
    if order_id == "none":
        raise OutOfStock(order_id=order_id)
    return authorization


@orders.workflow
async def ask(order_id: str, amount: int) -> str:
    try:
        return await authorize_there(order_id, amount)
    except Declined as declined:
        return declined.reason


@post.activity(rate=Rate(25, burst=2))
async def send(number: int) -> int:
    began.append(time.monotonic())
    return number


@orders.workflow
async def inform(count: int) -> list[int]:
    return await asyncio.gather(*(send(number) for number in range(count)))


@asynccontextmanager
async def hosted(url: str, *apps: Parts) -> AsyncGenerator[list[App]]:
    """Host apps with some of their services each, on one store, within the time of a test."""
    done.clear()
    began.clear()
    async with AsyncExitStack() as stack, asyncio.timeout(SECONDS):
        yield [
            await stack.enter_async_context(
                App(name, services=services, store=url, hosts=hosts, stop_within=timedelta(0))
            )
            for name, services, hosts in apps
        ]


async def unhosted(store: PostgresStore) -> bool:
    """Whether a call waits for a node that hosts it."""
    return [name for name, *_ in await store.unhosted_calls()] == ["payments.authorize"]


ORDERS = ("orders", [orders, stubs, post], ["orders"])
BANK = ("bank", [bank], ["payments"])


async def test_a_call_of_a_stub_is_done_where_its_code_is(url: str) -> None:
    async with hosted(url, ORDERS, BANK) as (shop, _):
        assert await shop.run(place, "7", 5) == "authorization 7"
        assert await shop.run(ask, "8", 500) == "no money"

    assert done == ["authorized 7"]


async def test_what_a_stub_has_done_is_undone_where_its_code_is(url: str) -> None:
    async with hosted(url, ORDERS, BANK) as (shop, _):
        with pytest.raises(ExecutionFailed, match="compensated"):
            await shop.run(place, "none", 5)

    assert done == ["authorized none", "voided authorization none"]


async def test_a_call_that_nobody_hosts_waits_for_a_node_that_does(url: str) -> None:
    async with hosted(url, ORDERS) as (shop,):
        execution = await shop.start(place, "7", 5)
        waiting = asyncio.ensure_future(execution.result())
        store = shop.node.store
        assert isinstance(store, PostgresStore)
        await until(lambda: unhosted(store))
        assert done == []
        async with App("bank", services=[bank], store=url):
            assert await waiting == "authorization 7"


async def test_a_workflow_is_started_from_a_node_that_does_not_host_it(url: str) -> None:
    everything = [orders, bank, post]
    async with hosted(
        url, ("shop", everything, ["orders"]), ("shop", everything, ["payments"])
    ) as (asks, does):
        assert await asks.run(settle, "7", id="settle-7") == "authorization 7"
        assert await asks.run(settle, "7", id="settle-7") == "authorization 7"
        assert await does.run(settle, "7", id="settle-7") == "authorization 7"

    assert done == ["authorized 7"]


async def test_a_rate_holds_over_all_nodes(url: str) -> None:
    everything = [orders, stubs, post]
    async with hosted(
        url,
        ("shop", everything, ["orders"]),
        ("shop", everything, ["post"]),
        ("shop", everything, ["post"]),
    ) as (shop, _, _):
        asked = time.monotonic()
        assert await shop.run(inform, 8) == [*range(8)]

    # They may begin long after the store let them: what is certain is when none had begun.
    assert len(began) == 8
    assert max(began) - asked >= (8 - 2) / 25 - 0.01


async def test_limits_are_counted_by_the_store_and_not_once_more_by_the_node(url: str) -> None:
    async with hosted(url, ORDERS) as (shop,):
        assert shop.node.activities.limits.shared
