"""DESIGN P6: events of one key reach a service in order, one at a time, retries included."""

import asyncio
import contextlib
import random
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pytest
from tests.design.services_events import (
    ONCE,
    Books,
    Followed,
    Happened,
    dead,
    deployed,
    discard,
    follow,
    holds,
    insert,
    live_on,
    log,
    marks,
    publish,
    raw_event,
    reaction,
    redrive,
    things,
    turns,
)

from counterpoint import NodeStoppedError, Retry, Service, StoreError
from counterpoint.model.messages import ReactionStatus
from counterpoint.testing import Harness

QUICK = Retry(max_attempts=20, first=timedelta(seconds=1), factor=1, jitter=0.9)


async def test_a_thousand_keys_keep_their_order_under_random_failures() -> None:
    dice = random.Random(2)
    seen: dict[str, list[tuple[int, str]]] = defaultdict(list)
    running: set[str] = set()
    shop, store = Service("shop"), Service("store")

    def declare(service: Service, name: str, on: Any, lane: str = "") -> None:
        @service.on(on, name=f"{service.name}.{name}", retry=QUICK, lane=lane)
        async def handle(event: Happened | Followed) -> None:
            place = f"{service.name}/{lane}/{event.key}"
            assert place not in running, place
            running.add(place)
            for _ in range(dice.randrange(3)):
                await asyncio.sleep(0)
            running.discard(place)
            if dice.random() < 0.1:
                raise ConnectionError("it is down")
            seen[place].append((event.number, name))

    declare(shop, "first", Happened)
    declare(shop, "second", Happened)
    declare(shop, "third", Followed)
    declare(shop, "aside", Happened, "aside")
    declare(store, "other", Happened)
    async with Harness(services=[things, shop, store]) as harness:
        for number in range(3):
            on = Followed if number == 1 else Happened
            await harness.app.publish(*(on(key=str(key), number=number) for key in range(1_000)))
            await harness.advance(seconds=dice.random())
            if number == 1:
                await harness.crash()
                running.clear()
                await harness.restart()
        await harness.idle()

        assert await dead(harness) == []
        assert await holds(harness) == []
    # what was done and not recorded when the node died was done again
    lane = [(0, "first"), (0, "second"), (1, "third"), (2, "first"), (2, "second")]
    assert all(_once(seen[f"shop//{key}"]) == lane for key in range(1_000))
    for place in ("shop/aside", "store/"):
        assert all([n for n, _ in _once(seen[f"{place}/{key}"])] == [0, 2] for key in range(1_000))


def _once(entries: list[tuple[int, str]]) -> list[tuple[int, str]]:
    assert all(entries.count(one) <= 2 for one in entries)
    return list(dict.fromkeys(entries))


async def test_all_reactions_of_a_service_share_the_order_of_a_key() -> None:
    books = Books()
    books.fail("second", 1, ConnectionError("it is down"))
    async with Harness(services=deployed(books, "first", "second")) as harness:
        await publish(harness, 1, 2)
        await harness.idle()

        assert [(name, number) for name, _, number in books.ended] == [
            ("first", 1),
            ("second", 1),
            ("first", 2),
            ("second", 2),
        ]


async def test_the_next_event_of_a_key_begins_after_the_commit_of_the_one_before() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take")) as harness:
        await publish(harness, 0)
        await harness.settle()
        seen: list[int] = []

        async def look() -> None:
            rows = await marks(harness)
            seen.append(sum(row.status is ReactionStatus.COMPLETED for row in rows))

        for number in (1, 2, 3):
            books.fail("take", number, look)
        await harness.app.publish(*(Happened(key="k", number=n) for n in (1, 2, 3)))
        await harness.settle()

        assert seen == [1, 2, 3]


async def test_one_key_waits_and_the_others_run_beside_each_other() -> None:
    books = Books()
    going_on = asyncio.Event()
    for number in (1, 2):
        books.fail("take", number, *[going_on.wait] * 3)
    async with Harness(services=deployed(books, "take")) as harness:
        for key in ("a", "b", "c"):
            for number in (1, 2):
                await harness.app.publish(Happened(key=key, number=number))
        await turns(lambda: len(books.began) >= 3)
        assert sorted(books.began) == [("take", "a", 1), ("take", "b", 1), ("take", "c", 1)]

        going_on.set()
        await harness.settle()

        assert sorted(books.numbers("take")) == [1, 1, 1, 2, 2, 2]


async def test_a_lane_of_its_own_is_not_blocked_by_the_others() -> None:
    books = Books()
    books.poison |= {("first", 1), ("aside", 2)}
    shop = Service("shop")
    reaction(shop, "first", books, retry=ONCE)
    reaction(shop, "aside", books, retry=ONCE, lane="aside")
    async with Harness(services=[things, shop]) as harness:
        await publish(harness, 1, 2, 3)
        await harness.idle()

        assert books.numbers("first") == []
        assert books.numbers("aside") == [1]
        assert sorted(row.position for row in await dead(harness)) == [1, 2]


async def test_what_is_parked_behind_a_dead_letter_comes_in_order_once_it_is_redriven() -> None:
    books = Books()
    books.poison.add(("take", 2))
    async with Harness(services=deployed(books, "take", then=follow)) as harness:
        await publish(harness, *range(100))
        await harness.idle()
        assert books.numbers("take") == [0, 1]
        books.poison = {("take", 50)}
        await redrive(harness, (await dead(harness))[0])
        await harness.idle()
        assert books.numbers("take") == list(range(50))
        await discard(harness, (await dead(harness))[0])
        await harness.idle()

        assert books.numbers("take") == [n for n in range(100) if n != 50]
        assert await holds(harness) == []


async def test_on_dead_skip_lets_later_events_pass() -> None:
    books = Books()
    books.poison |= {("take", 2), ("take", 4)}
    async with Harness(services=deployed(books, "take", on_dead="skip")) as harness:
        await publish(harness, *range(6))
        await harness.idle()
        assert books.numbers("take") == [0, 1, 3, 5]

        books.poison.clear()
        for letter in await dead(harness):
            await redrive(harness, letter)
        await harness.idle()

        assert books.numbers("take") == [0, 1, 3, 5, 2, 4]
        assert await dead(harness) == []
        assert await holds(harness) == []


async def test_a_retry_is_waited_for_also_where_dead_letters_are_passed() -> None:
    books = Books()
    books.fail("take", 1, ConnectionError("it is down"))
    async with Harness(services=deployed(books, "take", on_dead="skip")) as harness:
        await publish(harness, 1, 2)
        await harness.settle()
        assert books.numbers("take") == []
        await harness.idle()

        assert books.numbers("take") == [1, 2]


@pytest.mark.parametrize("when", ["before", "after", "applied-but-failed"])
@pytest.mark.parametrize("act", ["redrive", "edit", "discard"])
@pytest.mark.parametrize("commit", range(1, 7))
async def test_an_act_on_a_dead_letter_survives_a_crash_at_any_commit(
    commit: int, act: str, when: Any
) -> None:
    books = Books()
    books.poison.add(("take", 1))
    async with Harness(services=deployed(books, "take", then=follow, retry=ONCE)) as harness:
        await publish(harness, 1, 2)
        await publish(harness, 1, 3, key="other")
        await harness.advance(seconds=5)
        letters = await dead(harness)
        if act != "edit":
            books.poison.clear()
        harness.crash_at_commit(commit, when=when)
        with contextlib.suppress(NodeStoppedError, StoreError):
            for letter in letters:
                if act == "discard":
                    await discard(harness, letter)
                else:
                    data = {"key": letter.event_key, "number": 9} if act == "edit" else None
                    await redrive(harness, letter, data)
        await live_on(harness)
        books.poison.clear()
        for letter in await dead(harness):  # those that nobody has acknowledged
            await redrive(harness, letter)
        await harness.idle()

        assert await dead(harness) == []
        assert await holds(harness) == []
        for key, last in (("k", 2), ("other", 3)):
            followed = [row for row in await log(harness, Followed) if row.key == key]
            assert len(followed) == (2 if act != "discard" else len(followed))
            assert books.numbers("take", key)[-1] == last


async def test_positions_pass_over_held_keys_and_nothing_is_lost_by_a_crash_at_any_moment() -> None:
    books = Books()
    books.poison.add(("take", 3))
    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        for number in range(1, 30):
            await publish(harness, number, key=str(number % 4))
            await harness.advance(milliseconds=300)
            if number % 3 == 0:
                await harness.crash()
                await harness.restart()
        await harness.advance(seconds=5)
        books.poison.clear()
        await redrive(harness, (await dead(harness))[0])
        await harness.idle()

        for key in range(4):
            expected = [n for n in range(1, 30) if n % 4 == key]
            assert list(dict.fromkeys(books.numbers("take", str(key)))) == expected


async def test_every_event_delivered_twice_has_its_effects_once() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take", then=follow)) as harness:
        await insert(harness, [raw_event({"key": "k", "number": n}) for n in range(20)])
        await publish(harness, 20)
        await harness.settle()
        await harness.crash()  # before any position is written: everything is read again
        await harness.restart()
        await harness.idle()

        assert len(await log(harness, Followed)) == 21
        assert len(await marks(harness)) == 21


async def test_the_app_is_idle_when_only_people_can_go_on() -> None:
    books = Books()
    books.poison.add(("take", 1))
    books.fail("take", 3, ConnectionError("it is down"))
    async with Harness(services=deployed(books, "take", then=follow)) as harness:
        await publish(harness, 1, 2)
        await publish(harness, 3, key="other")
        await harness.idle()

        assert books.numbers("take") == [3]
        assert len(await dead(harness)) == 1
