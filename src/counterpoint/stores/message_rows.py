"""Rows about events and reactions to SQL parameters and back."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from counterpoint.errors import StoreCorruptError
from counterpoint.model.messages import Messages, ReactionRow, ReactionStatus, SubscriptionRow

Pair = TypeVar("Pair", tuple[str, str], tuple[str, int], tuple[int, int])

_STATUSES = {status.value: status for status in ReactionStatus}


def message_parts(messages: Messages | None) -> tuple[Sequence[object], ...]:
    """Return every part of *messages*."""
    if messages is None:
        return ()
    return (
        messages.events,
        messages.done,
        messages.changed,
        messages.positions,
        messages.dead,
        messages.revived,
        messages.held,
        messages.released,
        messages.waits,
        messages.waits_over,
        messages.contracts,
        messages.subscriptions,
        messages.acts,
        messages.unsubscribed,
    )


def plain_done(rows: Sequence[ReactionRow]) -> list[tuple[int, int, int, int | None]] | None:
    """Return the columns that differ if every row is of a success at the first attempt."""
    plain: list[tuple[int, int, int, int | None]] = []
    for subscription, position, status, created_at, finished_at, key, attempts, due_at in rows:
        if (
            status is not ReactionStatus.COMPLETED
            or key is not None
            or attempts != 1
            or due_at is not None
        ):
            return None
        plain.append((subscription, position, created_at, finished_at))
    return plain


def highest_positions(positions: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Return how far each subscription has come, of all that is said of it."""
    highest: dict[int, int] = {}
    for number, position in positions:
        if position > highest.get(number, -1):
            highest[number] = position
    return highest


def twice_or_there(wanted: Iterable[Pair], there: Iterable[Pair]) -> list[Pair]:
    """Return what is *wanted* and there already, or wanted twice, each once and in order."""
    taken = set(there)
    found: dict[Pair, None] = {}
    for one in wanted:
        if one in taken:
            found[one] = None
        taken.add(one)
    return list(found)


def reaction_row(row: Sequence[Any]) -> ReactionRow:
    """Return a row of the reactions table as what the port speaks in."""
    subscription, position, text, *rest = row
    status = _STATUSES.get(text)
    if status is None:
        raise StoreCorruptError(
            f"the reaction of subscription {subscription} to the event at position {position} has "
            f"the status {text!r}, which does not exist: restore the store from a backup, or "
            "correct the row"
        )
    return ReactionRow(subscription, position, status, *rest)


def subscription_row(row: Sequence[Any]) -> SubscriptionRow:
    """Return a row of the subscriptions table as what the port speaks in."""
    read = SubscriptionRow._make(row)
    return read._replace(publishes=bool(read.publishes))
