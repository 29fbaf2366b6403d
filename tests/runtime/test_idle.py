"""Who waits for a node to be idle is told when the last thing ends, whatever that is."""

import asyncio

from counterpoint import App, Service
from counterpoint.model.rows import DueRow
from counterpoint.stores.memory import MemoryStore

service = Service("service")
SECONDS = 30


class SlowStore(MemoryStore):
    """Looks for due executions only when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def due(self, *, after: tuple[int, int], until: int, limit: int) -> list[DueRow]:
        self.asked.set()
        await self.may_answer.wait()
        return await super().due(after=after, until=until, limit=limit)


async def test_node_is_idle_when_its_last_work_was_to_look_for_some() -> None:
    store = SlowStore()
    async with App("app", services=[service], store=store) as app:
        idle = asyncio.create_task(app.idle(timeout=SECONDS))
        await store.asked.wait()
        store.may_answer.set()

        await idle
