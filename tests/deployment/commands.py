"""The real command line in processes of its own: nodes that host a deployment, commands beside."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.deployment.journals import STORE

ROOT = Path(__file__).parent.parent.parent
COMMAND = str(Path(sys.executable).with_name("counterpoint"))
READY_WITHIN_SECONDS = 60.0
STOPS_WITHIN_SECONDS = 60.0
COMMAND_WITHIN_SECONDS = 120.0
POLL_SECONDS = 0.05


class RehearsalError(Exception):
    """The rehearsal cannot go on: a process failed, or what had to come did not."""


@dataclass
class Shell:
    """Runs commands on the rehearsal's store, and keeps what they said."""

    directory: Path
    deployment: str = "first"
    hosting: subprocess.Popen[str] | None = None
    said: list[str] = field(default_factory=list[str])
    """Commands and their output, for a runbook."""

    @property
    def app(self) -> str:
        """The app that is deployed."""
        return f"tests.deployment.{self.deployment}:app"

    def environment(self) -> dict[str, str]:
        """Return what every process of the rehearsal has."""
        store = f"sqlite:///{self.directory / STORE}"
        own = {"COUNTERPOINT_STORE": store, "COUNTERPOINT_APP": self.app, "COLUMNS": "200"}
        return {**os.environ, **own, "REHEARSAL_DIR": str(self.directory)}

    def run(self, *arguments: str) -> str:
        """Run a command and return what it wrote to stdout.

        Raises:
            RehearsalError: it ended with another code than 0.
        """
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN_SECONDS,
            check=False,
        )
        said = f"$ {shlex.join(['counterpoint', *arguments])}\n{done.stdout}{done.stderr}"
        if done.returncode:
            raise RehearsalError(f"code {done.returncode} of {said}")
        if "--json" not in arguments:
            self.said.append(said)
        return done.stdout

    @contextmanager
    def node(self, deployment: str) -> Generator[None, None, None]:
        """Deploy an app: stop is SIGTERM, and the node has to end by itself with code 0.

        Raises:
            RehearsalError: it does not host, or does not end well.
        """
        self.deployment = deployment
        log = self.directory / f"{deployment}.log"
        with log.open("a") as errors:
            process = subprocess.Popen(
                [COMMAND, "run", self.app, "--json", "--log-level", "error"],
                cwd=ROOT,
                env=self.environment(),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line or json.loads(line)["event"] != "hosting":
                raise RehearsalError(f"{self.app} does not host:\n{log.read_text()[-2000:]}")
            self.hosting = process
            yield
            self.hosting = None
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=STOPS_WITHIN_SECONDS)
            if process.returncode:
                raise RehearsalError(f"{self.app} ended with code {process.returncode}")
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()


def wait_until(shell: Shell, what: str, is_so: Callable[[], bool], seconds: float) -> None:
    """Look again and again until it is so.

    Raises:
        RehearsalError: it was not within that time, or the node has ended.
    """
    end = time.monotonic() + seconds
    while not is_so():
        if shell.hosting is not None and shell.hosting.poll() is not None:
            log = (shell.directory / f"{shell.deployment}.log").read_text()
            raise RehearsalError(f"the node ended before: {what}\n{log[-2000:]}")
        if time.monotonic() > end:
            raise RehearsalError(f"not within {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)
