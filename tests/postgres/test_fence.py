"""A node that was declared dead never commits, and who adopts sees all that it did commit (P7)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from asyncpg.transaction import Transaction
from tests.postgres.several import (
    HOSTING,
    PATIENT,
    Several,
    call,
    letter,
    offer,
    several,
    start,
    subscribe,
    subscription,
)

from counterpoint.errors import NodeLostError, StoreError
from counterpoint.model.cluster import Limit, Progress
from counterpoint.model.rows import Commit
from counterpoint.stores.postgres import PostgresStore
from counterpoint.testing.conformance.store_case import entry, execution

pytestmark = pytest.mark.postgres

NO_FENCE = """
CREATE OR REPLACE FUNCTION {schema}.fence_v1(me bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN END
$$
"""
JUST_OVER = """
CREATE OR REPLACE FUNCTION {schema}.overdue_v1(asked bigint, lengths integer) RETURNS boolean
LANGUAGE sql VOLATILE AS $$ SELECT lengths = 0 $$
"""
WRITES: dict[str, Callable[[PostgresStore], Awaitable[object]]] = {
    "commit": lambda node: node.commit(Commit(starts=[execution(9)])),
    "announce": lambda node: node.announce(HOSTING),
    "beat": lambda node: node.beat(),
    "adopt": lambda node: node.adopt(9),
    "route": lambda node: node.route(9),
    "take slots": lambda node: node.take_slots("orders", 9),
    "give slots": lambda node: node.give_slots("orders", [0, 1]),
    "advance": lambda node: node.advance("orders", [Progress(1, 5)]),
    "claim": lambda node: node.claim(["orders.create"], [], 9),
    "claim with limits": lambda node: node.claim(["orders.create"], [Limit("orders", 1, None)], 9),
    "forget": lambda node: node.forget(finished_before=9, limit=9),
    "forget events": lambda node: node.forget_events(recorded_before=9, limit=9),
}


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Several]:
    async with several(url) as nodes:
        yield nodes


async def everything(shop: Several) -> list[list[tuple[object, ...]]]:
    """Return what a write could change."""
    tables = ("executions", "mailbox", "slots", "progress", "subscriptions", "calls", "log")
    read = "SELECT * FROM {schema}.%s ORDER BY 1, 2"
    return [await shop.sql(read.replace("%s", table)) for table in tables]


async def prepared(shop: Several) -> tuple[PostgresStore, PostgresStore]:
    """Return two nodes, the second with something to do for each kind of write."""
    one, two = await shop.nodes(2)
    await subscribe(one, subscription(1))
    await two.take_slots("orders", 100)
    await offer(one, call(1))
    three = await shop.node()
    await start(three, 5)
    await shop.lose(three, by=one)
    return one, two


@pytest.mark.parametrize("name", WRITES)
async def test_a_lost_node_writes_nothing(shop: Several, name: str) -> None:
    one, two = await prepared(shop)
    await shop.lose(two, by=one)
    before = await everything(shop)

    with pytest.raises(NodeLostError):
        await WRITES[name](two)

    assert await everything(shop) == before


async def test_a_living_node_writes_all_of_it(shop: Several) -> None:
    _, two = await prepared(shop)

    for write in WRITES.values():
        await write(two)

    assert (await two.beat()).others == 1


async def hold_log(shop: Several) -> Transaction:
    """Hold the row for which every commit with letters waits."""
    transaction = shop.back_door.transaction()
    await transaction.start()
    await shop.sql("SELECT FROM {schema}.log FOR UPDATE")
    return transaction


async def late_commit(shop: Several) -> tuple[bool, bool]:
    """Let a node be declared lost between the fence and the end of one of its commits.

    Return whether the declaration came first, and whether the commit was written.
    """
    one, two = await shop.nodes(2)
    await start(two, 1)
    await shop.alter(JUST_OVER)
    held = await hold_log(shop)
    commit = asyncio.ensure_future(
        two.commit(Commit(journal=[entry(1)], mail=[letter("late", "nobody")]))
    )
    await shop.wait_until_blocked()
    lost = await one.declare_lost(two.incarnation)
    await held.rollback()
    written = not isinstance((await asyncio.gather(commit, return_exceptions=True))[0], Exception)
    return lost, written


async def test_a_commit_under_way_is_waited_for(shop: Several) -> None:
    lost, written = await late_commit(shop)

    assert (lost, written) == (False, True)


async def test_without_the_fence_a_lost_node_would_commit(shop: Several) -> None:
    """The test above can fail: this is what it would find."""
    await shop.node()
    await shop.alter(NO_FENCE)

    lost, written = await late_commit(shop)

    assert (lost, written) == (True, True)


async def test_a_commit_that_waits_for_a_declaration_is_refused(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await shop.end_lease(two)
    async with shop.back_door.transaction():  # what `declare_lost` does, in slow motion
        assert await shop.sql("SELECT {schema}.declare_lost_v1($1, false)", two.incarnation) == [
            (True,)
        ]
        commit = asyncio.ensure_future(two.commit(Commit(starts=[execution(1)])))
        await shop.wait_until_blocked()

    with pytest.raises(NodeLostError):
        await commit
    assert await one.execution("execution-1") is None


async def test_who_adopts_sees_the_commit_that_was_under_way(shop: Several) -> None:
    one, two = await shop.nodes(2)
    await start(two, 1)
    await shop.alter(JUST_OVER)
    await shop.alter(PATIENT)
    held = await hold_log(shop)
    commit = asyncio.ensure_future(
        two.commit(Commit(journal=[entry(1)], mail=[letter("late", "nobody")]))
    )
    await shop.wait_until_blocked()
    declare = asyncio.ensure_future(one.declare_lost(two.incarnation))
    await shop.wait_until_blocked(2)
    await held.rollback()

    assert await declare
    assert (await commit) == 0
    assert (await one.adopt(9)).executions == 1
    assert len(await one.journal(1)) == 1


async def test_a_node_that_is_frozen_in_a_transaction_is_cut_off_a_lease_later(
    shop: Several,
) -> None:
    one, two = await shop.nodes(2)
    frozen = await two.begin()
    # The node is stopped between the commit's statement and the end of the transaction.
    await two.write_on(frozen.connection, Commit(starts=[execution(1)]))
    await shop.end_lease(two, lengths=10_000)

    async with asyncio.timeout(30):  # its session is ended at once, and gone when it gets to it
        while not await one.declare_lost(two.incarnation):
            pass

    with pytest.raises(StoreError):
        await frozen.commit(Commit(starts=[execution(2)]))
    assert await shop.sql("SELECT key FROM {schema}.executions") == []


async def test_a_stopped_node_that_goes_on_commits_nothing_of_its_transaction(
    shop: Several,
) -> None:
    one, two = await shop.nodes(2)
    transaction = await two.begin()
    await shop.alter("CREATE TABLE {schema}.business (order_id integer)")
    await transaction.connection.execute(
        "INSERT INTO {schema}.business VALUES (1)".replace("{schema}", two._schema)
    )
    await shop.lose(two, by=one)

    with pytest.raises(StoreError):
        await transaction.commit(Commit(starts=[execution(1)]))

    assert await shop.sql("SELECT FROM {schema}.business") == []
    assert await shop.sql("SELECT FROM {schema}.executions") == []


async def test_a_zombie_session_of_a_node_that_opens_again_is_ended(shop: Several) -> None:
    node = await shop.node()
    zombie = await asyncpg.connect(node._place.dsn)
    await zombie.execute("BEGIN")
    await node.write_on(zombie, Commit(starts=[execution(1)]))
    node._cut()

    await shop.open_again(node)

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await zombie.execute("COMMIT")
    assert await shop.sql("SELECT FROM {schema}.executions") == []
    zombie.terminate()


async def test_a_node_does_not_leave_while_a_commit_of_it_is_under_way(shop: Several) -> None:
    node = await shop.node()
    open_one = await node.begin()
    await node.write_on(open_one.connection, Commit(starts=[execution(1)]))

    await node._leave()

    assert (await node.nodes())[0].alive
    await open_one.rollback()
