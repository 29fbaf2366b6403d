"""What the tests of events share: events, reactions that obey a test, looks into the store."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from counterpoint import Event, Retry, Service
from counterpoint.errors import NodeStoppedError, StoreError
from counterpoint.model import records as r
from counterpoint.model.ids import generate_id
from counterpoint.model.messages import (
    DeadLetterQuery,
    DeadLetterRow,
    EventQuery,
    EventRow,
    Messages,
    ReactionRow,
    ReactionStatus,
    slot_of,
)
from counterpoint.model.rows import Commit
from counterpoint.runtime.mail import EVENTS, DiscardMail, Mail, RedriveMail, ReplayMail, mail_row
from counterpoint.testing import Harness

ALL = 1_000_000
TURNS_MORE = 100
"""Turns of the event loop, while virtual time stands still."""
BRIEF = Retry(max_attempts=2, jitter=0)
ONCE = Retry(max_attempts=1)

things = Service("things")


@things.event(key="key")
class Happened(Event):
    """Something happened."""

    key: str
    number: int = 0


@things.event(key="key")
class Followed(Event):
    """Something followed from it."""

    key: str
    number: int = 0


Some = Happened | Followed
Then = Callable[[Any], list[Some]]


class Books:
    """What reactions have seen, and how their attempts are to end."""

    def __init__(self) -> None:
        self.began: list[tuple[str, str, int]] = []
        """Each attempt: the reaction's short name, the event's key and its number."""
        self.ended: list[tuple[str, str, int]] = []
        """Each attempt that returned."""
        self.faults: dict[tuple[str, int], deque[BaseException | Callable[[], Any]]] = defaultdict(
            deque
        )
        self.poison: set[tuple[str, int]] = set()

    def fail(self, name: str, number: int, *errors: BaseException | Callable[[], Any]) -> None:
        """Let the next attempts of a reaction at the events of a number fail, or call something."""
        self.faults[name, number].extend(errors)

    def numbers(self, name: str, key: str | None = None) -> list[int]:
        """Return the numbers of the events that a reaction has dealt with, in that order."""
        return [n for who, of, n in self.ended if who == name and key in (None, of)]

    async def enter(self, name: str, event: Any) -> None:
        """Write that an attempt began, and do what the test wants of it."""
        self.began.append((name, event.key, event.number))
        if (name, event.number) in self.poison:
            raise ValueError(f"{name} cannot take {event.number}")
        faults = self.faults[name, event.number]
        if faults:
            fault = faults.popleft()
            if isinstance(fault, BaseException):
                raise fault.with_traceback(None)
            await fault()
        self.ended.append((name, event.key, event.number))


def nothing(_: Any) -> list[Some]:
    """What a reaction returns from which nothing follows."""
    return []


def follow(event: Any) -> list[Some]:
    """What a reaction returns from which one event follows."""
    return [Followed(key=event.key, number=event.number)]


def reaction(
    service: Service,
    name: str,
    books: Books,
    *,
    on: type[Event] = Happened,
    then: Then = nothing,
    retry: Retry = BRIEF,
    **options: Any,
) -> None:
    """Declare a reaction that writes into *books*."""

    @service.on(on, name=f"{service.name}.{name}", retry=retry, **options)
    async def handle(event: Event) -> list[Happened | Followed]:
        await books.enter(name, event)
        return then(event)


def deployed(books: Books, *names: str, **options: Any) -> list[Service]:
    """Return the services of an app in which `shop` has these reactions."""
    shop = Service("shop")
    for name in names:
        reaction(shop, name, books, **options)
    return [things, shop]


async def publish(harness: Harness, *numbers: int, key: str = "k", on: Any = Happened) -> None:
    """Publish events of one key, one after the other."""
    for number in numbers:
        await harness.app.publish(on(key=key, number=number))


async def log(harness: Harness, on: type[Event] | None = None) -> list[EventRow]:
    """Return the events that are in the log."""
    types = () if on is None else (f"things.{on.__name__}",)
    return await harness.store.inner.events(EventQuery(types=types, limit=ALL))


def number_of(row: EventRow) -> int:
    """Return the number of an event of the log."""
    data: dict[str, int] = msgspec.json.decode(row.data)
    return data["number"]


async def followed(harness: Harness, key: str | None = None) -> list[int]:
    """Return the numbers of the events that followed, in the order of the log."""
    rows = await log(harness, Followed)
    return [number_of(row) for row in rows if key in (None, row.key)]


async def dead(harness: Harness) -> list[DeadLetterRow]:
    """Return all dead letters."""
    return await harness.store.inner.dead_letters(DeadLetterQuery(limit=ALL))


def words(letter: DeadLetterRow) -> str:
    """Return what a dead letter says of its cause."""
    (record,) = r.decode_records(letter.error)
    assert isinstance(record, r.Died)
    return record.error.message


async def marks(harness: Harness) -> list[ReactionRow]:
    """Return the rows of all reactions, in the order of the log."""
    numbers = [row.number for row in await harness.store.inner.subscriptions()]
    return await harness.store.inner.reactions(numbers, 0, ALL)


async def statuses(harness: Harness) -> list[ReactionStatus]:
    """Return how the reactions stand, in the order of the log."""
    return [row.status for row in await marks(harness)]


async def holds(harness: Harness) -> list[tuple[str, int]]:
    """Return the keys that are held, and from where on."""
    rows = await harness.store.inner.holds(after=("", "", ""), limit=ALL)
    return [(row.event_key, row.position) for row in rows]


async def post(harness: Harness, mail: Mail) -> None:
    """Send a letter about events to the node, and let it be taken over."""
    node = harness.app.node
    await node.post(mail_row(EVENTS, mail, node.clock.now(), node.codec))
    await harness.settle()


async def turns(done: Callable[[], bool] = lambda: True) -> None:
    """Let the app run until *done*, and so long that anything else would have begun."""
    left = TURNS_MORE
    while left:
        await asyncio.sleep(0)
        left = left - 1 if done() else TURNS_MORE


async def redrive(harness: Harness, letter: DeadLetterRow, data: object = None) -> None:
    """Try a dead letter again, perhaps with other data."""
    raw = msgspec.Raw(msgspec.json.encode(data))
    mail = RedriveMail(letter.subscription, letter.position, raw, "ann", "mended")
    await post(harness, mail)


async def discard(harness: Harness, letter: DeadLetterRow) -> None:
    """Discard a dead letter."""
    await post(harness, DiscardMail(letter.subscription, letter.position, "ann", "no matter"))


async def replay(harness: Harness, name: str, first: int, last: int, **options: Any) -> None:
    """Replay a range of the log into a reaction."""
    await post(harness, ReplayMail(name, first, last, actor="ann", **options))


def raw_event(
    data: object,
    *,
    key: str = "k",
    on: type[Event] = Happened,
    version: int = 1,
    hops: int = 0,
    at: int = 0,
) -> EventRow:
    """Return an event as somebody else may have written it into the log."""
    body = data if isinstance(data, bytes) else msgspec.json.encode(data)
    id = generate_id()
    type = f"things.{on.__name__}"
    return EventRow(
        0, "things", id, type, version, key, slot_of(key), id, None, None, hops, None, at, at,
        "json", body,
    )  # fmt: skip


async def insert(harness: Harness, rows: Sequence[EventRow]) -> None:
    """Append events to the log past the node: it reads them at its next start."""
    await harness.store.inner.commit(Commit(messages=Messages(events=rows)))


async def live_on(harness: Harness, *, starts_max: int = 100) -> None:
    """Start the node again after each crash, until nothing is left to do and nobody is armed."""
    for _ in range(starts_max):
        try:
            await harness.settle()
            if not harness.running:
                await harness.restart()
            await harness.idle()
        except (NodeStoppedError, StoreError):
            continue
        if harness.running:
            harness.store.heal()  # no crash is left for the commits of the last stop
            return
    raise AssertionError("the node does not come to rest")
