"""Whatever is written about messages, both stores answer every question alike."""

import asyncio
import itertools
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from counterpoint.errors import ConflictError, StoreError
from counterpoint.model.messages import (
    DeadLetterQuery,
    EventQuery,
    HoldRow,
    Messages,
    ReactionStatus,
)
from counterpoint.model.rows import Commit, JournalRow
from counterpoint.ports.store import Store
from counterpoint.stores.memory import MemoryStore
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing.conformance.store_case import (
    EVENT_KEYS,
    EVENT_TYPES,
    Snapshot,
    act,
    dead_letter,
    entry,
    event,
    reaction,
    read_everything,
    subscription,
    wait,
)

T = TypeVar("T")
TYPES, KEYS = st.sampled_from(EVENT_TYPES), st.sampled_from(EVENT_KEYS)
SMALL = st.integers(1, 6)
PLACES = st.tuples(SMALL, SMALL)
NAMES = st.sampled_from("abcdefgh")
LANES = st.tuples(st.just("payments"), st.sampled_from(["", "x"]), KEYS)
REACTIONS = st.builds(
    reaction, SMALL, SMALL, st.sampled_from(ReactionStatus), key=st.none() | st.integers(50, 53)
)
MESSAGES = st.builds(
    Messages,
    events=st.lists(st.builds(event, NAMES, TYPES, KEYS, at=SMALL), max_size=3),
    done=st.lists(REACTIONS, max_size=2),
    changed=st.lists(REACTIONS, max_size=3),
    positions=st.lists(PLACES, max_size=3),
    dead=st.lists(
        st.builds(dead_letter, SMALL, SMALL, name=st.sampled_from(["a.b", "c.d"]), key=KEYS),
        max_size=2,
    ),
    revived=st.lists(PLACES, max_size=2),
    held=st.lists(
        st.builds(HoldRow, st.just("payments"), st.sampled_from(["", "x"]), KEYS, SMALL), max_size=2
    ),
    released=st.lists(LANES, max_size=2),
    waits=st.lists(
        st.builds(wait, SMALL, SMALL, type=TYPES, key=KEYS, position=SMALL, since=SMALL),
        max_size=2,
    ),
    waits_over=st.lists(PLACES, max_size=2),
    subscriptions=st.lists(st.builds(subscription, SMALL, position=SMALL), max_size=2),
    unsubscribed=st.lists(SMALL, max_size=1),
    acts=st.lists(st.builds(act, NAMES), max_size=2),
)
QUERIES = st.builds(
    EventQuery,
    after=st.integers(0, 6),
    until=st.none() | st.integers(0, 9),
    types=st.lists(TYPES, max_size=3),
    key=st.none() | KEYS,
    since=st.none() | SMALL,
    limit=SMALL,
    newest_first=st.booleans(),
)
LETTERS = st.builds(
    DeadLetterQuery,
    name=st.none() | st.just("a.b"),
    event_key=st.none() | KEYS,
    subscription=st.none() | SMALL,
    after=PLACES,
    limit=SMALL,
)


class MessagesAlike(RuleBasedStateMachine):
    """Does the same to both stores and compares what they say."""

    directory = tempfile.TemporaryDirectory(prefix="counterpoint-")
    numbers = itertools.count()

    @initialize()
    def open(self) -> None:
        self.loop = asyncio.new_event_loop()
        path = Path(self.directory.name) / f"{next(self.numbers)}.db"
        self.stores: list[Store] = [MemoryStore(), SqliteStore(path)]
        self.both(lambda store: store.open(node=True))
        self.both(lambda store: store.commit(Commit(journal=[entry(50), entry(51), entry(52)])))

    def teardown(self) -> None:
        if hasattr(self, "stores"):
            self.both(lambda store: store.close())
            self.loop.close()

    def both(self, ask: Callable[[Store], Awaitable[T]]) -> T | tuple[object, ...]:
        """Return what both stores answer, or the error that both raise."""
        memory, sqlite = (self.loop.run_until_complete(answer(ask, store)) for store in self.stores)
        assert memory == sqlite
        return memory

    @rule(messages=MESSAGES)
    def commit(self, messages: Messages) -> None:
        if self.both(lambda store: store.commit(Commit(messages=messages))) == (StoreError,):
            self.both(lambda store: store.close())  # as the runtime does with a broken store
            self.both(lambda store: store.open(node=True))

    @rule(before=SMALL, limit=SMALL)
    def forget(self, before: int, limit: int) -> None:
        self.both(lambda store: store.forget_events(recorded_before=before, limit=limit))

    @rule(query=QUERIES)
    def query(self, query: EventQuery) -> None:
        self.both(lambda store: store.events(query))
        self.both(lambda store: store.count_events(query))

    @rule(query=LETTERS)
    def query_letters(self, query: DeadLetterQuery) -> None:
        self.both(lambda store: store.dead_letters(query))

    @rule(after=PLACES, limit=SMALL, numbers=st.lists(SMALL), first=SMALL, last=SMALL)
    def page(
        self, after: tuple[int, int], limit: int, numbers: list[int], first: int, last: int
    ) -> None:
        self.both(lambda store: store.fulfilled_waits(after=after, limit=limit))
        self.both(lambda store: store.reactions(numbers, first, last))

    @invariant()
    def everything_is_alike(self) -> None:
        if hasattr(self, "stores"):
            self.both(everything)
            self.both(lambda store: store.dead_letter_groups())
            self.both(lambda store: store.awaited_types())
            self.both(journals)


async def everything(store: Store) -> Snapshot:
    """Return all but the numbers of acts, which may have gaps."""
    found = await read_everything(store)
    return {**found, "acts": [row[:-1] for row in found["acts"]]}


async def journals(store: Store) -> list[list[JournalRow]]:
    return [await store.journal(key) for key in (50, 51, 52)]


async def answer(ask: Callable[[Store], Awaitable[T]], store: Store) -> T | tuple[object, ...]:
    try:
        return await ask(store)
    except ConflictError as error:
        return (ConflictError, error.ids, error.events)
    except StoreError:
        return (StoreError,)


TestMessagesAlike = MessagesAlike.TestCase
TestMessagesAlike.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
