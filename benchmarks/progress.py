"""Says on standard error what is measured, for how long, and how much is left."""

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

from benchmarks.runner import Tell


class Progress:
    """A moving line on a terminal; elsewhere a line for every round."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._begun: list[str] = []
        self._started = time.perf_counter()
        self._console = Console(file=sys.stderr)
        self._status: Status | None = None
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.pause()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.perf_counter() - self._started

    def begin(self, name: str) -> Tell:
        """Return what a case tells about its rounds."""
        self._begun.append(name)
        place = f"{len(self._begun)}/{len(self._names)} {name}"
        return lambda what: self._tell(place, what)

    def pause(self) -> None:
        """Take the moving line away, so that a table can be printed."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _tell(self, place: str, what: str) -> None:
        minutes, seconds = divmod(int(self.seconds), 60)
        if self._console.is_terminal:
            if self._status is None:
                self._status = self._console.status("")
                self._status.start()
            self._status.update(f"{minutes}:{seconds:02} {place}: {what}")
        elif (step := f"{place}: {what.partition(':')[0]}") != self._last:
            self._last = step
            print(f"{minutes}:{seconds:02} {step}", file=sys.stderr, flush=True)
