"""Names the code that blocks the event loop, while it blocks it.

A workflow or an `async def` activity that computes or waits without `await` stops everything on
the node until it yields; nothing can interrupt it. A daemon thread asks the loop for a sign of
life; without one, it looks at the stack of the loop's thread and says which file and line of the
user's code it is in, and for which execution. The thread also keeps what it found where any other
thread can read it: the blocked loop cannot be asked.
"""

import asyncio
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from itertools import takewhile
from pathlib import Path
from types import FrameType
from typing import TypeAlias

from counterpoint.kernel.execution import Execution
from counterpoint.kernel.loop import WorkflowLoop
from counterpoint.runtime.activities import Activities
from counterpoint.runtime.log import logger

_current_frames: Callable[[], dict[int, FrameType]] = vars(sys)["_current_frames"]
"""Documented by Python as its only way to see what other threads do, though it begins with `_`."""
Frames: TypeAlias = list[tuple[FrameType, int]]
_STANDARD = Path(sysconfig.get_path("stdlib")).resolve()
_INSTALLED = {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")}


class Watchdog:
    """Watches one event loop from a thread of its own."""

    def __init__(self, patience: timedelta) -> None:
        self.patience = patience.total_seconds()
        self._blocked: tuple[threading.Event, str] | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def blocked_by(self) -> str | None:
        """Where the loop is blocked at this moment, or None; part of the node's health."""
        blocked = self._blocked
        return None if blocked is None or blocked[0].is_set() else blocked[1]

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to watch *loop*, from a call on it; without patience nobody does."""
        if not self.patience:
            return
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
            where = _culprit(loop_thread)
            self._blocked = alive, where
            logger.error(
                "the event loop has been blocked for %.1f s by %s: the node does nothing else "
                "until it yields; await something, or move the work to a `def` activity",
                time.monotonic() - asked,
                where,
            )
            while not alive.wait(0.1) and not self._stop.is_set():
                pass
            logger.warning("the event loop goes on after %.1f s", time.monotonic() - asked)


def _culprit(thread: int) -> str:
    """Return function, file and line of the user's code in a thread, and on whose behalf it runs.

    The stack reads, from the innermost frame out: perhaps libraries or the engine, the user's
    function, the engine that runs it. Named is the innermost frame of a function that is neither
    the engine's nor an installed package's; if there is none, the one that the engine called.
    """
    frame = _current_frames().get(thread)
    if frame is None:
        return "a thread that has ended"
    frames = list(traceback.walk_stack(frame))
    inside, whose = _user_frames(frames)
    mine = [place for place in inside if not _of_library(place[0])] or inside[-1:] or frames
    found, line = mine[0]
    code = found.f_code
    return f"{code.co_qualname} ({code.co_filename}:{line}){whose}"


def _user_frames(frames: Frames) -> tuple[Frames, str]:
    for index, (frame, _) in enumerate(frames):
        if whose := _owner(frame):
            return [place for place in frames[:index] if not _of_engine(place[0])], whose
    return list(takewhile(lambda place: not _of_engine(place[0]), frames)), ""


def _owner(frame: FrameType) -> str:
    """Return on whose behalf a frame runs the user's code; nothing if it does not."""
    if frame.f_code is _RUNS_ATTEMPT:
        attempt = frame.f_locals["attempt"]
        return f", run by {attempt.work.name} of execution {attempt.owner.id}"
    if frame.f_code is _RUNS_WORKFLOW:
        execution = frame.f_locals["self"].execution
        if isinstance(execution, Execution):
            return f", run by {execution.state.workflow} of execution {execution.id}"
    return ""


def _of_engine(frame: FrameType) -> bool:
    package, _, _ = str(frame.f_globals.get("__name__", "")).partition(".")
    return package == "counterpoint"


def _of_library(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    if name.startswith("<frozen"):
        return True
    path = Path(name).resolve()
    places = path.parents
    return _STANDARD in places or any(installed in places for installed in _INSTALLED)


_RUNS_ATTEMPT = Activities.run_attempt.__code__
_RUNS_WORKFLOW = WorkflowLoop.run_until_idle.__code__
