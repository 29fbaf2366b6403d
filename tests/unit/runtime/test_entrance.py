"""Starts stand in line while many are under way."""

import asyncio

import pytest

from counterpoint.runtime.entrance import Entrance


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_those_beyond_the_limit_wait_and_enter_in_order() -> None:
    entrance = Entrance(inside_max=1)
    entered: list[int] = []

    async def enter(number: int) -> None:
        await entrance.enter()
        entered.append(number)

    tasks = [asyncio.create_task(enter(number)) for number in range(3)]
    await turns()
    assert entered == [0]
    assert entrance.waiting == 2

    for _ in range(2):
        entrance.leave()
        await turns()
    await asyncio.gather(*tasks)

    assert entered == [0, 1, 2]
    assert entrance.inside == 1


async def test_whoever_gives_up_in_line_takes_no_place() -> None:
    entrance = Entrance(inside_max=1)
    await entrance.enter()
    waiting = [asyncio.create_task(entrance.enter()) for _ in range(2)]
    await turns()

    waiting[0].cancel()
    await turns()
    entrance.leave()

    await asyncio.wait_for(waiting[1], 30)
    assert entrance.inside == 1


async def test_whoever_gives_up_just_as_a_place_is_given_passes_it_on() -> None:
    entrance = Entrance(inside_max=1)
    await entrance.enter()
    waiting = [asyncio.create_task(entrance.enter()) for _ in range(2)]
    await turns()

    entrance.leave()
    waiting[0].cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    await asyncio.wait_for(waiting[1], 30)
    entrance.leave()
    assert entrance.inside == 0
