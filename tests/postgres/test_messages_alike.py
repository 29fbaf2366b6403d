"""Whatever is written about messages, this store answers every question as the one in memory."""

import asyncio
from contextlib import ExitStack

from hypothesis import Phase, settings
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test
from tests.conformance.test_messages_alike import (
    MESSAGES,
    MessagesAlike,
    everything,
    journals,
)
from tests.postgres.server import Schemas, Server

from counterpoint.model.cluster import Hosting
from counterpoint.model.messages import Messages
from counterpoint.model.rows import Commit
from counterpoint.ports.store import Store
from counterpoint.stores.memory import MemoryStore
from counterpoint.stores.postgres import PostgresStore
from counterpoint.testing.conformance.store_case import Snapshot, entry, execution

WAITING = range(1, 7)
HOSTING = Hosting("alike", services=["orders"], workflows=[("orders.place_order", 1)])


class PostgresAlike(MessagesAlike):
    server: Server
    schemas: Schemas

    @initialize()
    def open(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.given = ExitStack()
        url = self.server.url(schema=self.given.enter_context(self.schemas.one()))
        self.stores: list[Store] = [MemoryStore(), PostgresStore(url)]
        self.both(lambda store: store.open(node=True))
        starts = [execution(key) for key in WAITING]  # whose waits a node sees, as its own
        journal = [entry(key) for key in (50, 51, 52)]
        self.both(lambda store: store.commit(Commit(starts=starts, journal=journal)))

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "given"):
            self.given.close()

    @rule(messages=MESSAGES)
    def commit(self, messages: Messages) -> None:
        there = self.loop.run_until_complete(self.stores[0].subscriptions())
        numbers = [row.number for row in (*there, *messages.subscriptions)]
        if len(set(numbers)) < len(numbers):
            return  # several nodes may make one at once: it is no error there
        super().commit(messages)
        self.loop.run_until_complete(take_over(self.stores[1]))

    @invariant()
    def everything_is_alike(self) -> None:
        if hasattr(self, "stores"):
            self.both(all_messages)
            self.both(lambda store: store.dead_letter_groups())
            self.both(lambda store: store.awaited_types())
            self.both(journals)


async def all_messages(store: Store) -> Snapshot:
    """Return everything but the executions, whose owners only one of the stores knows."""
    return {**await everything(store), "executions": []}


async def take_over(store: Store) -> None:
    """Own what an incarnation before this one has left."""
    assert isinstance(store, PostgresStore)
    if await store.due(after=(0, 0), until=2**60, limit=1) == []:
        await store.announce(HOSTING)
        await store.adopt(100)


def test_both_stores_answer_alike(postgres: Server, schemas: Schemas) -> None:
    class Here(PostgresAlike):
        pass

    Here.server, Here.schemas = postgres, schemas
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=6, stateful_step_count=12, deadline=None, phases=[Phase.generate]
        ),
    )
