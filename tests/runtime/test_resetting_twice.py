"""A run that was begun by a reset is reset like any other: what its code has drawn stays drawn."""

from counterpoint import Service, workflow
from counterpoint.testing import Harness

casino = Service("casino")


@casino.activity
async def bet(number: int) -> int:
    return number


@casino.workflow
async def play() -> list[int]:
    chosen = workflow.random().randrange(1_000_000)
    first = await bet(chosen)
    second = await bet(chosen + 1)
    return [chosen, first, second]


async def test_a_second_reset_before_the_mark_of_the_first_keeps_what_was_drawn() -> None:
    async with Harness(services=[casino]) as harness:
        first = await harness.run(play, id="play")
        for to in (3, 2):
            await harness.execution("play").reset(to=to)
            await harness.idle()

            assert await harness.execution("play").result() == first
        assert (await harness.execution("play").describe()).run == 3
