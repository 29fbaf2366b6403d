"""What a memory store knows of events and reactions."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge, nsmallest
from itertools import islice
from typing import TypeVar

from counterpoint.errors import StoreBrokenError
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
    Messages,
    ReactionRow,
    ReactionStatus,
    SubscriptionRow,
)
from counterpoint.stores.message_rows import highest_positions, twice_or_there

Key = TypeVar("Key", tuple[int, int], tuple[str, str, str])

_OVER = (ReactionStatus.COMPLETED, ReactionStatus.DISCARDED)


class MemoryMessages(ABC):
    """The part of `MemoryStore` that is about messages."""

    def __init__(self) -> None:
        self._last_position = 0
        self._last_act = 0
        self._events: dict[int, EventRow] = {}  # in the order of positions
        self._event_ids: dict[tuple[str, str], int] = {}
        self._events_of_key: dict[tuple[str, str], list[int]] = {}
        self._subscriptions: dict[int, SubscriptionRow] = {}
        self._reactions: dict[int, dict[int, ReactionRow]] = {}  # position -> subscription -> row
        self._dead: dict[tuple[int, int], DeadLetterRow] = {}
        self._holds: dict[tuple[str, str, str], HoldRow] = {}
        self._waits: dict[tuple[int, int], EventWaitRow] = {}
        self._contracts: dict[tuple[str, int], ContractRow] = {}
        self._acts: dict[str, ActRow] = {}

    @abstractmethod
    def _check(self, *, hosting: bool = False) -> None: ...

    @abstractmethod
    def _forget_journal(self, key: int) -> None: ...

    async def event(self, source: str, event_id: str) -> EventRow | None:
        self._check()
        position = self._event_ids.get((source, event_id))
        return None if position is None else self._events[position]

    async def events(self, query: EventQuery) -> list[EventRow]:
        self._check()
        return list(islice(self._found(query), query.limit))

    async def count_events(self, query: EventQuery) -> int:
        self._check()
        return sum(1 for _ in self._found(query))

    async def last_position(self) -> int:
        self._check()
        return self._last_position

    async def subscriptions(self) -> list[SubscriptionRow]:
        self._check()
        return [row for _, row in sorted(self._subscriptions.items())]

    async def reactions(
        self, subscriptions: Sequence[int], first: int, last: int
    ) -> list[ReactionRow]:
        wanted = set(subscriptions)
        positions = range(first, last + 1)
        if len(positions) > len(self._reactions):
            found = await self.reactions_at([one for one in self._reactions if one in positions])
        else:
            found = await self.reactions_at(positions)
        return [row for row in found if row.subscription in wanted]

    async def reactions_at(self, positions: Sequence[int]) -> list[ReactionRow]:
        self._check()
        return [
            row
            for position in sorted(set(positions))
            for _, row in sorted(self._reactions.get(position, {}).items())
        ]

    async def dead_letters(self, query: DeadLetterQuery) -> list[DeadLetterRow]:
        self._check()
        wanted = {
            place: row
            for place, row in self._dead.items()
            if query.name in (None, row.name)
            and query.service in (None, row.service)
            and query.cause in (None, row.cause)
            and query.event_key in (None, row.event_key)
            and query.subscription in (None, row.subscription)
        }
        return [wanted[place] for place in _page(wanted, query.after, query.limit)]

    async def dead_letter_groups(self) -> list[DeadLetterGroup]:
        self._check()
        groups: dict[tuple[str, str], list[int]] = {}
        for row in self._dead.values():
            groups.setdefault((row.name, row.cause), []).append(row.died_at)
        found = [
            DeadLetterGroup(name, cause, len(times), min(times), max(times))
            for (name, cause), times in groups.items()
        ]
        return sorted(found, key=lambda group: (-group.letters, group.name, group.cause))

    async def holds(self, *, after: tuple[str, str, str], limit: int) -> list[HoldRow]:
        self._check()
        return [self._holds[key] for key in _page(self._holds, after, limit)]

    async def waits_for(self, keys: Sequence[tuple[str, str]]) -> list[EventWaitRow]:
        self._check()
        wanted = set(keys)
        return [
            row for _, row in sorted(self._waits.items()) if (row.type, row.event_key) in wanted
        ]

    async def fulfilled_waits(self, *, after: tuple[int, int], limit: int) -> list[EventWaitRow]:
        self._check()
        wanted = {place: row for place, row in self._waits.items() if self._is_fulfilled(row)}
        return [wanted[place] for place in _page(wanted, after, limit)]

    async def awaited_types(self) -> list[str]:
        self._check()
        return sorted({row.type for row in self._waits.values()})

    async def contracts(self) -> list[ContractRow]:
        self._check()
        return [row for _, row in sorted(self._contracts.items())]

    async def acts(
        self, *, subject: str | None = None, after: int = 0, limit: int = 100
    ) -> list[ActRow]:
        self._check()
        found = (
            row
            for row in self._acts.values()
            if row.number > after and subject in (None, row.subject)
        )
        return list(islice(found, limit))

    async def forget_events(self, *, recorded_before: int, limit: int) -> int:
        self._check(hosting=True)
        until = min(
            (row.position for row in self._subscriptions.values()), default=self._last_position
        )
        needed = {position for _, position in self._dead}
        found = (
            row
            for row in self._events.values()
            if row.recorded_at < recorded_before
            and row.position <= until
            and row.position not in needed
            and not self._is_held(row)
        )
        oldest = sorted(found, key=lambda row: (row.recorded_at, row.position))[:limit]
        for row in oldest:
            del self._events[row.position], self._event_ids[row.source, row.id]
            self._events_of_key[row.type, row.key].remove(row.position)
            for reaction in list(self._reactions.get(row.position, {}).values()):
                self._forget_reaction(reaction)
        return len(oldest)

    async def forget_contract(self, event_type: str) -> int:
        self._check(hosting=True)
        versions = [place for place in self._contracts if place[0] == event_type]
        for place in versions:
            del self._contracts[place]
        return len(versions)

    # ---- writing: everything is checked before anything is written ----------------------------

    def _conflicting_events(self, messages: Messages | None) -> list[tuple[str, str]]:
        if messages is None:
            return []
        return twice_or_there(
            ((row.source, row.id) for row in messages.events), self._event_ids.keys()
        )

    def _check_messages(self, messages: Messages | None) -> None:
        if messages is None:
            return
        seen: set[tuple[int, int]] = set()
        for row in messages.done:
            place = (row.position, row.subscription)
            if row.subscription in self._reactions.get(row.position, ()) or place in seen:
                raise StoreBrokenError(
                    f"subscription {row.subscription} has taken the event at position "
                    f"{row.position} already; nothing was written: open the store again"
                )
            seen.add(place)
        self._check_subscriptions(messages)

    def _check_subscriptions(self, messages: Messages) -> None:
        rows = [
            row
            for row in (*self._subscriptions.values(), *messages.subscriptions)
            if row.number not in messages.unsubscribed
        ]
        for kind, keys in (
            ("number", [str(row.number) for row in rows]),
            ("name", [f"{row.name}#{row.replay}" for row in rows]),
        ):
            if messages.subscriptions and len(set(keys)) < len(keys):
                raise StoreBrokenError(
                    f"two subscriptions have one {kind}; nothing was written: reserve numbers "
                    "before you use them"
                )

    def _write_messages(self, messages: Messages) -> int:
        first = self._last_position + 1
        for event in messages.events:
            self._append(event)
        for reaction in (*messages.done, *messages.changed):
            self._react(reaction)
        for wait in messages.waits:
            self._waits[wait.execution_key, wait.wait] = wait
        for place in messages.waits_over:
            self._waits.pop(place, None)
        for contract in messages.contracts:
            self._contracts.setdefault((contract.type, contract.version), contract)
        self._write_failures(messages)
        self._write_subscriptions(messages)
        return first if messages.events else 0

    def _write_failures(self, messages: Messages) -> None:
        for place in messages.revived:
            self._dead.pop(place, None)
        for letter in messages.dead:
            self._dead[letter.subscription, letter.position] = letter
        for key in messages.released:
            self._holds.pop(key, None)
        for hold in messages.held:
            known = self._holds.setdefault(hold[:3], hold)
            self._holds[hold[:3]] = min(known, hold)
        for act in messages.acts:
            if act.request_id not in self._acts:
                self._last_act += 1
                self._acts[act.request_id] = act._replace(number=self._last_act)

    def _write_subscriptions(self, messages: Messages) -> None:
        for row in messages.subscriptions:
            self._subscriptions[row.number] = row
        for declared in messages.redeclared:
            self._redeclare(declared)
        for number, position in highest_positions(messages.positions).items():
            known = self._subscriptions.get(number)
            if known is not None and known.position < position:
                self._subscriptions[number] = known._replace(position=position)
        for number in messages.unsubscribed:
            self._subscriptions.pop(number, None)
            for reaction in [rows[number] for rows in self._reactions.values() if number in rows]:
                self._forget_reaction(reaction)
            for place in [place for place in self._dead if place[0] == number]:
                del self._dead[place]

    def _redeclare(self, row: SubscriptionRow) -> None:
        known = self._subscriptions.get(row.number)
        if known is not None:
            self._subscriptions[row.number] = known._replace(
                service=row.service, lane=row.lane, type=row.type
            )
        for place, dead in self._dead.items():
            if place[0] == row.number:
                self._dead[place] = dead._replace(service=row.service, lane=row.lane)

    def _append(self, row: EventRow) -> None:
        self._last_position += 1
        position = self._last_position
        self._events[position] = row._replace(position=position)
        self._event_ids[row.source, row.id] = position
        self._events_of_key.setdefault((row.type, row.key), []).append(position)

    def _react(self, row: ReactionRow) -> None:
        self._reactions.setdefault(row.position, {})[row.subscription] = row

    def _forget_reaction(self, row: ReactionRow) -> None:
        rows = self._reactions[row.position]
        del rows[row.subscription]
        if not rows:
            del self._reactions[row.position]
        if row.key is not None:
            self._forget_journal(row.key)

    def _forget_waits(self, execution_key: int) -> None:
        for place in [place for place in self._waits if place[0] == execution_key]:
            del self._waits[place]

    # ---- finding ------------------------------------------------------------------------------

    def _found(self, query: EventQuery) -> Iterator[EventRow]:
        if query.key is not None and query.types:
            lists = [self._events_of_key.get((one, query.key), []) for one in set(query.types)]
            positions: Sequence[int] = list(merge(*lists))
        else:
            positions = list(self._events)
        positions = positions[bisect_right(positions, query.after) :]
        if query.until is not None:
            positions = positions[: bisect_right(positions, query.until)]
        if query.newest_first:
            positions = positions[::-1]
        rows = (self._events[position] for position in positions)
        return (row for row in rows if _matches(row, query))

    def _is_fulfilled(self, wait: EventWaitRow) -> bool:
        positions = self._events_of_key.get((wait.type, wait.event_key), [])
        later = positions[bisect_right(positions, wait.position) :]
        return any(self._events[position].recorded_at >= wait.since for position in later)

    def _is_held(self, row: EventRow) -> bool:
        return any(
            hold.event_key == row.key and hold.position <= row.position
            for hold in self._holds.values()
        )


def _page(keys: Iterable[Key], after: Key, limit: int) -> list[Key]:
    return nsmallest(limit, (key for key in keys if key > after))


def _matches(row: EventRow, query: EventQuery) -> bool:
    return (
        (not query.types or row.type in query.types)
        and query.key in (None, row.key)
        and query.correlation_id in (None, row.correlation_id)
        and (query.since is None or row.recorded_at >= query.since)
    )
