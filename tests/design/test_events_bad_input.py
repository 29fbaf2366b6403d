"""DESIGN P10: what cannot be delivered is a dead letter that says why; nothing else stops."""

from datetime import timedelta
from typing import Any

import pytest
from tests.design.services_events import (
    BRIEF,
    ONCE,
    Books,
    Followed,
    Happened,
    Some,
    dead,
    deployed,
    discard,
    follow,
    followed,
    insert,
    log,
    nothing,
    publish,
    raw_event,
    redrive,
    statuses,
    things,
    words,
)

from counterpoint import Event, Retry, RetryAfter, Service, activity
from counterpoint.model.messages import EventRow, ReactionStatus
from counterpoint.runtime.messaging import dispatcher, messaging
from counterpoint.testing import Harness

LONG = Retry(
    max_attempts=3, first=timedelta(minutes=10), cap=timedelta(minutes=10), factor=1, jitter=0
)


async def arrive(harness: Harness, *rows: EventRow) -> None:
    """Let events come into the log that this app did not publish, and a good one after them."""
    now = harness.clock.now()
    await insert(harness, [row._replace(time=now, recorded_at=now) for row in rows])
    await publish(harness, 99, key="good")
    await harness.settle()


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"number": 1}, "key"),
        ({"key": "k", "number": "many"}, "number"),
        ({"key": None, "number": 1}, "key"),
        ([1, 2], "Happened"),
        (b"{", "Happened"),
        (b"\xff\xfe", "Happened"),
    ],
    ids=["missing", "wrong", "null", "list", "no JSON", "no UTF-8"],
)
async def test_data_that_does_not_validate_is_a_dead_letter_that_names_the_field(
    data: Any, field: str
) -> None:
    books = Books()
    async with Harness(services=deployed(books, "take")) as harness:
        await arrive(harness, raw_event(data), raw_event({"key": "k", "number": 2}))

        (letter,) = await dead(harness)
        assert letter.cause == "counterpoint.errors.InvalidEventError"
        assert field in words(letter)
        assert books.numbers("take") == [99]
        assert len(books.began) == 1

        await redrive(harness, letter, {"key": "k", "number": 1})
        await harness.idle()

        assert books.numbers("take", "k") == [1, 2]


async def test_an_event_of_a_newer_version_waits_an_hour_and_is_a_dead_letter_then() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take")) as harness:
        await arrive(
            harness,
            raw_event({"key": "k", "number": 1}, version=2),
            raw_event({"key": "k", "number": 2}),
        )
        await harness.advance(minutes=59)
        assert await dead(harness) == []
        assert books.numbers("take") == [99]

        await harness.advance(minutes=2)

        (letter,) = await dead(harness)
        assert "version 2 is newer than version 1" in words(letter)
        assert len(books.began) == 1


def newer(books: Books) -> list[Service]:
    """Return services that declare the second version of an event."""
    owner = Service("things")

    @owner.event(key="key", version=2, name="things.Happened")
    class Newer(Event):
        key: str
        number: int = 0
        more: str = "nothing"

    @Newer.upcaster(1)
    def more(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "more": "upcast"}

    shop = Service("shop")

    @shop.on(Newer, retry=ONCE)
    async def take(event: Newer) -> None:
        await books.enter("take", event)

    return [owner, shop]


async def test_an_event_of_a_newer_version_is_delivered_by_a_node_that_knows_it() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take")) as harness:
        await arrive(
            harness,
            raw_event({"key": "k", "number": 1}, version=2),
            raw_event({"key": "k", "number": 2}),
        )
        await harness.advance(minutes=5)
        await harness.restart(services=newer(books))
        await harness.idle(within=timedelta(seconds=1))

        assert books.numbers("take", "k") == [1, 2]
        assert await dead(harness) == []


async def test_how_long_a_newer_version_waits_is_a_setting() -> None:
    books = Books()
    wait = timedelta(minutes=2)
    async with Harness(services=deployed(books, "take"), newer_version_wait=wait) as harness:
        await arrive(harness, raw_event({"key": "k", "number": 1}, version=2))
        await harness.advance(minutes=3)

        assert len(await dead(harness)) == 1


async def test_an_older_version_without_an_upcaster_is_a_dead_letter_that_names_it() -> None:
    owner = Service("things")

    @owner.event(key="key", version=3, name="things.Happened")
    class Newest(Event):
        key: str

    shop = Service("shop")

    @shop.on(Newest)
    async def take(event: Newest) -> None: ...

    async with Harness(services=[owner, shop]) as harness:
        await insert(harness, [raw_event({"key": "k"}, version=1)])
        await harness.app.publish(Newest(key="other"))
        await harness.settle()

        (letter,) = await dead(harness)
        assert "there is no upcaster from version 1" in words(letter)


async def test_events_of_a_type_that_nobody_declares_stop_nobody() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take")) as harness:
        unknown = raw_event({"any": "thing"})._replace(type="elsewhere.Unknown", source="elsewhere")
        await arrive(harness, unknown, raw_event({"key": "k", "number": 2}))

        assert sorted(books.numbers("take")) == [2, 99]
        assert len(await log(harness)) == 3


# ---- a reaction that does what it may not -------------------------------------------------------


async def test_a_reaction_that_returns_an_undeclared_event_publishes_nothing() -> None:
    shop = Service("shop")
    wrong: Any = Happened(key="k", number=7)

    @shop.on(Happened)
    async def take(event: Happened) -> Followed | None:
        returned: Followed = wrong
        return returned

    async with Harness(services=[things, shop]) as harness:
        await publish(harness, 1)
        await harness.settle()

        (letter,) = await dead(harness)
        assert letter.attempts == 1
        assert "shop.take returned Happened, and its annotation says Followed | None" in words(
            letter
        )
        assert len(await log(harness)) == 1


async def test_a_reaction_that_publishes_an_undeclared_event_is_a_dead_letter() -> None:
    shop = Service("shop")

    @shop.on(Happened)
    async def take(event: Happened) -> None:
        activity.publish(Happened(key="k", number=7))

    async with Harness(services=[things, shop]) as harness:
        await publish(harness, 1)
        await harness.settle()

        (letter,) = await dead(harness)
        assert "shop.take publishes things.Happened" in words(letter)
        assert len(await log(harness)) == 1


async def test_a_reaction_that_returns_an_oversized_event_is_a_dead_letter() -> None:
    def large(event: Any) -> list[Some]:
        return [Happened(key="x" * 150)]

    books = Books()
    services = deployed(books, "take", then=large)
    async with Harness(services=services, payload_bytes_max=150) as harness:
        await publish(harness, 1)
        await harness.settle()

        (letter,) = await dead(harness)
        assert letter.cause == "counterpoint.errors.PayloadTooLargeError"
        assert len(await log(harness)) == 1


@pytest.mark.parametrize(
    "error",
    [ValueError("\ud800"), ValueError("x" * 100_000), KeyError(object()), SystemExit(3)],
    ids=["surrogate", "long", "object", "exit"],
)
async def test_whatever_a_reaction_raises_can_be_recorded(error: BaseException) -> None:
    books = Books()
    books.fail("take", 1, error, error)
    async with Harness(services=deployed(books, "take")) as harness:
        await publish(harness, 1)
        await publish(harness, 2, key="good")
        await harness.idle()

        assert len(await dead(harness)) == 1
        assert books.numbers("take") == [2]


async def test_a_reaction_that_feeds_itself_ends_at_the_hop_limit() -> None:
    books = Books()

    def again(event: Any) -> list[Some]:
        return [Happened(key=event.key, number=event.number + 1)]

    async with Harness(services=deployed(books, "take", then=again)) as harness:
        await publish(harness, 0)
        await publish(harness, 1_000, key="other")
        await harness.idle()

        first, second = await dead(harness)
        assert [row.hops for row in await log(harness)][-1] == 33
        assert books.numbers("take", "k") == list(range(33))
        assert first.cause == second.cause == "counterpoint.errors.HopLimitError"
        assert "hop_limit is 32: a reaction probably feeds itself" in words(first)


async def test_a_storm_of_events_ends_at_the_hop_limit_that_was_set() -> None:
    books = Books()

    def twice(event: Any) -> list[Some]:
        return [Happened(key=f"{event.key}{side}", number=event.number + 1) for side in "ab"]

    services = deployed(books, "take", then=twice)
    async with Harness(services=services, hop_limit=6) as harness:
        await publish(harness, 0, key="k")
        await harness.idle()

        assert len(books.ended) == 2**7 - 1
        assert len(await dead(harness)) == 2**7


# ---- a reaction that hangs, or fails ------------------------------------------------------------


async def test_a_reaction_that_hangs_times_out_is_retried_and_stops_only_its_key() -> None:
    books = Books()
    services = deployed(books, "take", then=follow, timeout=timedelta(seconds=30))
    async with Harness(services=services) as harness:

        async def hang() -> None:
            await harness.sleep(3_600)

        books.fail("take", 1, hang)
        await publish(harness, 1, 2)
        await publish(harness, 3, key="good")
        await harness.settle()
        assert books.numbers("take") == [3]

        await harness.advance(seconds=31)

        assert books.numbers("take", "k") == [1, 2]
        assert await followed(harness, "k") == [1, 2]


async def test_a_reaction_that_always_hangs_is_a_dead_letter() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take", timeout=timedelta(seconds=30))) as harness:

        async def hang() -> None:
            await harness.sleep(3_600)

        books.fail("take", 1, hang, hang)
        await publish(harness, 1)
        await harness.idle()

        (letter,) = await dead(harness)
        assert letter.cause == "builtins.TimeoutError"
        assert len(books.began) == BRIEF.max_attempts


async def test_time_passes_while_reactions_that_hang_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatcher, "PENDING_MAX", 2)
    monkeypatch.setattr(messaging, "PENDING_MAX", 2)
    books = Books()
    services = deployed(books, "take", timeout=timedelta(seconds=30))
    async with Harness(services=services) as harness:

        async def hang() -> None:
            await harness.sleep(3_600)

        for number in range(4):
            books.fail("take", number, hang)
            await publish(harness, number, key=str(number))
        await harness.idle()

        assert sorted(books.numbers("take")) == [0, 1, 2, 3]


async def test_retries_have_the_policy_of_the_reaction_and_block_only_their_key() -> None:
    books = Books()
    books.fail("take", 1, ConnectionError("it is down"), RetryAfter(timedelta(hours=2)))
    async with Harness(services=deployed(books, "take", retry=LONG)) as harness:
        began = harness.now
        await publish(harness, 1, 2)
        await publish(harness, 3, key="good")
        await harness.settle()
        assert books.numbers("take") == [3]
        await harness.advance(minutes=10)
        assert len(books.began) == 3
        await harness.idle()

        assert harness.now - began >= timedelta(hours=2, minutes=10)
        assert books.numbers("take", "k") == [1, 2]


async def test_a_poison_event_beside_ten_thousand_good_ones_stops_only_its_key() -> None:
    books = Books()
    books.poison.add(("take", -1))
    async with Harness(services=deployed(books, "take", then=nothing)) as harness:
        good = [Happened(key=str(number), number=number) for number in range(10_000)]
        poison = [Happened(key="poison", number=-1), Happened(key="poison", number=-2)]
        await harness.app.publish(*good[:5_000], *poison, *good[5_000:])
        await harness.settle()
        commits = harness.store.commits
        assert len(books.ended) == 10_000
        assert commits < 200
        await harness.idle()

        (letter,) = await dead(harness)
        assert letter.event_key == "poison"
        await discard(harness, letter)
        await harness.idle()
        assert books.numbers("take", "poison") == [-2]
        assert (await statuses(harness)).count(ReactionStatus.COMPLETED) == 10_001
