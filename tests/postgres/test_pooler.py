"""Behind a pool that gives every transaction another connection everything works, by polling."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.postgres.pooler import Pooler, pooling

from counterpoint.model.messages import EventQuery, Messages
from counterpoint.model.rows import Commit
from counterpoint.stores.postgres import PostgresStore
from counterpoint.stores.postgres_url import read_url
from counterpoint.testing.conformance.store_case import entry, event, execution, post, start

STEPS = 12


class Pooled:
    def __init__(self, pooler: Pooler, store: PostgresStore) -> None:
        self.pooler = pooler
        self.store = store


@pytest.fixture
async def pooled(url: str) -> AsyncIterator[Pooled]:
    socket = Path(parse_qs(urlsplit(url).query)["host"][0]) / ".s.PGSQL.5432"
    async with pooling(socket) as (pooler, port):
        schema = read_url(url).schema
        there = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        store = PostgresStore(f"{there}?schema={schema}&statement_cache_size=0")
        yield Pooled(pooler, store)
        await store.close()


async def test_node_reads_and_writes_on_ever_other_connections(pooled: Pooled) -> None:
    store = pooled.store
    await store.open(node=True)

    for key in range(1, STEPS):
        await store.commit(
            Commit(
                starts=[execution(key)],
                journal=[entry(key)],
                messages=Messages(events=[event(f"e{key}")]),
            )
        )
        assert await store.journal(key) == [entry(key)]

    assert len(await store.events(EventQuery())) == STEPS - 1
    assert min(link.transactions for link in pooled.pooler.links) > STEPS // 2


async def test_transaction_of_a_user_stays_on_one_connection(pooled: Pooled) -> None:
    store = pooled.store
    await store.open(node=True)
    transaction = await store.begin()
    pids = {await transaction.connection.fetchval("SELECT pg_backend_pid()") for _ in range(5)}

    await transaction.commit(Commit(starts=[execution(1)]))

    assert len(pids) == 1
    assert await store.execution("execution-1") is not None


async def test_change_is_found_by_looking_where_nothing_is_heard(pooled: Pooled, url: str) -> None:
    store = pooled.store
    await store.open(node=True)
    await start(store, execution(1))
    client = PostgresStore(url)
    await client.open(node=False)
    await post(client, "a")
    await client.close()

    async with asyncio.timeout(30):
        changed = False
        while not changed:
            changed = await store.changed()
            await asyncio.sleep(0.02)

    assert [letter.request_id for letter in await store.mail(after=0, limit=9)] == ["a"]
