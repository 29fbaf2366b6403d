"""What an SQLite store knows of events and reactions."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

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
from counterpoint.stores.message_filters import count_events, select_dead_letters, select_events
from counterpoint.stores.message_rows import reaction_row, subscription_row
from counterpoint.stores.rows import Execute, ManyRows, Value
from counterpoint.stores.sqlite_writes import SQL

_WAITS_FOR = ManyRows(SQL["waits_for"])


class SqliteMessages(ABC):
    """The part of `SqliteStore` that is about messages."""

    @abstractmethod
    def _read(self, text: str, *values: Value) -> list[tuple[Any, ...]]: ...

    @abstractmethod
    async def _delete(self, delete: Callable[[Execute], int]) -> int:
        """Return what *delete* returned once what it executed is committed, keys remembered."""

    async def event(self, source: str, event_id: str) -> EventRow | None:
        rows = self._read(SQL["event"], source, event_id)
        return EventRow._make(rows[0]) if rows else None

    async def events(self, query: EventQuery) -> list[EventRow]:
        text, values = select_events(SQL, query)
        return [EventRow._make(row) for row in self._read(text, *values)]

    async def count_events(self, query: EventQuery) -> int:
        text, values = count_events(SQL, query)
        return self._number(text, *values)

    async def last_position(self) -> int:
        return self._number(SQL["last_position"])

    async def subscriptions(self) -> list[SubscriptionRow]:
        return [subscription_row(row) for row in self._read(SQL["subscriptions"])]

    async def reactions(
        self, subscriptions: Sequence[int], first: int, last: int
    ) -> list[ReactionRow]:
        rows = self._read(SQL["reactions"], first, last, json.dumps(list(subscriptions)))
        return [reaction_row(row) for row in rows]

    async def reactions_at(self, positions: Sequence[int]) -> list[ReactionRow]:
        rows = self._read(SQL["reactions_at"], json.dumps(list(positions)))
        return [reaction_row(row) for row in rows]

    async def dead_letters(self, query: DeadLetterQuery) -> list[DeadLetterRow]:
        text, values = select_dead_letters(SQL, query)
        return [DeadLetterRow._make(row) for row in self._read(text, *values)]

    async def dead_letter_groups(self) -> list[DeadLetterGroup]:
        return [DeadLetterGroup._make(row) for row in self._read(SQL["dead_letter_groups"])]

    async def holds(self, *, after: tuple[str, str, str], limit: int) -> list[HoldRow]:
        return [HoldRow._make(row) for row in self._read(SQL["holds"], *after, limit)]

    async def waits_for(self, keys: Sequence[tuple[str, str]]) -> list[EventWaitRow]:
        found: list[tuple[Any, ...]] = []
        _WAITS_FOR.write(
            lambda text, values: found.extend(self._read(text, *values)), list(dict.fromkeys(keys))
        )
        return sorted(map(EventWaitRow._make, found))

    async def fulfilled_waits(self, *, after: tuple[int, int], limit: int) -> list[EventWaitRow]:
        rows = self._read(SQL["fulfilled_waits"], *after, limit)
        return [EventWaitRow._make(row) for row in rows]

    async def awaited_types(self) -> list[str]:
        return [event_type for (event_type,) in self._read(SQL["awaited_types"])]

    async def contracts(self) -> list[ContractRow]:
        return [ContractRow._make(row) for row in self._read(SQL["contracts"])]

    async def acts(
        self, *, subject: str | None = None, after: int = 0, limit: int = 100
    ) -> list[ActRow]:
        if subject is None:
            rows = self._read(SQL["acts"], after, limit)
        else:
            rows = self._read(SQL["acts_on"], subject, after, limit)
        return [ActRow._make(row) for row in rows]

    async def forget_events(self, *, recorded_before: int, limit: int) -> int:
        def delete(execute: Execute) -> int:
            found = self._read(SQL["forgettable_events"], recorded_before, limit)
            positions = json.dumps([position for (position,) in found])
            execute(SQL["delete_journal_at"], [positions])
            execute(SQL["delete_reactions_at"], [positions])
            execute(SQL["delete_events"], [positions])
            return len(found)

        return await self._delete(delete)

    async def forget_contract(self, event_type: str) -> int:
        def delete(execute: Execute) -> int:
            count = self._number(SQL["count_contracts"], event_type)
            execute(SQL["delete_contract"], [event_type])
            return count

        return await self._delete(delete)

    def _number(self, text: str, *values: Value) -> int:
        ((number,),) = self._read(text, *values)
        return int(number)
