"""DESIGN 3.1, "pivot": a call that is out of attempts past it is an incident, not a failure."""

import asyncio
from datetime import timedelta

import pytest
from tests.design.services_undoing import (
    STEADY,
    Refused,
    described,
    desk,
    do,
    refuse,
    undid,
)

from counterpoint import (
    ActivityFailed,
    NotDone,
    Service,
    workflow,
)
from counterpoint.model.states import Status
from counterpoint.testing import Harness

ship = Service("ship")


GONE = ConnectionError("no route")


@ship.activity(retry=STEADY, timeout=timedelta(seconds=30))
async def send(what: str) -> str:
    return f"{what} sent"


@ship.activity(at_most_once=True, on_unknown="fail")
async def send_once(what: str) -> str:
    return f"{what} sent once"


@ship.saga
async def passes() -> str:
    await do("a")
    workflow.pivot()
    return await send("b")


@ship.saga
async def passes_and_is_refused() -> str:
    await do("a")
    workflow.pivot()
    try:
        await refuse("closed")
    except Refused as error:
        return f"because {error.why}"
    return "not refused"


@ship.saga
async def tries_again() -> str:
    """Catches nothing of a call that is out of attempts: it waits for a person instead."""
    workflow.pivot()
    try:
        return await send("b")
    except ActivityFailed:
        return "given up"


@ship.saga
async def sends_two() -> list[str]:
    workflow.pivot()
    return list(await asyncio.gather(send("b"), send("c")))


@ship.saga
async def sends_once() -> str:
    workflow.pivot()
    return await send_once("b")


def services() -> list[Service]:
    return [desk, ship]


def sent(harness: Harness) -> list[str]:
    return [call.arguments["what"] for call in harness.calls if call.name == "ship.send"]


# ---- a call out of attempts -------------------------------------------------------------------


async def test_call_out_of_attempts_is_an_incident_and_nothing_is_undone() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(send, GONE, times=3)
        await harness.start(passes, id="one")
        await harness.advance(hours=1)

        found = await described(harness)
        assert found.status is Status.INCIDENT
        assert [(one.cause, one.call) for one in found.incidents] == [("past-pivot", 2)]
        assert "no route" in str(found.incident)
        assert (sent(harness), undid(harness)) == (["b"] * 3, [])


@pytest.mark.parametrize("error", [GONE, NotDone("no"), TypeError("defect")], ids=repr)
async def test_retry_of_a_call_out_of_attempts_goes_forward(error: Exception) -> None:
    async with Harness(services=services()) as harness:
        harness.fail(send, error, times=1 if isinstance(error, TypeError) else 3)
        execution = await harness.start(passes, id="one")
        await harness.advance(hours=1)
        await execution.retry(actor="ann", reason="the route is back")

        assert await harness.result(execution) == "b sent"
        keys = {call.idempotency_key for call in harness.calls if call.name == "ship.send"}
        assert keys == {"one/1/2"}


async def test_code_does_not_see_the_failure_that_a_person_is_asked_about() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(send, GONE, times=3)
        execution = await harness.start(tries_again)
        await harness.advance(hours=1)
        await execution.retry()

        assert await harness.result(execution) == "b sent"


async def test_retry_that_fails_again_is_an_incident_again() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(send, GONE, times=4)
        execution = await harness.start(passes, id="one")
        await harness.advance(hours=1)
        await execution.retry()
        status = (await described(harness)).status
        await execution.retry()

        assert status is Status.INCIDENT
        assert await harness.result(execution) == "b sent"


async def test_call_out_of_attempts_is_resolved_by_a_person_who_knows_its_outcome() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(send, GONE, times=3)
        execution = await harness.start(passes, id="one")
        await harness.advance(hours=1)
        await execution.resolve(2, result="seen at the harbour")

        assert await harness.result(execution) == "seen at the harbour"


async def test_every_call_that_is_out_of_attempts_has_an_incident_of_its_own() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(send, GONE, times=6)
        execution = await harness.start(sends_two, id="one")
        await harness.advance(hours=1)
        both = [one.call for one in (await described(harness)).incidents]
        await execution.resolve(1, result="seen")
        second = [one.call for one in (await described(harness)).incidents]
        await execution.retry()

        assert (both, second) == ([1, 2], [2])
        assert await harness.result(execution) == ["seen", "c sent"]


async def test_call_that_times_out_past_the_pivot_is_an_incident() -> None:
    async with Harness(services=services()) as harness:
        harness.hang(send, times=3)
        execution = await harness.start(passes, id="one")
        await harness.advance(hours=1)
        status = (await described(harness)).status
        await execution.retry()

        assert status is Status.INCIDENT
        assert await harness.result(execution) == "b sent"


async def test_call_whose_node_was_lost_past_the_pivot_is_an_incident() -> None:
    async with Harness(services=services()) as harness:
        harness.hang(send, times=3)
        execution = await harness.start(passes, id="one")
        for _ in range(3):
            await harness.crash()
            await harness.restart()
        found = await described(harness)
        await execution.retry()

        assert found.status is Status.INCIDENT
        assert await harness.result(execution) == "b sent"


async def test_at_most_once_call_of_unknown_outcome_past_the_pivot_asks_a_person() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(send_once, GONE)
        execution = await harness.start(sends_once, id="one")
        found = await described(harness)
        await execution.resolve(1, result="seen")

        assert found.status is Status.INCIDENT
        assert await harness.result(execution) == "seen"


async def test_business_error_of_a_call_is_seen_by_the_code() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(passes_and_is_refused) == "because closed"
