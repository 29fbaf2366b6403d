"""On replay the code sees what happened in the order and at the times in which it saw it then."""

import asyncio
from datetime import datetime

from tests.unit.kernel.driving import run_workflow

from counterpoint import Service, workflow

service = Service("shop")
seen: list[list[datetime]] = []


@service.activity
async def act(number: int) -> int:
    return number


async def code() -> None:
    times = [workflow.now()]
    seen.append(times)
    for number in range(3):
        await act(number)
        times.append(workflow.now())
    await act(3)


def test_each_input_of_a_replay_is_seen_at_its_own_time() -> None:
    seen.clear()
    service.workflows.clear()
    driver = run_workflow(code, service=service)
    for number in (1, 2, 3):
        driver.advance(number).complete(number, number)
    driver.replayed()

    live, replayed = seen
    assert len(set(live)) == 4
    assert replayed == live


async def remembers_the_order() -> list[int]:
    done: list[int] = []

    async def one(number: int) -> None:
        done.append(await act(number))

    await asyncio.gather(one(1), one(2))
    await act(3)
    return done


def test_results_reach_a_replay_in_the_order_in_which_they_came() -> None:
    service.workflows.clear()
    driver = run_workflow(remembers_the_order, service=service).complete(2, 2).complete(1, 1)

    assert driver.replayed().complete(3, 3).result == [2, 1]
