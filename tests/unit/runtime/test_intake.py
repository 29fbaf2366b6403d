"""A reading of mail ends when the store fails, at whatever it waits for."""

import asyncio

from counterpoint import Service, workflow
from counterpoint.errors import StoreBrokenError
from counterpoint.model.rows import MailRow
from counterpoint.runtime.mail import StartMail, mail_row
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing import Harness

shop = Service("shop")


@shop.workflow
async def wait(order: str) -> str:
    return await workflow.signal(order, str)


class Gated(MemoryStore):
    """A store whose next page of mail comes when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.gated = False
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()

    async def mail(
        self, *, after: int, limit: int, execution_id: str | None = None
    ) -> list[MailRow]:
        found = await super().mail(after=after, limit=limit, execution_id=execution_id)
        if self.gated and found:
            self.gated = False
            self.reached.set()
            await self.gate.wait()
        return found


async def test_nothing_comes_of_a_page_that_was_read_before_the_store_failed() -> None:
    store = Gated()
    async with Harness(services=[shop], store=store, rehearse=False) as harness:
        node = harness.app.node
        store.gated = True
        start = StartMail(wait.name, wait.signature.encode_arguments(("1",), {}))
        await node.post(mail_row("order-1", start, node.clock.now(), node.codec))
        await store.reached.wait()

        node.store_failed(StoreBrokenError("injected"))
        store.gate.set()
        for _ in range(50):
            await asyncio.sleep(0)
        assert store._executions == {}
        await harness.advance(seconds=10)

        assert [row.id for row in store._executions.values()] == ["order-1"]
        assert await store.mail(after=0, limit=10) == []
