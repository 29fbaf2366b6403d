"""Tasks hash by their number, and apart from those of other executions."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from counterpoint import App, Service
from counterpoint.kernel.execution import Execution

shop = Service("shop")


@shop.workflow
async def order() -> None:
    """Never run: only a loop for it is made."""


program = App("shop", services=[shop], store="memory:").registry.program(order.name)


async def nothing() -> None:
    """Never run: only its task is looked at."""


def tasks(execution_id: str, count: int) -> list[asyncio.Task[Any]]:
    assert program is not None
    loop = Execution(execution_id, 1, program).loop
    coroutines: list[Coroutine[Any, Any, None]] = [nothing() for _ in range(count)]
    made: list[asyncio.Task[Any]] = [loop.create_task(one) for one in coroutines]
    for one in coroutines:
        one.close()
    return made


def test_first_tasks_of_executions_hash_apart() -> None:
    hashes = {hash(tasks(f"order-{number}", 1)[0]) for number in range(1_000)}

    assert len(hashes) > 990


def test_sets_of_tasks_iterate_in_the_order_of_making_whatever_the_execution() -> None:
    for number in range(100):
        made = tasks(f"order-{number}", 7)

        later_first = set[asyncio.Task[Any]]()
        for task in reversed(made):
            later_first.add(task)

        assert list(later_first) == made


def test_tasks_of_an_execution_hash_alike_whenever_they_are_made() -> None:
    first, second = (tasks("order-1", 3) for _ in range(2))

    assert [hash(task) for task in first] == [hash(task) for task in second]
