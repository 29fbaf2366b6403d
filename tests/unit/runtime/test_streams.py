"""Streams of slots that come to a node: no event is offered twice, or before those below it."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from counterpoint import Event, Service
from counterpoint.model.messages import EventQuery, EventRow, ReactionRow, SubscriptionRow
from counterpoint.runtime.messaging.queues import Lane, Stream, Subscription
from counterpoint.runtime.messaging.streams import PAGE, Streams

shop = Service("shop")


@shop.event(key="key")
class Happened(Event):
    """Something happened."""

    key: str


@shop.on(Happened)
async def take(event: Happened) -> None: ...


class Log:
    """A log of one key, to which something may be appended whenever it is read."""

    def __init__(self, count: int) -> None:
        self.events_there = [_event(position) for position in range(1, count + 1)]
        self.appending = 0
        """How many of the next readings are each followed by another event."""
        self.grew: Callable[[], None] = lambda: None
        self.read: list[int] = []
        """After which positions it was read."""

    async def last_position(self) -> int:
        return len(self.events_there)

    async def events(self, query: EventQuery) -> list[EventRow]:
        self.read.append(query.after)
        until = query.until or 0
        found = [one for one in self.events_there if query.after < one.position <= until]
        if self.appending:
            self.appending -= 1
            self.events_there.append(_event(len(self.events_there) + 1))
            self.grew()
        return found[: query.limit]

    async def reactions(self, *_: object) -> list[ReactionRow]:
        return []


class Dispatcher:
    """Writes down what is offered to whom."""

    generation = 0
    full = False

    def __init__(self) -> None:
        self.offered: dict[int, list[int]] = {}

    def be_careful(self, _: int) -> None: ...

    def look_for_unmet(self, _: int) -> None: ...

    def offer(self, stream: Stream, event: EventRow, _: object = None) -> None:
        for lane, takers in stream.routes.get(event.type, ()):
            if stream.brings(lane.service, event):
                for one in takers:
                    self.offered.setdefault(one.number, []).append(event.position)


class Place:
    """The streams of a node that shares a log, with subscriptions that it delivers nothing of."""

    def __init__(self, log: Log, live_at: int, numbers: Sequence[int]) -> None:
        self.dispatcher = Dispatcher()
        host: Any = SimpleNamespace(store=log, fault=None, check_idle=lambda: None)
        dispatcher: Any = self.dispatcher
        self.streams = Streams(host, dispatcher, replayed=lambda: None)
        lane = Lane("shop", "")
        target: Any = take
        rows = [
            SubscriptionRow(n, "shop", f"shop.take{n}", "shop.Happened", "", 0, 0, 0, first=0)
            for n in numbers
        ]
        self.subscriptions = [Subscription(row, target, lane) for row in rows]
        live = Stream(live_at, slots={})
        for one in self.subscriptions:
            live.add(one)
        self.streams.begin(live, [], live_at)

    def arrives(self, *positions: int) -> list[Stream]:
        """Let the slot come, of which each subscription has come so far; return their streams."""
        streams = [Stream(position, None, {"shop": {0}}) for position in positions]
        for one, stream in zip(self.subscriptions, streams, strict=True):
            stream.add(one)
            if stream.frontier < max(positions):
                stream.joins = max(streams, key=lambda other: other.frontier)
            self.streams.add(stream)
        return streams

    async def read(self) -> None:
        await self.streams._read_all()  # pyright: ignore[reportPrivateUsage]


def _event(position: int) -> EventRow:
    return EventRow(
        position, "shop", f"e-{position}", "shop.Happened", 1, "k", 0, "c", None, None, 0, None,
        0, 0, "json", b"{}",
    )  # fmt: skip


async def test_what_comes_while_one_subscription_is_behind_is_offered_once_and_in_order() -> None:
    log = Log(3 * PAGE)
    place = Place(log, live_at=3 * PAGE, numbers=(1, 2))
    place.arrives(3 * PAGE, 0)
    log.appending, log.grew = 3, place.streams.grew

    await place.read()
    log.appending = 0
    place.streams.grew()
    await place.read()

    last = len(log.events_there) + 1
    assert place.dispatcher.offered == {1: [*range(3 * PAGE + 1, last)], 2: [*range(1, last)]}
    assert not place.streams.others


async def test_a_stream_that_is_ahead_of_the_live_one_waits_for_it() -> None:
    log = Log(20)
    place = Place(log, live_at=5, numbers=(1,))
    place.streams.live.backlog = False  # it has not heard of the others' events yet

    place.arrives(20)
    await place.read()
    assert place.streams.live.slots == {}
    place.streams.reaches(20)
    await place.read()

    assert place.streams.live.slots == {"shop": {0}}
    assert place.dispatcher.offered == {}


async def test_a_replay_that_is_ended_while_it_is_read_is_read_no_more() -> None:
    log = Log(20)
    place = Place(log, live_at=20, numbers=(1,))
    replay = Stream(0, 20, {"shop": {0}})
    replay.add(place.subscriptions[0])
    place.streams.add(replay)
    log.appending, log.grew = 1, place.streams.others.clear

    await place.read()

    assert place.dispatcher.offered == {}


async def test_streams_that_a_failure_replaced_are_read_no_further() -> None:
    log = Log(3 * PAGE)
    place = Place(log, live_at=3 * PAGE, numbers=(1, 2))
    place.arrives(PAGE, 2 * PAGE)

    def fail() -> None:
        place.streams.stop()
        place.streams.begin(Stream(3 * PAGE, slots={}), [], 3 * PAGE)

    log.appending, log.grew = 1, fail
    await place.read()

    assert log.read == [PAGE]
    assert place.dispatcher.offered == {}
