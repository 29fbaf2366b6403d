"""What a node does when its store fails, and fails again while it is read."""

import asyncio
from types import SimpleNamespace
from typing import Any

from counterpoint.errors import StoreBrokenError, StoreBusyError
from counterpoint.runtime.faults import Faults


def _hear(_why: str) -> None: ...


SEVERAL = SimpleNamespace(many_nodes=True)


class Node:
    """A node whose parts write down what is asked of them."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.fault: BaseException | None = None
        self.stopping = False
        self.tasks: list[asyncio.Task[None]] = []
        self.opened = asyncio.Event()
        """Set when the recovery has opened the store, and goes on when it is cleared."""
        self.results = SimpleNamespace(ids=list[str], stop=_hear)
        self.keys = SimpleNamespace(forget=lambda: None)
        self.membership = SimpleNamespace(open=self.join, poke=lambda: None)
        self.messaging = SimpleNamespace(
            read_again=self.read_again, begin=lambda: self.did.append("begin")
        )
        self.loading = SimpleNamespace(damaged=dict[str, str](), try_stopped=lambda: None)
        self.intake = SimpleNamespace(restart=lambda: None)
        self.due = SimpleNamespace(restart=lambda: None)
        self.remote = SimpleNamespace(poke=lambda: None)
        self.idlers = SimpleNamespace(stop=_hear)
        self.store = SimpleNamespace(features=SEVERAL, close=self.close)
        self.clock = self.codec = None
        some: Any = self
        self.faults = Faults(some)
        recovery: Any = SimpleNamespace(run=self.run)
        self.faults.recovery = recovery
        self.reading: asyncio.Event | None = None

    async def run(self) -> None:
        self.did.append("opened")

    async def close(self) -> None:
        self.did.append("closed")

    async def join(self) -> None: ...

    async def read_again(self) -> None:
        self.did.append("read")
        self.opened.set()
        if self.reading is not None:
            await self.reading.wait()

    def drop_everything(self, _: BaseException) -> None:
        self.did.append("forgot")

    def drop_residents(self) -> None: ...

    def spawn(self, _: object) -> None: ...

    def keep(self, task: asyncio.Task[None]) -> None:
        self.tasks.append(task)

    async def over(self) -> None:
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_what_was_read_before_another_failure_is_read_again() -> None:
    """Part of it is forgotten by then: positions would pass over what is in nobody's queues."""
    node = Node()
    node.reading = asyncio.Event()
    node.faults.store_failed(StoreBrokenError("gone"))
    await node.opened.wait()
    node.faults.store_failed(StoreBusyError("a call of before, which has waited for long"))
    node.reading.set()
    for _ in range(10):
        await asyncio.sleep(0)
    await node.over()

    assert node.did == [
        "forgot", "opened", "read", "forgot", "forgot", "opened", "read", "begin",
    ]  # fmt: skip
    assert node.fault is None


async def test_a_store_that_has_lost_what_it_confirmed_is_not_believed_again() -> None:
    node = Node()
    error = StoreBrokenError("fsync failed")
    error.fatal = True

    node.faults.store_failed(error)
    await node.over()

    assert node.faults.down
    assert node.did == ["forgot", "closed"]


async def test_a_node_that_stays_down_opens_its_store_no_more() -> None:
    node = Node()
    node.reading = asyncio.Event()
    node.faults.store_failed(StoreBrokenError("gone"))
    await node.opened.wait()

    async def part() -> None:
        raise RuntimeError("a defect")

    ended = asyncio.create_task(part())
    await asyncio.wait([ended])
    node.faults.part_ended(ended)
    await node.over()

    assert node.faults.down
    assert node.fault is not None
    assert node.did[-1] == "closed"
    assert all(task.done() for task in node.tasks)
