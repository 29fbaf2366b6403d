"""A child under an id that another node's execution gets at the same moment."""

import asyncio

import pytest

from counterpoint import App, ExecutionFailed, Service, workflow
from counterpoint.model.rows import ExecutionRow

shop = Service("shop")


@shop.workflow()
async def child(name: str) -> str:
    return await workflow.signal("go", str)


@shop.workflow()
async def parent() -> str:
    return await workflow.child(child, "of the parent", id="taken")


async def test_a_parent_learns_that_the_id_of_its_child_was_given_to_another_one_meanwhile(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        App("shop", services=[shop], store=url) as first,
        App("shop", services=[shop], store=url) as second,
    ):
        ask = second.node.store.execution
        asked: list[str] = []

        async def execution(execution_id: str) -> ExecutionRow | None:
            """Let somebody start it elsewhere just after it was not there."""
            asked.append(execution_id)
            found = await ask(execution_id)
            if asked.count("taken") == 1 and execution_id == "taken":
                await first.start(child, "somebody's", id="taken")
            return found

        monkeypatch.setattr(second.node.store, "execution", execution)

        async with asyncio.timeout(30):
            with pytest.raises(ExecutionFailed, match="belongs to another execution"):
                await second.run(parent)
