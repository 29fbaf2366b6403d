"""What somebody does during a round: redrives and discards dead letters, replays events."""

from collections.abc import Awaitable, Callable

import msgspec
from tests.crash.flow import REPLAYABLE
from tests.crash.ledger import Ledger

from counterpoint.model.ids import event_execution_id
from counterpoint.model.messages import DeadLetterQuery, DeadLetterRow, EventQuery, EventRow
from counterpoint.model.records import NULL
from counterpoint.model.rows import MailRow
from counterpoint.ports.codec import Codec
from counterpoint.ports.store import Store
from counterpoint.runtime.mail import (
    EVENTS,
    DiscardMail,
    EventAct,
    RedriveMail,
    ReplayMail,
    mail_row,
)

PAGE = 100
LEFT_ALONE = 0.06
"""The share of keys whose dead letters nobody looks after."""
DISCARDED = 0.25
RANGE_MAX = 40


def left_alone(ledger: Ledger, key: str) -> bool:
    """Whether nobody looks after the dead letters of a key."""
    return ledger.chance("left alone", key) < LEFT_ALONE


class Person:
    """Looks for dead letters, and does something about each of them once."""

    def __init__(
        self,
        store: Store,
        codec: Codec,
        ledger: Ledger,
        post: Callable[[MailRow], Awaitable[None]],
    ) -> None:
        self.store = store
        self.codec = codec
        self.ledger = ledger
        self._post = post
        self._seen: set[tuple[int, int, int]] = set()

    async def look_after_letters(self) -> int:
        """Act on every dead letter that is new; return how many there were."""
        numbers = {one.number: one.replay for one in await self.store.subscriptions()}
        acted, after = 0, (0, 0)
        while letters := await self.store.dead_letters(DeadLetterQuery(after=after, limit=PAGE)):
            for letter in letters:
                after = letter.subscription, letter.position
                seen = (*after, letter.died_at)
                replay = numbers.get(letter.subscription)
                if seen in self._seen or replay is None:
                    continue
                if left_alone(self.ledger, letter.event_key) and not replay:
                    continue
                self._seen.add(seen)
                acted += 1
                await self._act_on(letter, replay)
        return acted

    async def replay(self, which: int, last: int, *, publish: bool) -> None:
        """Replay a range of the log into one of the reactions that may see events again."""
        name = REPLAYABLE[which % len(REPLAYABLE)]
        first = max(1, last - RANGE_MAX)
        mail = ReplayMail(name, first, last, publish=publish, actor="crash test")
        await self._say(EVENTS, mail, name=name, position=last, replay=0)

    async def _act_on(self, letter: DeadLetterRow, replay: int) -> None:
        place = letter.position
        query = EventQuery(after=place - 1, until=place, limit=1)
        (event,) = await self.store.events(query)
        where = letter.subscription, place
        mail: EventAct
        if not replay and self.ledger.chance(letter.name, place, "discarded") < DISCARDED:
            mail = DiscardMail(*where, actor="crash test")
        else:
            mail = RedriveMail(*where, self._cured(letter, event), actor="crash test")
        subject = event_execution_id(letter.name, event.source, event.id, replay)
        died = {"position": place, "replay": replay, "died_at": letter.died_at}
        await self._say(subject, mail, name=letter.name, **died)

    def _cured(self, letter: DeadLetterRow, event: EventRow) -> msgspec.Raw:
        """Return what the reaction gets instead of an event that nobody can take, or null."""
        data = msgspec.json.decode(self.codec.decode(event.data))
        if not data.get("poison") or not letter.name.startswith("payments."):
            return NULL
        return msgspec.Raw(msgspec.json.encode({**data, "poison": False}))

    async def _say(
        self,
        subject: str,
        mail: EventAct,
        *,
        name: str,
        position: int,
        replay: int,
        died_at: int = 0,
    ) -> None:
        row = mail_row(subject, mail, 0, self.codec)
        facts = {"name": name, "position": position, "replay": replay, "died_at": died_at}
        self.ledger.write("act", kind=row.kind, request=row.request_id, **facts)
        await self._post(row)
        self.ledger.write("acted", request=row.request_id)
