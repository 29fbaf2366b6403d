"""Reads a flow out of a store, page by page: its executions, its events, and who took these."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from counterpoint.errors import ExecutionNotFoundError
from counterpoint.model import records as r
from counterpoint.model.ids import event_execution_id
from counterpoint.model.messages import (
    EventQuery,
    EventRow,
    ReactionRow,
    ReactionStatus,
    SubscriptionRow,
)
from counterpoint.model.rows import ExecutionRow, Query
from counterpoint.ports.codec import Codec
from counterpoint.ports.store import ReadableStore
from counterpoint.runtime.journals import journal_records, records_of

PAGE = 500
_LAST = "\U0010ffff"

Place: TypeAlias = tuple[int, int]
"""The subscription and the position of a reaction."""


@dataclass(slots=True)
class FlowRows:
    """What a store has of one flow."""

    id: str
    events: list[EventRow] = field(default_factory=list)
    """In the order of the log."""
    executions: list[ExecutionRow] = field(default_factory=list)
    """Oldest first."""
    records: dict[int, list[r.Record]] = field(default_factory=dict)
    """By the key of the execution, or of the reaction."""
    subscriptions: dict[int, SubscriptionRow] = field(default_factory=dict)
    reactions: dict[Place, ReactionRow] = field(default_factory=dict)
    waiting: dict[Place, str] = field(default_factory=dict)
    """Subscriptions that have not taken an event yet, and why."""


async def read_flow(store: ReadableStore, codec: Codec, any_id: str) -> FlowRows:
    """Return what there is of the flow with that id, or of that of an execution or event.

    Raises:
        ExecutionNotFoundError: no flow, execution, reaction or event has the id.
        StoreError: something of it cannot be read.
    """
    found = FlowRows(await _flow_id(store, any_id))
    await _executions(store, codec, found)
    query = EventQuery(correlation_id=found.id, limit=PAGE)
    while rows := await store.events(query):
        found.events += rows
        query = replace(query, after=rows[-1].position)
    found.subscriptions = {row.number: row for row in await store.subscriptions()}
    await _reactions(store, codec, found)
    await _waiting(store, found)
    return found


async def _executions(store: ReadableStore, codec: Codec, found: FlowRows) -> None:
    query = Query(correlation_id=found.id, limit=PAGE)
    while rows := await store.executions(query):
        for row in rows:
            records = await records_of(store, codec, row)
            if records:  # otherwise it was forgotten meanwhile
                found.executions.append(row)
                found.records[row.key] = records
        query = replace(query, before=rows[-1].key)
    found.executions.reverse()


async def _reactions(store: ReadableStore, codec: Codec, found: FlowRows) -> None:
    positions = [event.position for event in found.events]
    for start in range(0, len(positions), PAGE):
        for row in await store.reactions_at(positions[start : start + PAGE]):
            found.reactions[row.subscription, row.position] = row
            if row.key is not None:
                rows = await store.journal(row.key)
                found.records[row.key] = journal_records(rows, codec)


# ---- who has not taken an event yet -----------------------------------------------------------


async def _waiting(store: ReadableStore, found: FlowRows) -> None:
    by_type: dict[str, list[SubscriptionRow]] = {}
    for one in found.subscriptions.values():
        by_type.setdefault(one.type, []).append(one)
    holds: dict[tuple[str, str, str], str | None] = {}
    for event in found.events:
        for one in by_type.get(event.type, ()):
            place = (one.number, event.position)
            if place in found.reactions or not _is_about(one, event):
                continue
            key = (one.service, one.lane, event.key)
            if key not in holds:
                holds[key] = await _held(store, found, key)
            why = holds[key]
            if one.position < event.position:
                found.waiting[place] = why or "a node to take it"
            elif why is not None:
                found.waiting[place] = why


def _is_about(one: SubscriptionRow, event: EventRow) -> bool:
    if one.until is not None and event.position > one.until:
        return False
    return one.event_key is None or one.event_key == event.key


async def _held(store: ReadableStore, found: FlowRows, key: tuple[str, str, str]) -> str | None:
    """Return what the events of a key wait for; None if nothing holds them."""
    rows = await store.holds(after=_before(*key), limit=1)
    if not rows or rows[0][:3] != key:
        return None
    for row in await store.reactions_at([rows[0].position]):
        one = found.subscriptions.get(row.subscription)
        if one is None or (one.service, one.lane) != key[:2] or row.status.over:
            continue
        letter = "a dead letter" if row.status is ReactionStatus.DEAD else "waiting for a retry"
        return f"an earlier event of the key {key[2]!r}, which is {letter} of {one.name}"
    return f"an earlier event of the key {key[2]!r}"


def _before(service: str, lane: str, key: str) -> tuple[str, str, str]:
    """Return what comes before a hold and, as far as anybody writes keys, after all others."""
    if key:
        return service, lane, _smaller(key)
    if lane:
        return service, _smaller(lane), _LAST
    return _smaller(service), _LAST, _LAST


def _smaller(text: str) -> str:
    code = ord(text[-1])
    if code == 0:
        return text[:-1]
    before = 0xD7FF if code == 0xE000 else code - 1  # between them are no characters
    return text[:-1] + chr(before) + _LAST


# ---- which flow an id belongs to --------------------------------------------------------------


async def _flow_id(store: ReadableStore, any_id: str) -> str:
    if await store.events(EventQuery(correlation_id=any_id, limit=1)):
        return any_id
    if await store.executions(Query(correlation_id=any_id, limit=1)):
        return any_id
    row = await store.execution(any_id)
    if row is not None:
        return row.correlation_id or row.id
    event = await _event(store, any_id) or await _reaction(store, any_id)
    if event is not None:
        return event.correlation_id
    error = ExecutionNotFoundError(any_id)
    error.args = (
        f"no flow, execution, reaction or event has the id {any_id!r}; pass a correlation id, "
        "or the id of an execution or event as `list` and `events list` show it",
    )
    raise error


async def _event(store: ReadableStore, any_id: str) -> EventRow | None:
    """Return the event of an id, or of a source and an id with a slash between."""
    for source in await _sources(store):
        event = await store.event(source, any_id)
        if event is not None:
            return event
    return await _split(store, any_id)


async def _sources(store: ReadableStore) -> Sequence[str]:
    """Return the services that are known to publish or to take events."""
    names = [row.service for row in await store.contracts()]
    return list(dict.fromkeys([*names, *(row.service for row in await store.subscriptions())]))


async def _split(store: ReadableStore, text: str) -> EventRow | None:
    parts = text.split("/")
    for place in range(1, len(parts)):
        event = await store.event("/".join(parts[:place]), "/".join(parts[place:]))
        if event is not None:
            return event
    return None


async def _reaction(store: ReadableStore, any_id: str) -> EventRow | None:
    """Return the event of a reaction's id; one that is too long to hold it cannot be found."""
    for one in await store.subscriptions():
        if not any_id.startswith(f"{one.name}:"):
            continue
        text = any_id.removeprefix(f"{one.name}:")
        if one.replay:
            text = text.removesuffix(f"#{one.replay}")
        event = await _split(store, text)
        if event is not None and any_id == event_execution_id(
            one.name, event.source, event.id, one.replay
        ):
            return event
    return None
