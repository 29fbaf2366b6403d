"""What a failure keeps on its way: the child's id, the type two levels up, the key to ask by."""

from datetime import timedelta

import pytest

from counterpoint import ExecutionFailed, Service, activity, workflow
from counterpoint.testing import Harness

house = Service("house")
keys: list[tuple[str, str | None]] = []


@house.activity
async def paint(wall: str) -> str:
    keys.append((activity.info().idempotency_key, activity.info().undoes_key))
    return wall


@paint.compensation
async def strip(wall: str, result: str | None) -> None:
    info = activity.info()
    keys.append((info.idempotency_key, info.undoes_key))


@house.workflow
async def cellar() -> None:
    raise ValueError("damp")


@house.workflow
async def floor() -> None:
    await cellar()


@house.workflow
async def building() -> None:
    await floor()


@house.saga
async def room() -> None:
    await paint("north")
    raise ValueError("no ladder")


@house.workflow(deadline=timedelta(days=1))
async def for_ever(n: int) -> None:
    await workflow.sleep(timedelta(hours=20))
    workflow.continue_as_new(n + 1)


async def test_an_execution_failed_names_the_child_and_keeps_its_type_two_levels_up() -> None:
    async with Harness(services=[house]) as harness:
        with pytest.raises(ExecutionFailed) as raised:
            await harness.run(building, id="b")

    passed_on = raised.value.error
    assert isinstance(passed_on, ExecutionFailed)
    assert (passed_on.execution_id, passed_on.status) == ("b/1", "failed")
    assert isinstance(passed_on.error, ExecutionFailed)
    assert passed_on.error.execution_id == "b/1/1"
    assert str(raised.value).endswith("ValueError: damp")


async def test_a_compensation_knows_the_key_of_the_call_that_it_undoes() -> None:
    keys.clear()
    async with Harness(services=[house]) as harness:
        with pytest.raises(ExecutionFailed):
            await harness.run(room, id="r")

    assert keys == [("r/1/1", None), ("r/1/1c", "r/1/1")]


async def test_a_deadline_that_was_handed_on_is_told_as_it_was_declared() -> None:
    async with Harness(services=[house]) as harness:
        with pytest.raises(ExecutionFailed, match="its deadline of 86400 s"):
            await harness.run(for_ever, 1, id="e")


async def test_a_kept_call_is_undone_by_the_key_of_the_run_in_which_it_happened() -> None:
    keys.clear()
    async with Harness(services=[house]) as harness:
        execution = await harness.start(room_with_a_door, id="d")
        await execution.terminate()
        await harness.settle()
        await execution.reset(to=4)
        await harness.settle()
        await execution.signal("close")
        await harness.settle()

    assert keys[-1] == ("d/2/1c", "d/1/1")


@house.saga
async def room_with_a_door() -> None:
    await paint("south")
    await workflow.signal("close")
    raise ValueError("closed")
