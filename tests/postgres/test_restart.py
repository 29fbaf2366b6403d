"""The server is restarted: nothing that was recorded is lost, or recorded again."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.postgres.server import Server
from tests.postgres.several import Several, several

from counterpoint.errors import StoreBrokenError, StoreBusyError, StoreError
from counterpoint.model.messages import EventQuery, Messages
from counterpoint.model.rows import Commit
from counterpoint.ports.cluster import Heard
from counterpoint.stores.postgres import PostgresStore
from counterpoint.testing.conformance.store_case import entry, event, execution, post, start


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """Give a server that other tests do not use, and that waits for the disk."""
    server = Server.create(fsync=True)
    yield server
    server.stop()


@pytest.fixture
async def nodes(own_server: Server, request: pytest.FixtureRequest) -> AsyncIterator[Several]:
    schema = f"s{abs(hash(request.node.name))}"
    async with several(own_server.url(schema=schema)) as made:
        yield made


def publish(name: str) -> Commit:
    return Commit(messages=Messages(events=[event(name)]))


async def test_node_goes_on_when_the_server_was_restarted_between_two_commits(
    own_server: Server, nodes: Several
) -> None:
    node = await nodes.node()
    await node.commit(publish("before"))

    await asyncio.to_thread(own_server.restart)

    assert await node.commit(publish("after")) == 2
    assert [row.id for row in await node.events(EventQuery())] == ["before", "after"]
    assert not (await node.beat()).expired


async def test_node_hears_again_after_a_restart(own_server: Server, nodes: Several) -> None:
    node = await nodes.node()
    await start(node, execution(1))
    heard = asyncio.Event()
    node.listen(lambda what: heard.set() if what is Heard.MAIL else None)
    await asyncio.to_thread(own_server.restart)
    client = await nodes.client()

    async with asyncio.timeout(30):
        number = 0
        while not heard.is_set():
            await post(client, f"letter {number}")
            number += 1
            await asyncio.sleep(0.02)


async def test_commit_that_a_crash_met_is_unknown_and_the_truth_is_read_after_it(
    own_server: Server, nodes: Several
) -> None:
    node = await nodes.node()
    await start(node, execution(1))
    other = await node._connect_alone()
    await other.execute(f"BEGIN; UPDATE {node._schema}.log SET key = key")
    commit = Commit(journal=[entry(1)], messages=Messages(events=[event("a")]))
    under_way = asyncio.create_task(node.commit(commit))
    await nodes.wait_until_blocked()

    await asyncio.to_thread(own_server.restart, "immediate")

    with pytest.raises(StoreBrokenError):
        await under_way
    for refused in (node.commit(commit), node.journal(1), node.changed(), node.begin()):
        with pytest.raises(StoreBrokenError, match="closed until then"):
            await refused
    await node.close()
    await node.open(node=True)
    assert await node.journal(1) == []
    assert await node.commit(commit) == 1
    assert await node.journal(1) == [entry(1)]


async def test_read_that_the_server_left_is_a_broken_store(
    own_server: Server, nodes: Several
) -> None:
    node = await nodes.node()
    locked = await node._connect_alone()
    await locked.execute(f"BEGIN; LOCK TABLE {node._schema}.executions")
    reading = asyncio.create_task(node.execution("a"))
    await nodes.wait_until_blocked()

    await asyncio.to_thread(own_server.restart, "immediate")

    with pytest.raises(StoreBrokenError):
        await reading


async def test_stopped_server_is_waited_for(own_server: Server, nodes: Several) -> None:
    node = await nodes.node()
    await start(node, execution(1))
    await node.close()
    await asyncio.to_thread(own_server.control, "stop", "-m", "fast")
    try:
        with pytest.raises(StoreBusyError, match="no server answers"):
            await node.open(node=True)
        with pytest.raises(StoreError, match="not open"):
            await node.execution("execution-1")
    finally:
        log = str(own_server.data / "log")
        await asyncio.to_thread(own_server.control, "start", "-l", log)

    await node.open(node=True)

    assert await node.execution("execution-1") is not None


async def test_idle_store_closes_although_the_server_is_gone(
    own_server: Server, nodes: Several
) -> None:
    node = PostgresStore(nodes._url)
    await node.open(node=True)
    await asyncio.to_thread(own_server.control, "stop", "-m", "immediate")
    try:
        await node.close()
    finally:
        log = str(own_server.data / "log")
        await asyncio.to_thread(own_server.control, "start", "-l", log)
