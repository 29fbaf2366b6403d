"""What a user writes is committed with the store's own rows, or not at all."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from tests.postgres.several import Several, several

from counterpoint.errors import (
    ConflictError,
    NodeLostError,
    StoreBrokenError,
    StoreError,
    StoreReadOnlyError,
)
from counterpoint.model.messages import EventQuery, Messages
from counterpoint.model.rows import Commit
from counterpoint.stores.postgres import PostgresStore
from counterpoint.testing.conformance.store_case import entry, event, execution, start


@pytest.fixture
async def nodes(url: str) -> AsyncIterator[Several]:
    async with several(url) as made:
        yield made


@pytest.fixture
async def node(nodes: Several) -> AsyncIterator[PostgresStore]:
    (node,) = await nodes.nodes(1)
    await nodes.sql(
        "CREATE TABLE {schema}_money (id integer, UNIQUE (id) DEFERRABLE INITIALLY DEFERRED)"
    )
    yield node
    await nodes.sql("DROP TABLE {schema}_money")


async def pay(node: PostgresStore, connection: Any, number: int) -> None:
    await connection.execute(f"INSERT INTO {node._schema}_money VALUES ($1)", number)


async def paid(nodes: Several) -> list[int]:
    return [number for (number,) in await nodes.sql("SELECT id FROM {schema}_money ORDER BY id")]


async def test_both_are_committed_together(nodes: Several, node: PostgresStore) -> None:
    transaction = await node.begin()
    await pay(node, transaction.connection, 1)
    await transaction.check()
    assert await paid(nodes) == []

    first = await transaction.commit(
        Commit(journal=[entry(1)], messages=Messages(events=[event("a")]))
    )

    assert first == 1
    assert await paid(nodes) == [1]
    assert await node.journal(1) == [entry(1)]


async def test_nothing_is_left_of_what_was_rolled_back(nodes: Several, node: PostgresStore) -> None:
    transaction = await node.begin()
    await pay(node, transaction.connection, 1)

    await transaction.rollback()
    await transaction.rollback()

    assert await paid(nodes) == []


async def test_conflict_takes_back_what_the_user_wrote(nodes: Several, node: PostgresStore) -> None:
    await start(node, execution(1))
    transaction = await node.begin()
    await pay(node, transaction.connection, 1)

    with pytest.raises(ConflictError) as caught:
        await transaction.commit(Commit(starts=[execution(1)]))

    assert caught.value.ids == ("execution-1",)
    assert await paid(nodes) == []
    await start(node, execution(2))


async def test_deferred_constraint_fails_the_check_and_not_the_commit(
    nodes: Several, node: PostgresStore
) -> None:
    transaction = await node.begin()
    await pay(node, transaction.connection, 1)
    await pay(node, transaction.connection, 1)

    with pytest.raises(asyncpg.UniqueViolationError):
        await transaction.check()
    await transaction.rollback()

    assert await paid(nodes) == []


async def test_deferred_constraint_that_nobody_checked_is_an_error_and_the_store_works_on(
    nodes: Several, node: PostgresStore
) -> None:
    transaction = await node.begin()
    await pay(node, transaction.connection, 1)
    await pay(node, transaction.connection, 1)

    with pytest.raises(StoreError, match="refuses a value"):
        await transaction.commit(Commit(starts=[execution(1)]))

    assert await paid(nodes) == []
    assert await node.execution("execution-1") is None


async def test_transaction_that_its_user_ended_commits_nothing_more(
    nodes: Several, node: PostgresStore
) -> None:
    transaction = await node.begin()
    await pay(node, transaction.connection, 1)
    await transaction.connection.execute("COMMIT")

    with pytest.raises(StoreError, match="leave COMMIT"):
        await transaction.commit(Commit(starts=[execution(1)]))

    assert await node.execution("execution-1") is None
    assert await paid(nodes) == [1]


async def test_lost_node_commits_nothing_of_its_user(nodes: Several, node: PostgresStore) -> None:
    other = await nodes.node()
    transaction = await node.begin()
    await pay(node, transaction.connection, 1)
    await transaction.connection.execute("COMMIT; BEGIN")  # the fence is let go of by that
    await pay(node, transaction.connection, 2)
    await nodes.lose(node, by=other)

    with pytest.raises(NodeLostError):
        await transaction.commit(Commit(starts=[execution(1)]))

    assert await paid(nodes) == [1]
    assert await other.execution("execution-1") is None


async def test_transaction_whose_session_the_server_ended_is_no_fault_of_its_user(
    nodes: Several, node: PostgresStore
) -> None:
    transaction = await node.begin()
    await pay(node, transaction.connection, 1)
    pid = await transaction.connection.fetchval("SELECT pg_backend_pid()")
    await nodes.sql("SELECT pg_terminate_backend($1, 5000)", pid)

    with pytest.raises(StoreBrokenError):
        await transaction.commit(Commit(starts=[execution(1)]))

    await node.close()
    await node.open(node=True)
    assert await node.execution("execution-1") is None
    assert await paid(nodes) == []


async def test_open_transaction_holds_the_fence_that_whoever_declares_its_node_lost_has_to_take(
    nodes: Several, node: PostgresStore
) -> None:
    other = await nodes.node()
    take = "SELECT pg_try_advisory_xact_lock({schema}.lock_class_v1('node'), $1)"
    transaction = await node.begin()

    assert await nodes.sql(take, node.incarnation) == [(False,)]

    await transaction.rollback()
    assert await nodes.sql(take, node.incarnation) == [(True,)]
    await nodes.lose(node, by=other)
    with pytest.raises(NodeLostError):
        await node.begin()


async def test_transaction_that_outlived_its_store_does_not_break_the_one_opened_since(
    nodes: Several, node: PostgresStore
) -> None:
    transaction = await node.begin()
    await node.close()
    await nodes.open_again(node)

    with pytest.raises(StoreBrokenError):
        await transaction.commit(Commit(starts=[execution(1)]))

    await start(node, execution(1))


async def test_settings_of_one_user_do_not_reach_the_next(node: PostgresStore) -> None:
    before = await node.begin()
    await before.connection.execute("SET work_mem = '99MB'")
    await before.commit(Commit())

    after = await node.begin()

    assert await after.connection.fetchval("SHOW work_mem") != "99MB"
    await after.rollback()


async def test_open_transactions_leave_the_node_connections_of_its_own(
    node: PostgresStore,
) -> None:
    held = [await node.begin() for _ in range(5)]

    await node.commit(Commit(messages=Messages(events=[event("a")])))

    assert len(await node.events(EventQuery())) == 1
    for transaction in held:
        await transaction.rollback()


async def test_client_has_none(nodes: Several) -> None:
    client = await nodes.client()

    with pytest.raises(StoreReadOnlyError):
        await client.begin()
