"""What the processes of a round say of their attempts: when each function was entered and left.

Every function of the shop is wrapped in the process that runs it. The file of a process is only
appended to, each line with one write: what was written before a SIGKILL is there after it, whole.
"""

import asyncio
import functools
import itertools
import json
import os
import random
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from counterpoint import Service, activity
from counterpoint.authoring.activity import Activity
from counterpoint.authoring.compensation import Compensation
from counterpoint.authoring.reaction import Reaction

FILES = "attempts-*.jsonl"
Work = Activity[..., Any] | Compensation | Reaction[Any, Any]


class Made(NamedTuple):
    """An attempt that a process made; times are in microseconds."""

    pid: int
    incarnation: int
    """Which the process had when the attempt began."""
    name: str
    """The recorded name of the activity, compensation or reaction."""
    key: str
    """The idempotency key."""
    execution: str
    number: int
    position: int | None
    """Of the event, if it is one of a reaction."""
    event_key: str | None
    began: int
    ended: int | None
    """None if its process ended before it."""


class Attempts:
    """Writes down the attempts of this process.

    Each takes at most *longer* seconds longer than it would, once it has had its effect.
    """

    def __init__(
        self, directory: Path, incarnation: Callable[[], int], longer: float = 0.0
    ) -> None:
        path = directory / FILES.replace("*", str(os.getpid()))
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._incarnation = incarnation
        self._longer = longer
        self._tokens = itertools.count(1)

    def watch(self, services: Sequence[Service]) -> None:
        """Wrap the functions of services."""
        for service in services:
            found: list[Work] = [*service.activities.values(), *service.reactions.values()]
            for work in found:
                self._wrap(work)
                if isinstance(work, Activity) and work.undo is not None:
                    self._wrap(work.undo)

    def _wrap(self, work: Work) -> None:
        function: Any = work.function

        @functools.wraps(function)
        async def waiting(*args: Any, **kwargs: Any) -> Any:
            with self._attempt(work.name) as longer:
                answer = await function(*args, **kwargs)
                if longer:
                    await asyncio.sleep(longer)
                return answer

        @functools.wraps(function)
        def at_once(*args: Any, **kwargs: Any) -> Any:
            with self._attempt(work.name) as longer:
                answer = function(*args, **kwargs)
                if longer:
                    time.sleep(longer)
                return answer

        work.function = waiting if work.is_async else at_once

    @contextmanager
    def _attempt(self, name: str) -> Generator[float]:
        """Write down that an attempt begins and ends; yield how much longer it has to take."""
        info = activity.info()
        if info.activity != name:  # a reaction calls it as a function
            yield 0.0
            return
        token = next(self._tokens)
        event = info.event
        self._write(
            token=token,
            pid=os.getpid(),
            incarnation=self._incarnation(),
            name=name,
            key=info.idempotency_key,
            execution=info.execution_id,
            number=info.attempt,
            position=None if event is None else event.position,
            event_key=None if event is None else event.key,
            began=now(),
        )
        try:
            yield random.uniform(0, self._longer)
        finally:
            self._write(token=token, ended=now())

    def _write(self, **facts: Any) -> None:
        os.write(self._file, json.dumps(facts).encode() + b"\n")


def now() -> int:
    """Return the time, which is the server's too: both are of this machine."""
    return time.time_ns() // 1_000


def read_attempts(directory: Path) -> list[Made]:
    """Return the attempts of all processes, in the order in which they began."""
    found: list[Made] = []
    for path in directory.glob(FILES):
        begun: dict[int, dict[str, Any]] = {}
        for line in map(json.loads, path.read_bytes().splitlines()):
            begun.setdefault(line.pop("token"), {"ended": None}).update(line)
        found += [Made(**facts) for facts in begun.values()]
    return sorted(found, key=lambda made: made.began)
