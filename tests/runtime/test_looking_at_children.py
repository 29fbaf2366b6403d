"""A parent says how the children stand that it waits for."""

from counterpoint import Service, workflow
from counterpoint.testing import Harness

yard = Service("yard")


@yard.activity(at_most_once=True)
async def fire() -> str:
    return "fired"


@yard.saga
async def inner() -> str:
    return await fire()


@yard.saga
async def outer() -> str:
    return await inner()


@yard.activity
async def fails() -> None:
    raise TypeError("never")


@yard.saga
async def undoes_nothing() -> None:
    await fire()
    await fails()


async def test_a_parent_says_that_a_child_needs_a_person() -> None:
    async with Harness(services=[yard]) as harness:
        harness.fail(fire, OSError("no answer"))
        execution = await harness.start(outer, id="o")
        await harness.idle()
        described = await execution.describe()

        assert described.calls[0].child_status == "incident"
        assert described.waits_for == ["the child o/1 (call 1) to end"]


async def test_a_saga_that_failed_lists_what_stays() -> None:
    async with Harness(services=[yard]) as harness:
        execution = await harness.start(undoes_nothing, id="u")
        await harness.idle()
        described = await execution.describe()

        assert described.status == "failed"
        assert list(described.stay) == [1, 2]


@yard.saga
async def past_its_pivot() -> None:
    workflow.pivot()


@yard.saga
async def fails_after_it() -> None:
    await past_its_pivot()
    await fails()


async def test_the_journal_of_a_failed_saga_says_that_a_child_past_its_pivot_stays() -> None:
    async with Harness(services=[yard]) as harness:
        execution = await harness.start(fails_after_it, id="f")
        await harness.idle()
        entries = await execution.journal()

        assert [(one.data["call"], one.data["why"]) for one in entries if one.type == "stays"] == [
            (1, "it passed its pivot")
        ]
        assert (await execution.describe()).status == "failed"

        harness.replace(fails, lambda: None)
        await execution.retry()
        await harness.result(execution)
