"""Names the code that blocks the event loop, while it blocks it.

A workflow or an `async def` activity that computes or waits without `await` stops everything on
the node until it yields; nothing can interrupt it. A daemon thread asks the loop for a sign of
life; without one, it looks at the stack of the loop's thread and says which file and line of the
user's code it is in.
"""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from types import FrameType

logger = logging.getLogger("counterpoint")
_current_frames: Callable[[], dict[int, FrameType]] = vars(sys)["_current_frames"]
"""Documented by Python as its only way to see what other threads do, though it begins with `_`."""
_ENGINE = ("counterpoint", "asyncio", "selectors", "threading", "contextlib")


class Watchdog:
    """Watches one event loop from a thread of its own."""

    def __init__(self, patience: timedelta) -> None:
        self.patience = patience.total_seconds()
        self.blocked_by: str | None = None
        """Where the loop is blocked at this moment, or None; part of the node's health."""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to watch *loop*, from a call on it."""
        loop_thread = threading.get_ident()
        self._thread = threading.Thread(
            target=self._watch, args=(loop, loop_thread), name="counterpoint-watchdog", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread; stopping twice does nothing."""
        self._stop.set()

    def _watch(self, loop: asyncio.AbstractEventLoop, loop_thread: int) -> None:
        while not self._stop.wait(self.patience / 2):
            alive = threading.Event()
            try:
                loop.call_soon_threadsafe(alive.set)
            except RuntimeError:
                return  # the loop is closed
            asked = time.monotonic()
            if alive.wait(self.patience) or self._stop.is_set():
                continue
            self.blocked_by = where = _user_line(loop_thread)
            logger.error(
                "the event loop has been blocked for %.1f s by %s: the node does nothing else "
                "until it yields; await something, or move the work to a `def` activity",
                time.monotonic() - asked,
                where,
            )
            while not alive.wait(0.1) and not self._stop.is_set():
                pass
            self.blocked_by = None
            logger.warning("the event loop goes on after %.1f s", time.monotonic() - asked)


def _user_line(thread: int) -> str:
    """Return function, file and line of the innermost frame that is the user's."""
    frame = _current_frames().get(thread)
    if frame is None:
        return "a thread that has ended"
    frames = list(traceback.walk_stack(frame))
    for found, line in frames:
        module = str(found.f_globals.get("__name__", ""))
        if not module.startswith(_ENGINE) and "/lib/python" not in found.f_code.co_filename:
            code = found.f_code
            return f"{code.co_qualname} ({code.co_filename}:{line})"
    innermost, line = frames[0]
    return f"{innermost.f_code.co_qualname} ({innermost.f_code.co_filename}:{line})"
