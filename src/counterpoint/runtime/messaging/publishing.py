"""Publishes events that come from outside: from programs, from clients' letters, from CloudEvents.

Safety argument (P1, P10): who publishes is answered after the commit that holds the events, or the
letter that does. An event whose id was given is looked up first, in the log and among those on
their way there; the same one again is no error and no second event, another one under the id is
refused.
"""

import asyncio
import functools
from collections.abc import Callable, Sequence

import msgspec

from counterpoint.authoring.registry import Registry
from counterpoint.errors import ConflictError, CounterpointError, EventExistsError
from counterpoint.model.messages import EventRow, slot_of
from counterpoint.ports.codec import Codec
from counterpoint.ports.messages import ReadableMessages
from counterpoint.runtime.batch import Note
from counterpoint.runtime.host import Host
from counterpoint.runtime.mail import PostedEvent


class Publishing:
    """The door through which events come into a node's log."""

    def __init__(self, node: Host) -> None:
        self.node = node
        self._same = same_data(node.registry, node.codec)
        self._on_their_way: dict[tuple[str, str], tuple[EventRow, asyncio.Future[bool]]] = {}

    async def publish(
        self,
        rows: Sequence[EventRow],
        *,
        given_ids: bool,
        letter: int | None = None,
    ) -> None:
        """Append events to the log, in one commit; returns once they are durable.

        With *given_ids* the ids may be there already. *letter* is the position of the mail that
        asked for it.

        Raises:
            EventExistsError: an id was published before with other content; nothing is published.
            NodeStoppedError, StoreError: it may not have been published.
        """
        self.node.check_accepting()
        while True:
            new = await self._new(rows) if given_ids else list(rows)
            if not new:
                if letter is not None:
                    self.node.committer.take(letter)
                return
            if await self._write(new, letter, remember=given_ids):
                return

    async def _new(self, rows: Sequence[EventRow]) -> list[EventRow]:
        seen: dict[tuple[str, str], EventRow] = {}
        new: list[EventRow] = []
        for row in rows:
            place = (row.source, row.id)
            await self._let_first(place, row)
            other = seen.get(place) or await self.node.store.event(*place)
            if other is None:
                new.append(row)
            else:
                check_same_event(other, row, self._same)
            seen[place] = row
        return new

    async def _let_first(self, place: tuple[str, str], row: EventRow) -> None:
        """Wait for who publishes the same event: this one is durable when that one is."""
        if place in self._on_their_way:
            first, done = self._on_their_way[place]
            check_same_event(first, row, self._same)
            await asyncio.wait([done])

    async def _write(self, rows: list[EventRow], letter: int | None, *, remember: bool) -> bool:
        """Write events; return False where some of them turn out to be in the log."""
        self.node.check_accepting()  # it may have ended while the store was asked
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()
        note = Note(
            lambda _: None if done.done() else done.set_result(True),
            functools.partial(_refuse, done),
            functools.partial(_fail, done),
        )
        note.events = rows
        if letter is not None:
            note.taken = (letter,)
        if not remember:
            self.node.committer.add(note)
            return await asyncio.shield(done)
        places = [(row.source, row.id) for row in rows]
        if any(place in self._on_their_way for place in places):
            return False  # somebody was quicker while the store was asked: both would be refused
        for row in rows:
            self._on_their_way[row.source, row.id] = (row, done)
        try:
            self.node.committer.add(note)
            return await asyncio.shield(done)
        finally:
            for row in rows:
                self._on_their_way.pop((row.source, row.id), None)


def _refuse(done: "asyncio.Future[bool]", error: Exception) -> None:
    if done.done():
        return
    if isinstance(error, ConflictError):
        done.set_result(False)
    else:
        done.set_exception(error)


def _fail(done: "asyncio.Future[bool]", error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)


def posted_row(event: PostedEvent, now: int, codec: Codec) -> EventRow:
    """Return the row of an event that a client has posted, recorded now."""
    return EventRow(
        0,
        event.source,
        event.id,
        event.event_type,
        event.version,
        event.key,
        slot_of(event.key),
        event.correlation_id,
        event.causation_id,
        None,
        event.hops,
        event.traceparent,
        event.time,
        now,
        codec.tag,
        codec.encode(bytes(event.data)),
    )


def posted(row: EventRow, codec: Codec) -> PostedEvent:
    """Return an event as a client posts it."""
    return PostedEvent(
        row.source,
        row.id,
        row.type,
        row.version,
        row.key,
        row.correlation_id,
        row.causation_id,
        row.hops,
        row.traceparent,
        row.time,
        msgspec.Raw(codec.decode(row.data)),
    )


Same = Callable[[EventRow, EventRow], bool]


def same_data(registry: Registry, codec: Codec) -> Same:
    """Return what tells whether two events of one type and version say the same.

    Their bytes may differ: a set is written in the order of its hashes.
    """

    def same(one: EventRow, other: EventRow) -> bool:
        contract = registry.contracts.get(one.type)
        if contract is None or one.codec != other.codec:
            return False
        try:
            values = [contract.decode(codec.decode(e.data), e.version) for e in (one, other)]
        except CounterpointError:
            return False
        return bool(values[0] == values[1])

    return same


def check_same_event(published: EventRow, row: EventRow, same: Same) -> None:
    """Refuse an event whose id was published before with other content.

    Raises:
        EventExistsError: type, version, key or data differ; says which.
    """
    differing: list[tuple[str, Callable[[EventRow], object]]] = [
        ("type", lambda e: e.type),
        ("version", lambda e: e.version),
        ("key", lambda e: e.key),
        ("data", lambda e: (e.codec, e.data)),
    ]
    for what, of in differing:
        if of(published) != of(row) and not (what == "data" and same(published, row)):
            raise EventExistsError(
                row.source,
                row.id,
                f"with other {what}" if what == "data" else f"with another {what}",
            )


async def look_up(store: ReadableMessages, rows: Sequence[EventRow], same: Same) -> list[EventRow]:
    """Return those of *rows* that are not in the log.

    Raises:
        EventExistsError: one is, with other content.
    """
    new: list[EventRow] = []
    for row in rows:
        other = await store.event(row.source, row.id)
        if other is None:
            new.append(row)
        else:
            check_same_event(other, row, same)
    return new
