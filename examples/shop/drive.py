"""Drives the shop from beside its node: submits orders, kills the node, starts it again, waits."""

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from counterpoint import Client, Status

from examples.shop.app import execution_id, place_order
from examples.shop.catalog import Order
from examples.shop.evidence import Evidence, gather_evidence

IN_FLIGHT = 64
POLL = timedelta(milliseconds=50)
STUCK_AFTER = timedelta(seconds=60)


class NodeFailedError(Exception):
    """The node ended by itself, or nothing moves any more."""


class NodeProcess:
    """The shop's node as a child process; what it says goes to `node.log` in the folder."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "node.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "examples.shop.node"],
                cwd=Path(__file__).parent.parent.parent,
                env={**os.environ, "SHOP_DIR": str(directory.absolute())},
                stdout=log,
                stderr=log,
            )
        self.pid = self.process.pid

    def check(self) -> None:
        """Raise if the process has ended by itself."""
        if self.process.poll() is not None:
            tail = self.log.read_text(errors="replace")[-2_000:]
            raise NodeFailedError(f"the node ended with {self.process.returncode}:\n{tail}")

    def kill(self) -> None:
        """End the process as a power failure would: it gets no chance to say or save anything."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End the process the polite way."""
        self.process.terminate()
        self.process.wait(timeout=30)


@dataclass
class Drive:
    """One run of orders through a node that is killed when half of them have ended."""

    client: Client
    directory: Path
    orders: list[Order]
    say: Callable[[str], None]
    progress: Callable[[int, int], None]
    acknowledged: list[str] = field(default_factory=list)
    statuses: dict[str, Status] = field(default_factory=dict)
    seconds: float = 0.0
    down_seconds: float = 0.0
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT))

    @property
    def ended(self) -> int:
        """Executions that have ended."""
        return sum(not status.live for status in self.statuses.values())

    @property
    def unfinished(self) -> list[str]:
        """Acknowledged starts that have not ended."""
        return [id for id in self.acknowledged if self.statuses.get(id, Status.RUNNING).live]

    async def run(self) -> Evidence:
        """Submit everything, crash in the middle, wait for the end; return what the crash left.

        Raises:
            NodeFailedError: the node ended by itself, or nothing moved for a minute.
        """
        began = time.monotonic()
        node = NodeProcess(self.directory)
        self.say(f"the node is process {node.pid}; {len(self.orders)} orders are submitted to it")
        submitting = asyncio.create_task(self._submit())
        try:
            await self._until(len(self.orders) // 2, node, submitting)
            node.kill()
            killed = time.monotonic()
            self.say(f"process {node.pid} is killed (SIGKILL) when {self.ended} orders have ended")
            evidence = await gather_evidence(self.client, self.directory)
            node = NodeProcess(self.directory)
            self.down_seconds = time.monotonic() - killed
            self.say(f"the new node is process {node.pid}; it goes on where the journals end")
            await self._until(len(self.orders), node, submitting)
            self.seconds = time.monotonic() - began
            node.stop()
        finally:
            submitting.cancel()
            node.kill()
        self.say(f"all {self.ended} orders have ended")
        return evidence

    async def _submit(self) -> None:
        """Start orders with a bounded number under way; an id started twice is started once."""
        for order in self.orders:
            await self._places.acquire()
            id = execution_id(order)
            await self.client.start(place_order, order, id=id)
            self.acknowledged.append(id)

    async def _until(self, ended: int, node: NodeProcess, submitting: asyncio.Task[None]) -> None:
        moved = time.monotonic()
        while self.ended < ended:
            before, had_ended = Counter(self.statuses.values()), self.ended
            await asyncio.sleep(POLL.total_seconds())
            self.statuses = {s.id: s.status async for s in self.client.executions()}
            self.progress(len(self.acknowledged), self.ended)
            for _ in range(self.ended - had_ended):
                self._places.release()
            node.check()
            if submitting.done():
                submitting.result()
            if Counter(self.statuses.values()) != before:
                moved = time.monotonic()
            elif time.monotonic() - moved > STUCK_AFTER.total_seconds():
                raise NodeFailedError(f"{ended - self.ended} orders do not end")
