"""What a PostgreSQL store knows of events and reactions."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
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
from counterpoint.stores.message_rows import reaction_row, subscription_row
from counterpoint.stores.postgres_filters import dead_letters_page, events_count, events_page


class PostgresMessages(ABC):
    """The part of `PostgresStore` that is about messages."""

    _sql: dict[str, str]
    _incarnation: int

    @abstractmethod
    async def _rows(self, text: str, *values: Any) -> list[Any]: ...

    @abstractmethod
    async def _act(self, text: str, *values: Any) -> list[Any]: ...

    @abstractmethod
    def _check_node(self) -> None: ...

    async def event(self, source: str, event_id: str) -> EventRow | None:
        rows = await self._rows(self._sql["event"], source, event_id)
        return EventRow._make(rows[0]) if rows else None

    async def events(self, query: EventQuery) -> list[EventRow]:
        text, values = events_page(self._sql, query)
        return [EventRow._make(row) for row in await self._rows(text, *values)]

    async def count_events(self, query: EventQuery) -> int:
        text, values = events_count(self._sql, query)
        return await self._number(text, *values)

    async def last_position(self) -> int:
        return await self._number(self._sql["last_position"])

    async def subscriptions(self) -> list[SubscriptionRow]:
        return [subscription_row(row) for row in await self._rows(self._sql["subscriptions"])]

    async def reactions(
        self, subscriptions: Sequence[int], first: int, last: int
    ) -> list[ReactionRow]:
        rows = await self._rows(self._sql["reactions"], first, last, list(subscriptions))
        return [reaction_row(row) for row in rows]

    async def reactions_at(self, positions: Sequence[int]) -> list[ReactionRow]:
        rows = await self._rows(self._sql["reactions_at"], list(positions))
        return [reaction_row(row) for row in rows]

    async def dead_letters(self, query: DeadLetterQuery) -> list[DeadLetterRow]:
        text, values = dead_letters_page(self._sql, query)
        return [DeadLetterRow._make(row) for row in await self._rows(text, *values)]

    async def dead_letter_groups(self) -> list[DeadLetterGroup]:
        rows = await self._rows(self._sql["dead_letter_groups"])
        return [DeadLetterGroup._make(row) for row in rows]

    async def holds(self, *, after: tuple[str, str, str], limit: int) -> list[HoldRow]:
        rows = await self._rows(self._sql["holds"], *after, limit)
        return [HoldRow._make(row) for row in rows]

    async def waits_for(self, keys: Sequence[tuple[str, str]]) -> list[EventWaitRow]:
        wanted = list(dict.fromkeys(keys))
        if not wanted:
            await self._rows(self._sql["last_position"])  # it is refused by a store that failed
            return []
        rows = await self._here("waits_for", *map(list, zip(*wanted, strict=True)))
        return [EventWaitRow._make(row) for row in rows]

    async def fulfilled_waits(self, *, after: tuple[int, int], limit: int) -> list[EventWaitRow]:
        rows = await self._here("fulfilled_waits", *after, limit)
        return [EventWaitRow._make(row) for row in rows]

    async def awaited_types(self) -> list[str]:
        return [row[0] for row in await self._rows(self._sql["awaited_types"])]

    async def contracts(self) -> list[ContractRow]:
        return [ContractRow._make(row) for row in await self._rows(self._sql["contracts"])]

    async def acts(
        self, *, subject: str | None = None, after: int = 0, limit: int = 100
    ) -> list[ActRow]:
        if subject is None:
            rows = await self._rows(self._sql["acts"], after, limit)
        else:
            rows = await self._rows(self._sql["acts_on"], after, limit, subject)
        return [ActRow._make(row) for row in rows]

    async def forget_events(self, *, recorded_before: int, limit: int) -> int:
        return await self._forget("forget_events", recorded_before, limit)

    async def forget_contract(self, event_type: str) -> int:
        return await self._forget("forget_contract", event_type)

    async def _here(self, name: str, *values: Any) -> list[Any]:
        """Read by one query for a client, and by another for what a node owns."""
        if self._incarnation:
            return await self._rows(self._sql[f"{name}_here"], *values, self._incarnation)
        return await self._rows(self._sql[name], *values)

    async def _forget(self, name: str, *values: Any) -> int:
        self._check_node()
        ((count,),) = await self._act(self._sql[name], self._incarnation, *values)
        return int(count)

    async def _number(self, text: str, *values: Any) -> int:
        ((number,),) = await self._rows(text, *values)
        return int(number)
