"""DESIGN P1, P4 and P10: what is published is durable and delivered, or refused and nowhere."""

import asyncio
import contextlib
from typing import Any

import pytest
from tests.design.services_events import (
    Books,
    Followed,
    Happened,
    deployed,
    follow,
    followed,
    live_on,
    log,
    number_of,
    publish,
    raw_event,
    statuses,
    things,
)

from counterpoint import Event, NodeStoppedError, Service, StoreError, activity, workflow
from counterpoint.errors import (
    ArgumentsError,
    CounterpointError,
    DefinitionError,
    EventExistsError,
    PayloadTooLargeError,
    StoreFullError,
)
from counterpoint.model.messages import ReactionStatus
from counterpoint.runtime.mail import EVENTS, PublishMail, mail_row
from counterpoint.runtime.messaging.publishing import posted
from counterpoint.testing import Harness
from counterpoint.testing.faults import When


async def test_publish_returns_when_the_event_is_durable() -> None:
    async with Harness(services=deployed(Books(), "take")) as harness:
        harness.store.hold_commits()
        publishing = asyncio.ensure_future(harness.app.publish(Happened(key="k")))
        await harness.store.commit_held()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not publishing.done()

        harness.store.release_commits()
        await publishing
        await harness.crash()
        await harness.restart()

        assert len(await log(harness)) == 1


async def test_several_events_are_published_in_order_and_all_at_once() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take")) as harness:
        ids = await harness.app.publish(*(Happened(key="k", number=n) for n in range(100)))
        await harness.idle()

        assert [row.id for row in await log(harness)] == list(ids)
        assert books.numbers("take") == list(range(100))


@pytest.mark.parametrize(("when", "there"), [("before", 0), ("after", 100)])
async def test_a_crash_in_the_commit_of_several_events_leaves_all_of_them_or_none(
    when: When, there: int
) -> None:
    books = Books()
    async with Harness(services=deployed(books, "take")) as harness:
        harness.crash_at_commit(1, when=when)
        with pytest.raises(NodeStoppedError):
            await harness.app.publish(*(Happened(key="k", number=n) for n in range(100)))
        await live_on(harness)

        assert len(await log(harness)) == there
        assert books.numbers("take") == list(range(there))


async def test_publish_that_is_refused_publishes_nothing_of_what_it_was_given() -> None:
    async with Harness(services=deployed(Books(), "take")) as harness:
        with pytest.raises(ArgumentsError):
            await harness.app.publish(Happened(key="k"), Happened(key=""))

        assert await log(harness) == []


async def test_an_event_that_was_not_written_is_not_delivered() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take")) as harness:
        harness.store.fail_commits(StoreFullError("the disk is full"))
        with pytest.raises(StoreError):
            await publish(harness, 1)
        await harness.advance(minutes=1)

        assert await log(harness) == []
        assert books.began == []


async def test_an_event_published_twice_under_one_id_is_one_event() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take")) as harness:
        for _ in range(2):
            assert await harness.app.publish(Happened(key="k"), id="one") == ("one",)
        await harness.restart()
        await harness.app.publish(Happened(key="k"), id="one")
        await harness.idle()

        assert len(await log(harness)) == 1
        assert len(books.began) == 1


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (Happened(key="k", number=2), "data"),
        (Happened(key="other", number=1), "key"),
        (Followed(key="k", number=1), "type"),
    ],
    ids=["data", "key", "type"],
)
async def test_an_id_that_was_used_for_other_content_is_refused(other: Event, what: str) -> None:
    books = Books()
    async with Harness(services=deployed(books, "take")) as harness:
        await harness.app.publish(Happened(key="k", number=1), id="one")
        with pytest.raises(EventExistsError, match=f"other {what}"):
            await harness.app.publish(other, id="one")
        await harness.idle()

        assert len(await log(harness)) == 1


async def test_the_same_id_published_twice_at_once_is_durable_for_both_when_they_return() -> None:
    async with Harness(services=deployed(Books(), "take")) as harness:
        harness.store.hold_commits()
        first = asyncio.ensure_future(harness.app.publish(Happened(key="k"), id="one"))
        await harness.store.commit_held()
        second = asyncio.ensure_future(harness.app.publish(Happened(key="k"), id="one"))
        other = asyncio.ensure_future(harness.app.publish(Happened(key="x"), id="one"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not first.done()
        assert not second.done()

        harness.store.release_commits()

        assert await first == await second == ("one",)
        with pytest.raises(EventExistsError):
            await other
        assert len(await log(harness)) == 1


async def test_a_second_publish_of_an_id_publishes_where_the_first_one_failed() -> None:
    async with Harness(services=deployed(Books(), "take")) as harness:
        harness.store.hold_commits()
        harness.store.fail_commits(StoreFullError("the disk is full"))
        first = asyncio.ensure_future(harness.app.publish(Happened(key="k"), id="one"))
        await harness.store.commit_held()
        second = asyncio.ensure_future(harness.app.publish(Happened(key="k"), id="one"))
        await asyncio.sleep(0)
        harness.store.release_commits()
        outcomes = await asyncio.gather(first, second, return_exceptions=True)
        await harness.advance(minutes=1)

        there = len(await log(harness))
        assert there == [isinstance(one, tuple) for one in outcomes].count(True)


async def test_two_clients_that_post_one_id_at_once_publish_one_event() -> None:
    books = Books()
    async with Harness(services=deployed(books, "take")) as harness:
        node = harness.app.node
        mail = PublishMail([posted(raw_event({"key": "k", "number": 1}), node.codec)], True)
        rows = [mail_row(EVENTS, mail, node.clock.now(), node.codec) for _ in range(2)]
        try:
            await asyncio.gather(*(node.post(row) for row in rows))
            await harness.settle()
        finally:
            await harness.crash()

        assert books.numbers("take") == [1]


async def test_an_oversized_event_is_refused_and_one_of_the_greatest_size_is_not() -> None:
    books = Books()
    services = deployed(books, "take")
    async with Harness(services=services, payload_bytes_max=100) as harness:
        with pytest.raises(PayloadTooLargeError, match=r"things\.Happened"):
            await harness.app.publish(Happened(key="k" * 90))
        await harness.app.publish(Happened(key="k" * (100 - len('{"key":"","number":0}'))))
        await harness.idle()

        assert len(books.began) == 1


class Undeclared(Event):
    key: str


class Foreign(Event):
    key: str


Service("elsewhere").event(key="key")(Foreign)


@pytest.mark.parametrize(
    ("what", "error"),
    [
        (Undeclared(key="k"), DefinitionError),
        (Foreign(key="k"), DefinitionError),
        (Happened, DefinitionError),
        ("Happened", DefinitionError),
        (Happened(key=""), ArgumentsError),
        (Happened(key="k" * 201), ArgumentsError),
        (Happened(key="\ud800"), CounterpointError),
        (Happened.model_construct(key="k", number="many"), CounterpointError),
    ],
    ids=["undeclared", "foreign", "class", "text", "empty", "long", "surrogate", "wrong"],
)
async def test_what_is_no_event_of_the_app_is_refused_and_not_in_the_log(
    what: Any, error: type[Exception]
) -> None:
    async with Harness(services=deployed(Books(), "take")) as harness:
        with pytest.raises(error):
            await harness.app.publish(what)

        assert await log(harness) == []


# ---- the outbox ---------------------------------------------------------------------------------

makers = Service("makers")


@makers.activity(emits=[Happened])
async def make(key: str, number: int) -> int:
    activity.publish(Happened(key=key, number=number))
    return number


@makers.workflow(emits=[Followed])
async def order(key: str) -> int:
    made = await make(key, 1)
    await workflow.publish(Followed(key=key, number=100))
    return made + await make(key, 2)


@pytest.mark.parametrize("when", ["before", "after", "applied-but-failed"])
@pytest.mark.parametrize("commit", range(1, 9))
async def test_what_workflows_activities_and_reactions_publish_is_delivered_once_recorded(
    commit: int, when: When
) -> None:
    books = Books()
    services = [*deployed(books, "take", then=lambda e: follow(e) if e.number else []), makers]
    async with Harness(services=services, rehearse=False) as harness:
        harness.crash_at_commit(commit, when=when)
        with contextlib.suppress(NodeStoppedError, StoreError):
            await harness.start(order, "k", id="one")
        await live_on(harness)
        with contextlib.suppress(NodeStoppedError):
            await harness.start(order, "k", id="one")
        await live_on(harness)

        happened = [number_of(row) for row in await log(harness, Happened)]
        assert happened == [1, 2]
        assert sorted(await followed(harness)) == [1, 2, 100]
        assert set(books.numbers("take")) == {1, 2}
        assert await statuses(harness) == [ReactionStatus.COMPLETED] * 2


async def test_an_attempt_of_an_activity_that_fails_publishes_nothing() -> None:
    books = Books()
    async with Harness(services=[*deployed(books, "take"), makers]) as harness:
        harness.fail(make, ConnectionError("the answer is lost"), after=True, times=2)
        await harness.run(order, "k", id="one")
        await harness.idle()

        assert [number_of(row) for row in await log(harness, Happened)] == [1, 2]


async def test_the_source_of_an_event_is_the_service_that_publishes_it() -> None:
    async with Harness(services=deployed(Books(), "take", then=follow)) as harness:
        await publish(harness, 1)
        await harness.idle()

        assert [row.source for row in await log(harness)] == [things.name, "shop"]
