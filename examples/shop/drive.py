"""Drives the shop from beside its node: submits orders, kills the node, starts it again, waits."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from counterpoint import Client

from examples.shop.app import execution_id
from examples.shop.catalog import Order
from examples.shop.evidence import Evidence, gather_evidence, steps_due
from examples.shop.forms import Form

IN_FLIGHT = 64
POLL = timedelta(milliseconds=50)
STUCK_AFTER = timedelta(seconds=60)


class NodeFailedError(Exception):
    """The node ended by itself, or nothing moves any more."""


class NodeProcess:
    """The shop's node as a child process; what it says goes to `node.log` in the folder."""

    def __init__(self, directory: Path, form: Form) -> None:
        self.log = directory / "node.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "examples.shop.node"],
                cwd=Path(__file__).parent.parent.parent,
                env={
                    **os.environ,
                    "SHOP_DIR": str(directory.absolute()),
                    "SHOP_FORM": form.name,
                },
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

    form: Form
    client: Client
    directory: Path
    orders: list[Order]
    say: Callable[[str], None]
    progress: Callable[[int, int], None]
    acknowledged: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    seconds: float = 0.0
    """From the first start of a node to the last end of an order, but for the time in which nobody
    ran because the files were read."""
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT))

    @property
    def unfinished(self) -> list[str]:
        """Acknowledged orders that have not ended."""
        return [id for id in self.acknowledged if id not in self.ended]

    async def run(self) -> Evidence:
        """Submit everything, crash in the middle, wait for the end; return what the crash left.

        Raises:
            NodeFailedError: the node ended by itself, or nothing moved for a minute.
        """
        began = time.monotonic()
        node = NodeProcess(self.directory, self.form)
        self.say(f"the node is process {node.pid}; {len(self.orders)} orders are submitted to it")
        submitting = asyncio.create_task(self._submit())
        try:
            await self._until(len(self.orders) // 2, node, submitting)
            node.kill()
            killed = time.monotonic()
            self.say(
                f"process {node.pid} is killed (SIGKILL) when {len(self.ended)} orders have ended"
            )
            evidence = await gather_evidence(self.form, self.client, self.directory)
            began += time.monotonic() - killed
            node = NodeProcess(self.directory, self.form)
            self.say(f"the new node is process {node.pid}; it goes on with what the store holds")
            await self._until(len(self.orders), node, submitting)
            self.seconds = time.monotonic() - began
            await self._until_quiet(node)
            node.stop()
        finally:
            submitting.cancel()
            node.kill()
        self.say(f"all {len(self.ended)} orders have ended")
        return evidence

    async def _submit(self) -> None:
        """Submit orders with a bounded number under way."""
        for order in self.orders:
            await self._places.acquire()
            await self.form.submit(self.client, order)
            self.acknowledged.append(execution_id(order))

    async def _until(self, ended: int, node: NodeProcess, submitting: asyncio.Task[None]) -> None:
        moved = time.monotonic()
        while len(self.ended) < ended:
            had_ended = len(self.ended)
            await asyncio.sleep(POLL.total_seconds())
            node.check()
            if submitting.done():
                submitting.result()
            self.ended = self.form.ended(self.directory)
            self.progress(len(self.acknowledged), len(self.ended))
            for _ in range(len(self.ended) - had_ended):
                self._places.release()
            if len(self.ended) > had_ended:
                moved = time.monotonic()
            elif time.monotonic() - moved > STUCK_AFTER.total_seconds():
                raise NodeFailedError(f"{ended - len(self.ended)} orders do not end")

    async def _until_quiet(self, node: NodeProcess) -> None:
        """Wait for the reactions that no order waits for, such as those that restock."""
        end = time.monotonic() + STUCK_AFTER.total_seconds()
        while steps_due(self.directory):
            await asyncio.sleep(POLL.total_seconds())
            node.check()
            if time.monotonic() > end:
                raise NodeFailedError("some reactions do not end")
