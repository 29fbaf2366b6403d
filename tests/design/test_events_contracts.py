"""Issue 4, "Contracts": what was published keeps its owner, its key and, by version, its schema."""

from typing import Any

import pytest
from pydantic import Field

from counterpoint import Event, Service
from counterpoint.errors import ContractError
from counterpoint.testing import Harness


def first(**options: Any) -> Service:
    """Return a service with the contract that was published first."""
    service = Service("orders")

    @service.event(key="order_id", name="orders.Placed", **options)
    class Placed(Event):
        """An order was placed."""

        order_id: str
        customer_id: str
        total: int = 0

    service.placed = Placed  # type: ignore[attr-defined]
    return service


def declared(event: type[Event], *, key: str = "order_id", version: int = 1) -> Service:
    """Return the service with another class under the same name."""
    service = Service("orders")
    service.event(key=key, version=version, name="orders.Placed")(event)
    return service


async def published() -> Harness:
    """Return a harness, stopped, in whose log there is an event."""
    service = first()
    harness = Harness(services=[service])
    async with harness:
        event: Any = service.placed  # type: ignore[attr-defined]
        await harness.app.publish(event(order_id="1", customer_id="2"))
    return harness


async def start(harness: Harness, *services: Service) -> None:
    """Start an app over the store of another one, and stop it."""
    async with Harness(services=services, store=harness.store.inner):
        pass


class Renamed(Event):
    order_id: str
    client_id: str
    total: int = 0


class Retyped(Event):
    order_id: str
    customer_id: str
    total: str = ""


class Reordered(Event):
    """Other words."""

    total: int = 0
    customer_id: str = Field(title="Who", description="who bought", examples=["7"])
    order_id: str


@pytest.mark.parametrize(
    ("event", "named"), [(Renamed, ["client_id", "customer_id"]), (Retyped, ["total"])]
)
async def test_a_schema_that_changed_under_a_published_version_is_refused_with_the_difference(
    event: type[Event], named: list[str]
) -> None:
    harness = await published()

    with pytest.raises(ContractError) as refused:
        await start(harness, declared(_copy(event)))

    words = str(refused.value)
    assert "orders.Placed version 1 was published with another schema" in words
    assert all(name in words for name in named)
    assert "declare version=2" in words
    assert "counterpoint contracts reset orders.Placed" in words


async def test_titles_descriptions_examples_and_order_are_no_part_of_a_contract() -> None:
    harness = await published()

    await start(harness, declared(_copy(Reordered)))


async def test_what_was_never_published_may_change() -> None:
    harness = Harness(services=[first()])
    async with harness:
        pass

    await start(harness, declared(_copy(Renamed)))


async def test_another_key_is_refused() -> None:
    harness = await published()

    with pytest.raises(ContractError, match="published with the key 'order_id'"):
        await start(harness, declared(_copy(Reordered), key="customer_id", version=2))


async def test_another_owner_is_refused() -> None:
    harness = await published()
    other = Service("sales")
    other.event(key="order_id", name="orders.Placed")(_copy(Reordered))

    with pytest.raises(ContractError, match="an event has one owner"):
        await start(harness, other)


async def test_a_newer_version_wants_an_upcaster_from_what_was_published() -> None:
    harness = await published()

    with pytest.raises(ContractError, match="there is no upcaster from it"):
        await start(harness, declared(_copy(Renamed), version=2))

    newer = _copy(Renamed)
    service = declared(newer, version=2)

    @newer.upcaster(1)
    def rename(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "client_id": data["customer_id"]}

    await start(harness, service)


async def test_every_difference_is_told_at_once() -> None:
    harness = await published()
    other = Service("sales")
    other.event(key="total", name="orders.Placed")(_copy(Reordered))

    with pytest.raises(ContractError) as refused:
        await start(harness, other)

    assert "one owner" in str(refused.value)
    assert "with the key" in str(refused.value)


async def test_a_reset_forgets_what_was_published() -> None:
    harness = await published()
    store = harness.store.inner
    await store.open(node=True)
    assert await store.forget_contract("orders.Placed") == 1
    await store.close()

    await start(harness, declared(_copy(Renamed)))


async def test_the_registry_has_each_version_that_was_published_once() -> None:
    service = first()
    event: Any = service.placed  # type: ignore[attr-defined]
    async with Harness(services=[service]) as harness:
        assert await harness.store.inner.contracts() == []
        for number in range(3):
            await harness.app.publish(event(order_id=str(number), customer_id="2"))
        await harness.restart()
        await harness.app.publish(event(order_id="4", customer_id="2"))

        (row,) = await harness.store.inner.contracts()
        assert (row.type, row.version, row.service) == ("orders.Placed", 1, "orders")
        assert row.key_field == "order_id"


def _copy(event: type[Event]) -> type[Event]:
    """Return the class anew: one can be declared once."""
    return type(event.__name__, (event,), {"__module__": __name__})
