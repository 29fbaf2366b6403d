"""A slot is given back when nothing about its keys is under way here, or being written."""

import asyncio
from types import SimpleNamespace
from typing import Any

from counterpoint import Event, Retry, Service
from counterpoint.codecs.json import JsonCodec
from counterpoint.model.messages import (
    EventRow,
    ReactionRow,
    ReactionStatus,
    SubscriptionRow,
    slot_of,
)
from counterpoint.model.rows import MailRow
from counterpoint.runtime.batch import Note
from counterpoint.runtime.mail import DiscardMail, mail_row
from counterpoint.runtime.messaging.acts import EventActs
from counterpoint.runtime.messaging.dispatcher import Dispatcher
from counterpoint.runtime.messaging.opening import enlist
from counterpoint.runtime.messaging.queues import Delivery, Item, Stream, Subscription

shop = Service("shop")
SLOT = slot_of("k")


@shop.event(key="key")
class Happened(Event):
    """Something happened."""

    key: str


@shop.on(Happened, retry=Retry(max_attempts=1))
async def take(event: Happened) -> None: ...


class Committer:
    """Keeps what it is to write until the test says that it is written."""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.answers: list[tuple[int, MailRow]] = []
        self.taken: list[int] = []

    def add(self, note: Note) -> None:
        self.notes.append(note)

    def answer(self, position: int, mail: MailRow) -> None:
        self.answers.append((position, mail))

    def take(self, position: int) -> None:
        self.taken.append(position)

    def written(self) -> None:
        notes, self.notes = self.notes, []
        for note in notes:
            note.written(())


class Log:
    """One event, which is a dead letter; its journal is read only when the test lets it."""

    def __init__(self, event: EventRow) -> None:
        self.event = event
        self.reading = asyncio.Event()
        self.go_on = asyncio.Event()

    async def events(self, _: object) -> list[EventRow]:
        return [self.event]

    async def reactions(self, *_: object) -> list[ReactionRow]:
        row = ReactionRow(1, self.event.position, ReactionStatus.DEAD, 0, None, 9, 1, None)
        return [row]

    async def journal(self, _: int) -> list[Any]:
        self.reading.set()
        await self.go_on.wait()
        return []


class Shares:
    """Says whose the slot is."""

    def __init__(self) -> None:
        self.here = True
        self.handed_on: list[MailRow] = []

    def has(self, _service: str, _slot: int) -> bool:
        return self.here

    def hand_on(self, _service: str, _slot: int, letter: MailRow) -> None:
        self.handed_on.append(letter)


def _subscribed(_: SubscriptionRow) -> None: ...


class Place:
    """A node that delivers the slot of one key, whose event is a dead letter."""

    def __init__(self) -> None:
        self.committer = Committer()
        self.event = EventRow(
            7, "shop", "e-7", "shop.Happened", 1, "k", SLOT, "c", None, None, 0, None,
            0, 0, "json", b"{}",
        )  # fmt: skip
        self.log = Log(self.event)
        self.left = 0
        self.node: Any = SimpleNamespace(
            store=self.log,
            committer=self.committer,
            codec=JsonCodec(),
            clock=SimpleNamespace(now=lambda: 1),
            stopping=False,
            fault=None,
            check_idle=lambda: None,
        )
        self.dispatcher = Dispatcher(self.node, lambda: None, self._leaves)
        row = SubscriptionRow(1, "shop", "shop.take", "shop.Happened", "", 0, 0, 0, first=0)
        target: Any = take
        self.subscription: Subscription = enlist(self.dispatcher, row, target)
        self.stream = Stream(100, slots={"shop": {SLOT}})
        self.stream.add(self.subscription)
        self.queue = self.subscription.lane.queue("k")

    def _leaves(self) -> None:
        self.left += 1

    @property
    def under_way(self) -> set[int]:
        return self.dispatcher.under_way("shop", {SLOT})

    def acts(self, shares: Shares) -> EventActs:
        streams: Any = SimpleNamespace(live=self.stream)
        known = {1: self.subscription}
        some: Any = shares
        registry: Any = None  # it is asked about data that somebody gives only
        return EventActs(self.node, registry, self.dispatcher, streams, known, _subscribed, some)

    def discard(self) -> tuple[MailRow, DiscardMail]:
        mail = DiscardMail(1, 7, None, None, "shop", "k")
        return mail_row("events", mail, 0, JsonCodec())._replace(position=3), mail

    def blocked(self) -> Delivery:
        item = Item(self.event, self.stream, (self.subscription,))
        self.queue.items.append(item)
        return Delivery(self.queue, item, self.subscription, 0)


def test_a_slot_stays_until_the_end_of_a_hold_is_written() -> None:
    """Else it would end the hold that the slot's next owner relies on."""
    place = Place()
    place.queue.hold = 7

    place.dispatcher.advance(place.queue)
    assert place.under_way == {SLOT}
    place.committer.written()

    assert place.under_way == set()
    assert place.left == 1


async def test_a_slot_stays_until_an_act_on_its_dead_letter_is_written() -> None:
    place = Place()
    place.log.go_on.set()

    assert await place.acts(Shares()).take(*place.discard()) is None
    assert place.under_way == {SLOT}
    place.committer.written()

    assert place.under_way == set()


async def test_an_act_goes_on_to_who_got_the_slot_while_the_letter_was_read() -> None:
    place, shares = Place(), Shares()
    taking = asyncio.create_task(place.acts(shares).take(*place.discard()))
    await place.log.reading.wait()
    shares.here = False
    place.log.go_on.set()
    await taking

    assert [letter.slot for letter in shares.handed_on] == [SLOT]
    assert not place.committer.notes


def test_what_failed_while_its_slot_left_is_not_waited_for_any_more() -> None:
    place = Place()
    delivery = place.blocked()
    place.dispatcher.leave("shop", {SLOT})
    place.dispatcher.deliveries.retrying[delivery] = None
    place.dispatcher.block(delivery)

    place.dispatcher.forget("shop", {SLOT})

    assert not place.dispatcher.deliveries.retrying
