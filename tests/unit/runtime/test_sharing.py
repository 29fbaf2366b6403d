"""What a node does about slots and subscriptions that come at the same time."""

import asyncio
from types import SimpleNamespace
from typing import Any

from counterpoint import App, Event, Service
from counterpoint.model.cluster import NodeRow, SlotRow
from counterpoint.model.messages import HoldRow, SubscriptionRow
from counterpoint.runtime.messaging.dispatcher import Dispatcher
from counterpoint.runtime.messaging.opening import enlist
from counterpoint.runtime.messaging.queues import Stream, Subscription
from counterpoint.runtime.messaging.sharing import Sharing
from counterpoint.runtime.messaging.streams import Streams
from counterpoint.runtime.messaging.targets import target_of

shop = Service("shop")


@shop.event(key="key")
class Happened(Event):
    """Something happened."""

    key: str


@shop.on(Happened)
async def take(event: Happened) -> None: ...


FIRST = SubscriptionRow(1, "shop", "shop.take", "shop.Happened", "", 0, 0, 0, first=0)
NEWER = SubscriptionRow(2, "shop", "shop.newer", "shop.Happened", "", 0, 0, 0, first=0)
REPLAY = SubscriptionRow(
    3, "shop", "shop.take", "shop.Happened", "", 3, 0, 0, until=5, publishes=False, first=0
)


class Store:
    """A store that answers about holds, the first time, only when the test lets it."""

    incarnation = 1

    def __init__(self) -> None:
        self.rows = [FIRST]
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def nodes(self) -> list[NodeRow]:
        return [
            NodeRow(1, "n", "", "", 0, ["shop"], (), (), ["shop.take"], 0, 0, 0, False, None, None)
        ]

    async def slots(self, _: object) -> list[SlotRow]:
        return []

    async def take_slots(self, _: str, count: int) -> list[int]:
        return list(range(count))

    async def subscriptions(self) -> list[SubscriptionRow]:
        return list(self.rows)

    async def holds(self, **_: object) -> list[HoldRow]:
        first = not self.asked.is_set()
        self.asked.set()
        if first:
            await self.go_on.wait()
        return []

    async def last_position(self) -> int:
        return 5


class Place:
    """A node that hosts the reaction, and has no slot yet."""

    def __init__(self) -> None:
        self.store = Store()
        host: Any = SimpleNamespace(
            store=self.store, fault=None, stopping=False, check_idle=lambda: None, spawn=_spawn
        )
        store: Any = self.store
        registry = App("shop", services=[shop]).registry
        self.dispatcher = Dispatcher(host, lambda: None)
        self.subscriptions: dict[int, Subscription] = {}
        self.streams = Streams(host, self.dispatcher, replayed=lambda: None)
        self.sharing = Sharing(
            host, store, registry, self.dispatcher, self.streams, self.subscriptions
        )
        target = target_of(registry, "shop.take")
        assert target is not None
        live = Stream(5, slots={})
        self.subscriptions[1] = enlist(self.dispatcher, FIRST, target)
        live.add(self.subscriptions[1])
        self.streams.begin(live, [], 5)
        self.sharing.begin()


def _spawn(errand: Any) -> None:
    errand.close()


async def test_a_replay_that_begins_while_slots_come_is_delivered_for_them() -> None:
    place = Place()
    looking = asyncio.create_task(place.sharing.shares.look())
    await place.store.asked.wait()  # the subscriptions were read without it
    place.store.rows = [FIRST, REPLAY]
    refreshing = asyncio.create_task(place.sharing.refresh())
    for _ in range(5):
        await asyncio.sleep(0)
    place.store.go_on.set()
    await asyncio.gather(looking, refreshing)

    streams = place.subscriptions[3].streams
    assert [len((stream.slots or {})["shop"]) for stream in streams] == [256]


async def test_a_hold_that_a_newer_node_s_reaction_may_need_stays() -> None:
    place = Place()
    place.store.rows = [FIRST, NEWER]
    place.store.go_on.set()
    await place.sharing.shares.look()

    assert place.dispatcher.lane("shop", "").keeps_holds
