"""Incarnations, their leases, and what a node learns when it renews one."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.postgres.several import (
    HOSTING,
    PATIENT,
    WORKFLOW,
    Several,
    call,
    letter,
    offer,
    post,
    several,
    start,
    subscribe,
    subscription,
)

from counterpoint.errors import NodeLostError
from counterpoint.model.cluster import Hosting, NodeRow, Pulse
from counterpoint.model.rows import Commit, ExecutionUpdate
from counterpoint.model.states import Status
from counterpoint.ports.cluster import Heard
from counterpoint.stores.postgres import PostgresStore
from counterpoint.testing.conformance.store_case import execution

pytestmark = pytest.mark.postgres

QUIET = Pulse()
HOUR = 3_600_000_000


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Several]:
    async with several(url) as nodes:
        yield nodes


def quiet(pulse: Pulse) -> Pulse:
    """Return a pulse without what differs from node to node."""
    return replace(pulse, membership=0, others=0)


async def test_every_opening_makes_a_new_incarnation_and_the_former_is_lost(shop: Several) -> None:
    node = await shop.node()
    first = node.incarnation
    await shop.sql("UPDATE {schema}.leases SET until = until + $1::bigint", HOUR)

    await node.close()
    stopped = {row.incarnation: row.stopped_at for row in await node_rows(shop)}
    await node.open(node=True)

    assert stopped[first] is not None
    assert node.incarnation > first
    assert [row.incarnation for row in await node.nodes()] == [node.incarnation]


async def node_rows(shop: Several) -> list[NodeRow]:
    return await (await shop.client()).nodes(dead_too=True)


async def test_a_node_that_broke_off_loses_its_former_incarnation_when_it_opens_again(
    shop: Several,
) -> None:
    node = await shop.node()
    first = node.incarnation
    node._cut()  # as after a commit whose outcome is unknown: nothing is said to the server

    await node.open(node=True)

    rows = {row.incarnation: row for row in await node.nodes(dead_too=True)}
    assert rows[first].lost_at is not None
    assert rows[node.incarnation].alive


async def test_what_a_node_announces_is_read_by_all(shop: Several) -> None:
    hosting = Hosting(
        "n1", "shop", "host-1", 77, ("orders",), (("orders.w", 3),), ("orders.a",), ("orders.r",)
    )
    node, client = await shop.node(hosting), await shop.client()

    (row,) = await client.nodes()

    assert client.incarnation == 0
    assert row[:9] == (
        node.incarnation, "n1", "shop", "host-1", 77,
        ("orders",), (("orders.w", 3),), ("orders.a",), ("orders.r",),
    )  # fmt: skip
    assert row.alive
    assert not row.draining
    assert row.lease_until - row.seen_at == 10_000_000


async def test_a_node_that_closes_is_stopped_and_has_no_slots(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await one.take_slots("orders", 256)

    await one.close()

    assert [row.incarnation for row in await two.nodes()] == [two.incarnation]
    assert len(await two.take_slots("orders", 256)) == 256


async def test_a_lone_node_learns_that_nothing_is_to_be_done(shop: Several) -> None:
    node = await shop.node()

    pulse = await node.beat()

    assert quiet(pulse) == QUIET
    assert pulse.others == 0


async def test_others_are_counted_while_they_are_alive(shop: Several) -> None:
    one, two, three = await shop.nodes(3)
    assert (await one.beat()).others == 2

    await two.close()
    await shop.lose(three, by=one)

    assert (await one.beat()).others == 0


async def test_a_lease_is_renewed_only_when_a_quarter_of_it_is_used(
    shop: Several, url: str
) -> None:
    node = PostgresStore(f"{url}&lease=3600")  # of which nothing is used by a slow machine
    await node.open(node=True)
    (before,) = await node.nodes()
    await node.beat()
    (still,) = await node.nodes()
    await shop.sql(
        "UPDATE {schema}.leases SET until = until - $1::bigint, seen_at = seen_at - $1::bigint",
        HOUR * 3 // 10,
    )

    await node.beat()

    (renewed,) = await node.nodes()
    await node.close()
    assert still.lease_until == before.lease_until
    assert renewed.lease_until > before.lease_until


async def test_a_lease_that_is_over_makes_a_node_expired_not_lost(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await shop.end_lease(two)
    pulse = await one.beat()

    await two.beat()

    assert pulse.expired == (two.incarnation,)
    assert (await one.beat()).expired == ()


async def test_a_lease_does_not_run_while_the_server_is_down(shop: Several) -> None:
    one, two = await shop.nodes(2)
    # It ended a second before the server started, and had been given for an hour.
    await shop.sql(
        "UPDATE {schema}.leases"
        " SET seen_at = started - $2::bigint - 1000000, until = started - 1000000"
        " FROM (SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint)"
        "   AS server (started) WHERE incarnation = $1",
        two.incarnation,
        HOUR,
    )

    pulse = await one.beat()

    assert pulse.expired == ()
    assert not await one.declare_lost(two.incarnation)


async def test_a_node_with_a_lease_is_not_declared_lost(shop: Several) -> None:
    one, two = await shop.nodes(2)

    assert not await one.declare_lost(two.incarnation)
    assert not await one.declare_lost(77)
    assert len(await one.nodes()) == 2


async def test_a_lost_node_learns_it_from_its_pulse(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await shop.lose(two, by=one)

    with pytest.raises(NodeLostError):
        await two.beat()
    former = two.incarnation
    await two.open(node=True)

    assert two.incarnation > former
    assert quiet(await two.beat()) == QUIET


async def test_two_nodes_that_declare_the_same_one_do_it_once(shop: Several) -> None:
    one, two, three = await shop.nodes(3)
    await shop.end_lease(three)

    said = await asyncio.gather(
        one.declare_lost(three.incarnation), two.declare_lost(three.incarnation)
    )

    assert all(said)
    (lost,) = [row for row in await one.nodes(dead_too=True) if row.lost_at]
    assert lost.incarnation == three.incarnation


async def test_a_node_that_renews_its_lease_while_it_is_declared_lost_is_one_of_both(
    shop: Several,
) -> None:
    one, two = await shop.nodes(2)
    for _ in range(10):
        await shop.end_lease(two)

        lost, pulse = await asyncio.gather(
            one.declare_lost(two.incarnation), two.beat(), return_exceptions=True
        )

        assert (lost is False and isinstance(pulse, Pulse)) or (
            lost is True and isinstance(pulse, NodeLostError)
        )
        if lost:
            await two.open(node=True)


async def test_a_lease_renewed_while_the_declaration_waits_is_not_over(
    shop: Several,
) -> None:
    one, two = await shop.nodes(2)
    await shop.alter(PATIENT)
    await shop.end_lease(two)
    async with shop.back_door.transaction():  # what `beat` does, in slow motion
        await shop.sql("SELECT {schema}.fence_v1($1)", two.incarnation)
        declaring = asyncio.ensure_future(one.declare_lost(two.incarnation))
        await shop.wait_until_blocked()
        await shop.sql("UPDATE {schema}.leases SET until = {schema}.now_v1() + 10000000")

    assert not await declaring
    assert (await two.beat()).others == 1


async def test_a_drained_node_hears_of_it_and_a_dead_one_cannot_be_drained(shop: Several) -> None:
    one, two = await shop.nodes(2)
    client = await shop.client()
    await shop.lose(two, by=one)

    assert await client.drain(one.incarnation)
    assert not await client.drain(two.incarnation)
    assert not await client.drain(77)

    assert (await one.beat()).draining
    assert [row.draining for row in await client.nodes()] == [True]


async def test_the_membership_changes_with_everything_that_nodes_have_to_agree_about(
    shop: Several,
) -> None:
    one = await shop.node()
    seen = [(await one.beat()).membership]

    async def note() -> None:
        assert (await one.beat()).membership == (await one.beat()).membership
        seen.append((await one.beat()).membership)

    two = await shop.node(hosting=None)
    await note()
    await two.announce(HOSTING)
    await note()
    await two.announce(replace(HOSTING, activities=("orders.pack",)))
    await note()
    await one.take_slots("orders", 128)
    await note()
    await one.give_slots("orders", (await owned(one))[:1])
    await note()
    await two.take_slots("orders", 129)
    await note()
    await subscribe(one, subscription(1))
    await note()
    await two.drain(two.incarnation)
    await note()
    await shop.lose(two, by=one)
    await note()

    assert len(set(seen)) == len(seen), seen


async def owned(node: PostgresStore) -> list[int]:
    """Return the slots of a node."""
    return [row.slot for row in await node.slots(["orders"]) if row.owner == node.incarnation]


async def test_loads_say_who_owns_how_much_the_dead_too(shop: Several) -> None:
    one, two, three = await shop.nodes(3)
    await start(one, 1, 2)
    await start(two, 3)
    await one.commit(Commit(updates=[ExecutionUpdate(2, Status.COMPLETED, 1, None, 9)]))
    await offer(one, call(1))
    await two.claim(["orders.create"], [], 9)
    await two.take_slots("orders", 7)
    await shop.lose(two, by=one)

    loads = await (await shop.client()).loads()

    assert [tuple(load) for load in loads] == [
        (one.incarnation, 1, 0, 0),
        (two.incarnation, 1, 7, 1),
        (three.incarnation, 0, 0, 0),
    ]


async def test_the_clock_of_this_machine_is_compared_with_the_servers(
    shop: Several, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await shop.client()
    skew = await client.clock_skew()
    time_ns = __import__("time").time_ns

    monkeypatch.setattr("time.time_ns", lambda: time_ns() + HOUR * 1000)

    assert abs(skew) < 5_000_000
    assert abs(await client.clock_skew() - HOUR) < 5_000_000


async def test_ended_are_those_whose_newest_run_is_over_for_good(shop: Several) -> None:
    node = await shop.node()
    ids = {
        Status.RUNNING: False,
        Status.INCIDENT: False,
        Status.CONTINUED: False,
        Status.COMPLETED: True,
        Status.TERMINATED: True,
    }
    rows = [
        execution(key, id=status.value, status=status, finished_at=None if status.live else 5)
        for key, status in enumerate(ids, 1)
    ]
    again = execution(99, id="completed", run=2)
    await node.commit(Commit(starts=rows))

    found = await node.ended([*ids, "nobody"])
    await node.commit(Commit(starts=[again]))

    assert sorted(found) == sorted(status for status, over in ids.items() if over)
    assert await node.ended(["completed"]) == []


class Ear:
    """What one node has heard, with a way to wait for more."""

    def __init__(self, store: PostgresStore) -> None:
        self.heard: list[Heard] = []
        self._more = asyncio.Event()
        store.listen(self)

    def __call__(self, heard: Heard) -> None:
        self.heard.append(heard)
        self._more.set()

    async def wait_for(self, heard: Heard) -> None:
        async with asyncio.timeout(20):
            while heard not in self.heard:
                await self._more.wait()
                self._more.clear()


async def test_nodes_hear_what_concerns_them(shop: Several) -> None:
    one, two = await shop.nodes(2)
    client = await shop.client()
    ear, other = Ear(one), Ear(two)
    for node in (one, two):
        await node.beat()
    await start(one, 1)

    await listening(shop, 3)  # the client does, too
    await client.drain(two.incarnation)
    await ear.wait_for(Heard.NODES)
    await post(client, letter("a", "execution-1"))
    await ear.wait_for(Heard.MAIL)
    await post(client, letter("b", "nobody"))
    await ear.wait_for(Heard.UNROUTED)
    await offer(two, call(7))
    await ear.wait_for(Heard.CALLS)
    await other.wait_for(Heard.CALLS)

    assert Heard.MAIL not in other.heard


async def listening(shop: Several, sessions: int) -> None:
    """Return once so many sessions listen: they say so with a NOTIFY of their own."""
    async with asyncio.timeout(20):
        while True:
            ((count,),) = await shop.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%{schema}%'"
                " AND state = 'idle'"
            )
            if count >= sessions:
                return
            await asyncio.sleep(0.01)


async def test_a_payload_of_a_later_version_is_ignored(shop: Several) -> None:
    node = await shop.node()
    ear = Ear(node)

    node._hear("something else")
    node._hear(f"mail {node.incarnation + 1}")
    node._hear(f"mail {node.incarnation}")

    assert ear.heard == [Heard.MAIL]


async def test_incarnations_that_own_nothing_are_forgotten_after_a_week(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await shop.lose(two, by=one)
    await one.beat()
    await shop.sql(
        "UPDATE {schema}.nodes SET lost_at = lost_at - $1::bigint WHERE lost_at IS NOT NULL",
        8 * 24 * HOUR,
    )

    await shop.node()

    rows = await one.nodes(dead_too=True)
    assert two.incarnation not in [row.incarnation for row in rows]
    assert await shop.sql("SELECT count(*) FROM {schema}.leases") == [(2,)]


async def test_dead_ones_that_own_something_are_never_forgotten(shop: Several) -> None:
    one = await shop.node(replace(HOSTING, workflows=((WORKFLOW, 0),)))
    two = await shop.node()
    await start(two, 1)
    await shop.lose(two, by=one)
    await shop.sql("UPDATE {schema}.nodes SET lost_at = 1 WHERE lost_at IS NOT NULL")

    await one.beat()
    three = await shop.node()

    assert (await three.beat()).orphans
    assert (await three.adopt(9)).executions == 1
