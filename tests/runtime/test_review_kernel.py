"""Defects that a review found in what code and journals agree on: each is kept from coming back."""

from typing import Any

import pytest

from counterpoint import App, ArgumentsError, BusinessError, ExecutionFailed, Service, workflow
from counterpoint.testing import Harness

undone: list[str] = []


class Full(BusinessError):
    hotel: str


def booking(*, with_compensation: bool) -> Service:
    service = Service("trips")

    @service.activity
    async def book(what: str) -> str:
        if what == "hotel":
            await workflow_gate()
            raise Full(hotel=what)
        return what

    if with_compensation:

        @book.compensation
        async def cancel(what: str) -> None:
            undone.append(what)

    @service.saga
    async def plan() -> None:
        await book("flight")
        await workflow.signal("go")
        await book("hotel")

    return service


async def workflow_gate() -> None:
    """Stands for the provider's answer."""


async def test_a_compensation_that_a_deployment_lost_is_an_incident_and_not_forgotten() -> None:
    undone.clear()
    before = booking(with_compensation=True)
    async with Harness(services=[before]) as harness:
        execution = await harness.start(before.workflows["trips.plan"], id="trip")
        await harness.idle()
        await harness.stop()
        await harness.restart(services=[booking(with_compensation=False)])
        await harness.app.execution("trip").signal("go", 1)
        await harness.idle()

        description = await harness.app.execution("trip").describe()
        assert description.status == "incident"
        assert "trips.book" in str(description.incident)

        await harness.stop()
        await harness.restart(services=[booking(with_compensation=True)])
        await harness.idle()

        assert (await harness.app.execution(execution.id).describe()).status == "compensated"
    assert undone == ["flight"]


talk = Service("talk")


@talk.activity
async def act() -> str:
    return "done"


@talk.workflow
async def logs_badly() -> str:
    try:
        workflow.log.info("%d of %d", "one")
        await act()
    except TypeError:
        await workflow.sleep(1)
    return str(await workflow.signal("go", str))


async def test_a_log_format_that_does_not_fit_is_the_same_live_and_on_replay() -> None:
    async with Harness(services=[talk]) as harness:
        execution = await harness.start(logs_badly, id="talk")
        await harness.crash()
        await harness.restart()
        await harness.app.execution(execution.id).signal("go", "on")

        assert await harness.app.execution("talk").result(timeout=30) == "on"


@pytest.mark.parametrize("name", ["\ud800", 5, "x" * 300])
async def test_a_signal_name_that_cannot_be_recorded_is_refused_by_the_sender(name: Any) -> None:
    async with App("talk", services=[talk], store="memory:") as app:
        execution = await app.start(logs_badly)
        with pytest.raises(ArgumentsError):
            await execution.signal(name)
        await execution.cancel()
        with pytest.raises(ExecutionFailed):
            await execution.result(timeout=30)
