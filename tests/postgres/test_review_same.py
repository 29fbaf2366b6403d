"""Events of one id at one moment, where every question to the store takes time."""

import asyncio

import pytest
from tests.postgres.parade import Reserved, parade

from counterpoint.runtime.batch import Note


async def test_events_that_one_node_publishes_at_once_under_one_id_are_written_once(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with parade(url) as nodes:
        node = await nodes.node()
        written: list[Note] = []
        add = node.node.committer.add

        def count(note: Note) -> None:
            written.extend([note] if note.events else [])
            add(note)

        monkeypatch.setattr(node.node.committer, "add", count)
        for number in range(10):
            event = Reserved(key="a", number=number)
            await asyncio.gather(*(node.publish(event, id=f"e-{number}") for _ in range(4)))

        assert len(written) == 10
