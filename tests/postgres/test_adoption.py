"""What nodes take over from incarnations that may not commit any more."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.postgres.several import (
    HOSTING,
    WORKFLOW,
    Several,
    call,
    offer,
    several,
    start,
    steps,
)

from counterpoint.model.cluster import Adopted, Calls
from counterpoint.model.rows import Commit, ExecutionUpdate
from counterpoint.model.states import Status
from counterpoint.stores.postgres import PostgresStore

OTHER = "payments.pay"


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Several]:
    async with several(url) as nodes:
        yield nodes


async def owner(shop: Several, *keys: int) -> list[int | None]:
    rows = await shop.sql(
        "SELECT owner FROM {schema}.executions WHERE key = ANY ($1) ORDER BY key", list(keys)
    )
    return [row[0] for row in rows]


async def keys_of(node: PostgresStore) -> list[int]:
    """Return what a node is shown as due."""
    return [row.key for row in await node.due(after=(-1, -1), until=10**18, limit=1000)]


async def test_executions_of_the_living_are_not_adopted(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await start(two, 1)
    await shop.end_lease(two)

    assert not (await one.beat()).orphans
    assert await one.adopt(9) == Adopted(claims=[])
    assert await owner(shop, 1) == [two.incarnation]


@pytest.mark.parametrize("way", ["lost", "stopped"])
async def test_executions_of_the_dead_are_adopted(shop: Several, way: str) -> None:
    one, two = await shop.nodes(2)
    await start(two, 1, wake_at=500)
    await start(two, 2, wake_at=None)
    if way == "lost":
        await shop.lose(two, by=one)
    else:
        await two.close()

    orphans = (await one.beat()).orphans
    adopted = await one.adopt(9)

    assert orphans
    assert adopted == Adopted(executions=2, first_wake_at=500, claims=[])
    assert await keys_of(one) == [1]
    assert not (await one.beat()).orphans


async def test_what_has_ended_stays_where_it_is(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await start(two, 1)
    await two.commit(Commit(updates=[ExecutionUpdate(1, Status.COMPLETED, 1, None, 5)]))
    await shop.lose(two, by=one)

    assert not (await one.beat()).orphans
    assert (await one.adopt(9)).executions == 0
    assert await owner(shop, 1) == [two.incarnation]


async def test_what_needs_a_node_first_is_adopted_first(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await start(two, 1, wake_at=None)
    await start(two, 2, wake_at=300)
    await start(two, 3, wake_at=100)
    await shop.lose(two, by=one)

    first = await one.adopt(1)
    second = await one.adopt(1)
    third = await one.adopt(2)

    assert (first.first_wake_at, second.first_wake_at, third.first_wake_at) == (100, 300, None)
    assert [first.more, second.more, third.more] == [True, True, False]
    assert third.executions == 1


@pytest.mark.parametrize(
    ("hosted", "taken"),
    [((WORKFLOW, 1), 1), ((WORKFLOW, 2), 1), ((WORKFLOW, 0), 0), ((OTHER, 1), 0)],
)
async def test_a_node_adopts_only_what_it_has_the_code_of(
    shop: Several, hosted: tuple[str, int], taken: int
) -> None:
    one = await shop.node(replace(HOSTING, workflows=(("orders.x", 9), hosted)))
    two = await shop.node()
    await start(two, 1)
    await shop.lose(two, by=one)

    assert (await one.adopt(9)).executions == taken


async def test_what_one_node_does_not_host_is_left_to_another(shop: Several) -> None:
    one = await shop.node()
    two = await shop.node(replace(HOSTING, workflows=((WORKFLOW, 1), (OTHER, 1))))
    await start(two, 1)
    await start(two, 2, name=OTHER)
    await shop.lose(two, by=one)

    await one.beat()
    assert (await one.adopt(9)).executions == 1
    assert not (await one.beat()).orphans  # for a while: nothing has changed since it looked
    three = await shop.node(replace(HOSTING, workflows=((OTHER, 1),)))
    assert (await three.beat()).orphans
    assert (await three.adopt(9)).executions == 1

    assert await owner(shop, 1, 2) == [one.incarnation, three.incarnation]


async def test_a_node_looks_again_when_another_one_has_died(shop: Several) -> None:
    one = await shop.node(replace(HOSTING, workflows=((OTHER, 1),)))
    two, three = await shop.nodes(2)
    await start(two, 1)
    await start(three, 2)
    await shop.lose(two, by=one)
    await one.beat()
    await one.adopt(9)
    before = (await one.beat()).orphans

    await shop.lose(three, by=one)

    assert (before, (await one.beat()).orphans) == (False, True)


async def test_a_node_looks_again_when_it_hosts_something_else(shop: Several) -> None:
    one = await shop.node(replace(HOSTING, workflows=((OTHER, 1),)))
    two = await shop.node()
    await start(two, 1)
    await shop.lose(two, by=one)
    await one.beat()
    await one.adopt(9)
    before = (await one.beat()).orphans

    await one.announce(HOSTING)

    assert (before, (await one.beat()).orphans) == (False, True)


async def test_nodes_that_adopt_at_once_share_what_there_is(shop: Several) -> None:
    nodes = await shop.nodes(3)
    dead = await shop.node()
    await start(dead, *range(1, 61))
    await shop.lose(dead, by=nodes[0])

    adopted = [
        one.executions
        for _ in range(6)
        for one in await asyncio.gather(*(node.adopt(7) for node in nodes))
    ]

    assert sum(adopted) == 60
    owners = await owner(shop, *range(1, 61))
    assert set(owners) <= {node.incarnation for node in nodes}
    held = [key for node in nodes for key in await keys_of(node)]
    assert sorted(held) == list(range(1, 61))


async def test_who_adopted_may_die_too(shop: Several) -> None:
    one, two, three = await shop.nodes(3)
    await start(one, 1)
    await shop.lose(one, by=two)
    await two.adopt(9)
    await shop.lose(two, by=three)

    assert (await three.adopt(9)).executions == 1
    assert await owner(shop, 1) == [three.incarnation]


async def test_claims_of_the_dead_are_given_to_one_node(shop: Several) -> None:
    one, two, three = await shop.nodes(3)
    await offer(one, *(call(key) for key in range(1, 8)))
    await three.claim(["orders.create"], [], 6)
    await three.commit(Commit(calls=Calls(ended=[(1, 1, 1)])))
    await shop.lose(three, by=one)

    orphans = (await one.beat()).orphans
    adopted = await asyncio.gather(one.adopt(2), two.adopt(2), one.adopt(2), two.adopt(2))

    claims = [each for part in adopted for each in part.claims]
    assert orphans
    assert sorted(steps(claims)) == [2, 3, 4, 5, 6]
    assert not (await one.beat()).orphans


async def test_claims_that_an_adopter_did_not_end_are_found_again(shop: Several) -> None:
    one, two, three = await shop.nodes(3)
    await offer(one, call(1), call(2))
    await one.claim(["orders.create"], [], 9)
    await shop.lose(one, by=two)
    (first, second) = (await two.adopt(9)).claims
    await two.commit(Commit(calls=Calls(ended=[first[:3]])))
    await shop.lose(two, by=three)

    adopted = await three.adopt(9)

    assert steps(adopted.claims) == [second.execution_key]
    assert adopted.claims[0].claimed_by == three.incarnation


async def test_what_another_adopter_may_still_give_up_is_not_put_aside(shop: Several) -> None:
    one, two, three = await shop.nodes(3)
    await start(two, 1)
    await offer(three, call(7))
    await three.claim(["orders.create"], [], 1)
    for dead in (two, three):
        await shop.lose(dead, by=one)
    async with shop.back_door.transaction():
        await shop.sql("SELECT FROM {schema}.executions, {schema}.calls FOR UPDATE")
        held = await one.adopt(9)

    again = await one.adopt(9)

    assert (held.executions, steps(held.claims)) == (0, [])
    assert (again.executions, steps(again.claims)) == (1, [7])


async def test_the_dead_are_put_aside_once_they_own_nothing(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await start(two, 1)
    await shop.lose(two, by=one)

    await one.beat()
    before = await shop.sql("SELECT emptied FROM {schema}.nodes WHERE lost_at IS NOT NULL")
    await one.adopt(9)

    assert before == [(False,)]
    assert await shop.sql("SELECT emptied FROM {schema}.nodes WHERE lost_at IS NOT NULL") == [
        (True,)
    ]
