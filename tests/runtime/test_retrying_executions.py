"""`Execution.retry()`: a person asks for another try of what stopped or failed an execution."""

import pytest
from tests.runtime.shop import GOOD, TOO_MUCH, called, pay, place_order, shop

from counterpoint import ExecutionFailed, ExecutionRefusedError, Retry, Service
from counterpoint.model.states import Status
from counterpoint.testing import Harness, StuckError


def version_of(code: str) -> Service:
    """Return one of several versions of a service, as if it had been deployed."""
    service = Service("service")

    @service.activity(retry=Retry(max_attempts=1))
    async def first() -> str:
        return "1"

    @service.activity
    async def second() -> str:
        return "2"

    if code == "first, second":

        @service.workflow(name="service.flow")
        async def flow() -> str:
            return await first() + await second()

    elif code == "second, first":

        @service.workflow(name="service.flow")
        async def flow_turned_round() -> str:
            return await second() + await first()

    return service


async def test_failed_workflow_goes_on_with_new_attempts_and_the_same_keys() -> None:
    async with Harness(services=[shop]) as harness:
        harness.fail("shop.charge", TypeError("wrong"), times=1)
        execution = await harness.start(pay, "tea", GOOD, id="one")
        with pytest.raises(ExecutionFailed):
            await harness.result(execution)
        await execution.retry(actor="ann", reason="mended")

        assert await harness.result(execution) == "paid"
        assert called(harness) == ["create", "charge", "charge"]
        assert [call.idempotency_key for call in harness.calls] == ["one/1/1", "one/1/2", "one/1/2"]
        assert [call.attempt for call in harness.calls] == [1, 1, 1]


async def test_retry_is_a_record_that_names_who_asked_and_why() -> None:
    async with Harness(services=[shop]) as harness:
        harness.fail("shop.charge", TypeError("wrong"), times=1)
        execution = await harness.start(pay, "tea", GOOD)
        await execution.retry(actor="ann", reason="mended")
        await harness.result(execution)
        (request,) = [e for e in await execution.journal() if e.type == "retry-requested"]

        assert (request.data["actor"], request.data["reason"]) == ("ann", "mended")


async def test_failed_workflow_is_retried_after_a_restart() -> None:
    async with Harness(services=[shop]) as harness:
        harness.fail("shop.charge", TypeError("wrong"), times=1)
        execution = await harness.start(pay, "tea", GOOD)
        await harness.restart()
        await execution.retry()

        assert await harness.result(execution) == "paid"


async def test_business_error_is_retried_when_a_person_asks() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await harness.start(pay, "tea", TOO_MUCH)
        harness.replace("shop.charge", lambda order, amount: {"charged": order})
        await execution.retry()

        assert await harness.result(execution) == "paid"


async def test_retry_that_fails_again_is_a_failure_again() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await harness.start(pay, "tea", TOO_MUCH)
        await execution.retry()

        with pytest.raises(ExecutionFailed, match="over the limit"):
            await harness.result(execution)
        assert called(harness) == ["create", "charge", "charge"]


async def test_waiting_retry_is_brought_forward() -> None:
    async with Harness(services=[shop]) as harness:
        harness.fail("shop.charge", ConnectionError("no route"), times=1)
        execution = await harness.start(pay, "tea", GOOD)
        await execution.retry()

        assert await execution.result() == "paid"
        assert harness.calls[-1].at == harness.calls[0].at


async def test_retry_does_nothing_where_nothing_has_to_be_retried() -> None:
    async with Harness(services=[shop]) as harness:
        await harness.run(pay, "tea", GOOD, id="one")
        await harness.execution("one").retry()
        await harness.settle()

        assert await harness.execution("one").result() == "paid"
        assert called(harness) == ["create", "charge"]


async def test_undone_saga_is_not_retried() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await harness.start(place_order, "tea", TOO_MUCH)

        with pytest.raises(ExecutionRefusedError, match=r"compensated.*start a new one"):
            await execution.retry()


async def test_cancelled_workflow_is_not_retried() -> None:
    async with Harness(services=[shop]) as harness:
        harness.hang("shop.charge")
        execution = await harness.start(pay, "tea", GOOD)
        await execution.cancel()
        await harness.settle()

        with pytest.raises(ExecutionRefusedError, match="cancelled"):
            await execution.retry()


async def test_code_that_disagrees_with_the_journal_is_an_incident() -> None:
    async with Harness(services=[version_of("first, second")]) as harness:
        harness.hang("service.second")
        execution = await harness.start(harness.app.registry.workflows["service.flow"], id="one")
        before = await execution.journal()
        await harness.restart(services=[version_of("second, first")])
        known = await execution.describe()

        assert known.status is Status.INCIDENT
        assert known.incident is not None
        assert "the journal says call 1 of service.first" in known.incident
        assert "call 1 of service.second" in known.incident
        assert __file__ in known.incident
        assert (await execution.journal())[: len(before)] == before


async def test_incident_of_code_goes_on_after_a_retry_with_the_right_code() -> None:
    async with Harness(services=[version_of("first, second")]) as harness:
        harness.hang("service.second")
        execution = await harness.start(harness.app.registry.workflows["service.flow"])
        await harness.restart(services=[version_of("second, first")])
        await harness.restart(services=[version_of("first, second")])
        await execution.retry()

        assert await harness.result(execution) == "12"
        assert called(harness).count("first") == 1


async def test_retry_on_code_that_still_disagrees_leaves_the_incident() -> None:
    async with Harness(services=[version_of("first, second")]) as harness:
        harness.hang("service.second")
        execution = await harness.start(harness.app.registry.workflows["service.flow"])
        await harness.restart(services=[version_of("second, first")])
        await execution.retry()
        await harness.settle()

        assert (await execution.describe()).status is Status.INCIDENT
        with pytest.raises(StuckError, match="a person"):
            await harness.result(execution)


async def test_failed_workflow_whose_code_disagrees_becomes_an_incident_when_retried() -> None:
    async with Harness(services=[version_of("first, second")]) as harness:
        harness.fail("service.first", ConnectionError("no route"))
        execution = await harness.start(harness.app.registry.workflows["service.flow"])
        failed = (await execution.describe()).status
        await harness.restart(services=[version_of("second, first")])
        await execution.retry()
        await harness.settle()

        assert failed is Status.FAILED
        assert (await execution.describe()).status is Status.INCIDENT
