"""What people do to dead letters, subscriptions and the log, as it arrives by mail.

Every act is a row among the acts of the store, written in the commit that has its effect and
deletes its letter; an act on a dead letter is a record in the journal of its reaction, too.

A node that starts reads its mail while it reads what its store holds. So an act on a dead letter
waits until the letter's queue is read: what would be read of it meanwhile would be out of date.
"""

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence

import msgspec

from counterpoint.authoring.registry import Registry
from counterpoint.errors import CounterpointError
from counterpoint.model import records as r
from counterpoint.model.messages import (
    ActRow,
    EventQuery,
    EventRow,
    HoldRow,
    ReactionRow,
    ReactionStatus,
    SubscriptionRow,
)
from counterpoint.model.rows import MailRow
from counterpoint.runtime.batch import Note
from counterpoint.runtime.host import Host
from counterpoint.runtime.journals import journal_records, journal_row
from counterpoint.runtime.log import logger
from counterpoint.runtime.mail import (
    DiscardMail,
    EventAct,
    RedriveMail,
    ReplayMail,
    UnsubscribeMail,
)
from counterpoint.runtime.messaging import writing
from counterpoint.runtime.messaging.dispatcher import Dispatcher
from counterpoint.runtime.messaging.queues import Subscription
from counterpoint.runtime.messaging.shares import Shares
from counterpoint.runtime.messaging.streams import Streams
from counterpoint.runtime.messaging.targets import (
    contract_of_target,
    lane_name,
    target_of,
)

Place = tuple[int, int]
HOLDS_PAGE = 1_000


class EventActs:
    """Takes over what people ask for; each method returns why a letter has to wait, or None."""

    def __init__(
        self,
        node: Host,
        registry: Registry,
        dispatcher: Dispatcher,
        streams: Streams,
        subscriptions: Mapping[int, Subscription],
        subscribed: Callable[[SubscriptionRow], None],
        shares: Shares | None,
    ) -> None:
        self.node = node
        self.registry = registry
        self.dispatcher = dispatcher
        self.streams = streams
        self.subscriptions = subscriptions
        self._subscribed = subscribed
        self._shares = shares
        self._acting: dict[Place, Callable[[object], None]] = {}
        """Dead letters about which an act is being written, and what to call after that."""

    def forget_all(self) -> None:
        """Forget what was being written."""
        self._acting.clear()

    async def take(self, row: MailRow, mail: EventAct) -> str | None:
        """Do what a letter asks for."""
        if isinstance(mail, ReplayMail):
            return await self._replay(row, mail)
        if isinstance(mail, UnsubscribeMail):
            return await self._unsubscribe(row, mail)
        return await self._on_dead_letter(row, mail)

    # ---- dead letters -------------------------------------------------------------------------

    async def _on_dead_letter(self, row: MailRow, mail: RedriveMail | DiscardMail) -> str | None:
        store, codec = self.node.store, self.node.codec
        place = (mail.subscription, mail.position)
        subscription = self.subscriptions.get(mail.subscription)
        if subscription is None and isinstance(mail, RedriveMail):
            return "no service of this app has its reaction"
        events = await store.events(
            EventQuery(after=mail.position - 1, until=mail.position, limit=1)
        )
        if self._is_elsewhere(row, subscription, events):
            return None
        generation = self.dispatcher.generation
        dead = await self._dead(mail)
        while dead and subscription is not None and self._is_read_now(subscription, events):
            await asyncio.sleep(0)
            dead = await self._dead(mail)
        records = journal_records(await store.journal(dead.key or 0), codec) if dead else []
        if generation != self.dispatcher.generation:
            return None  # the store failed, and all mail is read again
        if self._is_elsewhere(row, subscription, events):  # since this began
            return None
        if dead is None or not events or place in self._acting:
            self._refuse(row, "it is no dead letter, or no more")
            return None
        self._act_on(row, mail, dead, events[0], records, subscription)
        return None

    def _act_on(
        self,
        row: MailRow,
        mail: RedriveMail | DiscardMail,
        dead: ReactionRow,
        event: EventRow,
        records: list[r.Record],
        subscription: Subscription | None,
    ) -> None:
        wrong = self._wrong_data(subscription, mail.data if isinstance(mail, RedriveMail) else None)
        if wrong is not None:
            self._refuse(row, wrong)
            return
        keeps: Callable[[object], None] = (
            _nothing  # no slot is this node's for an event that it does not deliver
        )
        if subscription is not None:
            keeps = self.dispatcher.occupy(subscription.row.service, event.key)
        self._acting[mail.subscription, mail.position] = keeps
        if isinstance(mail, RedriveMail) and subscription is not None:
            self._redrive(row, mail, dead, event, records, subscription)
        elif isinstance(mail, DiscardMail):
            self._discard(row, mail, dead, event, records)

    def _is_elsewhere(
        self, row: MailRow, subscription: Subscription | None, events: Sequence[EventRow]
    ) -> bool:
        """Hand a letter on if another node delivers the events of its slot, or soon will."""
        if subscription is None or self._shares is None or not events:
            return False
        service, slot = subscription.row.service, events[0].slot
        if self._shares.has(service, slot):
            return False
        self._shares.hand_on(service, slot, row._replace(about=service, slot=slot))
        return True

    async def _dead(self, mail: RedriveMail | DiscardMail) -> ReactionRow | None:
        """Return the row of what a letter is about, if that is a dead letter."""
        rows = await self.node.store.reactions([mail.subscription], mail.position, mail.position)
        dead = [one for one in rows if one.status is ReactionStatus.DEAD and one.key is not None]
        return dead[0] if dead else None

    def _is_read_now(self, subscription: Subscription, events: Sequence[EventRow]) -> bool:
        """Whether the queue of a dead letter reads from the store what is known of it."""
        queue = subscription.lane.queues.get(events[0].key) if events else None
        if queue is None:
            return False
        active = queue.active
        resumed = (
            active is not None
            and active.subscription is subscription
            and active.event.position == events[0].position
        )
        return resumed or queue.reading or queue in self.dispatcher.held

    def _redrive(
        self,
        row: MailRow,
        mail: RedriveMail,
        dead: ReactionRow,
        event: EventRow,
        records: list[r.Record],
        subscription: Subscription,
    ) -> None:
        now = self.node.clock.now()
        record = r.Redriven(now, row.request_id, mail.data, mail.actor, mail.reason)
        changed = dead._replace(status=ReactionStatus.RETRYING, attempts=0, due_at=now)
        written = functools.partial(self._redriven, changed, event, [*records, record])
        detail = {"data": mail.data} if _is_given(mail.data) else {}
        note = self._note(row, mail, changed, record, len(records), written, detail)
        lane = subscription.lane
        note.held = HoldRow(lane.service, lane.name, event.key, event.position)
        self.node.committer.add(note)

    def _redriven(
        self, row: ReactionRow, event: EventRow, records: Sequence[r.Record], _: object
    ) -> None:
        subscription = self.subscriptions.get(row.subscription)
        if subscription is not None:
            self.dispatcher.redrive(subscription, self.streams.live, event, row, records)
        self._acted((row.subscription, row.position))

    def _discard(
        self,
        row: MailRow,
        mail: DiscardMail,
        dead: ReactionRow,
        event: EventRow,
        records: list[r.Record],
    ) -> None:
        now = self.node.clock.now()
        record = r.Discarded(now, row.request_id, mail.actor, mail.reason)
        changed = dead._replace(status=ReactionStatus.DISCARDED, finished_at=now)
        written = functools.partial(self._discarded, changed, event)
        self.node.committer.add(self._note(row, mail, changed, record, len(records), written, {}))

    def _discarded(self, row: ReactionRow, event: EventRow, _: object) -> None:
        subscription = self.subscriptions.get(row.subscription)
        if subscription is not None:
            self.dispatcher.discarded(subscription, event)
        self._acted((row.subscription, row.position))

    def _acted(self, place: Place) -> None:
        over = self._acting.pop(place, None)
        if over is not None:
            over(None)

    def _note(
        self,
        row: MailRow,
        mail: RedriveMail | DiscardMail,
        changed: ReactionRow,
        record: r.Record,
        seq: int,
        written: Callable[[Sequence[EventRow]], None],
        detail: Mapping[str, object],
    ) -> Note:
        node = self.node
        place = (changed.subscription, changed.position)
        note = Note(written, functools.partial(self._refused, row, place))
        note.changed = changed
        note.revived = place
        note.journal = journal_row(changed.key or 0, seq + 1, [record], node.codec)
        note.acts = (self._act(row, row.execution_id, mail, detail),)
        note.taken = (row.position,)
        return note

    def _wrong_data(self, subscription: Subscription | None, data: r.Payload | None) -> str | None:
        if data is None or not _is_given(data) or subscription is None:
            return None
        contract = self.registry.contracts[subscription.type]
        try:
            contract.decode(bytes(data), contract.version)
        except CounterpointError as error:
            return str(error)
        return None

    # ---- subscriptions ------------------------------------------------------------------------

    async def _replay(self, row: MailRow, mail: ReplayMail) -> str | None:
        node = self.node
        where = await self._place_of(mail.name)
        if where is None:
            return f"no service of this app has {mail.name}"
        service, of_type, lane = where
        number = await node.next_key()
        new = SubscriptionRow(
            number,
            service,
            mail.name,
            of_type,
            lane,
            number,
            mail.first - 1,
            node.clock.now(),
            mail.last,
            mail.publish,
            mail.key,
            mail.first - 1,
        )

        note = Note(lambda _: self._subscribed(new), functools.partial(self._refused, row, None))
        note.subscriptions = (new,)
        detail = {"first": mail.first, "last": mail.last, "key": mail.key, "publish": mail.publish}
        note.acts = (self._act(row, mail.name, mail, {**detail, "replay": number}),)
        note.taken = (row.position,)
        node.committer.add(note)
        return None

    async def _place_of(self, name: str) -> tuple[str, str, str] | None:
        """Return the service, the type of event and the lane of what may be on other nodes only."""
        target = target_of(self.registry, name)
        if target is not None:
            return target.service, contract_of_target(target).type, lane_name(target)
        if self._shares is not None:
            for row in await self.node.store.subscriptions():
                if row.name == name and not row.replay:
                    return row.service, row.type, row.lane
        return None

    async def _unsubscribe(self, row: MailRow, mail: UnsubscribeMail) -> str | None:
        rows = await self.node.store.subscriptions()
        numbers = [one.number for one in rows if one.name == mail.name]
        here = any(number in self.subscriptions for number in numbers)
        if not numbers or here or await self._is_hosted(mail.name):
            self._refuse(row, "no such subscription, or the app still has its reaction")
            return None
        gone = {(one.service, one.lane) for one in rows if one.name == mail.name}
        left = gone - {(one.service, one.lane) for one in rows if one.name != mail.name}
        held = [hold for lane in sorted(left) for hold in await self._holds(*lane)]

        def written(_: object) -> None:
            for hold in held:  # of lanes in which nobody is any more
                self.node.committer.add(writing.release(*hold[:3]))

        note = Note(written, functools.partial(self._refused, row, None))
        note.unsubscribed = numbers
        note.acts = (self._act(row, mail.name, mail, {"numbers": numbers}),)
        note.taken = (row.position,)
        self.node.committer.add(note)
        return None

    async def _is_hosted(self, name: str) -> bool:
        """Whether another node still has a reaction."""
        if self._shares is None:
            return False
        return any(name in node.subscriptions for node in await self._shares.store.nodes())

    async def _holds(self, service: str, lane: str) -> list[HoldRow]:
        found: list[HoldRow] = []
        after = (service, lane, "")
        while rows := await self.node.store.holds(after=after, limit=HOLDS_PAGE):
            found += [hold for hold in rows if hold[:2] == (service, lane)]
            if rows[-1][:2] != (service, lane):
                break
            after = rows[-1][:3]
        return found

    # ---- inside -------------------------------------------------------------------------------

    def _act(
        self, row: MailRow, subject: str, mail: EventAct, detail: Mapping[str, object]
    ) -> ActRow:
        codec = self.node.codec
        return ActRow(
            self.node.clock.now(),
            row.kind,
            subject,
            None,
            row.request_id,
            mail.actor,
            mail.reason,
            codec.tag,
            codec.encode(msgspec.json.encode(detail)),
        )

    def _refuse(self, row: MailRow, why: str) -> None:
        logger.warning("a %s of %r was not taken: %s", row.kind, row.execution_id, why)
        self.node.committer.take(row.position)

    def _refused(self, row: MailRow, place: Place | None, error: Exception) -> None:
        if place is not None:
            self._acted(place)
        logger.error("a %s of %r cannot be written: %s", row.kind, row.execution_id, error)


def _nothing(_: object) -> None:
    """Nothing follows from the end of an act."""


def _is_given(data: r.Payload | None) -> bool:
    """Whether a redrive has data of its own; `null` is that of no event."""
    return data is not None and bytes(data) != bytes(r.NULL)
