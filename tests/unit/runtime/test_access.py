"""Questions about executions that change while they are asked."""

from typing import Any

from counterpoint.model.rows import ExecutionRow
from counterpoint.model.states import Status
from counterpoint.runtime.access import check_reachable

LIVE = ExecutionRow(1, "a", 1, "workflow", "shop", "shop.a", 1, Status.RUNNING, b"", 0, 0)


class Store:
    """A store in which an execution begins after it was first asked for."""

    def __init__(self) -> None:
        self.asked = 0

    async def execution(self, _: str) -> ExecutionRow | None:
        self.asked += 1
        return None if self.asked == 1 else LIVE

    async def mail(self, **_: object) -> list[Any]:
        return []


async def test_an_execution_that_begins_while_it_is_looked_for_can_be_reached() -> None:
    store: Any = Store()

    await check_reachable(store, "a", "signalled")
