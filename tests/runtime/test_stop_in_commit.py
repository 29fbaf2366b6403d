"""Whoever waits for a commit learns that the node ended while it was written."""

import asyncio

import pytest

from counterpoint import NodeStoppedError, Service
from counterpoint.testing import Harness

service = Service("service")


@service.workflow
async def nothing() -> None: ...


async def test_start_whose_commit_never_returned_is_told_that_it_may_exist() -> None:
    async with Harness(services=[service]) as harness:
        harness.store.hold_commits()
        starting = asyncio.create_task(harness.app.start(nothing, id="one"))
        await harness.store.commit_held()

        await harness.crash()

        with pytest.raises(NodeStoppedError, match="during a commit"):
            await starting
