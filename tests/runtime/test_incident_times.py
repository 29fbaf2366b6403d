"""Time goes on while an incident stands: what the code decides afterwards begins afterwards."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from counterpoint import Execution, Service, workflow
from counterpoint.testing import Harness


def desk(*, agrees: bool) -> Service:
    """Return a service whose workflow agrees with earlier journals, or begins otherwise."""
    service = Service("desk")

    @service.activity
    async def look() -> None: ...

    @service.activity
    async def keep(what: str) -> str:
        return what

    @service.workflow
    async def place() -> list[str]:
        if not agrees:
            await look()
        await workflow.signal("go")
        times = [workflow.now().isoformat()]
        async with asyncio.timeout(3600):
            await keep("box")
        await workflow.sleep(60)
        return [*times, workflow.now().isoformat()]

    return service


async def stopped_for(harness: Harness, hours: int) -> Execution[Any]:
    """Deploy code that does not agree, send what the workflow waits for, and mend it later."""
    await harness.restart(services=[desk(agrees=False)])
    execution = harness.execution("p-1")
    await execution.signal("go")
    await harness.settle()
    assert (await execution.describe()).status == "incident"
    await harness.advance(hours=hours)
    await harness.restart(services=[desk(agrees=True)])
    return execution


async def test_a_timeout_that_is_set_after_an_incident_is_not_over_already() -> None:
    service = desk(agrees=True)
    async with Harness(services=[service]) as harness:
        await harness.start(service.workflows["desk.place"], id="p-1")
        execution = await stopped_for(harness, hours=2)
        mended = harness.now

        assert await harness.result(execution) == [
            mended.isoformat(),
            (mended + timedelta(minutes=1)).isoformat(),
        ]


@pytest.mark.parametrize("how", ["evict", "restart"])
async def test_code_that_went_on_after_an_incident_is_replayed_at_the_same_times(how: str) -> None:
    service = desk(agrees=True)
    async with Harness(services=[service]) as harness:
        await harness.start(service.workflows["desk.place"], id="p-1")
        execution = await stopped_for(harness, hours=2)
        mended = harness.now
        await harness.settle()

        await harness.advance(seconds=30)
        await (harness.evict() if how == "evict" else harness.restart())

        assert (await harness.result(execution))[0] == mended.isoformat()
