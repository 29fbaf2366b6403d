"""What several nodes do to each other's work, found by reading."""

import pytest
from tests.postgres import parade as p
from tests.postgres.parade import Placed, Reserved, parade, shared_by, until, waits

from counterpoint.errors import StoreBrokenError
from counterpoint.model.cluster import Adopted


async def test_what_a_letter_brought_here_hears_of_events_that_nobody_here_waited_for(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with parade(url) as nodes:
        first, second = await nodes.node(), await nodes.node()
        await second.start(waits, "a", id="w")
        await until(lambda: nodes.sql("SELECT 1 FROM {schema}.event_waits"))
        cluster = first.node.cluster
        assert cluster is not None

        async def nothing(_: int) -> Adopted:
            return Adopted()

        monkeypatch.setattr(cluster, "adopt", nothing)
        await second.stop()
        await first.publish(Reserved(key="a", number=7))
        await first.execution("w").signal("any", None)

        assert await first.execution("w").result(30) == 7
        assert p.seen.calls == ["a"]


async def test_a_replay_that_is_asked_for_where_the_reaction_is_not_hosted_happens(
    url: str,
) -> None:
    async with parade(url) as nodes:
        first = await nodes.node()
        second = await nodes.node(hosts=["orders"])
        await first.publish(Placed(key="a", number=1))
        await until(lambda: p.seen.taken["a"] == [1])

        await second.replay_events("stock.reserve", first=1)

        await until(lambda: p.seen.taken["a"] == [1, 1])


async def test_a_node_comes_back_although_its_subscriptions_were_deleted_meanwhile(
    url: str,
) -> None:
    async with parade(url) as nodes:
        node = await nodes.node()
        await until(lambda: shared_by([node], "stock"))
        await nodes.sql("DELETE FROM {schema}.subscriptions")

        node.node.store_failed(StoreBrokenError("it was frozen"))
        await until(lambda: node.node.fault is None and shared_by([node], "stock"))
        await node.publish(Placed(key="a", number=1))

        await until(lambda: p.seen.taken["a"] == [1])


async def test_events_wait_for_a_service_that_no_node_has_hosted_yet(url: str) -> None:
    async with parade(url) as nodes:
        first = await nodes.node(hosts=["orders"])
        await first.publish(Placed(key="a", number=1))

        await nodes.node(hosts=["stock"])

        await until(lambda: p.seen.taken["a"] == [1])
