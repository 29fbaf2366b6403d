"""Slow reads of a node keep neither its lease nor its commits waiting."""

import asyncio

from tests.postgres.several import several

from counterpoint.model.rows import Commit
from counterpoint.testing.conformance.store_case import execution


async def test_five_slow_reads_keep_neither_lease_nor_commit_waiting(url: str) -> None:
    async with several(url) as nodes:
        node = await nodes.node()
        sleep = f"SELECT pg_sleep(60) -- {node._schema}"
        slow = [asyncio.create_task(node._rows(sleep)) for _ in range(8)]
        await asyncio.sleep(0)

        async with asyncio.timeout(20):
            await node.beat()
            await node.commit(Commit(starts=[execution(1)]))

        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        # The server does not see that nobody waits for them any more.
        await nodes.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = $1", sleep
        )
