"""Pages of the event log, with what is known of the reactions to their events."""

from collections.abc import Mapping, Sequence

from counterpoint.model.messages import EventQuery, EventRow, HoldRow, ReactionRow
from counterpoint.ports.messages import ReadableMessages

HOLDS_PAGE = 1_000
Known = Mapping[int, Mapping[int, ReactionRow]]
"""Rows of reactions, by position and subscription."""


async def page_of_key(
    store: ReadableMessages, types: Sequence[str], key: str, after: int, until: int, limit: int
) -> tuple[list[EventRow], Known]:
    """Return the next events of a key, at most *limit*, and the reactions to them."""
    query = EventQuery(after=after, until=until, types=types, key=key, limit=limit)
    events = await store.events(query)
    if not events:
        return events, {}
    return events, _by_place(await store.reactions_at([event.position for event in events]))


async def page(
    store: ReadableMessages,
    types: Sequence[str],
    subscriptions: Sequence[int],
    after: int,
    until: int,
    limit: int,
) -> tuple[list[EventRow], Known]:
    """Return the next events of some types, at most *limit*, and the reactions to them."""
    if not types or until <= after:
        return [], {}
    query = EventQuery(after=after, until=until, types=types, limit=limit)
    events = await store.events(query)
    if not events or not subscriptions:
        return events, {}
    first, last = events[0].position, events[-1].position
    return events, _by_place(await store.reactions(subscriptions, first, last))


async def all_holds(store: ReadableMessages) -> list[HoldRow]:
    """Return every hold in the store."""
    after = ("", "", "")
    holds: list[HoldRow] = []
    while rows := await store.holds(after=after, limit=HOLDS_PAGE):
        holds += rows
        after = rows[-1][:3]
    return holds


def _by_place(rows: Sequence[ReactionRow]) -> Known:
    known: dict[int, dict[int, ReactionRow]] = {}
    for row in rows:
        known.setdefault(row.position, {})[row.subscription] = row
    return known
