"""What a commit does where several nodes host the store, beyond what the suites ask."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.postgres.several import Several, several

from counterpoint.model.messages import EventQuery, Messages
from counterpoint.model.rows import Commit, ExecutionUpdate
from counterpoint.model.states import Status
from counterpoint.testing.conformance.store_case import event, execution, start


@pytest.fixture
async def nodes(url: str) -> AsyncIterator[Several]:
    async with several(url) as made:
        yield made


async def test_execution_that_had_ended_belongs_to_the_node_that_lets_it_go_on(
    nodes: Several,
) -> None:
    first, second = await nodes.nodes(2)
    await start(
        first, execution(1, status=Status.FAILED, wake_at=None, finished_at=5), execution(2)
    )

    await second.commit(Commit(updates=[ExecutionUpdate(1, Status.RUNNING, 1, 7, None)]))

    assert [row.key for row in await second.due(after=(0, 0), until=9_999, limit=9)] == [1]
    assert [row.key for row in await first.due(after=(0, 0), until=9_999, limit=9)] == [2]


async def test_commit_that_is_cancelled_leaves_a_store_that_works(nodes: Several) -> None:
    (node,) = await nodes.nodes(1)
    locked = await node._connect_alone()
    await locked.execute(f"BEGIN; UPDATE {node._schema}.log SET key = key")
    under_way = asyncio.create_task(
        node.commit(Commit(messages=Messages(events=[event("cancelled")])))
    )
    await nodes.wait_until_blocked()
    under_way.cancel()
    with pytest.raises(asyncio.CancelledError):
        await under_way
    await locked.execute("ROLLBACK")
    await locked.close()

    await node.commit(Commit(messages=Messages(events=[event("a")])))

    assert "a" in [row.id for row in await node.events(EventQuery())]
