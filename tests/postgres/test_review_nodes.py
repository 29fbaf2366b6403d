"""What several nodes do to each other's work, found by reading."""

import pytest
from tests.postgres import parade as p
from tests.postgres.parade import Reserved, parade, until, waits

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

        assert await first.execution("w").result(10) == 7
        assert p.seen.calls == ["a"]
