"""Which slots a node takes and gives back, and what it says of its progress meanwhile."""

import asyncio
from collections.abc import Container, Sequence
from types import SimpleNamespace
from typing import Any

from counterpoint.model.cluster import NodeRow, Progress, SlotRow
from counterpoint.model.messages import HoldRow, SubscriptionRow
from counterpoint.runtime.messaging.shares import Shares, share_of

REACTION = "shop.take"


def node_row(incarnation: int, *, draining: bool = False, takes: str = REACTION) -> NodeRow:
    return NodeRow(
        incarnation, f"n{incarnation}", "", "", 0, ["shop"], (), (), [takes], 0, 0, 0, draining,
        None, None,
    )  # fmt: skip


class Store:
    """A store whose answers wait where the test says so."""

    incarnation = 1

    def __init__(self) -> None:
        self.others: list[NodeRow] = []
        self.given: list[int] = []
        self.taken = 0
        self.said: list[Progress] = []
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()
        self.taking = asyncio.Event()
        self.may_take = asyncio.Event()
        self.may_take.set()

    async def nodes(self) -> list[NodeRow]:
        return [node_row(1), *self.others]

    async def slots(self, _: Sequence[str]) -> list[SlotRow]:
        self.asked.set()
        await self.answers.wait()
        return []

    async def take_slots(self, _: str, count: int) -> list[int]:
        self.taken += count
        self.taking.set()
        await self.may_take.wait()
        return list(range(count))

    async def give_slots(self, _: str, slots: Sequence[int]) -> None:
        self.given += slots

    async def advance(self, _: str, progress: Sequence[Progress]) -> None:
        self.said += progress

    async def subscriptions(self) -> list[SubscriptionRow]:
        return []

    async def holds(self, **_: object) -> list[HoldRow]:
        return []

    async def last_position(self) -> int:
        return 0


class Place:
    """A node that hosts the reactions of a service, with a dispatcher that the test speaks for."""

    def __init__(self, owned: int) -> None:
        self.store = Store()
        self.busy: set[int] = set()
        self.arrived = 0
        self.dispatcher = SimpleNamespace(
            generation=0,
            under_way=self._under_way,
            leave=_hear,
            forget=_hear,
        )
        node: Any = SimpleNamespace(store=self.store)
        store: Any = self.store
        dispatcher: Any = self.dispatcher
        self.shares = Shares(
            node,
            store,
            dispatcher,
            names=lambda _: [REACTION],
            arrived=self._arrived,
            left=_hear,
        )
        self.shares.owned["shop"] = set(range(owned))

    def _under_way(self, _: str, slots: set[int]) -> set[int]:
        return self.busy & slots

    def _arrived(self, _: object) -> None:
        self.arrived += 1

    def reached(self, _: str) -> list[Progress]:
        """It knows nothing yet of what it has to read of slots that came."""
        return [Progress(1, 5 if self.arrived else 100)]


def _hear(_service: str, _slots: Container[int]) -> None: ...


def test_nodes_that_host_a_reaction_share_all_slots() -> None:
    rows = [node_row(number) for number in (4, 7, 9)]

    assert sum(share_of(row.incarnation, "shop", [REACTION], rows) for row in rows) == 256
    assert share_of(5, "shop", [REACTION], rows) == 0


def test_a_node_that_hands_over_has_no_share() -> None:
    rows = [node_row(1), node_row(2, draining=True), node_row(3, takes="shop.other")]

    assert [share_of(number, "shop", [REACTION], rows) for number in (1, 2, 3)] == [256, 0, 0]


async def test_a_slot_of_which_something_is_under_way_is_not_given_back() -> None:
    place = Place(owned=256)
    place.store.others = [node_row(2)]
    place.busy = set(range(256))

    await place.shares.look()
    assert place.store.given == []
    place.busy = {7}
    await place.shares.look()
    place.busy = set()
    await place.shares.look()

    assert len(set(place.store.given)) == len(place.store.given) == 128


async def test_nothing_is_said_of_progress_while_a_slot_leaves() -> None:
    place = Place(owned=256)
    place.store.others = [node_row(2)]
    place.busy = set(range(256))
    await place.shares.look()

    await place.shares.advance(place.reached)
    assert place.store.said == []
    place.busy = set()
    await place.shares.look()
    await place.shares.advance(place.reached)

    assert place.store.said == [Progress(1, 100)]


async def test_no_progress_of_before_slots_came_is_written_after_it() -> None:
    place = Place(owned=10)
    place.store.may_take.clear()
    looking = asyncio.create_task(place.shares.look())
    await place.store.taking.wait()
    saying = asyncio.create_task(place.shares.advance(place.reached))
    for _ in range(5):
        await asyncio.sleep(0)
    place.store.may_take.set()
    await asyncio.gather(looking, saying)

    assert place.store.said == [Progress(1, 5)]


async def test_what_was_read_before_a_failure_of_the_store_takes_no_slots() -> None:
    place = Place(owned=0)
    place.store.answers.clear()
    looking = asyncio.create_task(place.shares.look())
    await place.store.asked.wait()
    place.dispatcher.generation += 1
    place.shares.forget_all()
    place.store.answers.set()
    await looking

    assert place.store.taken == 0
    assert place.shares.owned == {}


async def test_slots_that_a_failure_overtakes_are_not_taken_for_this_life() -> None:
    place = Place(owned=0)
    place.store.may_take.clear()
    looking = asyncio.create_task(place.shares.look())
    await place.store.taking.wait()
    place.dispatcher.generation += 1
    place.shares.forget_all()
    place.store.may_take.set()
    await looking

    assert place.arrived == 0
    assert place.shares.owned == {}
