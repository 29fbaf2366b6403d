"""A business error keeps the name of the service whose activity raised it, whoever passes it on."""

import pytest

from counterpoint import App, BusinessError, ExecutionFailed, Service


class OutOfStock(BusinessError):
    product: str


stock, orders = Service("stock"), Service("orders")


@stock.activity
async def reserve(product: str) -> None:
    raise OutOfStock(product=product)


@orders.workflow
async def place(product: str) -> None:
    await reserve(product)


async def test_a_business_error_that_ends_a_workflow_is_still_the_one_of_its_service() -> None:
    async with App("shop", services=[stock, orders], store="memory:") as app:
        with pytest.raises(ExecutionFailed) as caught:
            await app.run(place, "tea", id="order-1")
        description = await app.execution("order-1").describe()

    assert isinstance(caught.value.error, OutOfStock)
    assert caught.value.error.product == "tea"
    assert description.error_type == "stock.OutOfStock"
