"""DESIGN 3.1, Compensation: newest call first by call number, whatever way the calls were made."""

import asyncio
from datetime import timedelta

from tests.design.services_undoing import (
    clear,
    described,
    desk,
    do,
    failed,
    look,
    refuse,
    types,
    undid,
)

from counterpoint import Service, workflow
from counterpoint.testing import Harness

made = Service("made")


@made.saga
async def in_sequence() -> None:
    for what in "abcd":
        await do(what)
    await refuse("no")


@made.saga
async def in_a_gather() -> None:
    await asyncio.gather(*(do(what) for what in "abcd"))
    await refuse("no")


@made.saga
async def in_a_task_group() -> None:
    async with asyncio.TaskGroup() as group:
        for what in "abcd":
            group.create_task(do(what))
    await refuse("no")


@made.saga
async def as_completed() -> None:
    for done in asyncio.as_completed([do(what) for what in "abcd"]):
        await done
    await refuse("no")


@made.saga
async def from_two_tasks() -> None:
    """Two tasks call in turn: the numbers cross."""

    async def call(*whats: str) -> None:
        for what in whats:
            await do(what)

    await asyncio.gather(call("a", "c"), call("b", "d"))
    await refuse("no")


@made.saga
async def child(whats: str) -> None:
    for what in whats:
        await do(what)


@made.saga
async def with_children() -> None:
    await do("a")
    await child("bc")
    await do("d")
    await refuse("no")


@made.saga
async def with_children_side_by_side() -> None:
    await asyncio.gather(child("ab"), child("cd"))
    await refuse("no")


@made.saga
async def with_registered() -> None:
    await do("a")
    workflow.compensate_with(clear, "b")
    await child("c")
    workflow.compensate_with(clear, what="d")
    await refuse("no")


@made.saga
async def everything() -> None:
    await do("a")
    await asyncio.gather(do("b"), child("c"), do("d"))
    workflow.compensate_with(clear, "e")
    async with asyncio.TaskGroup() as group:
        group.create_task(do("f"))
        group.create_task(child("g"))
    await refuse("no")


@made.saga
async def only_registered() -> None:
    await look("x")
    workflow.compensate_with(clear, "x")
    await refuse("no")


@made.saga
async def registered_and_well() -> str:
    workflow.compensate_with(clear, "x")
    return "well"


@made.saga
async def nothing_to_undo() -> None:
    await look("x")
    await refuse("no")


def services() -> list[Service]:
    return [desk, made]


async def test_calls_in_sequence_are_undone_newest_first() -> None:
    async with Harness(services=services()) as harness:
        await failed(harness, await harness.start(in_sequence))

        assert undid(harness) == ["d", "c", "b", "a"]


async def test_calls_of_a_gather_are_undone_newest_first_whatever_their_results_order() -> None:
    async with Harness(services=services()) as harness:
        spans = {"a": 4, "b": 1, "c": 3, "d": 2}

        async def takes(what: str) -> str:
            await harness.sleep(spans[what])
            return what

        harness.replace(do, takes)
        execution = await harness.start(in_a_gather, id="one")
        await failed(harness, execution)

        completed = [e.data["call"] for e in await execution.journal() if e.type == "completed"]
        assert completed == [2, 4, 3, 1]
        assert undid(harness) == ["d", "c", "b", "a"]


async def test_calls_of_a_task_group_are_undone_newest_first() -> None:
    async with Harness(services=services()) as harness:
        harness.delay(do, timedelta(seconds=30), times=1)
        await failed(harness, await harness.start(in_a_task_group))

        assert undid(harness) == ["d", "c", "b", "a"]


async def test_calls_taken_as_completed_are_undone_by_the_numbers_of_their_records() -> None:
    async with Harness(services=services()) as harness:
        harness.delay(do, timedelta(seconds=30), times=1)
        execution = await harness.start(as_completed, id="one")
        await failed(harness, execution)

        calls = (await described(harness)).calls
        made_in_order = [call.arguments["what"] for call in calls if call.name == "desk.do"]
        assert sorted(made_in_order) == ["a", "b", "c", "d"]
        assert undid(harness) == made_in_order[::-1]


async def test_calls_of_several_tasks_are_undone_by_number_not_by_task() -> None:
    async with Harness(services=services()) as harness:
        harness.delay(do, timedelta(seconds=30), times=1)  # "a" is slow: "d" is called before "c"
        await failed(harness, await harness.start(from_two_tasks))

        assert undid(harness) == ["c", "d", "b", "a"]


async def test_child_is_undone_where_its_call_stands_and_its_own_calls_newest_first() -> None:
    async with Harness(services=services()) as harness:
        await failed(harness, await harness.start(with_children))

        assert undid(harness) == ["d", "c", "b", "a"]


async def test_children_of_a_gather_are_undone_one_after_the_other() -> None:
    async with Harness(services=services()) as harness:
        harness.delay(do, timedelta(seconds=30), times=1)
        await failed(harness, await harness.start(with_children_side_by_side))

        assert undid(harness) == ["d", "c", "b", "a"]


async def test_what_compensate_with_named_takes_its_place_among_the_calls() -> None:
    async with Harness(services=services()) as harness:
        await failed(harness, await harness.start(with_registered))

        assert undid(harness) == ["d", "c", "b", "a"]
        assert [c.name for c in harness.calls][-4:] == [
            "desk.clear",
            "desk.undo",
            "desk.clear",
            "desk.undo",
        ]


async def test_every_way_of_calling_shares_one_order() -> None:
    async with Harness(services=services()) as harness:
        harness.delay(do, timedelta(seconds=30), times=2)
        error = await failed(harness, await harness.start(everything))

        assert error.status == "compensated"
        assert undid(harness) == ["g", "f", "e", "d", "c", "b", "a"]


async def test_one_compensation_runs_at_a_time() -> None:
    async with Harness(services=services()) as harness:
        harness.delay("desk.undo", timedelta(seconds=10))
        execution = await harness.start(in_a_gather)
        await harness.settle()
        first = undid(harness)
        await harness.advance(seconds=11)
        second = undid(harness)

        await failed(harness, execution)
        assert (first, second) == (["d"], ["d", "c"])


async def test_compensate_with_alone_makes_something_to_undo() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(only_registered))

        assert error.status == "compensated"
        assert undid(harness) == ["x"]


async def test_compensate_with_does_nothing_in_a_saga_that_succeeds() -> None:
    async with Harness(services=services()) as harness:
        assert await harness.run(registered_and_well) == "well"
        assert undid(harness) == []


async def test_what_compensate_with_named_has_an_idempotency_key_of_its_own() -> None:
    async with Harness(services=services()) as harness:
        await failed(harness, await harness.start(with_registered, id="one"))

        cleared = [c.idempotency_key for c in harness.calls if c.name == "desk.clear"]
        assert cleared == ["one/1/4c", "one/1/2c"]


async def test_saga_without_anything_to_undo_has_failed() -> None:
    async with Harness(services=services()) as harness:
        error = await failed(harness, await harness.start(nothing_to_undo, id="one"))

        assert error.status == "failed"
        assert "compensating" not in await types(harness)
