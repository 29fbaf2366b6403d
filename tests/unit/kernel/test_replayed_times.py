"""On replay the code sees each moment as it saw it then, also where several have passed."""

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
    driver = run_workflow(code, service=service)
    for number in (1, 2, 3):
        driver.advance(number).complete(number, number)
    driver.replayed()

    live, replayed = seen
    assert len(set(live)) == 4
    assert replayed == live
