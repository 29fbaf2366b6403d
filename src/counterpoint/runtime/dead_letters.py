"""What a process can do about dead letters: find them, look at them, redrive or discard them.

An act is a letter to the node, durable once it is sent. It is checked here first, so that whoever
asks is told what is wrong; the node checks it again when it takes it over.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from counterpoint.authoring.attempt import EventInfo
from counterpoint.authoring.event import Contract, Event
from counterpoint.authoring.registry import Registry
from counterpoint.errors import (
    ArgumentsError,
    DefinitionError,
    ExecutionNotFoundError,
    ExecutionRefusedError,
    InvalidEventError,
    PayloadError,
    PayloadTooLargeError,
)
from counterpoint.model.ids import event_execution_id
from counterpoint.model.messages import (
    DeadLetterQuery,
    DeadLetterRow,
    EventQuery,
    EventRow,
    ReactionRow,
    ReactionStatus,
    SubscriptionRow,
)
from counterpoint.model.records import NULL, Died, Failure, Payload, decode_records
from counterpoint.ports.codec import Codec
from counterpoint.ports.messages import ReadableMessages
from counterpoint.runtime.description import JournalEntry, journal_entries, time_of
from counterpoint.runtime.journals import journal_records
from counterpoint.runtime.mail import DiscardMail, RedriveMail
from counterpoint.runtime.messaging.attempt import event_info
from counterpoint.runtime.messaging.targets import contract_of_target, target_of
from counterpoint.runtime.waiting_events import all_dead_letters, events_behind

if TYPE_CHECKING:
    from counterpoint.runtime.access import Access

LETTERS_AT_ONCE = 100
"""Letters of a group that are on their way to the store at the same time."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a reaction, or the start of a workflow, gave up on."""

    id: str
    """The id of the reaction's execution: `<reaction>:<source>/<event id>`."""
    reaction: str
    """The recorded name of the reaction, or of the workflow that the event should have started."""
    service: str
    lane: str
    cause: str
    """The recorded name of the error's type."""
    message: str
    attempts: int
    died_at: datetime
    correlation_id: str
    """The flow that it belongs to."""
    event: EventInfo
    data: Any
    """The event's own data, as plain JSON values."""
    behind: int
    """How many events of its key wait in its lane until it is redriven or discarded."""
    traceback: str | None = None
    journal: Sequence[JournalEntry] = ()
    """Its attempts, deaths and what people did, oldest first; only from `dead_letter(id)`."""


@dataclass(frozen=True, slots=True)
class DeadLetterGroup:
    """The dead letters of one reaction with one cause."""

    reaction: str
    cause: str
    count: int
    first_died_at: datetime
    last_died_at: datetime


class DeadLetters:
    """Finds dead letters, redrives and discards them."""

    def _access(self) -> "Access":
        raise NotImplementedError

    async def dead_letters(
        self,
        *,
        reaction: str | None = None,
        service: str | None = None,
        cause: str | None = None,
        key: str | None = None,
    ) -> AsyncIterator[DeadLetter]:
        """Iterate over the dead letters that match all filters, by reaction, then as in the log.

        *cause* is the recorded name of the error's type, *key* that of the event.
        """
        access = self._access()
        subscriptions = await access.store.subscriptions()
        query = DeadLetterQuery(reaction, service, cause, key)
        async for row in all_dead_letters(access.store, query):
            found = await _dead_letter(access, row, subscriptions)
            if found is not None:
                yield found

    async def dead_letter(self, id: str) -> DeadLetter:
        """Return a dead letter by its id, with its attempts.

        Raises:
            ExecutionNotFoundError: no reaction has this id.
            ExecutionRefusedError: the reaction is no dead letter, or is none any more.
        """
        access = self._access()
        place = await find_dead_letter(access, id)
        journal: list[JournalEntry] = []
        if place.reaction.key is not None:
            rows = await access.store.journal(place.reaction.key)
            journal = journal_entries(journal_records(rows, access.codec))
        subscriptions = await access.store.subscriptions()
        found = await _dead_letter(access, place.letter, subscriptions)
        if found is None:  # it was dealt with in the meantime
            raise ExecutionRefusedError(id, "it is no dead letter any more")
        return replace(found, journal=journal)

    async def dead_letter_groups(self) -> list[DeadLetterGroup]:
        """Return the dead letters counted by reaction and cause, the largest group first."""
        return [
            DeadLetterGroup(
                row.name,
                row.cause,
                row.letters,
                time_of(row.first_died_at),
                time_of(row.last_died_at),
            )
            for row in await self._access().store.dead_letter_groups()
        ]

    async def redrive(
        self,
        id: str,
        *,
        data: Any = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Let the reaction try a dead letter again, with new attempts; durable once this returns.

        With *data*, an event or plain JSON values, the reaction gets that in the place of the
        event's own; the event in the log stays as it is. What waits behind it follows its success.

        Raises:
            ExecutionNotFoundError: no reaction has this id.
            ExecutionRefusedError: it is no dead letter.
            InvalidEventError: *data* does not fit the contract, or has another key; names the
                fields.
            DefinitionError: *data* is an event of another type, or this app lacks the reaction and
                so cannot check it.
            PayloadError: *data* is no JSON, or is too large.
        """
        access = self._access()
        place = await find_dead_letter(access, id)
        payload = NULL
        if data is not None:
            contract = _contract(access.registry, place.letter)
            payload = checked_data(access.registry, contract, place.letter, data)
        await _redrive(access, id, place.letter, payload, actor, reason)

    async def redrive_group(
        self,
        reaction: str,
        cause: str | None = None,
        *,
        actor: str | None = None,
        reason: str | None = None,
    ) -> int:
        """Let a reaction try all its dead letters again, or those of one cause; return how many.

        Each is asked for by a letter of its own, in order; if one cannot be sent, those before it
        were.
        """
        access = self._access()
        numbers = {row.number: row for row in await access.store.subscriptions()}
        waiting: list[DeadLetterRow] = []
        count = 0
        # What is collected first does not change while letters are taken over.
        query = DeadLetterQuery(name=reaction, cause=cause)
        rows = [row async for row in all_dead_letters(access.store, query)]
        for row in rows:
            waiting.append(row)
            if len(waiting) == LETTERS_AT_ONCE or row is rows[-1]:
                letters = [(await _id_of(access.store, one, numbers), one) for one in waiting]
                known = [(id_, one) for id_, one in letters if id_ is not None]
                await asyncio.gather(
                    *(_redrive(access, id_, one, NULL, actor, reason) for id_, one in known)
                )
                count += len(known)
                waiting.clear()
        return count

    async def discard(self, id: str, *, reason: str, actor: str | None = None) -> None:
        """Say that a dead letter does not matter; what waits behind it goes on.

        It is durable once this returns. The event stays in the log.

        Raises:
            ArgumentsError: there is no reason.
            ExecutionNotFoundError: no reaction has this id.
            ExecutionRefusedError: it is no dead letter.
        """
        if not reason.strip():
            raise ArgumentsError("say why a dead letter is discarded: reason=", fields=["reason"])
        access = self._access()
        letter = (await find_dead_letter(access, id)).letter
        place = (letter.subscription, letter.position)
        mail = DiscardMail(*place, actor, reason, letter.service, letter.event_key)
        await access.post(id, mail)


# ---- finding ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """A dead letter in the store."""

    letter: DeadLetterRow
    reaction: ReactionRow


async def find_dead_letter(access: "Access", id: str) -> Found:
    """Return the dead letter of that id.

    Raises:
        ExecutionNotFoundError: no reaction has this id.
        ExecutionRefusedError: it is no dead letter.
    """
    store = access.store
    for row in await store.subscriptions():
        position = await _position(store, row, id)
        if position is None:
            continue
        reactions = await store.reactions([row.number], position, position)
        if not reactions:
            raise ExecutionRefusedError(id, "it is no dead letter: no attempt of it has ended")
        status = reactions[0].status
        query = DeadLetterQuery(subscription=row.number, after=(row.number, position - 1), limit=1)
        letters = await store.dead_letters(query)
        if status is not ReactionStatus.DEAD or not letters or letters[0].position != position:
            raise ExecutionRefusedError(id, f"it is no dead letter: it is {status}")
        return Found(letters[0], reactions[0])
    error = ExecutionNotFoundError(id)
    error.args = (f"no reaction has the id {id!r}",)
    raise error


async def _position(store: ReadableMessages, row: SubscriptionRow, id: str) -> int | None:
    """Return the position of the event to which a subscription's reaction has this id."""
    prefix, tail = f"{row.name}:", f"#{row.replay}" if row.replay else ""
    if id.startswith(prefix) and id.endswith(tail):
        place = id[len(prefix) : len(id) - len(tail)]
        cut = place.find("/")
        while cut >= 0:  # a source may have slashes, and so may an id
            event = await store.event(place[:cut], place[cut + 1 :])
            if event is not None and id == _id(row, event):
                return event.position
            cut = place.find("/", cut + 1)
    if "~" not in id:
        return None
    async for letter in all_dead_letters(store, DeadLetterQuery(subscription=row.number)):
        found = await _event(store, letter.position)  # the id was too long, and is a hash
        if found is not None and id == _id(row, found):
            return letter.position
    return None


def _id(row: SubscriptionRow, event: EventRow) -> str:
    return event_execution_id(row.name, event.source, event.id, row.replay)


async def _id_of(
    store: ReadableMessages, letter: DeadLetterRow, numbers: dict[int, SubscriptionRow]
) -> str | None:
    event = await _event(store, letter.position)
    row = numbers.get(letter.subscription)
    return None if event is None or row is None else _id(row, event)


async def _event(store: ReadableMessages, position: int) -> EventRow | None:
    found = await store.events(EventQuery(after=position - 1, until=position, limit=1))
    return found[0] if found else None


async def _dead_letter(
    access: "Access", row: DeadLetterRow, subscriptions: Sequence[SubscriptionRow]
) -> DeadLetter | None:
    """Return a dead letter for people; None if it vanished while the list was read."""
    event = await _event(access.store, row.position)
    own = next((one for one in subscriptions if one.number == row.subscription), None)
    if event is None or own is None:
        return None
    error = _failure(row, access.codec)
    return DeadLetter(
        id=_id(own, event),
        reaction=row.name,
        service=row.service,
        lane=row.lane,
        cause=row.cause,
        message=error.message,
        attempts=row.attempts,
        died_at=time_of(row.died_at),
        correlation_id=row.correlation_id,
        event=event_info(event),
        data=json.loads(access.codec.decode(event.data)),
        behind=await events_behind(access.store, row, subscriptions),
        traceback=error.traceback,
    )


def _failure(row: DeadLetterRow, codec: Codec) -> Failure:
    (record,) = decode_records(codec.decode(row.error))
    assert isinstance(record, Died)  # noqa: S101 - see `encode_failure`
    return record.error


# ---- redriving -------------------------------------------------------------------------------


async def _redrive(
    access: "Access",
    id: str,
    letter: DeadLetterRow,
    data: Payload,
    actor: str | None,
    reason: str | None,
) -> None:
    place = (letter.subscription, letter.position)
    mail = RedriveMail(*place, data, actor, reason, letter.service, letter.event_key)
    await access.post(id, mail)


def _contract(registry: Registry, letter: DeadLetterRow) -> Contract:
    target = target_of(registry, letter.name)
    if target is None:
        raise DefinitionError(
            f"this app has no {letter.name}, so that other data for it cannot be checked"
        )
    return contract_of_target(target)


def checked_data(
    registry: Registry, contract: Contract, letter: DeadLetterRow, data: Any
) -> Payload:
    """Return what a reaction is to get in the place of the data of its event.

    Raises:
        InvalidEventError, DefinitionError, PayloadError: as `DeadLetters.redrive` says.
    """
    if isinstance(data, Event):
        if registry.contract(data) is not contract:
            raise DefinitionError(f"{letter.name} takes {contract.type}, not {data!r}")
        body = contract.encode(data)
    else:
        try:
            body = msgspec.json.encode(data)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise PayloadError(f"the data for {letter.name} is no JSON: {error}") from error
    if len(body) > registry.payload_bytes_max:
        raise PayloadTooLargeError(
            f"the data for {letter.name}",
            size_bytes=len(body),
            limit_bytes=registry.payload_bytes_max,
        )
    key = contract.key_of(contract.decode(body, contract.version))
    if key != letter.event_key:
        raise InvalidEventError(
            f"{contract.type}: the key of the data ({contract.key_field}) is {key!r}, and that of "
            f"the event is {letter.event_key!r}: events of one key stay in order, so it stays the "
            "same; publish a new event, and discard this one",
            fields=[contract.key_field],
        )
    return msgspec.Raw(body)
