"""Takes events from the log to the queues: what was just appended from memory, the rest by reading.

The live stream serves every subscription that has kept up. A subscription that is new and begins at
the beginning, or comes back after a while, has a stream of its own until it has caught up; then it
joins the live one. A replay has a stream that ends. Streams read pages while there is room in
memory, so that a million events are caught up with in the memory of a few thousand.

Where several nodes share the log the live stream brings events by slot, to every subscription of a
service. Subscriptions of slots that come may have come unequally far (one is new to the app, and
the node that had these slots did not know it). So the streams of slots that came together join each
other first, from behind, and only what is left joins the live one: no subscription is offered an
event before those below it, or twice. For the same reason a stream that is ahead of the one that it
joins (the live one may be slow, because there is no room) waits for it.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence

from counterpoint.errors import StoreError
from counterpoint.model.messages import EventRow
from counterpoint.runtime.host import Host
from counterpoint.runtime.messaging.dispatcher import Dispatcher
from counterpoint.runtime.messaging.log_pages import page
from counterpoint.runtime.messaging.queues import NOTHING_KNOWN, Stream

PAGE = 500


class Streams:
    """The streams of a node, and the task that reads for them."""

    def __init__(
        self,
        node: Host,
        dispatcher: Dispatcher,
        *,
        replayed: Callable[[], None],
    ) -> None:
        self.node = node
        self.dispatcher = dispatcher
        self.live = Stream(0)
        self.others: list[Stream] = []
        """Those that catch up or replay."""
        self._replayed = replayed
        self._woken = asyncio.Event()
        self._grew = False
        """Something was appended that the live stream has not taken from memory."""
        self.reading = False
        self._without_room = False
        """It goes on reading when attempts have ended."""
        self.ready = False
        """Whether the subscriptions were read from the store since it was opened."""
        self.awaited: Callable[[], Collection[str]] = tuple
        """Returns the types of events that workflows here wait for, whoever appends them."""
        self.met: Callable[[Sequence[EventRow]], None] = _nobody
        """Hears of events in the log that another node may have appended."""

    @property
    def quiet(self) -> bool:
        """Whether everything in the log is in the queues; a fault stops the reading."""
        if self.node.fault is not None:
            return True
        behind = self.live.backlog or bool(self.others)
        return self.ready and not (
            self.reading or self._woken.is_set() or (behind and not self._without_room)
        )

    def begin(self, live: Stream, others: Sequence[Stream], last_position: int) -> None:
        """Serve these streams, of which the store says how far they have come."""
        self.live = live
        self.others = list(others)
        self.dispatcher.be_careful(last_position)
        self.ready = True
        self.poke()

    def stop(self) -> None:
        """Serve nobody until `begin`."""
        self.ready = False
        self.live = Stream(0)
        self.others = []

    def poke(self) -> None:
        """Look whether there is something to read, and room for it."""
        self._woken.set()

    def add(self, stream: Stream) -> None:
        """Serve another stream: a replay."""
        self.others.append(stream)
        self.poke()

    def appended(self, events: Sequence[EventRow]) -> None:
        """Take events that this node has just appended to the log."""
        live = self.live
        if not self.ready:
            return
        routes, dispatcher = live.routes, self.dispatcher
        offer = dispatcher.offer
        for event in events:
            if live.backlog or dispatcher.full or event.position != live.frontier + 1:
                live.backlog = self._grew = True
                self.poke()
                return
            live.frontier = event.position
            if event.type in routes:
                offer(live, event)

    def grew(self) -> None:
        """Another node has appended to the log."""
        if self.ready:
            self.live.backlog = self._grew = True
            self.poke()

    def reaches(self, position: int) -> None:
        """The log reaches so far, as somebody has just seen it: a hint may have been lost."""
        if position > self.live.frontier:
            self.grew()

    def merge(self, stream: Stream) -> None:
        """Let the live stream go on with the slots of one that has caught up with it."""
        for service, slots in (stream.slots or {}).items():
            assert self.live.slots is not None  # noqa: S101 - several nodes share the log
            self.live.slots.setdefault(service, set()).update(slots)

    async def run(self) -> None:
        """Read for streams that are behind, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            self.reading = True
            self._without_room = False
            try:
                await self._read_all()
            except StoreError as error:
                self.node.store_failed(error)
            finally:
                self.reading = False
                self.node.check_idle()

    async def _read_all(self) -> None:
        progress = True
        while progress and self.ready:
            progress = False
            for stream in (self.live, *self.others):
                if self.dispatcher.full:
                    self._without_room = True  # whoever makes room pokes
                    return
                if stream.backlog and self._serves(stream) and await self._read(stream):
                    progress = True

    def _serves(self, stream: Stream) -> bool:
        """Whether a stream is still there: a failure replaces all, and a replay may be ended."""
        return stream is self.live or stream in self.others

    async def _read(self, stream: Stream) -> bool:
        """Offer the next page of a stream; return whether that is worth another look."""
        store, dispatcher = self.node.store, self.dispatcher
        if stream is self.live:
            self._grew = False
        until = await store.last_position()
        if stream.ends_at is not None:
            until = min(until, stream.ends_at)
        elif stream is not self.live:
            until = min(until, (stream.joins or self.live).frontier)
        numbers = [one.number for one in stream.subscriptions]
        types = list(stream.routes)
        if stream is self.live and stream.slots is not None:
            types += [of for of in self.awaited() if of not in stream.routes]
        events, known = await page(store, types, numbers, stream.frontier, until, PAGE)
        if not self._serves(stream):
            return False
        if stream is self.live and stream.slots is not None:
            self.met(events)
        for event in events:
            stream.frontier = event.position
            dispatcher.offer(stream, event, known.get(event.position, NOTHING_KNOWN))
        if len(events) < PAGE:
            stream.frontier = max(stream.frontier, until)
            going_on = [one for one in self.others if one.ends_at is None]
            dispatcher.look_for_unmet(min(one.frontier for one in (self.live, *going_on)))
            return self._caught_up(stream)
        await asyncio.sleep(0)
        return True

    def _caught_up(self, stream: Stream) -> bool:
        if stream is self.live:
            stream.backlog = self._grew  # what was appended meanwhile has said so
            stream.refresh()
            return stream.backlog
        if stream.ends_at is not None:
            if stream.frontier >= stream.ends_at:
                stream.backlog = False
                self.others.remove(stream)
                self._replayed()
            return False
        ahead = stream.joins or self.live
        if stream.frontier < ahead.frontier:
            return True
        if stream.frontier > ahead.frontier or any(one.joins is stream for one in self.others):
            return False  # first the other one comes so far, and those join that are behind
        self.others.remove(stream)
        stream.backlog = False
        stream.merged = True
        if stream.joins is not None:
            for one in stream.subscriptions:
                ahead.take_over(one)
        elif stream.slots is not None:
            self.merge(stream)
        else:
            for one in stream.subscriptions:
                self.live.add(one)
        return True


def _nobody(_: Sequence[EventRow]) -> None:
    """Nobody waits for events here."""
