"""Business errors keep their type and facts, live, on replay and after a restart."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.runtime.shop import TOO_MUCH, PaymentDeclined, check_payment, pay, shop

from counterpoint import ExecutionFailed
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing import Harness


@pytest.mark.parametrize("rehearse", [False, True], ids=["live", "replayed"])
async def test_business_error_reaches_the_workflow_with_typed_facts(rehearse: bool) -> None:
    async with Harness(services=[shop], rehearse=rehearse) as harness:
        told = await harness.run(check_payment, "tea", TOO_MUCH)

        assert told == "over the limit: 1001"


async def test_business_error_is_not_retried() -> None:
    async with Harness(services=[shop]) as harness:
        await harness.run(check_payment, "tea", TOO_MUCH)

        assert len(harness.calls) == 1


async def test_business_error_that_ends_a_workflow_is_the_error_of_its_result() -> None:
    async with Harness(services=[shop]) as harness:
        with pytest.raises(ExecutionFailed) as caught:
            await harness.run(pay, "tea", TOO_MUCH)

    error = caught.value.error
    assert caught.value.status == "failed"
    assert isinstance(error, PaymentDeclined)
    assert (error.reason, error.amount) == ("over the limit", Decimal(1000))


async def test_business_error_is_the_same_when_read_after_a_restart(tmp_path: Path) -> None:
    async with Harness(services=[shop], store=SqliteStore(tmp_path / "shop.db")) as harness:
        with pytest.raises(ExecutionFailed) as live:
            await harness.run(pay, "tea", TOO_MUCH, id="one")
        await harness.restart()
        with pytest.raises(ExecutionFailed) as read:
            await harness.execution("one").result()

    assert str(read.value) == str(live.value)
    assert isinstance(read.value.error, PaymentDeclined)
    assert isinstance(live.value.error, PaymentDeclined)
    assert read.value.error.facts == live.value.error.facts
