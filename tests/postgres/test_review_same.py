"""Events of one id at one moment, where every question to the store takes time."""

import asyncio

import pytest
from tests.postgres.parade import Reserved, parade

from counterpoint.model.messages import EventRow
from counterpoint.runtime.batch import Note

AT_ONCE = 4


async def test_events_that_one_node_publishes_at_once_under_one_id_are_written_once(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with parade(url) as nodes:
        node = await nodes.node()
        written: list[Note] = []
        asked: list[str] = []
        add, ask = node.node.committer.add, node.node.store.event
        answered = asyncio.Barrier(AT_ONCE)

        def count(note: Note) -> None:
            written.extend([note] if note.events else [])
            add(note)

        async def event(source: str, id: str) -> EventRow | None:
            """Tell all who ask at first at one moment that it is not there."""
            asked.append(id)
            first = len(asked) <= AT_ONCE
            found = await ask(source, id)
            if first:
                await answered.wait()
            return found

        monkeypatch.setattr(node.node.committer, "add", count)
        monkeypatch.setattr(node.node.store, "event", event)
        async with asyncio.timeout(30):
            one = Reserved(key="a", number=1)
            await asyncio.gather(*(node.publish(one, id="e") for _ in range(AT_ONCE)))

        assert len(written) == 1
        assert len(asked) > AT_ONCE
