"""What workflow code can ask of the engine: `counterpoint.workflow`.

Everything here gives the same answer on replay. Outside a workflow each function says so.
"""

import asyncio
import functools
import logging
import random as random_module
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, overload

from pydantic import ValidationError

from counterpoint.authoring.signature import Codec, describe_errors
from counterpoint.errors import ArgumentsError, NotInWorkflowError
from counterpoint.kernel.execution import Execution
from counterpoint.kernel.loop import WorkflowLoop, running_loop
from counterpoint.model.ids import check_signal_name

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class WorkflowInfo:
    """Facts about the execution whose code is running."""

    id: str
    run: int
    workflow: str
    version: int
    started_at: datetime


def current_execution(what: str) -> Execution:
    """Return the execution whose code is running.

    Raises:
        NotInWorkflowError: no workflow's code is.
    """
    loop = running_loop()
    if type(loop) is WorkflowLoop:
        owner = loop.execution
        if isinstance(owner, Execution):
            return owner
    raise NotInWorkflowError(f"workflow.{what} works in workflow code only")


def now() -> datetime:
    """Return the time (UTC) of the record that the code is reacting to."""
    return _EPOCH + timedelta(microseconds=current_execution("now()").now)


async def sleep(duration: float | timedelta) -> None:
    """Wait for *duration* (seconds or a timedelta); durable, like `asyncio.sleep` in a workflow."""
    current_execution("sleep()")
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    await asyncio.sleep(seconds)


def random() -> random_module.Random:
    """Return the execution's seeded generator; the same numbers on every replay."""
    return current_execution("random()").seeded_random


def uuid4() -> uuid.UUID:
    """Return a random UUID (version 4) that is the same on every replay."""
    bits = current_execution("uuid4()").seeded_random.getrandbits(128)
    return uuid.UUID(int=bits, version=4)


def info() -> WorkflowInfo:
    """Return facts about the running execution."""
    execution = current_execution("info()")
    state = execution.state
    started = _EPOCH + timedelta(microseconds=state.started_at)
    return WorkflowInfo(execution.id, execution.run, state.workflow, state.version, started)


@overload
async def signal(name: str, *, timeout: float | timedelta | None = None) -> Any: ...


@overload
async def signal(name: str, type: type[T], *, timeout: float | timedelta | None = None) -> T: ...


async def signal(name: str, type: Any = Any, *, timeout: float | timedelta | None = None) -> Any:
    """Wait for the next signal of that name and return its value, validated as *type*.

    Signals are kept until they are read, oldest first. A value that does not validate is set aside
    with a warning in the log (it stays in the journal) and the wait goes on: bad input from outside
    does not fail a process.

        approved = await workflow.signal("approval", bool, timeout=timedelta(days=3))

    Raises:
        TimeoutError: none came within *timeout*.
        ArgumentsError: the name is no text, cannot be written as UTF-8, or is too long.
    """
    execution = current_execution("signal()")
    refused = check_signal_name(name)
    if refused is not None:
        raise ArgumentsError(refused, fields=["name"])
    name = str.__str__(name)  # of an enumeration's member, what is recorded
    codec = _codec(type)
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    async with asyncio.timeout(seconds):
        while True:
            number, future = execution.signals.wait(name)
            try:
                payload = await future
            except BaseException:
                if future.cancelled():
                    execution.signals.end_wait(number)
                raise
            try:
                return codec.decode(payload)
            except ValidationError as error:
                log.warning("a signal %r was set aside: %s", name, describe_errors(error))


@functools.lru_cache(maxsize=256)
def _codec(hint: Any) -> Codec:
    return Codec(hint, "a signal")


class WorkflowLog:
    """Logs from workflow code: silent on replay, and only once what led to it is durable."""

    def debug(self, message: str, *args: object) -> None:
        """Log at level DEBUG."""
        self._say(logging.DEBUG, message, args)

    def info(self, message: str, *args: object) -> None:
        """Log at level INFO."""
        self._say(logging.INFO, message, args)

    def warning(self, message: str, *args: object) -> None:
        """Log at level WARNING."""
        self._say(logging.WARNING, message, args)

    def error(self, message: str, *args: object) -> None:
        """Log at level ERROR."""
        self._say(logging.ERROR, message, args)

    def _say(self, level: int, message: str, args: tuple[object, ...]) -> None:
        execution = current_execution("log")
        text = _format(message, args)  # also on replay: a user's __str__ may do something
        if not (execution.replaying or execution.loop.is_closed()):
            execution.speech.append((level, text))


def _format(message: str, args: tuple[object, ...]) -> str:
    """Return the text; like `logging`, never raise because of a format that does not fit."""
    try:
        return message % args if args else message
    except Exception as error:  # noqa: BLE001 - a user's __str__ may raise anything
        return f"{message} (its {len(args)} arguments do not fit: {type(error).__name__})"


log = WorkflowLog()
