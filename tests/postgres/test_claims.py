"""Calls that are offered by owners of executions and claimed by nodes that host the activity."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.postgres.several import HOSTING, Several, call, offer, several, start, steps

from counterpoint.model.cluster import CallRow, Calls, Limit
from counterpoint.model.rows import Commit
from counterpoint.stores.postgres import PostgresStore

CREATE, PACK, PAY = "orders.create", "orders.pack", "payments.pay"


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Several]:
    async with several(url) as nodes:
        yield nodes


async def claim(node: PostgresStore, limit: int = 100, *limits: Limit) -> list[int]:
    """Claim calls of every activity; return their executions' keys."""
    return steps(await node.claim([CREATE, PACK, PAY], limits, limit))


async def end(node: PostgresStore, *keys: int) -> None:
    await node.commit(Commit(calls=Calls(ended=[(key, 1, 1) for key in keys])))


async def test_a_call_is_claimed_once_as_it_was_offered(shop: Several) -> None:
    one, two = await shop.nodes(2)
    offered = call(1)
    await offer(one, offered)

    (claimed,) = await two.claim([CREATE], [], 9)

    assert claimed == offered._replace(claimed_by=two.incarnation, claimed_at=claimed.claimed_at)
    assert abs((claimed.claimed_at or 0) - await shop.now()) < 60_000_000
    assert await claim(one) == []


async def test_calls_of_other_activities_are_left_alone(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await offer(one, call(1, PAY), call(2, PACK), call(3, CREATE))

    assert steps(await two.claim([PACK, "orders.nothing"], [], 9)) == [2]
    assert await two.claim([], [], 9) == []
    assert await two.claim([CREATE], [], 0) == []


async def test_of_many_nodes_that_claim_at_once_one_gets_each_call(shop: Several) -> None:
    nodes = await shop.nodes(4)
    await offer(nodes[0], *(call(key) for key in range(1, 41)))

    rounds = [await asyncio.gather(*(claim(node, 5) for node in nodes)) for _ in range(4)]

    keys = [key for got in rounds for part in got for key in part]
    assert sorted(keys) == sorted(set(keys))
    rest = await claim(nodes[0])
    assert sorted(keys + rest) == list(range(1, 41))
    assert rest == []  # each finds others behind those that another one holds


async def test_a_call_that_another_node_is_just_claiming_is_left_to_it(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await offer(one, call(1), call(2))
    async with shop.back_door.transaction():  # what `claim` does, in slow motion
        (first,) = await shop.sql(
            "SELECT execution_key FROM {schema}.claim_v1($1, $2, '{}', '{}', '{}', '{}', 1)",
            one.incarnation,
            [CREATE],
        )
        claiming = asyncio.ensure_future(claim(two))
        await asyncio.wait([claiming], timeout=10)

    assert first == (1,)
    assert await claiming == [2]


async def test_claims_are_fair_between_workflows(shop: Several) -> None:
    node = await shop.node()
    await offer(node, *(call(key, workflow="orders.big") for key in range(1, 31)))
    await offer(node, call(31, workflow="orders.small"), call(32, PACK, "orders.small"))
    await offer(node, call(33, workflow="orders.third"))

    first = await claim(node, 4)
    second = await claim(node, 3)

    assert sorted(first) == [1, 2, 31, 33]
    assert sorted(second) == [3, 4, 32]


async def test_the_oldest_of_a_workflow_is_first_whatever_the_activity(shop: Several) -> None:
    node = await shop.node()
    await offer(node, call(1, PACK), call(2, CREATE), call(3, PACK), call(4, CREATE))

    assert [await claim(node, 1) for _ in range(4)] == [[1], [2], [3], [4]]


async def test_a_workflow_with_a_long_queue_does_not_hide_another(shop: Several) -> None:
    node = await shop.node()
    await shop.sql(
        "INSERT INTO {schema}.calls (execution_key, step, attempt, execution_id, workflow,"
        " service, activity, offered_at, codec, body)"
        " SELECT key, 1, 1, 'x', 'orders.big', 'orders', $1, 0, 'json', ''"
        " FROM generate_series(1, 3000) AS key",
        CREATE,
    )
    await offer(node, call(9000, workflow="orders.small"))

    assert sorted(await claim(node, 2)) == [1, 9000]


async def test_an_activitys_limit_holds_over_all_nodes(shop: Several) -> None:
    one, two = await shop.nodes(2)
    limit = Limit(CREATE, 3, None)
    await offer(one, *(call(key) for key in range(1, 11)), call(11, PACK))

    claimed = await asyncio.gather(claim(one, 2, limit), claim(two, 9, limit))

    keys = [key for part in claimed for key in part]
    assert 11 in keys
    assert len(keys) == 4
    assert await claim(two, 9, limit) == []
    await end(one, 1)
    assert len(await claim(two, 9, limit)) == 1


async def test_a_services_limit_counts_all_its_activities(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await offer(one, *(call(key, CREATE) for key in (1, 2, 3)))
    await offer(one, *(call(key, PACK) for key in (4, 5, 6)), call(7, PAY))

    first = await claim(one, 9, Limit("orders", 4, None))
    second = await claim(two, 9, Limit("orders", 4, None))

    assert len(first) == 5
    assert 7 in first
    assert second == []


async def test_an_activity_without_room_does_not_take_the_services(shop: Several) -> None:
    one, two = await shop.nodes(2)
    limits = [Limit(CREATE, 1, None), Limit("orders", 3, None)]
    await offer(one, *(call(key, CREATE) for key in range(1, 11)))
    await offer(one, *(call(key, PACK) for key in range(11, 15)))

    assert sorted(await claim(one, 9, *limits)) == [1, 11, 12]
    await end(one, 11)

    assert await claim(two, 9, *limits) == [13]


async def test_a_limit_holds_while_many_claim_at_once(shop: Several) -> None:
    nodes = await shop.nodes(4)
    await offer(nodes[0], *(call(key) for key in range(1, 31)))

    claimed = await asyncio.gather(*(claim(node, 5, Limit(CREATE, 7, None)) for node in nodes))

    assert sum(map(len, claimed)) == 7


async def test_who_counts_claims_waits_for_others_who_do(shop: Several) -> None:
    node = await shop.node()
    await offer(node, *(call(key) for key in range(1, 10)))
    async with shop.back_door.transaction():
        await shop.sql("SELECT pg_advisory_xact_lock({schema}.lock_class_v1('claims'), 0)")
        claiming = asyncio.ensure_future(claim(node, 5, Limit(CREATE, 3, None)))
        await shop.wait_until_blocked()

    assert len(await claiming) == 3


async def test_a_rate_lets_a_burst_begin_and_then_one_after_the_other(shop: Several) -> None:
    one, two = await shop.nodes(2)
    limit = Limit(CREATE, None, 0.001, 3)
    await offer(one, *(call(key) for key in range(1, 11)))

    assert len(await claim(one, 2, limit)) == 2
    assert len(await claim(two, 9, limit)) == 1
    assert await claim(one, 9, limit) == []
    await shop.sql("UPDATE {schema}.rates SET filled_at = filled_at - 2500 * 1000000::bigint")

    assert len(await claim(two, 9, limit)) == 2
    assert await claim(one, 9, limit) == []


async def test_a_bucket_never_holds_more_than_its_burst(shop: Several) -> None:
    node = await shop.node()
    limit = Limit("orders", None, 10.0, 2)
    await offer(node, *(call(key) for key in range(1, 11)))
    await claim(node, 2, limit)
    await shop.sql("UPDATE {schema}.rates SET filled_at = 0")

    assert len(await claim(node, 9, limit)) == 2


async def test_a_clock_that_goes_back_takes_no_tokens_away(shop: Several) -> None:
    node = await shop.node()
    limit = Limit(CREATE, None, 0.001, 3)
    await offer(node, *(call(key) for key in range(1, 11)))
    await claim(node, 1, limit)
    await shop.sql("UPDATE {schema}.rates SET filled_at = filled_at + 3600 * 1000000::bigint")

    assert len(await claim(node, 9, limit)) == 2


async def test_rate_and_concurrency_hold_together(shop: Several) -> None:
    node = await shop.node()
    await offer(node, *(call(key) for key in range(1, 11)))

    assert len(await claim(node, 9, Limit(CREATE, 2, 100.0, 5))) == 2
    assert await claim(node, 9, Limit(CREATE, 2, 100.0, 5)) == []


async def test_what_undoes_counts_under_its_own_name(shop: Several) -> None:
    node = await shop.node()
    await offer(node, call(1), call(2), call(3, "orders.discard", step=-1))

    claimed = await node.claim([CREATE, "orders.discard"], [Limit(CREATE, 1, None)], 9)

    assert sorted(steps(claimed)) == [1, 3]


async def test_cancelled_calls_are_not_claimed_and_claims_are_told(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await offer(one, call(1), call(2), call(3))
    await two.claim([CREATE], [], 2)
    before = (await two.beat()).cancelled

    await one.commit(Commit(calls=Calls(cancelled=[(1, 1, 1), (2, 1, 1), (3, 1, 1)])))
    await end(two, 1)

    assert not before
    assert (await two.beat()).cancelled
    assert await two.cancelled_claims() == [(2, 1, 1)]
    assert await one.cancelled_claims() == []
    assert await claim(one) == []
    assert steps(await one.calls_of(3)) == []


async def test_the_calls_of_an_execution_are_read_by_step_and_attempt(shop: Several) -> None:
    one, two = await shop.nodes(2)
    rows = [call(1, step=2), call(1, attempt=2), call(2), call(1)]
    await offer(one, *rows)
    await two.claim([CREATE], [], 1)

    found = await one.calls_of(1)

    assert [row[:3] for row in found] == [(1, 1, 1), (1, 1, 2), (1, 2, 1)]
    assert [row.claimed_by for row in found] == [None, None, two.incarnation]


async def test_a_pulse_tells_of_calls_that_the_node_hosts(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await offer(one, call(1, PAY))
    before = (await two.beat()).calls
    await two.announce(replace(HOSTING, activities=(PAY,)))

    after = (await two.beat()).calls
    await claim(two)

    assert (before, after, (await two.beat()).calls) == (False, True, False)


def offered_at(row: CallRow, at: int) -> CallRow:
    return row._replace(offered_at=at)


async def test_calls_that_nobody_hosts_are_counted(shop: Several) -> None:
    one, two = await shop.nodes(2)
    client = await shop.client()
    await two.announce(replace(HOSTING, activities=(PAY,)))
    await offer(one, call(1), call(2, PAY), offered_at(call(3, PAY), 2), call(4, "x.y"))
    await claim(two, 1)

    hosted = await client.unhosted_calls()
    await shop.lose(two, by=one)

    assert hosted == [("x.y", 1, 5)]
    assert await client.unhosted_calls() == [(PAY, 2, 2), ("x.y", 1, 5)]


async def test_a_node_knows_whether_calls_of_its_own_live_executions_are_out(shop: Several) -> None:
    owner, other = await shop.nodes(2)
    await start(owner, 1)
    before = await owner.calls_out()
    await offer(owner, call(1))

    assert not before
    assert (await owner.calls_out(), await other.calls_out()) == (True, False)
    await other.claim(["orders.create"], [], 1)
    assert await owner.calls_out()
    await shop.sql("UPDATE {schema}.executions SET status = 'completed'")
    assert not await owner.calls_out()
