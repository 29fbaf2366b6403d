"""Two who write the same at the same time: one of them wins, the other is told."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.postgres.several import Several, several

from counterpoint.errors import ConflictError
from counterpoint.model.messages import EventQuery, Messages
from counterpoint.model.rows import Commit, Query
from counterpoint.testing.conformance.store_case import (
    entry,
    event,
    execution,
    letter,
    subscription,
)

NODES = 5


@pytest.fixture
async def nodes(url: str) -> AsyncIterator[Several]:
    async with several(url) as made:
        yield made


def outcome(result: object) -> object:
    """Return what a commit came to: the conflict's names, or what else it was."""
    return (result.ids, result.events) if isinstance(result, ConflictError) else result


async def test_one_of_several_nodes_starts_an_id_and_the_others_learn_of_it(nodes: Several) -> None:
    several = await nodes.nodes(NODES)
    commits = [
        Commit(starts=[execution(key, "same"), execution(key + 50)], journal=[entry(key)])
        for key in range(1, NODES + 1)
    ]

    results = await asyncio.gather(
        *(node.commit(commit) for node, commit in zip(several, commits, strict=True)),
        return_exceptions=True,
    )

    assert sorted(map(str, map(outcome, results))) == ["(('same',), ())"] * (NODES - 1) + ["0"]
    rows = await several[0].executions(Query())
    assert len(rows) == 2
    assert rows[0].owner == several[results.index(0)].incarnation


async def test_one_of_several_nodes_publishes_an_event_and_no_position_is_lost(
    nodes: Several,
) -> None:
    several = await nodes.nodes(NODES)
    commits = [
        Commit(messages=Messages(events=[event("same"), event(f"own-{number}")]))
        for number in range(NODES)
    ]

    results = await asyncio.gather(
        *(node.commit(commit) for node, commit in zip(several, commits, strict=True)),
        return_exceptions=True,
    )

    assert results.count(1) == 1
    refused = [outcome(result) for result in results if result != 1]
    assert refused == [((), (("orders", "same"),))] * (NODES - 1)
    assert [row.position for row in await several[0].events(EventQuery())] == [1, 2]


async def test_conflict_is_found_while_the_other_commit_is_under_way(nodes: Several) -> None:
    first, second = await nodes.nodes(2)
    connection = await first._connect_alone()
    transaction = connection.transaction()
    await transaction.start()
    await first.write_on(connection, Commit(starts=[execution(1, "same")]))
    later = asyncio.create_task(second.commit(Commit(starts=[execution(2, "same")])))
    await nodes.wait_until_blocked()
    await transaction.commit()
    await connection.close()

    with pytest.raises(ConflictError) as caught:
        await later

    assert caught.value.ids == ("same",)


async def test_request_that_many_post_at_once_is_posted_once(nodes: Several) -> None:
    several = await nodes.nodes(NODES)
    await several[0].commit(Commit(starts=[execution(1)]))

    await asyncio.gather(*(node.commit(Commit(mail=[letter("same")])) for node in several))

    assert len(await several[0].mail(after=0, limit=9)) == 1


async def test_nodes_that_subscribe_at_once_have_one_subscription(nodes: Several) -> None:
    several = await nodes.nodes(NODES)
    news = [subscription(number, name="same") for number in range(1, NODES + 1)]

    await asyncio.gather(
        *(
            node.commit(Commit(messages=Messages(subscriptions=[new])))
            for node, new in zip(several, news, strict=True)
        )
    )

    (written,) = await several[0].subscriptions()
    assert written in news


async def test_keys_that_nodes_reserve_at_once_are_different(nodes: Several) -> None:
    several = await nodes.nodes(NODES)

    ranges = await asyncio.gather(*(node.reserve_keys(10) for node in several))

    assert len({key for keys in ranges for key in keys}) == 10 * NODES


async def test_nodes_that_forget_at_once_forget_each_execution_once(nodes: Several) -> None:
    several = await nodes.nodes(3)
    ended = [execution(key, wake_at=None, finished_at=key) for key in range(1, 31)]
    await several[0].commit(Commit(starts=ended))

    counts = await asyncio.gather(*(node.forget(finished_before=100, limit=10) for node in several))

    left = len(await several[0].executions(Query()))
    assert sum(counts) + left == 30
    assert sum(counts) >= 10
