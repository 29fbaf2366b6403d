"""What waits for an answer of the store while its node stops hears that the node has stopped."""

import asyncio

import pytest

from counterpoint import App, Event, NodeStoppedError, Service
from counterpoint.model.messages import EventRow
from counterpoint.stores.memory import MemoryStore

shop = Service("shop")


@shop.event(key="key")
class Opened(Event):
    key: str


class Pensive(MemoryStore):
    """It thinks about whether it knows an event."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()

    async def event(self, source: str, event_id: str) -> EventRow | None:
        self.asked.set()
        await self.answers.wait()
        return None


async def test_an_event_whose_id_is_looked_up_while_the_node_stops_is_refused() -> None:
    store = Pensive()
    app = App("shop", services=[shop], store=store)
    async with app:
        publishing = asyncio.create_task(app.publish(Opened(key="a"), id="e-1"))
        await store.asked.wait()
    store.answers.set()

    with pytest.raises(NodeStoppedError):
        await asyncio.wait_for(publishing, timeout=30)
