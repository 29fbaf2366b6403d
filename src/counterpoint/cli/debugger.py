"""pdb on the code of one recorded execution: it stops there and nowhere in the engine.

The code runs on the engine's loop, which gets its inputs from the journal. Tracing begins before
the record that was asked for, so pdb's first stop is the first line that runs because of it. A stop
belongs to workflow code if nothing of the engine is between it and the loop: neither what the
engine calls on the way (codecs, validators) nor the `finally` blocks that an eviction runs.

Leaving must not be an exception that workflow code catches: `Left` is a `KeyboardInterrupt`, which
the loop lets through, and where code swallows even that, the next record is not applied.
"""

import asyncio
import bdb
import inspect
import os
import pdb
import sys
import sysconfig
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from counterpoint.kernel.loop import WorkflowLoop
from counterpoint.model import records as r

ENGINE = ("counterpoint", "counterpoint.*", "asyncio", "asyncio.*")
"""Modules in which pdb does not stop."""
_STANDARD = sysconfig.get_path("stdlib") + os.sep
_LOOP = "run_until_idle"
_WRAPPERS = ("counterpoint.authoring.deadline",)
"""Code of the engine that runs workflow code, as part of it."""


class Left(KeyboardInterrupt):
    """The person has left the debugger."""


class WorkflowDebugger(pdb.Pdb):
    """Stops in workflow code from the record *at* on; give `before` to a `Review`."""

    def __init__(
        self, at: int, sequence: Callable[[r.Input], int], words: Callable[[int], str]
    ) -> None:
        super().__init__(skip=ENGINE, nosigint=True)
        self.at = at
        self.sequence = sequence
        """Returns the number of a record."""
        self.words = words
        """Returns what the record of a number says."""
        self.armed = False
        self.left = False
        self.stops = 0
        """How often the code stopped."""

    def before(self, record: r.Input) -> None:
        """Say which record is applied next, and begin to trace at the first one asked for.

        Raises:
            Left: the debugger was left.
        """
        if self.left:
            raise Left
        number = self.sequence(record)
        tracer = sys.gettrace()
        sys.settrace(None)
        if not self.armed:
            if number < self.at:
                sys.settrace(tracer)
                return
            self.armed = True
            self.reset()
            self.botframe = inspect.currentframe()
            tracer = self.trace_dispatch
        if tracer is not None:  # not after `continue`
            self.message(self.words(number))
        sys.settrace(tracer)

    # ---- where it stops -----------------------------------------------------------------------

    def stop_here(self, frame: types.FrameType) -> bool:
        return bool(super().stop_here(frame)) and is_workflow_code(frame) and not is_standard(frame)

    def trace_dispatch(self, frame: types.FrameType, event: str, arg: Any) -> Any:
        try:
            return super().trace_dispatch(frame, event, arg)
        except bdb.BdbQuit:
            self.left = True
            # What the code had made and not awaited yet is nobody's mistake.
            warnings.filterwarnings("ignore", ".* was never awaited", RuntimeWarning)
            raise Left from None

    def user_call(self, frame: types.FrameType, argument_list: None) -> None:
        if not frame.f_code.co_flags & inspect.CO_COROUTINE:  # resumed, or stops at its first line
            super().user_call(frame, argument_list)

    def interaction(self, frame: types.FrameType | None, traceback: Any) -> None:
        self.stops += 1
        super().interaction(frame, traceback)

    def user_return(self, frame: types.FrameType, return_value: Any) -> None:
        waits = isinstance(return_value, asyncio.Future)
        if not (waits and isinstance(return_value.get_loop(), WorkflowLoop)):
            super().user_return(frame, return_value)

    def get_stack(
        self, f: types.FrameType | None, t: types.TracebackType | None
    ) -> tuple[list[tuple[types.FrameType, int]], int]:
        """Return the frames of workflow code, oldest first, and the index of the newest."""
        stack, _ = super().get_stack(f, t)
        own = [
            entry
            for entry in stack
            if is_workflow_code(entry[0]) and not self.is_skipped_module(_module(entry[0]))
        ]
        return own, max(0, len(own) - 1)

    # ---- commands that mean something else here -----------------------------------------------

    def do_run(self, arg: str) -> None:  # noqa: ARG002
        """Say how to begin anew: there is no program to run again."""
        self.message("leave with `quit` and start the command again")

    do_restart = do_run


def is_workflow_code(frame: types.FrameType) -> bool:
    """Whether nothing of the engine is between a frame and the loop that runs it."""
    caller = frame.f_back
    while caller is not None:
        module = _module(caller)
        if module == WorkflowLoop.__module__ and caller.f_code.co_name == _LOOP:
            return True
        if module.startswith("counterpoint.") and module not in _WRAPPERS:
            return False
        caller = caller.f_back
    return False


def is_standard(frame: types.FrameType) -> bool:
    """Whether a frame runs code of the standard library."""
    file = frame.f_code.co_filename
    installed = file.startswith(_STANDARD) and "site-packages" not in file
    return installed or file.startswith("<frozen ")


def numbering(records: Sequence[r.Record]) -> Callable[[r.Input], int]:
    """Return what gives the numbers of records, by which they are, not by what they say."""
    numbers = {id(record): number for number, record in enumerate(records, 1)}
    return lambda record: numbers[id(record)]


def _module(frame: types.FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
