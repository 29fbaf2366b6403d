"""DESIGN 3.1, "Children": a child is a step of its parent; its flow, its id, how it ends."""

import asyncio
from datetime import timedelta

import pytest
from tests.design.services_undoing import (
    Refused,
    described,
    desk,
    did,
    do,
    failed,
    look,
    refuse,
    types,
    undid,
    waits,
)

from counterpoint import ExecutionFailed, Service, workflow
from counterpoint.model.states import Status
from counterpoint.testing import Harness

family = Service("family")


@family.saga
async def child(what: str) -> str:
    return await do(what)


@family.workflow
async def plain(what: str) -> str:
    return await look(what)


@family.saga
async def holding(what: str) -> str:
    """Does something and waits for a word."""
    await do(what)
    return str(await workflow.signal("word"))


@family.workflow
async def plainly_holding() -> str:
    return str(await workflow.signal("word"))


@family.saga
async def refused_child() -> None:
    await do("in the child")
    await refuse("closed")


@family.workflow
async def raising_child() -> None:
    raise KeyError("lost")


@family.saga
async def failing_child() -> None:
    await do("in the child")
    raise KeyError("lost")


@family.saga
async def parent() -> str:
    await do("a")
    return "the child says: " + await child("b")


@family.workflow
async def plain_parent() -> list[str]:
    return [await child("a"), await plain("b")]


@family.saga
async def parent_of_holding() -> str:
    await do("a")
    return await holding("b")


@family.saga
async def grandparent_of_holding() -> str:
    await do("0")
    return await parent_of_holding()


@family.workflow
async def plain_parent_of_holding() -> str:
    return await holding("b")


@family.workflow
async def gives_up_waiting() -> str:
    try:
        async with asyncio.timeout(10):
            return await holding("b")
    except TimeoutError:
        return "without it"


@family.workflow
async def names_its_child(id: str) -> str:
    return await workflow.child(child, "b", id=id)


@family.workflow
async def names_wrongly() -> str:
    return await workflow.child(child, "b", id=7)  # type: ignore[arg-type]


@family.workflow
async def names_two_alike() -> str:
    first = await workflow.child(child, "a", id="same")
    return first + await workflow.child(child, "b", id="same")


@family.workflow
async def makes_do_when_taken() -> str:
    try:
        return await workflow.child(child, "b", id="taken")
    except ExecutionFailed as error:
        return f"{error.status}: {error.error}"


@family.workflow
async def catches_refusal() -> str:
    try:
        await refused_child()
    except Refused as error:
        return f"because {error.why}"
    return "nothing was raised"


@family.workflow
async def catches_failure(which: str) -> str:
    try:
        await {"plain": raising_child, "saga": failing_child}[which]()
    except ExecutionFailed as error:
        return f"{error.status}: {error.error}"
    return "nothing was raised"


@family.workflow
async def passes_refusal_on() -> None:
    await refused_child()


@family.workflow
async def catches_refusal_of_a_grandchild() -> str:
    try:
        await passes_refusal_on()
    except Refused as error:
        return f"because {error.why}"
    return "nothing was raised"


@family.workflow
async def catches_any(patience: float) -> str:
    try:
        return await holding("b")
    except ExecutionFailed as error:
        return f"{error.status}: {error}"


def services() -> list[Service]:
    return [desk, family]


# ---- a step of its parent ---------------------------------------------------------------------


async def test_child_is_a_step_of_its_parent_and_an_execution_of_its_own() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(parent, id="one")
        result = await harness.result(execution)

        found, its = await described(harness), await described(harness, "one/2")
        assert result == "the child says: b done"
        assert [(c.call, c.name, c.child) for c in found.calls] == [
            (1, "desk.do", None),
            (2, "family.child", "one/2"),
        ]
        assert (found.calls[1].state, found.calls[1].result) == ("completed", "b done")
        assert (its.parent, its.parent_call, its.status) == ("one", 2, Status.COMPLETED)


async def test_call_of_a_child_is_recorded_once_and_not_repeated_on_replay() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(parent_of_holding, id="one")
        await harness.restart()
        await harness.evict()
        await harness.execution("one/2").signal("word", "hello")

        assert await harness.result(execution) == "hello"
        assert (await types(harness)).count("child") == 1
        assert did(harness) == ["a", "b"]
        assert len(harness.calls) == 2


async def test_child_of_a_plain_workflow_is_called_alike() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(plain_parent) == ["a done", "b seen"]


async def test_waiting_for_a_child_is_described() -> None:
    async with Harness(services=services()) as harness:
        await harness.start(parent_of_holding, id="one")

        assert await waits(harness) == ["the child one/2 (call 2) to end"]


# ---- the same flow ----------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "flow"), [(None, "one"), ("order-7", "order-7")])
async def test_child_and_grandchild_are_of_the_same_flow(given: str | None, flow: str) -> None:
    async with Harness(services=services()) as harness:
        await harness.start(grandparent_of_holding, id="one", correlation_id=given)

        ids = {e.id async for e in harness.app.executions(correlation_id=flow)}
        found = [await described(harness, id) for id in ("one", "one/2", "one/2/2")]
        assert {one.correlation_id for one in found} == {flow}
        assert ids >= {"one/2", "one/2/2"}


# ---- its id -----------------------------------------------------------------------------------


async def test_id_of_a_child_is_its_parents_and_the_number_of_the_call() -> None:
    async with Harness(services=services()) as harness:
        await harness.run(plain_parent, id="one")

        ids = [e.id async for e in harness.app.executions()]
        assert sorted(ids) == ["one", "one/1", "one/2"]


async def test_child_has_the_id_that_was_given() -> None:
    async with Harness(services=services()) as harness:
        await harness.run(names_its_child, "leg-7", id="one")

        found = await described(harness, "leg-7")
        assert (found.parent, found.status) == ("one", Status.COMPLETED)


async def test_id_of_a_child_that_cannot_be_one_is_refused() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(names_its_child, "", id="one"))

        assert "cannot be empty" in str(error)


async def test_id_that_is_taken_fails_the_call() -> None:
    async with Harness(services=services()) as harness:
        await harness.run(child, "a", id="taken")
        result = await harness.run(makes_do_when_taken)

        assert result.startswith("failed:")
        assert "'taken' belongs to another execution" in result
        assert did(harness) == ["a"]


async def test_two_children_of_one_parent_cannot_share_an_id() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(names_two_alike))

        assert "'same' belongs to another execution" in str(error)
        assert did(harness) == ["a"]


async def test_long_id_of_a_parent_leaves_room_for_its_children() -> None:
    async with Harness(services=services()) as harness:
        await harness.run(plain_parent, id="x" * 200)

        ids = [e.id async for e in harness.app.executions()]
        assert len(ids) == 3
        assert all(len(id) <= 200 for id in ids)


async def test_id_of_a_child_is_text() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(names_wrongly, id="one"))

        assert "an execution id is text, not 7" in str(error)
        assert "child" not in await types(harness)


# ---- cancelled with its parent ----------------------------------------------------------------


async def test_child_is_cancelled_with_its_parent() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(plain_parent_of_holding, id="one")
        await execution.cancel()
        error = await failed(harness, execution)

        its = await described(harness, "one/1")
        assert error.status == "cancelled"
        assert its.status is Status.CANCELLED
        assert undid(harness) == ["b"]


async def test_grandchild_is_cancelled_and_undone_before_its_parents() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(grandparent_of_holding, id="one")
        await execution.cancel()
        error = await failed(harness, execution)

        found = [(await described(harness, id)).status for id in ("one", "one/2", "one/2/2")]
        assert error.status == "cancelled"
        assert found == [Status.CANCELLED] * 3
        assert undid(harness) == ["b", "a", "0"]


async def test_child_that_nobody_waits_for_any_more_is_cancelled() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(gives_up_waiting, id="one") == "without it"
        await harness.settle()

        assert (await described(harness, "one/1")).status is Status.CANCELLED
        assert undid(harness) == ["b"]


async def test_cancellation_of_a_child_says_who_no_longer_waits() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(plain_parent_of_holding, id="one")
        await execution.cancel()
        await failed(harness, execution)

        assert "one no longer waits" in str((await described(harness, "one/1")).cancel_reason)


# ---- terminated with its parent ---------------------------------------------------------------


async def test_child_and_grandchild_are_terminated_with_their_parent() -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(grandparent_of_holding, id="one")
        await execution.terminate()
        await harness.settle()

        found = [(await described(harness, id)).status for id in ("one", "one/2", "one/2/2")]
        assert found == [Status.TERMINATED] * 3
        assert undid(harness) == []


async def test_child_that_had_completed_is_not_touched_by_the_termination_of_its_parent() -> None:
    async with Harness(services=services()) as harness:
        harness.hang(look)
        execution = await harness.start(plain_parent, id="one")
        await execution.terminate()
        await harness.settle()

        found = [(await described(harness, id)).status for id in ("one/1", "one/2")]
        assert found == [Status.COMPLETED, Status.TERMINATED]


# ---- how a failure crosses --------------------------------------------------------------------


async def test_business_error_of_a_child_crosses_as_itself() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(catches_refusal, id="one") == "because closed"

        assert (await described(harness, "one/1")).status is Status.COMPENSATED
        assert undid(harness) == ["in the child"]


async def test_business_error_of_a_grandchild_crosses_twice_as_itself() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(catches_refusal_of_a_grandchild) == "because closed"


async def test_business_error_crosses_as_itself_after_a_restart() -> None:
    async with Harness(services=services()) as harness:
        harness.delay(refuse, timedelta(seconds=20))
        execution = await harness.start(catches_refusal)
        await harness.restart()

        assert await harness.result(execution) == "because closed"


@pytest.mark.parametrize(("which", "status"), [("plain", "failed"), ("saga", "compensated")])
async def test_anything_else_crosses_as_execution_failed(which: str, status: str) -> None:
    async with Harness(services=services()) as harness:
        result = await harness.run(catches_failure, which)

        assert result == f"{status}: builtins.KeyError: 'lost'"


@pytest.mark.parametrize("act", ["cancel", "terminate"])
async def test_child_that_somebody_ends_crosses_as_execution_failed(act: str) -> None:
    async with Harness(services=services()) as harness:
        execution = await harness.start(catches_any, 1.0, id="one")
        its = harness.execution("one/1")
        await (its.cancel() if act == "cancel" else its.terminate(actor="ann"))

        ended = "cancelled" if act == "cancel" else "terminated"
        assert (await harness.result(execution)).startswith(f"{ended}: one/1 {ended}")


async def test_failure_of_a_child_that_nobody_catches_fails_the_parent_with_it() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(passes_refusal_on))

        assert error.status == "failed"
        assert isinstance(error.error, Refused)
