"""Positions become readable in their order, whatever other transactions do."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.postgres.several import Several, several

from counterpoint.model.messages import EventQuery, EventRow, Messages
from counterpoint.model.rows import Commit
from counterpoint.stores.postgres import PostgresStore
from counterpoint.testing.conformance.store_case import event, execution, letter, start


@pytest.fixture
async def nodes(url: str) -> AsyncIterator[Several]:
    async with several(url) as made:
        yield made


def publish(*events: EventRow) -> Commit:
    return Commit(messages=Messages(events=events))


async def names(store: PostgresStore) -> list[tuple[int, str]]:
    return [(row.position, row.id) for row in await store.events(EventQuery())]


@pytest.mark.parametrize("first_commits", [True, False], ids=["committed", "rolled back"])
async def test_later_event_is_not_readable_before_an_earlier_one(
    nodes: Several, *, first_commits: bool
) -> None:
    first, second, reader = await nodes.nodes(3)
    connection = await first._connect_alone()
    transaction = connection.transaction()
    await transaction.start()
    assert await first.write_on(connection, publish(event("first"))) == 1
    later = asyncio.create_task(second.commit(publish(event("second"))))
    await nodes.wait_until_blocked()

    assert not later.done()
    assert await names(reader) == []
    assert await reader.last_position() == 0

    if first_commits:
        await transaction.commit()
    else:
        await transaction.rollback()
    await connection.close()
    position = await later
    expected = [(1, "first"), (2, "second")] if first_commits else [(1, "second")]
    assert position == len(expected)
    assert await names(reader) == expected


async def test_reader_never_finds_anything_below_what_it_has_seen(nodes: Several) -> None:
    writers = await nodes.nodes(4)
    reader = await nodes.client()
    total = 4 * 10

    async def write(number: int, node: PostgresStore) -> None:
        for count in range(10):
            await node.commit(publish(event(f"{number}/{count}")))

    async def read() -> list[int]:
        seen: list[int] = []
        while len(seen) < total:
            after = seen[-1] if seen else 0
            seen += [row.position for row in await reader.events(EventQuery(after=after))]
        return seen

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read())
        for number, node in enumerate(writers):
            tasks.create_task(write(number, node))

    assert reading.result() == list(range(1, total + 1))


async def test_long_transaction_of_somebody_else_delays_nothing(nodes: Several) -> None:
    (node,) = await nodes.nodes(1)
    await nodes.sql("CREATE TABLE {schema}.theirs (id integer)")
    stranger = await node._connect_alone()
    await stranger.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    await stranger.execute(f"INSERT INTO {node._schema}.theirs VALUES (1)")

    await start(node, execution(1))
    for number in range(3):
        await node.commit(publish(event(f"e{number}")))
        await node.commit(Commit(mail=[letter(f"m{number}")]))

    assert [position for position, _ in await names(node)] == [1, 2, 3]
    assert len(await node.mail(after=0, limit=9)) == 3
    await stranger.execute("ROLLBACK")
    await stranger.close()
    await nodes.sql("DROP TABLE {schema}.theirs")
