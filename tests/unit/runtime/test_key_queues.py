"""Queues of keys: what bounds a position, what keeps a hold, and what may not overtake."""

import asyncio
from collections.abc import Coroutine, Sequence
from types import SimpleNamespace
from typing import Any

from counterpoint import Event, Service
from counterpoint.codecs.json import JsonCodec
from counterpoint.model.messages import EventRow, SubscriptionRow
from counterpoint.runtime.batch import Note
from counterpoint.runtime.messaging import writing
from counterpoint.runtime.messaging.dispatcher import Dispatcher
from counterpoint.runtime.messaging.positions import low_waters, position_of
from counterpoint.runtime.messaging.queues import (
    Cursor,
    Delivery,
    Item,
    KeyQueue,
    Lane,
    Stream,
    Subscription,
)
from counterpoint.runtime.messaging.streams import Streams

shop = Service("shop")


@shop.event(key="key")
class Happened(Event):
    """Something happened."""

    key: str


@shop.on(Happened)
async def take(event: Happened) -> None: ...


class Place:
    """A lane with one subscription, a stream that brings its events, and the queue of a key."""

    def __init__(self, frontier: int = 100) -> None:
        self.lane = Lane("shop", "")
        row = SubscriptionRow(1, "shop", "shop.take", "shop.Happened", "", 0, 0, 0, first=0)
        target: Any = take
        self.subscription = Subscription(row, target, self.lane)
        self.stream = self.another_stream(frontier)
        self.queue: KeyQueue = self.lane.queue("k")

    def another_stream(self, frontier: int) -> Stream:
        stream = Stream(frontier)
        stream.add(self.subscription)
        return stream

    def item(self, position: int, stream: Stream | None = None) -> Item:
        row = EventRow(
            position, "shop", f"e-{position}", "shop.Happened", 1, "k", 0, "c", None, None, 0, None,
            0, 0, "json", b"{}",
        )  # fmt: skip
        return Item(row, stream or self.stream, (self.subscription,))

    def put(self, *positions: int) -> None:
        for position in positions:
            self.queue.items.append(self.item(position))

    @property
    def position(self) -> int:
        return position_of(self.subscription, low_waters([self.lane]))


def positions(items: Sequence[Item]) -> list[int]:
    return [item.event.position for item in items]


def test_a_position_passes_over_everything_where_nothing_is_open() -> None:
    assert Place().position == 100


def test_what_is_in_memory_bounds_the_position() -> None:
    place = Place()
    place.put(7, 9)

    assert place.position == 6


def test_what_was_left_in_the_log_bounds_the_position() -> None:
    place = Place()
    place.queue.cursors[place.stream] = Cursor(last=6, missed=9)

    assert place.position == 6


def test_what_is_held_bounds_no_position() -> None:
    place = Place()
    place.queue.hold = 5
    place.put(7)
    place.queue.cursors[place.stream] = Cursor(last=7, missed=9)

    assert place.position == 100


def test_what_is_below_a_hold_bounds_the_position() -> None:
    place = Place()
    place.queue.hold = 8
    place.put(7)
    place.queue.cursors[place.stream] = Cursor(last=5, missed=9)

    assert place.position == 5


def test_what_an_earlier_stream_has_brought_bounds_the_position() -> None:
    place = Place(frontier=50)
    place.put(7)
    place.another_stream(frontier=100)

    assert place.position == 6


def test_nothing_is_appended_from_elsewhere_while_something_is_left_in_the_log() -> None:
    place = Place()
    place.queue.cursors[place.stream] = Cursor(last=6, missed=9)

    assert not place.queue.offer(place.item(12))
    assert positions(list(place.queue.items)) == []
    assert place.queue.cursors[place.stream].missed == 12


def test_what_is_behind_a_blocked_event_is_read_again_from_there() -> None:
    place = Place()
    place.put(7, 8, 9)
    place.queue.cursors[place.stream] = Cursor(last=9, missed=12)
    place.queue.leave_in_log()

    assert positions(list(place.queue.items)) == [7]
    assert place.queue.cursors[place.stream].last == 7
    assert place.queue.cursors[place.stream].missed == 12


def delivered(place: Place) -> Note:
    """Write the success of the first event of the queue."""
    delivery = Delivery(place.queue, place.queue.items[0], place.subscription, 0)
    delivery.key = 1
    return writing.success(delivery, [], 1, JsonCodec(), lambda _: None, lambda _: None)


def test_the_last_delivery_of_a_key_releases_its_hold() -> None:
    place = Place()
    place.queue.hold = 7
    place.put(7)

    assert delivered(place).released == ("shop", "", "k")


def test_a_hold_stays_while_another_event_follows() -> None:
    place = Place()
    place.queue.hold = 7
    place.put(7, 8)

    assert delivered(place).released is None
    assert place.queue.hold == 7


def test_a_hold_stays_while_something_is_left_in_the_log() -> None:
    place = Place()
    place.queue.hold = 7
    place.put(7)
    place.queue.cursors[place.stream] = Cursor(last=7, missed=9)

    assert delivered(place).released is None
    assert place.queue.hold == 7


def test_a_hold_that_is_being_released_covers_nothing_that_comes() -> None:
    """A crash after the release finds the event only if the position stays before it."""
    place = Place()
    place.queue.hold = 7
    place.put(7)
    delivered(place)
    place.put(12)

    assert place.position == 6
    place.queue.items.popleft()
    assert place.position == 11


def test_a_hold_that_a_removed_reaction_may_need_stays_in_the_store_and_covers_nothing() -> None:
    place = Place()
    place.lane.keeps_holds = True
    place.queue.hold = 7
    place.put(7)

    assert delivered(place).released is None
    assert place.queue.hold is None


class SlowLog:
    """A log that is read only when the test says so."""

    def __init__(self, events: list[EventRow]) -> None:
        self.go_on = asyncio.Event()
        self._events = events

    async def events(self, _: object) -> list[EventRow]:
        await self.go_on.wait()
        return self._events

    async def reactions_at(self, _: object) -> list[object]:
        return []


class Reading:
    """A dispatcher that reads, when the test lets it, what the queue of a place left in the log."""

    def __init__(self, place: Place, *events: int) -> None:
        self.errands: list[asyncio.Task[Any]] = []
        self.log = SlowLog([place.item(position).event for position in events])
        node: Any = SimpleNamespace(store=self.log, stopping=True, spawn=self.spawn)
        self.dispatcher = Dispatcher(node, lambda: None)
        place.lane.types["shop.Happened"] = None

    def spawn(self, errand: Coroutine[Any, Any, Any]) -> None:
        self.errands.append(asyncio.create_task(errand))

    async def end(self) -> None:
        self.log.go_on.set()
        await asyncio.gather(*self.errands)


async def test_what_was_being_read_when_everything_was_forgotten_begins_nothing() -> None:
    place = Place()
    reading = Reading(place, 7)
    place.queue.cursors[place.stream] = Cursor(last=0, missed=7)
    reading.dispatcher.read_behind(place.queue)
    await asyncio.sleep(0)
    reading.dispatcher.forget_all()
    await reading.end()

    assert (reading.dispatcher.pending, reading.dispatcher.reading) == (0, 0)
    assert not place.queue.items


async def test_what_is_left_in_the_log_during_a_read_is_read_the_next_time() -> None:
    place = Place()
    other = place.another_stream(100)
    reading = Reading(place, 7)
    place.queue.cursors[place.stream] = Cursor(last=6, missed=7)
    reading.dispatcher.read_behind(place.queue)
    await asyncio.sleep(0)
    place.queue.cursors[other] = Cursor(last=2, missed=3)
    await reading.end()

    assert positions(list(place.queue.items)) == [7]
    assert place.queue.cursors[other].last == 2


def streams_behind(frontier: int, *, backlog: bool) -> tuple[Place, Streams]:
    """Return streams whose live one has taken the log up to a position."""
    place = Place(frontier)
    node: Any = SimpleNamespace(stopping=True)
    streams = Streams(node, Dispatcher(node, lambda: None), replayed=lambda: None)
    place.stream.backlog = backlog
    streams.live, streams.ready = place.stream, True
    return place, streams


def test_what_follows_directly_is_taken_from_memory() -> None:
    place, streams = streams_behind(6, backlog=False)
    streams.appended([place.item(7).event, place.item(8).event])

    assert place.stream.frontier == 8
    assert positions(list(place.queue.items)) == [7, 8]


def test_what_comes_while_older_events_are_unread_is_left_to_be_read() -> None:
    place, streams = streams_behind(3, backlog=True)
    streams.appended([place.item(7).event])

    assert place.stream.frontier == 3
    assert not place.queue.items


def test_what_comes_after_a_gap_is_left_to_be_read() -> None:
    place, streams = streams_behind(3, backlog=False)
    streams.appended([place.item(7).event])

    assert place.stream.frontier == 3
    assert place.stream.backlog
