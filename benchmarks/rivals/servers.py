"""Servers that rivals need: each on a free port of the loopback, with new data, stopped by its pid.

A server gets the folder of the run; the worker gets the address.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT
from benchmarks.rivals.environments import HOME, NotAvailableError, python_of

START_SECONDS = 60
STOP_SECONDS = 10
UNPRIVILEGED = "nobody"
"""PostgreSQL refuses to run as root; it then runs as this user."""


@dataclass(frozen=True)
class Served:
    """Servers that run."""

    settings: dict[str, str] = field(default_factory=dict[str, str])
    """What the worker has to know."""
    pids: tuple[int, ...] = ()


Server = Callable[[Path], AbstractContextManager[Served]]


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def process(
    command: Sequence[str],
    log: Path,
    port: int,
    *,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
) -> Generator[int]:
    """Run a server until the block ends; yield its pid once *port* answers."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=user,
            extra_groups=[] if user else None,
            start_new_session=True,
        )
    try:
        _wait(server, log, lambda: _answers(port))
        yield server.pid
    finally:
        _stop(server)


def _stop(server: "subprocess.Popen[bytes]") -> None:
    """End the server, then what is left of the processes that it started: its own session."""
    server.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:  # until the session has no process
            os.killpg(server.pid, 0)
            time.sleep(0.01)
    server.wait()


def _wait(server: "subprocess.Popen[bytes]", log: Path, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if server.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise NotAvailableError(f"{log.stem} did not start: {said}")
        time.sleep(0.05)


@contextlib.contextmanager
def none(folder: Path) -> Generator[Served]:  # noqa: ARG001 - as the others
    """Serve nothing: the rival is a library."""
    yield Served()


@contextlib.contextmanager
def postgres(folder: Path) -> Generator[Served]:
    """Run PostgreSQL 18 with its default settings: `fsync=on`, `synchronous_commit=on`."""
    found = sorted((HOME / "postgres").glob("lib/python*/site-packages/*/pginstall18/bin"))
    if not found:
        raise NotAvailableError("the wheel has no PostgreSQL 18 for this system")
    with postgres_of(found[0], folder) as (port, pid):
        url = f"postgresql+psycopg://postgres@127.0.0.1:{port}/orders"
        yield Served({"url": url}, (pid,))


@contextlib.contextmanager
def postgres_of(programs: Path, folder: Path) -> Generator[tuple[int, int]]:
    """Run PostgreSQL as its `initdb` sets it, on new data in *folder*; yield its port and pid."""
    data, user = folder / "postgres", UNPRIVILEGED if os.geteuid() == 0 else None
    data.mkdir()
    if user:
        folder.chmod(0o711)
        shutil.chown(data, user)
    made = subprocess.run(
        [programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=utf8"],
        capture_output=True,
        text=True,
        user=user,
        extra_groups=[] if user else None,
        cwd="/",
    )
    if made.returncode:
        raise NotAvailableError(f"initdb: {made.stderr.strip().splitlines()[-1:]}")
    port = free_port()
    command = [str(programs / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port)]
    command += ["-c", "unix_socket_directories="]
    with process(command, folder / "postgres.log", port, user=user) as pid:
        yield port, pid


@contextlib.contextmanager
def temporal(folder: Path) -> Generator[Served]:
    """Run Temporal's development server on a file; there is no other one without containers."""
    port = free_port()
    command = [
        str(python_of("temporal").with_name("temporal")),
        "server",
        "start-dev",
        "--headless",
    ]
    command += ["--ip", "127.0.0.1", "--port", str(port), "--log-level", "error"]
    command += ["--db-filename", str(folder / "temporal.db")]
    with process(command, folder / "temporal.log", port) as pid:
        yield Served({"address": f"127.0.0.1:{port}"}, (pid,))


GRANIAN = ("granian", "--interface", "asgi", "--http", "2", "--workers-kill-timeout", "1", "--port")
HYPERCORN = ("hypercorn", "--bind")


@contextlib.contextmanager
def restate(folder: Path, asgi: Sequence[str] = GRANIAN) -> Generator[Served]:
    """Run Restate's server with its default settings, and the services behind an ASGI server."""
    found = sorted((HOME / "restate-server").glob("node_modules/@restatedev/*/bin/restate-server"))
    if not found:
        raise NotAvailableError("npm has no Restate server for this system")
    node, admin, ingress, services = (free_port() for _ in range(4))
    environment = {
        "RESTATE_BIND_IP": "127.0.0.1",
        "RESTATE_BIND_PORT": str(node),
        "RESTATE_ADMIN__BIND_PORT": str(admin),
        "RESTATE_INGRESS__BIND_PORT": str(ingress),
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_DISABLE_TELEMETRY": "true",
    }
    where = str(services) if asgi is GRANIAN else f"127.0.0.1:{services}"
    app = "benchmarks.rivals.workers.restate_services:app"
    behind = [str(python_of("restate")), "-m", *asgi, where, app]
    server = [str(found[0]), "--base-dir", str(folder / "restate"), "--no-logo"]
    with (  # the server ends first: the services wait for its connections to be closed
        process(behind, folder / "services.log", services) as services_pid,
        process(server, folder / "restate.log", ingress, environment=environment) as pid,
    ):
        address = f"http://127.0.0.1:{services}"
        _post(f"http://127.0.0.1:{admin}/deployments", {"uri": address})
        settings = {"url": f"http://127.0.0.1:{ingress}", "binary": str(found[0]), "asgi": asgi[0]}
        yield Served(settings, (pid, services_pid))


def restate_hypercorn(folder: Path) -> AbstractContextManager[Served]:
    """Run Restate with the ASGI server of its documents."""
    return restate(folder, HYPERCORN)


def _post(url: str, body: dict[str, Any]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        request = urllib.request.Request(  # noqa: S310 - the loopback
            url, json.dumps(body).encode(), {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=START_SECONDS):  # noqa: S310
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise NotAvailableError(f"{url}: {error}") from error
            time.sleep(0.2)
