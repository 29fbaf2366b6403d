"""A node runs what is its own, and passes on what reaches it for others."""

import pytest
from tests.runtime.remote_cluster import SharedStore
from tests.runtime.remote_shop import order_by_wire, shop, terminal, until

from counterpoint import ExecutionFailed
from counterpoint.model.rows import MailRow

BOTH = "orders,payments"


async def test_an_execution_of_another_node_is_not_loaded() -> None:
    async with shop(BOTH, BOTH) as (_, (here, there)):
        terminal.open.clear()
        execution = await here.start(order_by_wire, "one", id="one")
        await terminal.entered.wait()

        assert await there.node.load("one") is None
        terminal.open.set()

        assert await execution.result(timeout=30) == "wired"
        assert terminal.calls == ["wire one"]


async def test_a_letter_to_an_execution_that_began_elsewhere_is_passed_on() -> None:
    async with shop(BOTH, BOTH) as (world, (here, there)):
        terminal.open.clear()
        execution = await here.start(order_by_wire, "one", id="one")
        await terminal.entered.wait()
        place = world.shared._next_position  # pyright: ignore[reportPrivateUsage]

        def is_there(row: MailRow) -> bool:
            return row.position == place

        def is_here(row: MailRow) -> bool:
            return row.position > place

        for app, is_mine in ((here, is_here), (there, is_there)):
            assert isinstance(app.node.store, SharedStore)
            app.node.store._is_mine = is_mine  # type: ignore[method-assign]
        await execution.cancel()

        await until(lambda: terminal.cancelled)
        with pytest.raises(ExecutionFailed):
            await execution.result(timeout=30)
        assert not world.shared.letters()
