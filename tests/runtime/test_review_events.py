"""What reviewers found in the event runtime, as tests."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from tests.design.services_events import (
    BRIEF,
    ONCE,
    Books,
    Happened,
    dead,
    deployed,
    discard,
    log,
    publish,
    reaction,
    redrive,
    things,
)

from counterpoint import App, Event, Retry, Service, activity, workflow
from counterpoint.errors import EventExistsError, NodeStoppedError
from counterpoint.model.rows import MailRow
from counterpoint.runtime import committer, intake
from counterpoint.runtime.messaging import dispatcher, messaging
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing import Harness
from counterpoint.testing.clock import VirtualClock

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECONDS = 30


def shop(path: Path) -> tuple[App, Callable[[str], Event], list[str]]:
    orders = Service("orders")
    heard: list[str] = []

    @orders.event(key="order_id")
    class Placed(Event):
        order_id: str

    @orders.on(Placed)
    async def hear(event: Placed) -> None:
        heard.append(event.order_id)

    app = App("shop", services=[orders], store=f"sqlite:///{path}")
    return app, lambda order_id: Placed(order_id=order_id), heard


async def test_an_id_that_a_letter_on_its_way_has_is_not_posted_again(tmp_path: Path) -> None:
    app, placed, heard = shop(tmp_path / "shop.db")
    async with app:
        pass
    for _ in range(2):
        async with app.client() as client:
            assert await client.publish(placed("1"), id="x") == ("x",)
            with pytest.raises(EventExistsError, match="with another key"):
                await client.publish(placed("2"), id="x")
            assert len([letter async for letter in client.posted()]) == 1
    async with app:
        await app.idle(timeout=30)
        while [letter async for letter in app.posted()]:
            await app.idle(timeout=30)
    assert heard == ["1"]


# ---- much at once -----------------------------------------------------------------------------


async def test_letters_that_wait_at_a_start_are_published_page_by_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake, "PAGE", 5)
    books = Books()
    store = MemoryStore()
    async with Harness(services=deployed(books, "take"), store=store) as harness:
        await harness.stop()
        async with App("test", services=[things], store=store).client() as client:
            for number in range(50):
                await client.publish(Happened(key=str(number), number=number))
        unwritten: list[int] = []
        read = store.mail

        async def mail(*, after: int, limit: int, execution_id: str | None = None) -> list[MailRow]:
            unwritten.append(after - len(await log(harness)))
            return await read(after=after, limit=limit, execution_id=execution_id)

        monkeypatch.setattr(store, "mail", mail)
        await harness.restart()
        await harness.idle()

        assert max(unwritten) <= 10
        assert books.numbers("take") == list(range(50))


async def test_others_have_their_turns_between_full_commits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(committer, "BATCH_MAX", 5)
    commits: list[int] = []

    async def count(event: Happened) -> list[Happened]:
        commits.append(harness.app.node.committer.commits)
        return []

    async with Harness(services=deployed(Books(), "take")) as harness:
        harness.replace("shop.take", count)
        before = harness.app.node.committer.commits
        happened = [Happened(key=str(number)) for number in range(50)]
        await asyncio.gather(*(harness.app.publish(event) for event in happened))
        await harness.idle()

        assert len(commits) == 50
        assert min(commits) < before + 10  # reactions ran before everything was written


async def test_events_published_at_once_are_in_memory_up_to_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (dispatcher, messaging):
        monkeypatch.setattr(module, "PENDING_MAX", 10)
    books = Books()
    most: list[int] = []

    async def look(event: Happened) -> list[Happened]:
        most.append(harness.app.node.messaging.dispatcher.pending)
        await books.enter("take", event)
        return []

    async with Harness(services=deployed(books, "take")) as harness:
        harness.replace("shop.take", look)
        await harness.app.publish(*(Happened(key=str(n), number=n) for n in range(100)))
        await harness.idle()

        assert most[0] == 10
        assert sorted(books.numbers("take")) == list(range(100))


# ---- attempts ---------------------------------------------------------------------------------


async def test_an_attempt_that_times_out_before_its_first_step_is_made_again() -> None:
    books = Books()
    first, second = Service("first"), Service("second")
    reaction(first, "take", books, retry=BRIEF, timeout=timedelta(milliseconds=10), concurrency=1)
    late = [20_000]

    def slow_id(event: Happened) -> str:
        """Keep the loop for longer than the timeout of the attempt that has just been begun."""
        harness.clock.move_to(harness.clock.now() + (late.pop() if late else 0))
        return f"follow-{event.key}"

    @second.workflow(on=Happened, id=slow_id)
    async def follow(event: Happened) -> int:
        return event.number

    async with Harness(services=[things, first, second]) as harness:
        await publish(harness, 1)
        await harness.idle()
        await publish(harness, 2, key="other")  # there is a place for it
        await harness.idle()

        assert not late
        assert books.began == [("take", "k", 1), ("take", "other", 2)]
        assert books.numbers("take") == [1, 2]


class Threads:
    """A `def` reaction that goes on in its thread past its timeout, until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let_go = threading.Event()
        self.back = threading.Event()
        self.seen: list[int] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def take(self, event: Happened) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.seen.append(event.number)
        self.begun.set()
        self.let_go.wait(SECONDS)
        with self._lock:
            self._now -= 1
        self.back.set()

    def services(self, retry: Retry, on_dead: Literal["park", "skip"] = "park") -> list[Service]:
        shop = Service("shop")

        @shop.on(Happened, retry=retry, timeout=timedelta(seconds=1), on_dead=on_dead)
        def take(event: Happened) -> None:
            self.take(event)

        return [things, shop]

    async def time_out(self, harness: Harness) -> None:
        """Publish an event, and let time pass once its thread goes on."""
        await harness.app.publish(Happened(key="k", number=1))
        assert await asyncio.to_thread(self.begun.wait, SECONDS)
        harness.clock.move_to(harness.clock.now() + 1_000_000)
        await harness.settle()

    async def end(self, harness: Harness) -> None:
        """Let the thread end, and the node hear of it."""
        self.let_go.set()
        assert await asyncio.to_thread(self.back.wait, SECONDS)
        while harness.app.health().threads_lost:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_a_retry_does_not_run_beside_the_thread_of_an_attempt_that_timed_out() -> None:
    threads = Threads()
    retry = Retry(max_attempts=9, first=timedelta(seconds=10), factor=1, jitter=0)
    async with Harness(services=threads.services(retry)) as harness:
        await threads.time_out(harness)
        await harness.advance(seconds=25)
        before = list(threads.seen)
        await threads.end(harness)
        await harness.idle()

        assert before == [1]
        assert threads.seen == [1, 1]
        assert threads.most == 1


async def test_a_redriven_dead_letter_does_not_run_beside_its_thread() -> None:
    threads = Threads()
    async with Harness(services=threads.services(ONCE)) as harness:
        await threads.time_out(harness)
        await redrive(harness, (await dead(harness))[0])
        await harness.idle()
        before = list(threads.seen)
        await threads.end(harness)
        await redrive(harness, (await dead(harness))[0])
        await harness.idle()

        assert before == [1]
        assert threads.seen == [1, 1]
        assert threads.most == 1
        assert await dead(harness) == []


@pytest.mark.parametrize("on_dead", ["park", "skip"])
async def test_the_next_event_of_a_key_does_not_run_beside_the_thread_of_a_dead_letter(
    on_dead: Literal["park", "skip"],
) -> None:
    threads = Threads()
    async with Harness(services=threads.services(ONCE, on_dead)) as harness:
        await threads.time_out(harness)
        if on_dead == "park":
            await discard(harness, (await dead(harness))[0])
        publishing = asyncio.ensure_future(harness.app.publish(Happened(key="k", number=2)))
        for _ in range(50):
            await asyncio.sleep(0)
        beside = len(harness.app.node.activities.running)
        await threads.end(harness)
        await publishing
        await harness.idle()

        assert threads.seen == [1, 2]
        assert beside == 0


# ---- the same event, the same id --------------------------------------------------------------


async def test_an_event_with_a_set_is_the_same_in_whatever_order_its_set_was_built(
    tmp_path: Path,
) -> None:
    orders = Service("orders")

    @orders.event(key="order_id")
    class Tagged(Event):
        order_id: str
        tags: set[int]

    app = App("shop", services=[orders], store=f"sqlite:///{tmp_path / 'shop.db'}")
    one, other = Tagged(order_id="1", tags={0, 8}), Tagged(order_id="1", tags={8, 0})
    assert list(one.tags) != list(other.tags)  # so that their bytes differ
    async with app:
        await app.publish(one, id="x")
        await app.publish(other, id="x")
        async with app.client() as client:
            await client.publish(other, id="x")
        with pytest.raises(EventExistsError, match="other data"):
            await app.publish(Tagged(order_id="1", tags={0}), id="x")
        assert len([event async for event in app.events()]) == 1


async def test_an_event_that_starts_nothing_because_its_id_is_taken_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = Service("shop")

    @shop.saga(on=Happened, id=lambda event: f"saga-{event.key}")
    async def begin(event: Happened) -> int:
        return event.number

    async with Harness(services=[things, shop]) as harness:
        await publish(harness, 1)
        await harness.idle()
        assert "saga-k" not in caplog.text
        (id,) = await harness.app.publish(Happened(key="k", number=2))
        await harness.idle()

        assert await harness.execution("saga-k").result() == 1
    (told,) = [record.getMessage() for record in caplog.records if "saga-k" in record.message]
    assert f"things/{id}" in told


async def test_what_an_activity_starts_under_an_id_that_is_taken_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = Service("shop")

    @shop.workflow
    async def begun(number: int) -> int:
        return number

    @shop.on(Happened)
    async def begin(event: Happened) -> None:
        activity.start(begun, event.number, id="taken")

    async with Harness(services=[things, shop]) as harness:
        await publish(harness, 1, 2)
        await harness.idle()

        assert await harness.execution("taken").result() == 1
    assert [record for record in caplog.records if "'taken'" in record.getMessage()]


# ---- time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("restarts", [False, True], ids=["at once", "after a restart"])
async def test_a_wait_finds_an_event_although_the_clock_was_set_back(restarts: bool) -> None:
    shop = Service("shop")

    @shop.workflow
    async def waits() -> int:
        return (await workflow.event(Happened, key="k")).number

    def app_at(at: datetime) -> App:
        return App("test", services=[things, shop], store=store, clock=VirtualClock(at))

    store = MemoryStore()
    async with app_at(NOON) as app:
        await app.start(waits, id="one")
        if not restarts:
            app.node.committer.clock = VirtualClock(NOON - HOUR)
            await app.publish(Happened(key="k", number=5))
        await app.idle()
    async with app_at(NOON - HOUR) as app:
        if restarts:
            await app.publish(Happened(key="k", number=5))
        assert await app.execution("one").result(timeout=SECONDS) == 5


# ---- a crash that meets the stop --------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("commit", range(1, 8))
async def test_a_crash_armed_for_a_commit_of_the_stop_hangs_nobody(
    commit: int, when: Literal["before", "after"]
) -> None:
    desk = Service("desk")

    @desk.event(key="room")
    class Left(Event):
        room: int

    @desk.on(Left)
    async def clean(event: Left) -> None:
        """Do nothing."""

    async with Harness(services=[desk]) as harness:
        harness.crash_at_commit(commit, when=when)
        with contextlib.suppress(NodeStoppedError):
            await harness.app.publish(Left(room=1), id="1")
        await asyncio.wait_for(harness.restart(), SECONDS)
        await harness.app.publish(Left(room=1), id="1")
        await harness.idle()
