"""Who waits for a node to be idle learns it, also when nobody says so."""

import asyncio

import pytest

from counterpoint.errors import NodeStoppedError, StoreError
from counterpoint.runtime.idle import Idlers


async def test_the_end_of_work_that_nobody_reports_is_noticed() -> None:
    work = ["something"]
    idlers = Idlers(lambda: not work)
    waiting = asyncio.ensure_future(idlers.wait())
    asyncio.get_running_loop().call_later(0.001, work.clear)

    await asyncio.wait_for(waiting, timeout=30)

    assert work == []


async def test_who_waits_for_a_node_that_stops_is_told() -> None:
    idlers = Idlers(lambda: False)
    waiting = asyncio.ensure_future(idlers.wait())
    asyncio.get_running_loop().call_soon(idlers.stop, "it stopped")

    with pytest.raises(NodeStoppedError, match="it stopped"):
        await asyncio.wait_for(waiting, timeout=30)


async def test_a_node_of_which_others_do_work_is_not_idle() -> None:
    answers = [True, True, False]

    async def any_out() -> bool:
        return answers.pop(0)

    await asyncio.wait_for(Idlers(lambda: True).wait(any_out), timeout=30)

    assert answers == []


async def test_a_node_whose_store_cannot_say_what_others_do_is_not_idle() -> None:
    answers: list[Exception | bool] = [StoreError("no connection"), False]

    async def any_out() -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    await asyncio.wait_for(Idlers(lambda: True).wait(any_out), timeout=30)

    assert answers == []


async def test_who_asks_the_store_while_the_node_stops_for_good_is_told() -> None:
    idlers = Idlers(lambda: True)

    async def any_out() -> bool:
        idlers.stop("it stays down")
        raise StoreError("the disk is gone")

    with pytest.raises(NodeStoppedError, match="stays down"):
        await asyncio.wait_for(idlers.wait(any_out), timeout=30)
