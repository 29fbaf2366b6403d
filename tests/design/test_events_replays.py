"""Issue 4, "Subscriptions": a range of the log is delivered to one reaction again."""

import contextlib

import pytest
from tests.design.services_events import (
    BRIEF,
    ONCE,
    Books,
    Happened,
    dead,
    deployed,
    discard,
    follow,
    followed,
    holds,
    live_on,
    log,
    marks,
    publish,
    redrive,
    replay,
    things,
)

from counterpoint import NodeStoppedError, Service, StoreError, activity
from counterpoint.testing import Harness
from counterpoint.testing.faults import When


async def names(harness: Harness) -> list[str]:
    """Return the subscriptions, a replay with its number."""
    rows = await harness.store.inner.subscriptions()
    return [f"{row.name}#{row.replay}" if row.replay else row.name for row in rows]


async def test_a_replay_delivers_a_range_again_in_order_and_only_to_its_reaction() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take", "other")) as harness:
        await publish(harness, 1, 2, 3, 4, 5)
        await harness.settle()
        await replay(harness, "shop.take", 2, 4)
        await harness.idle()

        assert books.numbers("take") == [1, 2, 3, 4, 5, 2, 3, 4]
        assert books.numbers("other") == [1, 2, 3, 4, 5]


async def test_events_that_a_replay_returns_are_dropped_unless_asked_for() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take", then=follow)) as harness:
        await harness.app.publish(*(Happened(key="k", number=n) for n in (1, 2)))
        await harness.idle()
        await replay(harness, "shop.take", 1, 2)
        await harness.idle()
        assert await followed(harness) == [1, 2]

        await replay(harness, "shop.take", 1, 2, publish=True)
        await harness.idle()

        assert await followed(harness) == [1, 2, 1, 2]


async def test_a_replay_is_an_inbox_of_its_own_so_that_it_can_be_made_twice() -> None:
    books = Books()
    ids: list[tuple[str, bool]] = []
    shop = Service("shop")

    @shop.on(Happened)
    async def take(event: Happened) -> None:
        info = activity.info()
        ids.append((info.execution_id, info.is_replay))
        await books.enter("take", event)

    async with Harness(services=[things, shop]) as harness:
        await publish(harness, 1)
        await harness.idle()
        for _ in range(2):
            await replay(harness, "shop.take", 1, 1)
            await harness.idle()

        own = ids[0][0]
        assert [is_replay for _, is_replay in ids] == [False, True, True]
        assert len({id for id, _ in ids}) == 3
        assert all(id.startswith(f"{own}#") for id, _ in ids[1:])


async def test_a_replay_is_over_once_everything_is_delivered() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take")) as harness:
        await publish(harness, 1, 2)
        await harness.idle()
        await replay(harness, "shop.take", 1, 2)
        await harness.advance(seconds=5)

        assert await names(harness) == ["shop.take"]
        assert len(await marks(harness)) == 2


async def test_a_replay_of_one_key_leaves_the_others_alone() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take")) as harness:
        await publish(harness, 1, 2)
        await publish(harness, 3, 4, key="other")
        await replay(harness, "shop.take", 1, 4, key="other")
        await harness.advance(seconds=5)

        assert books.numbers("take") == [1, 2, 3, 4, 3, 4]


async def test_a_replay_waits_behind_what_blocks_its_key() -> None:
    books = Books()
    books.poison.add(("take", 2))
    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        await publish(harness, 1, 2, 3)
        await harness.settle()
        await replay(harness, "shop.take", 1, 1)
        await harness.advance(seconds=5)
        assert books.numbers("take") == [1]

        books.poison.clear()
        (letter,) = await dead(harness)
        await redrive(harness, letter)
        await harness.advance(seconds=5)

        assert sorted(books.numbers("take")) == [1, 1, 2, 3]
        assert await names(harness) == ["shop.take"]
        assert await holds(harness) == []


@pytest.mark.parametrize("on_dead", ["park", "skip"])
async def test_a_dead_letter_of_a_replay_is_kept_until_it_is_redriven(on_dead: str) -> None:
    books = Books()
    services = deployed(books, "take", retry=ONCE, on_dead=on_dead)
    async with Harness(services=services) as harness:
        await publish(harness, 1, 2)
        await harness.settle()
        books.poison.add(("take", 1))
        await replay(harness, "shop.take", 1, 2)
        await harness.advance(seconds=5)
        await harness.restart()
        await harness.advance(seconds=5)
        assert len(await dead(harness)) == 1

        books.poison.clear()
        await redrive(harness, (await dead(harness))[0])
        await harness.advance(seconds=5)

        assert sorted(books.numbers("take")) == [1, 1, 2, 2]
        assert await dead(harness) == []
        assert await names(harness) == ["shop.take"]


@pytest.mark.parametrize("on_dead", ["park", "skip"])
async def test_a_replay_whose_dead_letter_is_discarded_is_over(on_dead: str) -> None:
    books = Books()
    services = deployed(books, "take", retry=ONCE, on_dead=on_dead)
    async with Harness(services=services) as harness:
        await publish(harness, 1, 2)
        await harness.settle()
        books.poison.add(("take", 1))
        await replay(harness, "shop.take", 1, 2)
        await harness.advance(seconds=5)
        await discard(harness, (await dead(harness))[0])
        await harness.advance(seconds=5)

        assert books.numbers("take") == [1, 2, 2]
        assert await names(harness) == ["shop.take"]


async def test_a_redriven_dead_letter_of_a_replay_is_retried_beside_what_blocks_its_key() -> None:
    books = Books()
    services = deployed(books, "take", retry=BRIEF, on_dead="skip")
    async with Harness(services=services) as harness:
        await publish(harness, 1, 2)
        await harness.settle()
        books.poison.add(("take", 1))
        await replay(harness, "shop.take", 1, 1)
        await harness.advance(seconds=5)
        (letter,) = await dead(harness)
        books.poison.clear()
        books.fail("take", 3, ConnectionError("it is down"))
        await publish(harness, 3)
        await harness.settle()
        await redrive(harness, letter)
        await harness.advance(seconds=5)

        assert sorted(books.numbers("take")) == [1, 1, 2, 3]
        assert await names(harness) == ["shop.take"]
        assert await holds(harness) == []


async def test_a_replay_of_a_key_that_was_held_all_along_keeps_to_its_range() -> None:
    books = Books()
    books.poison.add(("take", 1))
    async with Harness(services=deployed(books, "take", retry=ONCE)) as harness:
        await publish(harness, 1, 2, 3, 4)
        await harness.settle()
        await replay(harness, "shop.take", 3, 3)
        await harness.advance(seconds=5)
        await harness.restart()
        await harness.advance(seconds=5)
        books.poison.clear()
        await redrive(harness, (await dead(harness))[0])
        await harness.advance(seconds=5)

        assert sorted(books.numbers("take")) == [1, 2, 3, 3, 4]
        assert await names(harness) == ["shop.take"]


async def test_a_replay_into_a_reaction_that_the_app_lacks_waits_for_it() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take")) as harness:
        await publish(harness, 1, 2)
        await harness.restart(services=deployed(books, "other"))
        await replay(harness, "shop.take", 1, 2)
        await harness.advance(seconds=5)
        assert books.numbers("take") == [1, 2]

        await harness.restart(services=deployed(books, "take"))
        await harness.advance(seconds=5)

        assert books.numbers("take") == [1, 2, 1, 2]


async def test_a_replay_is_a_recorded_act() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take")) as harness:
        await publish(harness, 1, 2)
        await replay(harness, "shop.take", 1, 2, reason="again")
        await harness.advance(seconds=5)

        (act,) = await harness.store.inner.acts()
        assert (act.kind, act.subject, act.actor, act.reason) == (
            "replay",
            "shop.take",
            "ann",
            "again",
        )


@pytest.mark.parametrize("when", ["before", "after", "applied-but-failed"])
@pytest.mark.parametrize("commit", range(1, 10))
async def test_a_crash_at_any_commit_of_a_replay_delivers_each_event_of_it_once(
    commit: int, when: When
) -> None:
    books = Books()
    async with Harness(services=deployed(books, "take", then=follow)) as harness:
        await harness.app.publish(*(Happened(key="k", number=n) for n in (1, 2, 3)))
        await harness.advance(seconds=5)
        books.fail("take", 2, ConnectionError("it is down"))
        harness.crash_at_commit(commit, when=when)
        with contextlib.suppress(NodeStoppedError, StoreError):
            await replay(harness, "shop.take", 1, 3, publish=True)
        await live_on(harness)
        await harness.advance(seconds=5)

        replayed = await followed(harness)
        if len(await harness.store.inner.acts()) == 0:
            assert replayed == [1, 2, 3]  # it was not acknowledged
        else:
            assert replayed == [1, 2, 3, 1, 2, 3]
        assert await names(harness) == ["shop.take"]
        assert await holds(harness) == []
        assert len(await log(harness, Happened)) == 3
