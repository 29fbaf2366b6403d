"""How many events wait behind a dead letter, or have not been reached by a subscription."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from counterpoint.model.messages import (
    DeadLetterQuery,
    DeadLetterRow,
    EventQuery,
    SubscriptionRow,
)
from counterpoint.ports.messages import ReadableMessages

PAGE = 500
Place = tuple[str, str, str]
"""A service, a lane of it, and a key: one queue."""


def place_of(row: DeadLetterRow) -> Place:
    """Return the queue that a dead letter is in."""
    return row.service, row.lane, row.event_key


async def all_dead_letters(
    store: ReadableMessages, query: DeadLetterQuery
) -> AsyncIterator[DeadLetterRow]:
    """Iterate over the dead letters that match, page by page."""
    after = query.after
    while True:
        rows = await store.dead_letters(
            DeadLetterQuery(
                query.name,
                query.service,
                query.cause,
                query.event_key,
                query.subscription,
                after,
                PAGE,
            )
        )
        for row in rows:
            yield row
        if len(rows) < PAGE:
            return
        after = (rows[-1].subscription, rows[-1].position)


async def hold_of(store: ReadableMessages, place: Place) -> int | None:
    """Return from which position on the events of a queue are looked at again, or None."""
    service, lane, key = place
    after = (service, lane, _just_below(key))
    while rows := await store.holds(after=after, limit=2):
        for row in rows:
            if row[:3] >= place:
                return row.position if row[:3] == place else None
        after = rows[-1][:3]
    return None


def _just_below(key: str) -> str:
    """Return a text that is below a key, with few others in between."""
    before = ord(key[-1]) - 1
    if before < 0:
        return key[:-1]
    if 0xD800 <= before <= 0xDFFF:  # no character of a text that can be written
        before = 0xD7FF
    return f"{key[:-1]}{chr(before)}\U0010ffff"


async def events_behind(
    store: ReadableMessages, row: DeadLetterRow, subscriptions: Sequence[SubscriptionRow]
) -> int:
    """Return how many events wait in the log until a dead letter is dealt with.

    None waits behind one whose reaction lets them pass (`on_dead="skip"`): its key is not held. The
    dead letter of a replay keeps back the rest of the replay, and what came since it died.
    """
    held_from = await hold_of(store, place_of(row))
    if held_from is None or held_from > row.position:
        return 0
    lane = [one for one in subscriptions if (one.service, one.lane) == (row.service, row.lane)]
    types = sorted({one.type for one in lane if not one.replay} | {row.type})
    own = next((one for one in lane if one.number == row.subscription), None)
    if own is None or own.until is None:
        return await _count(store, types, row.event_key, row.position)
    rest = await _count(store, (row.type,), row.event_key, row.position, own.until)
    after = max(row.position, own.until)
    return rest + await _count(store, types, row.event_key, after, since=row.died_at)


async def parked_events(
    store: ReadableMessages,
    one: SubscriptionRow,
    dead: Iterable[DeadLetterRow],
    holds: Mapping[Place, int],
) -> int:
    """Return how many events a subscription has left behind the dead letters of its lane.

    They are at or below its position; those above are not reached yet.
    """
    first: dict[str, DeadLetterRow] = {}
    for row in dead:
        held_from = holds.get(place_of(row))
        in_lane = (row.service, row.lane) == (one.service, one.lane)
        parks = held_from is not None and held_from <= row.position
        if in_lane and parks and one.event_key in (None, row.event_key):
            lowest = first.setdefault(row.event_key, row)
            if row.position < lowest.position:
                first[row.event_key] = row
    parked = 0
    for key, row in first.items():
        parked += await _not_taken(store, one, key, row.position)
        if row.type == one.type and row.subscription != one.number:
            taken = await store.reactions([one.number], row.position, row.position)
            parked += not taken  # another reaction of the lane had its turn, and died
    return parked


async def _not_taken(store: ReadableMessages, one: SubscriptionRow, key: str, after: int) -> int:
    """Return how many events of a key a subscription has passed without taking them."""
    after = max(after, one.first)
    left = 0
    while after < one.position:
        query = EventQuery(after=after, until=one.position, types=(one.type,), key=key, limit=PAGE)
        events = await store.events(query)
        marks = await store.reactions_at([event.position for event in events])
        taken = {mark.position for mark in marks if mark.subscription == one.number}
        left += sum(event.position not in taken for event in events)
        if len(events) < PAGE:
            break
        after = events[-1].position
    return left


async def unreached_events(store: ReadableMessages, one: SubscriptionRow) -> int:
    """Return how many events of its type a subscription has not come to."""
    return await _count(store, (one.type,), one.event_key, one.position, one.until)


async def _count(
    store: ReadableMessages,
    types: Sequence[str],
    key: str | None,
    after: int,
    until: int | None = None,
    *,
    since: int | None = None,
) -> int:
    if until is not None and until <= after:
        return 0
    return await store.count_events(
        EventQuery(after=after, until=until, types=types, key=key, since=since)
    )
