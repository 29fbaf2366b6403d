"""The runner's side of the protocol: a worker in a process of its own, and its answers."""

import json
import queue
import re
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.machine import ROOT
from benchmarks.rivals.workers.protocol import Reply, Request

START_SECONDS = 60
GRACE_SECONDS = 30
"""How long a worker may be silent beyond what it was asked for."""
STOP_SECONDS = 10


RAISED = re.compile(r"[\w.]+(Error|Exception)\b")
"""Begins the line of a traceback that says what was raised."""


class WorkerError(Exception):
    """A worker ended or fell silent, and what it said last."""


class Worker:
    """A worker that runs until the block ends."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._lines = queue.SimpleQueue[str]()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(STOP_SECONDS)
        assert self._process.stdout
        self._process.stdout.close()

    def facts(self) -> dict[str, str]:
        """Wait until it can work and return what it says about itself."""
        return self._answer(START_SECONDS)

    def ask(self, request: Request) -> Reply:
        """Return what was seen."""
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(asdict(request)) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise WorkerError(self._last_words("ended")) from error
        return Reply(**self._answer(request.seconds + request.patience_seconds + GRACE_SECONDS))

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _answer(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise WorkerError(self._last_words(f"silent for {seconds:.0f} s")) from None
        if not line:
            raise WorkerError(self._last_words("ended"))
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self, what: str) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        lines = [line for line in lines if RAISED.match(line)] or lines
        return f"worker {what}: {lines[-1][:200] if lines else 'it said nothing'}"
