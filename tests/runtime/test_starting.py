"""Starting an execution: durable when acknowledged, once for an id."""

import asyncio
from pathlib import Path

import pytest
from tests.runtime.shop import GOOD, called, pay, place_order, shop

from counterpoint import (
    App,
    ArgumentsError,
    DefinitionError,
    ExecutionExistsError,
    NodeStoppedError,
    Service,
    workflow,
)
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing import Harness

other = Service("other")


@other.workflow
async def elsewhere() -> None: ...


@other.workflow
async def wait() -> str:
    return str(await workflow.signal("go"))


async def test_id_that_was_started_before_gives_the_ended_execution_again() -> None:
    async with Harness(services=[shop]) as harness:
        await harness.run(place_order, "tea", GOOD, id="order-1")
        again = await harness.start(place_order, "tea", GOOD, id="order-1")

        assert await again.result() == "tea confirmed"
        assert called(harness) == ["create", "reserve", "charge"]


async def test_id_with_other_arguments_is_refused_also_after_the_end() -> None:
    async with Harness(services=[shop]) as harness:
        await harness.run(place_order, "tea", GOOD, id="order-1")

        with pytest.raises(ExecutionExistsError, match="other arguments"):
            await harness.start(place_order, "coffee", GOOD, id="order-1")


async def test_id_of_another_workflow_is_refused() -> None:
    async with Harness(services=[shop]) as harness:
        await harness.run(place_order, "tea", GOOD, id="order-1")

        with pytest.raises(ExecutionExistsError, match=r"shop\.place_order"):
            await harness.start(pay, "tea", GOOD, id="order-1")


async def test_conflicting_starts_in_one_batch_refuse_nobody_else() -> None:
    async with Harness(services=[shop]) as harness:
        for number in range(5):
            await harness.run(place_order, "tea", GOOD, id=f"order-{number}")
        commits = harness.store.commits

        starts = [
            harness.app.start(place_order, "tea" if number % 2 else "coffee", GOOD, id=f"order-{n}")
            for number, n in enumerate([*range(5), *range(5), *range(5, 40)])
        ]
        outcomes = await asyncio.gather(*starts, return_exceptions=True)

        assert harness.store.commits - commits <= 6
        refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert len(refused) == 5
        assert {type(error) for error in refused} == {ExecutionExistsError}
        await harness.idle()
        assert len([e async for e in harness.app.executions(status="completed")]) == 40


async def test_acknowledged_start_survives_a_crash_right_after(tmp_path: Path) -> None:
    async with Harness(services=[shop], store=SqliteStore(tmp_path / "shop.db")) as harness:
        await harness.app.start(place_order, "tea", GOOD, id="order-1")
        await harness.crash()

        await harness.restart()

        assert await harness.result(harness.execution("order-1")) == "tea confirmed"


async def test_start_is_not_acknowledged_before_its_commit() -> None:
    async with Harness(services=[shop]) as harness:
        harness.store.hold_commits()
        starting = asyncio.create_task(harness.app.start(place_order, "tea", GOOD))
        await harness.store.commit_held()
        held = starting.done()

        harness.store.release_commits()

        assert not held
        assert await harness.result(await starting) == "tea confirmed"


async def test_start_whose_caller_gave_up_goes_on() -> None:
    async with Harness(services=[shop]) as harness:
        harness.store.hold_commits()
        starting = asyncio.create_task(harness.app.start(place_order, "tea", GOOD, id="order-1"))
        await harness.store.commit_held()
        starting.cancel()
        await asyncio.wait([starting])

        harness.store.release_commits()
        await harness.settle()

        assert starting.cancelled()
        assert await harness.execution("order-1").result() == "tea confirmed"


@pytest.mark.parametrize("id", ["", "x" * 201, "two\nlines"])
async def test_unusable_id_is_refused(id: str) -> None:
    async with Harness(services=[shop]) as harness:
        with pytest.raises(ArgumentsError, match="execution id") as caught:
            await harness.start(place_order, "tea", GOOD, id=id)

    assert caught.value.fields == ("id",)


async def test_generated_ids_are_ordered_by_the_time_of_their_making() -> None:
    async with Harness(services=[other]) as harness:
        first = await harness.start(elsewhere)
        second = await harness.start(elsewhere)

    assert len(first.id) == 32
    assert first.id[:12] <= second.id[:12]


async def test_workflow_of_another_app_is_refused() -> None:
    async with Harness(services=[shop]) as harness:
        with pytest.raises(DefinitionError, match=r"other\.elsewhere is not of this app"):
            await harness.start(elsewhere)


async def test_app_that_does_not_run_says_how_to_run_it() -> None:
    app = App("shop", services=[shop], store="memory:")

    with pytest.raises(NodeStoppedError, match="async with app"):
        await app.start(place_order, "tea", GOOD)


async def test_run_that_takes_too_long_leaves_its_execution_alone() -> None:
    async with Harness(services=[other]) as harness:
        with pytest.raises(TimeoutError):
            await harness.app.run(wait, id="w", timeout=0.001)
        await harness.execution("w").signal("go", "on")

        assert await harness.result(harness.execution("w")) == "on"


async def test_flow_is_named_by_its_first_execution_unless_given() -> None:
    async with Harness(services=[other]) as harness:
        own = await harness.start(elsewhere, id="a")
        given = await harness.start(elsewhere, id="b", correlation_id="flow")

        assert (await own.describe()).correlation_id == "a"
        assert (await given.describe()).correlation_id == "flow"
        assert [e.id async for e in harness.app.executions(correlation_id="flow")] == ["b"]
        assert [e.id async for e in harness.app.executions(correlation_id="a")] == ["a"]


async def test_second_start_is_not_cancelled_with_the_first() -> None:
    async with Harness(services=[shop]) as harness:
        harness.store.hold_commits()
        first = asyncio.create_task(harness.app.start(place_order, "tea", GOOD, id="order-1"))
        await harness.store.commit_held()
        second = asyncio.create_task(harness.app.start(place_order, "tea", GOOD, id="order-1"))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])

        harness.store.release_commits()

        assert await harness.result(await second) == "tea confirmed"


async def test_start_is_told_when_the_node_crashes_before_its_turn() -> None:
    async with Harness(services=[shop]) as harness:
        starting = asyncio.create_task(harness.app.start(place_order, "tea", GOOD))
        await asyncio.sleep(0)

        await harness.crash()

        with pytest.raises(NodeStoppedError):
            await starting
