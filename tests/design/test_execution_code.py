"""DESIGN 3.1, Execution, with 5, Versions: executions whose code has changed, or is too old."""

import logging
from typing import Any, Literal

import pytest
from tests.runtime.shop import called

from counterpoint import Execution, ExecutionFailed, Retry, Service, workflow
from counterpoint.model.states import Cause, Status
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

Order = Literal["first, second", "second, first"]
FIT: Order = "first, second"
UNFIT: Order = "second, first"


def deploy(order: Order, *, version: int = 1, saga: bool = False, hosted: bool = True) -> Service:
    """Return a service as if it had been deployed with its two calls in that order."""
    service = Service("service")

    @service.activity
    async def first() -> str:
        return "1"

    @service.activity
    async def second() -> str:
        return "2"

    @first.compensation
    async def undo_first() -> None: ...

    if not hosted:
        return service
    declare = service.saga if saga else service.workflow

    @declare(name="service.flow", version=version)
    async def flow(fails: bool) -> str:
        one = await first() if order == FIT else await second()
        said = await workflow.signal("go", str)
        two = await second() if order == FIT else await first()
        if fails:
            raise ValueError("it was to fail")
        return one + said + two

    return service


async def begin(harness: Harness, id: str, *, fails: bool = False) -> Execution[str]:
    flow: Any = harness.app.registry.workflows["service.flow"]
    execution: Execution[str] = await harness.start(flow, fails, id=id)
    return execution


async def deploy_badly(harness: Harness, *ids: str, saga: bool = False) -> None:
    """Deploy code that does not fit, and let something arrive that brings executions to memory."""
    await harness.restart(services=[deploy(UNFIT, saga=saga)])
    for execution_id in ids:
        await harness.execution(execution_id).signal("news", "anything")
    await harness.settle()


async def statuses(harness: Harness) -> dict[Status, int]:
    return await harness.app.counts()


# ---- incidents of non-determinism ----------------------------------------------------------------


async def test_a_bad_deployment_makes_an_incident_and_damages_no_journal() -> None:
    async with Harness(services=[deploy(FIT)]) as harness:
        execution = await begin(harness, "one")
        before = await execution.journal()
        await deploy_badly(harness, "one")
        known, after = await execution.describe(), await execution.journal()

        assert known.status is Status.INCIDENT
        assert [incident.cause for incident in known.incidents] == [Cause.NON_DETERMINISM]
        assert after[: len(before)] == before
        assert [entry.type for entry in after[len(before) :]] == ["incident", "signalled"]


async def test_a_node_that_starts_tries_an_incident_of_non_determinism_again_by_itself() -> None:
    async with Harness(services=[deploy(FIT)]) as harness:
        execution = await begin(harness, "one")
        await deploy_badly(harness, "one")
        await harness.restart(services=[deploy(FIT)])
        known = await execution.describe()
        await execution.signal("go", "and")

        assert (known.status, list(known.incidents)) == (Status.RUNNING, [])
        assert await harness.result(execution) == "1and2"
        assert called(harness) == ["first", "second"]


async def test_a_node_that_starts_with_the_same_bad_code_writes_nothing_more() -> None:
    async with Harness(services=[deploy(FIT)]) as harness:
        execution = await begin(harness, "one")
        await deploy_badly(harness, "one")
        before = await execution.journal()
        await harness.restart()
        await harness.restart()

        assert await execution.journal() == before


async def test_a_second_bad_deployment_that_differs_elsewhere_says_so() -> None:
    async with Harness(services=[deploy(FIT)]) as harness:
        execution = await begin(harness, "one")
        await deploy_badly(harness, "one")
        other = deploy(FIT, hosted=False)

        @other.workflow(name="service.flow")
        async def flow(fails: bool) -> str:
            return await workflow.signal("go", str)

        await harness.restart(services=[other])
        known = await execution.describe()

        assert known.status is Status.INCIDENT
        assert "a wait for the signal 'go'" in str(known.incidents[-1].message)


async def test_five_hundred_incidents_of_non_determinism_go_on_when_a_node_starts() -> None:
    async with Harness(services=[deploy(FIT)], rehearse=False) as harness:
        flow: Any = harness.app.registry.workflows["service.flow"]
        for number in range(500):
            await harness.app.start(flow, False, id=f"flow-{number}")
        await harness.settle()
        journals = [await harness.execution(f"flow-{n}").journal() for n in range(500)]
        await deploy_badly(harness, *(f"flow-{number}" for number in range(500)))
        bad = await statuses(harness)
        await harness.restart(services=[deploy(FIT)])
        good = await statuses(harness)
        for number in range(500):
            await harness.execution(f"flow-{number}").signal("go", "and")
        await harness.idle()
        ended = await statuses(harness)

        assert (bad, good, ended) == (
            {Status.INCIDENT: 500},
            {Status.RUNNING: 500},
            {Status.COMPLETED: 500},
        )
        for number, before in enumerate(journals):
            after = await harness.execution(f"flow-{number}").journal()
            assert after[: len(before)] == before
        assert called(harness).count("first") == called(harness).count("second") == 500


async def test_incidents_go_on_too_where_memory_holds_few_of_them() -> None:
    services = [deploy(FIT)]
    async with Harness(services=services, rehearse=False, max_resident=5) as harness:
        for number in range(30):
            await begin(harness, f"flow-{number}")
        await deploy_badly(harness, *(f"flow-{number}" for number in range(30)))
        bad = await statuses(harness)
        await harness.restart(services=[deploy(FIT)])

        assert bad == {Status.INCIDENT: 30}
        assert await statuses(harness) == {Status.RUNNING: 30}


async def test_what_came_during_the_incident_is_applied_afterwards() -> None:
    async with Harness(services=[deploy(FIT)]) as harness:
        execution = await begin(harness, "one")
        await harness.restart(services=[deploy(UNFIT)])
        await execution.signal("go", "kept")
        await harness.settle()
        during = (await execution.describe()).status
        await harness.restart(services=[deploy(FIT)])

        assert during is Status.INCIDENT
        assert await harness.result(execution) == "1kept2"


async def test_a_cancel_during_the_incident_is_done_afterwards() -> None:
    async with Harness(services=[deploy(FIT, saga=True)]) as harness:
        execution = await begin(harness, "one")
        await harness.restart(services=[deploy(UNFIT, saga=True)])
        await execution.cancel()
        await harness.settle()
        during = (await execution.describe()).status
        await harness.restart(services=[deploy(FIT, saga=True)])

        with pytest.raises(ExecutionFailed, match="cancelled"):
            await harness.result(execution)
        assert during is Status.INCIDENT
        assert called(harness) == ["first", "undo_first"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
async def test_going_on_after_an_incident_survives_a_crash(number: int, when: When) -> None:
    async with Harness(services=[deploy(FIT)]) as harness:
        execution = await begin(harness, "one")
        await harness.restart(services=[deploy(UNFIT)])
        await execution.signal("go", "and")
        await harness.settle()
        harness.crash_at_commit(number, when=when)
        await harness.restart(services=[deploy(FIT)])
        if not harness.running:
            await harness.restart()

        assert await harness.result(execution) == "1and2"
        assert called(harness).count("first") == 1


async def test_a_saga_that_is_being_undone_needs_no_code_that_fits() -> None:
    async with Harness(services=[deploy(FIT, saga=True)]) as harness:
        execution = await begin(harness, "one", fails=True)
        harness.hang("service.undo_first")
        await execution.signal("go", "and")
        await harness.settle()
        await harness.restart(services=[deploy(UNFIT, saga=True)])

        with pytest.raises(ExecutionFailed, match="compensated"):
            await harness.result(execution)


async def test_an_incident_of_another_cause_is_left_as_it_is_when_a_node_starts() -> None:
    service = Service("service")

    @service.activity(at_most_once=True, retry=Retry(max_attempts=1))
    async def pay() -> None:
        raise OSError("connection lost")

    @service.workflow
    async def flow() -> None:
        await pay()

    async with Harness(services=[service]) as harness:
        execution = await harness.start(flow)
        before = await execution.journal()
        await harness.restart()

        assert await execution.journal() == before
        assert called(harness) == ["pay"]


# ---- a newer version -----------------------------------------------------------------------------


async def test_an_execution_of_a_newer_version_is_left_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Harness(services=[deploy(FIT, version=2)]) as harness:
        execution = await begin(harness, "one")
        before = await execution.journal()
        with caplog.at_level(logging.WARNING):
            await harness.restart(services=[deploy(FIT, version=1)])
        await execution.signal("go", "and")
        await harness.advance(hours=1)
        known = await execution.describe()

        assert await execution.journal() == before
        assert (known.status, known.version) == (Status.RUNNING, 2)
        assert "no service of this app has service.flow version 2" in caplog.text


async def test_what_was_asked_of_it_meanwhile_waits_for_a_node_with_its_version() -> None:
    async with Harness(services=[deploy(FIT, version=2)]) as harness:
        execution = await begin(harness, "one")
        await harness.restart(services=[deploy(FIT, version=1)])
        await execution.signal("go", "and")
        await harness.settle()
        posted = [one.kind async for one in harness.app.posted()]
        await harness.restart(services=[deploy(FIT, version=2)])

        assert posted == ["signal"]
        assert await harness.result(execution) == "1and2"
        assert [one async for one in harness.app.posted()] == []


async def test_a_newer_version_takes_over_what_an_older_one_began() -> None:
    async with Harness(services=[deploy(FIT, version=1)]) as harness:
        execution = await begin(harness, "one")
        await harness.restart(services=[deploy(FIT, version=3)])
        await execution.signal("go", "and")

        assert await harness.result(execution) == "1and2"
        assert (await execution.describe()).version == 3


async def test_an_execution_keeps_the_highest_version_that_advanced_it() -> None:
    async with Harness(services=[deploy(FIT, version=1)]) as harness:
        execution = await begin(harness, "one")
        await harness.restart(services=[deploy(FIT, version=2)])
        await execution.signal("other", "something that version 2 has recorded")
        await harness.settle()
        before = await execution.journal()
        await harness.restart(services=[deploy(FIT, version=1)])
        await execution.signal("go", "and")
        await harness.settle()

        assert (await execution.describe()).version == 2
        assert await execution.journal() == before


@pytest.mark.parametrize("act", ["retry", "reset"])
async def test_an_ended_execution_of_a_newer_version_is_not_taken_up_by_an_older_one(
    act: str,
) -> None:
    async with Harness(services=[deploy(FIT, version=2)]) as harness:
        execution = await begin(harness, "one", fails=True)
        await execution.signal("go", "and")
        await harness.settle()
        before = await execution.journal()
        await harness.restart(services=[deploy(FIT, version=1)])
        await (execution.retry() if act == "retry" else execution.reset(to=1))
        await harness.settle()
        known = await execution.describe()

        assert (known.status, known.run) == (Status.FAILED, 1)
        assert await execution.journal() == before


@pytest.mark.parametrize("act", ["retry", "reset"])
async def test_an_act_on_an_ended_execution_of_a_newer_version_waits_for_it(act: str) -> None:
    async with Harness(services=[deploy(FIT, version=2)]) as harness:
        execution = await begin(harness, "one", fails=True)
        await execution.signal("go", "and")
        await harness.settle()
        await harness.restart(services=[deploy(FIT, version=1)])
        await (execution.retry() if act == "retry" else execution.reset(to=1))
        await harness.settle()
        await harness.restart(services=[deploy(FIT, version=2)])
        types = [entry.type for entry in await execution.journal()]

        assert ("retry-requested" if act == "retry" else "reset") in types
