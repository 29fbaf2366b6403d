"""DESIGN 3.1, "Children" and "Execution": parents that are retried and reset, children that no
service here hosts, and children of an execution past its pivot."""

import asyncio
from datetime import timedelta

import pytest
from tests.design.services_undoing import (
    STEADY,
    described,
    desk,
    did,
    do,
    failed,
    refuse,
    undid,
    waits,
)

from counterpoint import ExecutionFailed, ExecutionRefusedError, Service, workflow
from counterpoint.model.states import Status
from counterpoint.testing import Harness

family = Service("family")
DEFECT = TypeError("a defect")
"""No second attempt follows it."""


@family.activity(retry=STEADY)
async def check(what: str) -> str:
    return f"{what} checked"


@family.workflow
async def plain_child(what: str) -> str:
    await do(what)
    return await check(what)


@family.saga
async def saga_child(what: str) -> str:
    await do(what)
    return await check(what)


@family.workflow
async def plain_parent() -> str:
    await do("a")
    return await plain_child("b")


@family.workflow
async def parent_of_saga() -> str:
    await do("a")
    return await saga_child("b")


@family.saga
async def pivoted_parent() -> str:
    await do("a")
    workflow.pivot()
    return await saga_child("b")


@family.saga
async def pivoted_parent_of_plain() -> str:
    await do("a")
    workflow.pivot()
    return await plain_child("b")


@family.workflow
async def two_children() -> str:
    first = await plain_child("a")
    second = await plain_child("b")
    return f"{first}, {second}"


@family.saga
async def two_saga_children() -> str:
    await saga_child("a")
    await saga_child("b")
    await refuse("no")
    return "not refused"


abroad = Service("abroad")


@abroad.activity(retry=STEADY)
async def ship(what: str) -> str:
    return f"{what} shipped"


@abroad.workflow
async def delivery(what: str) -> str:
    await asyncio.sleep(60)
    return await ship(what)


@abroad.saga
async def order() -> str:
    await do("a")
    return await delivery("b")


@abroad.saga
async def storage(what: str) -> str:
    return await do(what)


@abroad.saga
async def stores_and_waits() -> None:
    await do("a")
    await storage("b")
    await asyncio.sleep(60)
    raise ValueError("too late")


home = Service("abroad")
"""The same service in a deployment without the child and its activity."""
home.workflows["abroad.order"] = order
home.workflows["abroad.stores_and_waits"] = stores_and_waits


def services() -> list[Service]:
    return [desk, family]


# ---- retried ----------------------------------------------------------------------------------


async def test_retry_of_a_failed_parent_tries_its_failed_child_again() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(check, DEFECT)
        execution = await harness.start(plain_parent, id="one")
        await failed(harness, execution)
        await execution.retry(actor="ann", reason="the line is back")

        assert await harness.result(execution) == "b checked"
        assert (await described(harness, "one/2")).status is Status.COMPLETED
        assert [c.idempotency_key for c in harness.calls if c.name == "family.check"] == [
            "one/2/1/2",
            "one/2/1/2",
        ]
        assert len([c for c in harness.calls if c.name == "desk.do"]) == 2  # and nothing else again


async def test_retry_of_a_failed_parent_runs_a_child_that_undid_itself_anew() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(check, DEFECT)
        execution = await harness.start(parent_of_saga, id="one")
        await failed(harness, execution)
        before = undid(harness)
        await execution.retry()

        assert await harness.result(execution) == "b checked"
        its = await described(harness, "one/2")
        assert before == ["b"]
        assert (its.run, its.status, its.parent) == (2, Status.COMPLETED, "one")
        keys = [c.idempotency_key for c in harness.calls if c.arguments == {"what": "b"}]
        assert keys[:1] + keys[-1:] == ["one/2/1/1", "one/2/2/2"]


async def test_retry_that_fails_again_ends_failed_again() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(check, DEFECT, times=2)
        execution = await harness.start(plain_parent, id="one")
        await failed(harness, execution)
        await execution.retry()
        error = await failed(harness, execution)
        await execution.retry()

        assert error.status == "failed"
        assert await harness.result(execution) == "b checked"


async def test_retry_of_a_parent_survives_a_crash_at_every_commit() -> None:
    for commit in range(1, 30):
        async with Harness(services=services()) as harness:
            harness.fail(check, DEFECT)
            execution = await harness.start(parent_of_saga, id="one")
            await failed(harness, execution)
            before = harness.store.commits
            await execution.retry()
            harness.crash_at_commit(commit)
            await harness.settle()
            crashed = not harness.running
            if crashed:
                await harness.restart()

            assert await harness.result(execution) == "b checked", commit
            assert harness.store.commits > before
        if not crashed:
            assert commit > 3
            return
    raise AssertionError("it takes more commits than were tried")


# ---- past the pivot of the parent -------------------------------------------------------------


async def test_failed_child_past_the_parents_pivot_is_an_incident_and_retry_goes_forward() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(check, DEFECT)
        execution = await harness.start(pivoted_parent, id="one")
        found = await described(harness)
        await execution.retry()

        assert [(one.cause, one.call) for one in found.incidents] == [("past-pivot", 2)]
        assert await harness.result(execution) == "b checked"
        assert undid(harness) == ["b"]  # the child's own first try


async def test_failed_plain_child_past_the_parents_pivot_goes_on_where_it_failed() -> None:
    async with Harness(services=services()) as harness:
        harness.fail(check, DEFECT)
        execution = await harness.start(pivoted_parent_of_plain, id="one")
        status = (await described(harness)).status
        await execution.retry()

        assert status is Status.INCIDENT
        assert await harness.result(execution) == "b checked"
        assert did(harness) == ["a", "b"]
        assert len([c for c in harness.calls if c.name == "desk.do"]) == 2


# ---- reset ------------------------------------------------------------------------------------


async def test_reset_before_a_child_calls_another_one_under_another_id() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(plain_parent, id="one")
        await harness.result(execution)
        report = await execution.reset(to=1, reason="again")

        assert await harness.result(execution) == "b checked"
        assert [call.call for call in report.happened] == [1, 2]
        found = await described(harness)
        assert (found.run, found.calls[1].child) == (2, "one/2.2")
        assert (await described(harness, "one/2")).status is Status.COMPLETED
        assert (await described(harness, "one/2.2")).status is Status.COMPLETED


async def test_reset_after_a_child_keeps_its_result_and_does_not_call_it_again() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(two_children, id="one")
        await harness.result(execution)
        journal = await execution.journal()
        (first, _) = [e.seq for e in journal if e.type == "child-completed"]
        report = await execution.reset(to=first)

        assert await harness.result(execution) == "a checked, b checked"
        assert [call.call for call in report.happened] == [2]
        assert len([c for c in harness.calls if c.arguments == {"what": "a"}]) == 2
        assert len([c for c in harness.calls if c.arguments == {"what": "b"}]) == 4


async def test_reset_is_refused_where_a_child_of_the_prefix_was_undone() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(two_saga_children, id="one")
        await failed(harness, execution)
        journal = await execution.journal()
        (first, _) = [e.seq for e in journal if e.type == "child-completed"]

        with pytest.raises(ExecutionRefusedError, match="call 1 was compensated"):
            await execution.reset(to=first)


# ---- a child that is not hosted here ----------------------------------------------------------


async def test_parent_of_a_child_that_is_not_hosted_waits_visibly() -> None:
    async with Harness(services=[desk, home]) as harness:
        await harness.start(order, id="one")
        await harness.advance(hours=1)

        found = await described(harness)
        assert found.status is Status.RUNNING
        assert await waits(harness) == ["the child one/2 (call 2) to end"]


async def test_child_begins_when_a_deployment_hosts_it() -> None:
    async with Harness(services=[desk, home]) as harness:
        execution = await harness.start(order, id="one")
        await harness.advance(hours=1)
        await harness.restart(services=[desk, abroad])

        assert await harness.result(execution) == "b shipped"


async def test_child_that_was_never_hosted_ends_with_its_terminated_parent() -> None:
    async with Harness(services=[desk, home]) as harness:
        execution = await harness.start(order, id="one")
        await execution.terminate()
        await harness.settle()
        await harness.restart(services=[desk, abroad])
        await harness.advance(hours=1)

        found = [(await described(harness, id)).status for id in ("one", "one/2")]
        assert found == [Status.TERMINATED] * 2
        assert "abroad.ship" not in [call.name for call in harness.calls]


async def test_child_that_was_never_hosted_ends_with_its_cancelled_parent() -> None:
    async with Harness(services=[desk, home], settle=timedelta(days=1)) as harness:
        execution = await harness.start(order, id="one")
        await execution.cancel()
        await harness.settle()
        await harness.restart(services=[desk, abroad])

        with pytest.raises(ExecutionFailed, match="cancelled"):
            await harness.result(execution)
        assert undid(harness) == ["a"]
        assert "abroad.ship" not in [call.name for call in harness.calls]


async def test_undoing_a_child_waits_visibly_for_a_deployment_that_hosts_it() -> None:
    async with Harness(services=[desk, abroad]) as harness:
        execution = await harness.start(stores_and_waits, id="one")
        await harness.restart(services=[desk, home])
        await harness.advance(hours=1)
        found, before = await described(harness), undid(harness)
        await harness.restart(services=[desk, abroad])

        error = await failed(harness, execution)
        assert [(one.cause, one.call) for one in found.incidents] == [("unknown-activity", 2)]
        assert before == []
        assert error.status == "compensated"
        assert undid(harness) == ["b", "a"]
