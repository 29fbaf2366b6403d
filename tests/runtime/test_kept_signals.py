"""A reset tells which signals its new run reads without anybody being asked."""

from counterpoint import Service, workflow
from counterpoint.testing import Harness

desk = Service("desk")


@desk.workflow
async def ask() -> list[str]:
    return [await workflow.signal(name, str) for name in ("first", "second", "second")]


async def test_a_reset_names_the_signals_that_are_unread_there_and_those_that_came_later() -> None:
    async with Harness(services=[desk]) as harness:
        await harness.start(ask, id="ask")
        await harness.idle()
        execution = harness.execution("ask")
        for name, value in (("second", "b"), ("first", "a"), ("second", "c")):
            await execution.signal(name, value)
            await harness.idle()
        types = [entry.type for entry in await execution.journal()]
        early = types.index("signalled") + 1

        preview = await execution.reset(to=early, dry_run=True)
        last = await execution.reset(to=len(types) - 1, dry_run=True)
        await execution.reset(to=early)
        await harness.idle()

        assert list(preview.kept_signals) == ["second", "first", "second"]
        assert list(last.kept_signals) == []
        assert await execution.result() == ["a", "b", "c"]
        assert (await execution.describe()).run == 2
