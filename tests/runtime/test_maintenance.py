"""Finished executions are deleted when they are old, in small batches."""

import logging
from datetime import timedelta

import pytest

from counterpoint import Service, workflow
from counterpoint.errors import StoreBusyError
from counterpoint.testing import Harness

service = Service("service")


@service.workflow
async def nothing() -> None: ...


@service.workflow
async def wait() -> None:
    await workflow.signal("go")


async def known(harness: Harness) -> list[str]:
    return [summary.id async for summary in harness.app.executions()]


async def test_finished_executions_are_kept_for_thirty_days() -> None:
    async with Harness(services=[service]) as harness:
        await harness.run(nothing, id="old")
        await harness.advance(days=29)
        await harness.run(nothing, id="new")
        before = await known(harness)
        await harness.advance(days=2)
        await harness.advance(minutes=2)

        assert before == ["new", "old"]
        assert await known(harness) == ["new"]


async def test_live_executions_are_kept_for_ever() -> None:
    async with Harness(services=[service], keep_finished=timedelta(0)) as harness:
        await harness.start(wait, id="w")
        await harness.advance(days=400)

        assert await known(harness) == ["w"]


async def test_id_of_a_deleted_execution_can_be_used_again() -> None:
    async with Harness(services=[service], keep_finished=timedelta(hours=1)) as harness:
        await harness.run(nothing, id="one")
        await harness.advance(hours=2)
        await harness.advance(minutes=2)
        await harness.run(nothing, id="one")

        assert (await harness.execution("one").describe()).created_at == harness.now


async def test_more_than_one_batch_is_deleted_in_one_go() -> None:
    async with Harness(services=[service], keep_finished=timedelta(hours=1)) as harness:
        for number in range(450):
            await harness.app.start(nothing, id=f"n-{number}")
        await harness.advance(hours=2)
        await harness.advance(minutes=2)

        assert await known(harness) == []


async def test_store_that_is_busy_is_cleaned_up_later(caplog: pytest.LogCaptureFixture) -> None:
    async with Harness(services=[service], keep_finished=timedelta(hours=1)) as harness:
        await harness.run(nothing, id="one")
        harness.store.fail_reads(StoreBusyError("somebody holds the file"))
        with caplog.at_level(logging.WARNING, logger="counterpoint"):
            await harness.advance(hours=2)
        await harness.advance(minutes=2)

        assert "cannot be deleted: somebody holds the file" in caplog.text
        assert await known(harness) == []
