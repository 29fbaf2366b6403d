"""What nodes and clients of all rounds do: they end when told, and try again when refused."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from tests.crash.processes import Say

from counterpoint import NodeStoppedError, StoreError
from counterpoint.runtime.node import Node
from counterpoint.runtime.recovery import is_fatal

T = TypeVar("T")
LOOK_EVERY_SECONDS = 0.02
AGAIN_AFTER_SECONDS = 0.04


def until_over(say: Say) -> Callable[[Node], Coroutine[Any, Any, None]]:
    """Listen for SIGTERM; return what waits for it, or until a node stays down and says so."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def over(node: Node) -> None:
        while not stop.is_set():
            if node.fault is not None and is_fatal(node.fault):
                say(f"down {node.fault}")
                return
            try:
                await asyncio.wait_for(stop.wait(), LOOK_EVERY_SECONDS)
            except TimeoutError:
                continue

    return over


async def insist(ask: Callable[[], Awaitable[T]], say: Say) -> T:
    """Ask until the answer is no refusal; say what each of these said."""
    while True:
        try:
            return await ask()
        except (StoreError, NodeStoppedError) as error:
            say(f"refused {error}")
            await asyncio.sleep(AGAIN_AFTER_SECONDS)
