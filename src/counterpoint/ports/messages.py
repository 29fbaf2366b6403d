"""What the runtime needs to read of events, subscriptions and reactions from a store.

*The log.* Events have positions that grow and are never used twice, also when events were deleted.
A reader that has seen position p never later finds an event at or below p. `(source, id)` is unique
in the log: a commit that appends one that is there raises `ConflictError` with it in `events`.

*The inbox.* There is at most one reaction row for a subscription and a position. A `done` row for
a place that has one raises `StoreBrokenError`. So does a new subscription of a name that is there,
if one node hosts the store; where several do, two of them may make it at once: the second one is
not written, and whoever wrote it reads what is there.

Everything that a commit wrote is seen by every reader as soon as `commit` has returned.
"""

from collections.abc import Sequence
from typing import Protocol

from counterpoint.model.messages import (
    ActRow,
    ContractRow,
    DeadLetterGroup,
    DeadLetterQuery,
    DeadLetterRow,
    EventQuery,
    EventRow,
    EventWaitRow,
    HoldRow,
    ReactionRow,
    SubscriptionRow,
)


class ReadableLog(Protocol):
    """The events that were published, under which contracts, and what people did about them."""

    async def event(self, source: str, event_id: str) -> EventRow | None:
        """Return the event of that source and id, or None."""
        ...

    async def events(self, query: EventQuery) -> list[EventRow]:
        """Return what matches all filters of *query*, at most `limit`, in the order asked for."""
        ...

    async def count_events(self, query: EventQuery) -> int:
        """Return how many events match all filters of *query*; its `limit` does not count."""
        ...

    async def last_position(self) -> int:
        """Return the highest position that was ever used; 0 if there is none."""
        ...

    async def contracts(self) -> list[ContractRow]:
        """Return every contract that was published, by type and version."""
        ...

    async def acts(
        self, *, subject: str | None = None, after: int = 0, limit: int = 100
    ) -> list[ActRow]:
        """Return what people did (to one subject) with numbers above *after*, in order."""
        ...


class ReadableInbox(Protocol):
    """Who has come how far in the log, and what has become of each event there."""

    async def subscriptions(self) -> list[SubscriptionRow]:
        """Return all subscriptions, in the order of their numbers."""
        ...

    async def reactions(
        self, subscriptions: Sequence[int], first: int, last: int
    ) -> list[ReactionRow]:
        """Return the reactions of *subscriptions* to the events from *first* to *last*."""
        ...

    async def reactions_at(self, positions: Sequence[int]) -> list[ReactionRow]:
        """Return the reactions of every subscription to the events at *positions*."""
        ...

    async def dead_letters(self, query: DeadLetterQuery) -> list[DeadLetterRow]:
        """Return what matches all filters of *query*."""
        ...

    async def dead_letter_groups(self) -> list[DeadLetterGroup]:
        """Return the dead letters counted by reaction and cause, the largest group first."""
        ...

    async def holds(self, *, after: tuple[str, str, str], limit: int) -> list[HoldRow]:
        """Return holds with (service, lane, event_key) above *after*, in order, at most *limit*."""
        ...


class ReadableWaits(Protocol):
    """Which executions wait for which events."""

    async def waits_for(self, keys: Sequence[tuple[str, str]]) -> list[EventWaitRow]:
        """Return the waits of executions for any of these (type, key), in the order of waits."""
        ...

    async def fulfilled_waits(self, *, after: tuple[int, int], limit: int) -> list[EventWaitRow]:
        """Return waits for which an event is in the log: its type and key, above its position,
        recorded at `since` or later.

        Those with (execution_key, wait) above *after*, in order, at most *limit*.
        """
        ...

    async def awaited_types(self) -> list[str]:
        """Return the types of events that any execution waits for."""
        ...


class ReadableMessages(ReadableLog, ReadableInbox, ReadableWaits, Protocol):
    """Everything about events that everybody may read."""


class MessageStore(ReadableMessages, Protocol):
    """What the node alone may do to them, besides `commit`."""

    async def forget_events(self, *, recorded_before: int, limit: int) -> int:
        """Delete at most *limit* events that were recorded before then, oldest first.

        Their reactions go with them, and the journals of these. Kept are events above the position
        of any subscription, events of which there is a dead letter, and events of a key from the
        position of any hold of that key on.
        Return how many were deleted.
        """
        ...

    async def forget_contract(self, event_type: str) -> int:
        """Delete what is known of the published versions of a type; return how many there were."""
        ...
