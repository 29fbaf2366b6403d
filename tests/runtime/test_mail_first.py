"""A node that starts reads its mail before it begins again what was interrupted."""

from datetime import timedelta

import pytest

from counterpoint import ExecutionFailed, Service
from counterpoint.testing import Harness

shop = Service("shop")
calls: list[str] = []


@shop.activity(timeout=timedelta(hours=1))
async def charge() -> str:
    calls.append("charge")
    return "charged"


@shop.saga
async def buy() -> str:
    return await charge()


@pytest.mark.parametrize("act", ["terminate", "cancel"])
async def test_an_act_that_was_acknowledged_before_a_crash_comes_before_the_next_attempt(
    act: str,
) -> None:
    calls.clear()
    async with Harness(services=[shop]) as harness:
        harness.hang("shop.charge")
        execution = await harness.start(buy, id="b")
        harness.crash_at_commit(2)
        await (execution.terminate() if act == "terminate" else execution.cancel())
        await harness.settle()
        assert not harness.running
        await harness.restart()

        with pytest.raises(ExecutionFailed) as ended:
            await harness.result(execution)

    assert ended.value.status == ("terminated" if act == "terminate" else "cancelled")
    assert calls == []
