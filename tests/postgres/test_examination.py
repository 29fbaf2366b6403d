"""What a PostgreSQL store says about itself, its nodes and its work."""

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest
from tests.postgres.server import BackDoor, driver
from tests.postgres.several import HOSTING, several, start

from counterpoint import App, Service
from counterpoint.model.findings import Severity
from counterpoint.stores.postgres import PostgresStore
from counterpoint.stores.postgres_url import read_url

PATIENCE_SECONDS = 30
HEARD_WITHIN = "counterpoint.stores.postgres_examination.HEARD_WITHIN_SECONDS"


@pytest.fixture
def own_database(url: str, back_door: BackDoor) -> Iterator[str]:
    """Give the URL of a store in a database in which no other test has a transaction."""
    name = f"examined_{os.getpid()}"
    back_door.execute(f"DROP DATABASE IF EXISTS {name}")
    back_door.execute(f"CREATE DATABASE {name}")
    yield url.replace("/postgres?", f"/{name}?")
    back_door.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_a_server_that_does_not_force_to_the_disk_is_a_warning(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HEARD_WITHIN, PATIENCE_SECONDS)
    async with several(url) as nodes:
        found = await (await nodes.client()).examine()

    kinds = [(one.severity, one.kind, one.where) for one in found.findings]
    assert kinds == [(Severity.WARNING, "durability", "the server's setting fsync")]
    assert found.facts["listen"] is True
    assert found.facts["schema_version"] == found.facts["schema_version_known"]
    assert str(found.facts["engine"]).startswith("PostgreSQL 18")
    assert 0 < float(str(found.facts["round_trip_ms"])) < PATIENCE_SECONDS * 1_000
    assert int(str(found.facts["store_bytes"])) > 100_000
    assert "password" not in str(found.facts)


async def test_commits_that_do_not_wait_are_a_warning(url: str) -> None:
    option = "&" if "?" in url else "?"
    async with several(f"{url}{option}options=-csynchronous_commit%3Doff") as nodes:
        found = await (await nodes.client()).examine()

    assert "the server's setting synchronous_commit" in [one.where for one in found.findings]


async def test_a_way_on_which_nothing_is_heard_is_a_note(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HEARD_WITHIN, 0.01)

    class Deaf:
        """A connection on the way to which somebody drops notifications."""

        async def add_listener(self, _channel: str, _heard: object) -> None: ...

        def terminate(self) -> None: ...

    class Pooled(PostgresStore):
        async def _connect_alone(self) -> Any:
            return Deaf()

    store = Pooled(url)
    await store.open(node=False)
    found = await store.examine()
    await store.close()

    assert found.facts["listen"] is False
    assert (found.findings[-1].kind, found.findings[-1].severity) == ("no-listen", Severity.NOTE)


async def test_who_leaves_a_transaction_open_is_named(
    own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("counterpoint.stores.postgres_examination.TRANSACTION_SECONDS_MAX", 0.0)
    settings = {"application_name": "report"}
    foreign = await driver.connect(read_url(own_database).dsn, server_settings=settings)
    try:
        async with several(own_database) as nodes:
            store = await nodes.client()
            await foreign.execute("BEGIN")
            found = await store.examine()
    finally:
        await foreign.close()

    assert any(
        one.kind == "long-transaction"
        and "a transaction of report (idle in transaction) is open since" in one.what
        for one in found.findings
    )


async def test_live_executions_are_counted_by_workflow_and_version(url: str) -> None:
    async with several(url) as nodes:
        node = await nodes.node()
        await start(node, 1, 2)
        await start(node, 3, name="orders.cancel")
        found = await (await nodes.client()).workflow_loads()

    assert [(one.name, one.version, one.executions) for one in found] == [
        ("orders.cancel", 1, 1),
        ("orders.place_order", 1, 2),
    ]


async def test_a_store_is_hosted_while_a_node_may_commit(url: str) -> None:
    async with several(url) as nodes:
        client = await nodes.client()
        before = await client.hosted_by()
        node = await nodes.node()
        during = await client.hosted_by()
        await node.close()
        after = await client.hosted_by()

    assert (before, during, after) == (None, 0, None)


async def test_a_client_sees_who_is_alive_late_lost_and_what_is_orphaned(url: str) -> None:
    async with several(url) as nodes:
        first, second, third = await nodes.nodes(3)
        await start(second, 1, 2)
        await start(third, 3)
        await nodes.lose(second, by=first)
        await nodes.end_lease(third)
        async with App("none", services=[], store=url).client() as client:
            living = await client.nodes()
            everyone = await client.nodes(all_of_them=True)
            diagnosis = await client.doctor()

    assert [(one.incarnation, one.state, one.executions) for one in everyone] == [
        (first.incarnation, "alive", 0),
        (second.incarnation, "lost", 2),
        (third.incarnation, "late", 1),
    ]
    assert [one.incarnation for one in living] == [first.incarnation, third.incarnation]
    assert living[0].name == HOSTING.node
    kinds = {one.kind for one in diagnosis.findings}
    assert {"orphaned-work", "expired-lease", "durability"} <= kinds
    assert abs(float(str(diagnosis.facts["clock_skew_ms"]))) < PATIENCE_SECONDS * 1_000


async def test_a_client_asks_a_node_to_hand_over(url: str) -> None:
    async with several(url) as nodes:
        node = await nodes.node()
        async with App("none", services=[], store=url).client() as client:
            asked = await client.drain(node.incarnation)
            (after,) = await client.nodes()
        pulse = await node.beat()

    assert (asked.state, after.state, pulse.draining) == ("alive", "draining", True)


async def test_a_node_that_is_asked_to_hand_over_says_so_to_who_runs_it(url: str) -> None:
    app = App("shop", services=[Service("orders")], store=url)
    async with app:
        async with App("none", services=[], store=url).client() as client:
            (node,) = await client.nodes()
            await client.drain(node.incarnation)
        async with asyncio.timeout(30):
            await app.node.drained.wait()
        await app.stop()
        async with app.client() as client:
            (ended,) = await client.nodes(all_of_them=True)

    assert ended.state == "stopped"
