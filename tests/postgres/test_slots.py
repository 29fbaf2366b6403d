"""Who delivers the events of which slot, and how far a service has come."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.postgres.server import Server
from tests.postgres.several import (
    ALL_SLOTS,
    Several,
    letter,
    post,
    several,
    subscribe,
    subscription,
)

from counterpoint.errors import NodeLostError
from counterpoint.model.cluster import Progress
from counterpoint.model.messages import Messages
from counterpoint.model.rows import Commit
from counterpoint.stores.postgres import PostgresStore

SERVICE = "orders"


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Several]:
    async with several(url) as nodes:
        yield nodes


async def owners(node: PostgresStore) -> dict[int, int | None]:
    return {row.slot: row.owner for row in await node.slots([SERVICE])}


async def position(node: PostgresStore, number: int = 1) -> int:
    (found,) = [row.position for row in await node.subscriptions() if row.number == number]
    return found


async def test_slots_that_nobody_took_have_no_owner(shop: Several) -> None:
    node = await shop.node()

    assert await node.slots([SERVICE]) == []
    assert await node.slots([]) == []


async def test_slots_are_taken_once(shop: Several) -> None:
    one, two = await shop.nodes(2)

    first = await one.take_slots(SERVICE, 100)
    second = await two.take_slots(SERVICE, 300)

    assert len(first) == 100
    assert len(second) == 156
    assert sorted(first + second) == list(range(ALL_SLOTS))
    assert await one.take_slots(SERVICE, 1) == []
    assert await owners(one) == {
        **dict.fromkeys(first, one.incarnation),
        **dict.fromkeys(second, two.incarnation),
    }


async def test_nodes_that_take_at_once_get_different_slots(shop: Several) -> None:
    nodes = await shop.nodes(3)
    await subscribe(nodes[0], subscription(1))

    taken = await asyncio.gather(*(node.take_slots(SERVICE, 90) for node in nodes))
    rest = [await node.take_slots(SERVICE, 90) for node in nodes]

    slots = [slot for part in [*taken, *rest] for slot in part]
    assert sorted(slots) == list(range(ALL_SLOTS))


async def test_slots_of_a_service_without_subscriptions_are_taken_at_once(shop: Several) -> None:
    nodes = await shop.nodes(3)

    taken = await asyncio.gather(*(node.take_slots(SERVICE, 80) for node in nodes))

    slots = [slot for part in taken for slot in part]
    assert len(set(slots)) == len(slots)


async def test_slots_of_services_have_nothing_to_do_with_each_other(shop: Several) -> None:
    one, two = await shop.nodes(2)

    await one.take_slots(SERVICE, 256)

    assert len(await two.take_slots("payments", 256)) == ALL_SLOTS


async def test_a_slot_that_was_given_back_is_taken_by_another(shop: Several) -> None:
    one, two = await shop.nodes(2)
    taken = await one.take_slots(SERVICE, 256)

    await one.give_slots(SERVICE, taken[:2])
    await two.give_slots(SERVICE, taken[2:])

    assert await two.take_slots(SERVICE, 256) == taken[:2]


async def test_the_slots_of_a_dead_node_are_free(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await one.take_slots(SERVICE, 256)
    await shop.lose(one, by=two)

    before = await owners(two)
    taken = await two.take_slots(SERVICE, 256)

    assert set(before.values()) == {None}
    assert len(taken) == ALL_SLOTS


async def test_a_position_is_the_least_of_what_all_owners_have_done(shop: Several) -> None:
    one, two, three = await shop.nodes(3)
    await subscribe(one, subscription(1), subscription(2))
    await one.take_slots(SERVICE, 100)
    await two.take_slots(SERVICE, 156)

    await three.advance(SERVICE, [Progress(1, 99)])
    await one.advance(SERVICE, [Progress(1, 50), Progress(2, 7)])
    assert await position(one) == 0
    await two.advance(SERVICE, [Progress(1, 40)])
    assert await position(one) == 40
    await two.advance(SERVICE, [Progress(1, 60)])

    assert await position(one) == 50
    assert await position(one, 2) == 0


async def test_a_position_stays_while_a_slot_has_no_living_owner(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await subscribe(one, subscription(1))
    taken = await one.take_slots(SERVICE, 256)
    await one.advance(SERVICE, [Progress(1, 10)])
    await one.give_slots(SERVICE, taken[:1])

    await one.advance(SERVICE, [Progress(1, 20)])
    free = await position(one)
    await two.take_slots(SERVICE, 1)
    await two.advance(SERVICE, [Progress(1, 15)])
    owned = await position(one)
    await shop.lose(two, by=one)
    await one.advance(SERVICE, [Progress(1, 30)])

    assert (free, owned, await position(one)) == (10, 15, 15)


async def test_progress_and_positions_never_go_back(shop: Several) -> None:
    node = await shop.node()
    await subscribe(node, subscription(1))
    await node.take_slots(SERVICE, 256)
    await node.advance(SERVICE, [Progress(1, 10)])

    await node.advance(SERVICE, [Progress(1, 5)])

    assert await position(node) == 10
    assert await shop.sql("SELECT position FROM {schema}.progress") == [(10,)]


async def test_who_takes_a_slot_goes_back_to_the_subscriptions_position(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await subscribe(one, subscription(1), subscription(2, "payments"))
    await one.take_slots(SERVICE, 255)
    await two.take_slots(SERVICE, 1)
    await one.advance(SERVICE, [Progress(1, 90)])
    await two.advance(SERVICE, [Progress(1, 30)])
    await shop.lose(two, by=one)

    # What the dead node did not do is done by this one, which was further already.
    await one.take_slots(SERVICE, 1)

    assert await shop.sql(
        "SELECT subscription, position FROM {schema}.progress WHERE incarnation = $1",
        one.incarnation,
    ) == [(1, 30)]


async def test_slots_do_not_come_while_a_position_moves(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await subscribe(one, subscription(1))
    await two.take_slots(SERVICE, 1)  # so that all slots have their rows
    async with shop.back_door.transaction():  # what `advance` does, in slow motion
        await shop.sql("SELECT {schema}.hold_subscriptions_v1($1)", SERVICE)
        taking = asyncio.ensure_future(one.take_slots(SERVICE, 9))
        blocked = asyncio.ensure_future(shop.wait_until_blocked())
        await asyncio.wait([taking, blocked], return_when=asyncio.FIRST_COMPLETED)
        held = not taking.done()
        blocked.cancel()
        await asyncio.wait([blocked])
        await shop.sql("UPDATE {schema}.subscriptions SET position = 7")
    await taking

    assert held
    read = "SELECT position FROM {schema}.progress WHERE incarnation = $1"
    assert await shop.sql(read, one.incarnation) == [(7,)]


async def test_who_gets_no_slot_does_not_go_back(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await subscribe(one, subscription(1))
    await one.take_slots(SERVICE, 1)
    await one.advance(SERVICE, [Progress(1, 90)])
    await two.take_slots(SERVICE, 255)

    await one.take_slots(SERVICE, 1)

    assert (90,) in await shop.sql("SELECT position FROM {schema}.progress")


async def test_a_new_subscription_moves_once_every_owner_has_said_how_far_it_is(
    shop: Several,
) -> None:
    one, two = await shop.nodes(2)
    await one.take_slots(SERVICE, 100)
    await two.take_slots(SERVICE, 256)
    await subscribe(one, subscription(1, position=5))

    await one.advance(SERVICE, [Progress(1, 8)])
    before = await position(one)
    await two.advance(SERVICE, [Progress(1, 9)])

    assert (before, await position(one)) == (5, 8)


async def test_replays_advance_like_other_subscriptions(shop: Several) -> None:
    one, two = await shop.nodes(2)
    replay = subscription(1)._replace(replay=1, until=70)
    await subscribe(one, replay, subscription(2, "payments"))
    await one.take_slots(SERVICE, 128)
    await two.take_slots(SERVICE, 128)

    await one.advance(SERVICE, [Progress(1, 9), Progress(2, 9)])
    await two.advance(SERVICE, [Progress(1, 8), Progress(2, 9)])

    assert await position(one) == 8
    assert await position(one, 2) == 0


async def test_progress_with_a_subscription_that_is_gone_is_not_kept(shop: Several) -> None:
    node = await shop.node()
    await subscribe(node, subscription(1))
    await node.take_slots(SERVICE, 256)
    await node.commit(Commit(messages=Messages(unsubscribed=[1])))

    await node.advance(SERVICE, [Progress(1, 9)])

    assert (9,) not in await shop.sql("SELECT position FROM {schema}.progress")


async def test_acts_on_dead_letters_follow_their_slot(shop: Several) -> None:
    one, two = await shop.nodes(2)
    client = await shop.client()
    (slot, *_) = taken = await one.take_slots(SERVICE, 256)
    await post(client, letter("act", "events", "redrive", SERVICE, slot))
    at_one = await shop.targets()

    await one.give_slots(SERVICE, taken[:1])
    given = await shop.targets()
    assert await two.route(9) == 0  # nobody owns the slot
    await two.take_slots(SERVICE, 1)
    assert await two.route(9) == 1

    assert at_one == [("act", one.incarnation)]
    assert given == [("act", None)]
    assert await shop.targets() == [("act", two.incarnation)]


async def test_an_act_that_is_just_being_taken_over_stays_where_it_is(shop: Several) -> None:
    one, two = await shop.nodes(2)
    client = await shop.client()
    await one.take_slots(SERVICE, 256)
    await post(client, letter("act", "events", "redrive", SERVICE, 5))
    async with shop.back_door.transaction():
        await shop.sql("DELETE FROM {schema}.mailbox")

        await one.give_slots(SERVICE, [5])  # waits for nothing that may wait for it

    await two.take_slots(SERVICE, 1)
    assert (await two.route(9), await shop.targets()) == (0, [])


async def test_an_act_is_not_routed_to_a_dead_owner(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await one.take_slots(SERVICE, 256)
    await shop.lose(one, by=two)
    await post(await shop.client(), letter("act", "events", "redrive", SERVICE, 5))

    assert await two.route(9) == 0
    assert await shop.targets() == [("act", None)]


async def test_a_dead_owners_acts_are_routed_to_the_next_owner(shop: Several) -> None:
    one, two, three = await shop.nodes(3)
    await one.take_slots(SERVICE, 256)
    await post(await shop.client(), letter("act", "events", "redrive", SERVICE, 5))
    await shop.lose(one, by=two)

    await three.take_slots(SERVICE, 256)
    assert (await two.beat()).unrouted
    assert await two.route(9) == 1

    assert await shop.targets() == [("act", three.incarnation)]


@dataclass
class Deliverer:
    """A node that delivers the events of its slots, one log position after the other."""

    store: PostgresStore
    slots: set[int] = field(default_factory=set[int])


class World:
    """What every slot has truly done, beside nodes that say how far they are."""

    def __init__(self, shop: Several, nodes: list[Deliverer]) -> None:
        self.shop = shop
        self.nodes = nodes
        self.done = dict.fromkeys(range(ALL_SLOTS), 0)
        self.random = random.Random(7)

    async def take(self, node: Deliverer) -> None:
        taken = await node.store.take_slots(SERVICE, self.random.choice([60, 90, 256]))
        for other in self.nodes:
            assert not other.slots & set(taken)
        node.slots.update(taken)

    async def give(self, node: Deliverer) -> None:
        given = [slot for slot in sorted(node.slots) if self.random.random() < 0.3]
        await node.store.give_slots(SERVICE, given)
        node.slots.difference_update(given)

    async def deliver(self, node: Deliverer) -> None:
        """Do events of own slots from the subscription's position on, and say how far all are."""
        pace = self.random.randrange(9)
        for slot in node.slots:
            self.done[slot] += pace + self.random.randrange(2)
        if node.slots:
            reached = min(self.done[slot] for slot in node.slots)
            await node.store.advance(SERVICE, [Progress(1, reached)])

    async def die(self, node: Deliverer) -> None:
        """Lose a node; it comes back as a new incarnation without slots."""
        other = next(each for each in self.nodes if each is not node)
        await self.shop.lose(node.store, by=other.store)
        node.slots = set()
        with pytest.raises(NodeLostError):
            await node.store.beat()
        await node.store.open(node=True)

    async def everybody_delivers(self) -> None:
        for node in self.random.sample(self.nodes, len(self.nodes)):
            if self.random.random() < 0.7:
                await self.deliver(node)
                await self.check()

    async def check(self) -> None:
        store = self.nodes[0].store
        assert await position(store) <= min(self.done.values())
        owned = {slot: owner for slot, owner in (await owners(store)).items() if owner}
        assert owned == {slot: each.store.incarnation for each in self.nodes for slot in each.slots}


MOVES = {"take": World.take, "give": World.give, "die": World.die}


@settings(max_examples=4, phases=[Phase.explicit, Phase.generate])
@given(
    moves=st.lists(
        st.tuples(st.sampled_from(["take", "take", "give", "die"]), st.integers(0, 2)),
        min_size=6,
        max_size=12,
    )
)
def test_positions_never_pass_what_an_owner_has_not_done(
    postgres: Server, moves: list[tuple[str, int]]
) -> None:
    asyncio.run(_play(postgres, moves))


async def _play(postgres: Server, moves: list[tuple[str, int]]) -> None:
    async with several(postgres.url(schema=f"slots_{random.randrange(10**9)}")) as shop:
        world = World(shop, [Deliverer(node) for node in await shop.nodes(3)])
        await subscribe(world.nodes[0].store, subscription(1))
        for move, who in [("take", 0), ("take", 1), ("take", 2), ("take", 2), *moves]:
            await MOVES[move](world, world.nodes[who])
            await world.check()
            await world.everybody_delivers()
        await shop.alter("SELECT 1")
