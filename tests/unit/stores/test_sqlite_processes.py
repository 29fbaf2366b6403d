"""One file, several processes: who hosts, who posts, and what a killed one leaves."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from counterpoint.errors import StoreLockedError
from counterpoint.stores.sqlite import SqliteStore

HOST = """
import asyncio, sys
from counterpoint.stores.sqlite import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open(node=True)
    print("hosting", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""

POST = """
import asyncio, sys
from datetime import timedelta
from counterpoint.model.rows import Commit, MailRow
from counterpoint.stores.sqlite import SqliteStore

async def main():  # who waits for a file comes in any order: a slow disk needs patience
    store = SqliteStore(sys.argv[1], busy_timeout=timedelta(seconds=60))
    await store.open(node=False)
    for count in range(int(sys.argv[3])):
        request = f"{sys.argv[2]}/{count}"
        await store.commit(Commit(mail=[MailRow(0, request, "signal", "a", 1, "json", b"{}")]))
    await store.close()

asyncio.run(main())
"""


@contextmanager
def hosting(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that hosts the store until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOST, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hosting\n"
        yield process


def posting(path: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", POST, str(path), name, str(count)])


async def test_second_node_is_told_the_process_that_hosts(path: Path) -> None:
    with hosting(path) as process, pytest.raises(StoreLockedError) as caught:
        await SqliteStore(path).open(node=True)

    assert caught.value.pid == process.pid
    assert f"process {process.pid}" in str(caught.value)


async def test_killed_node_leaves_no_lock(path: Path) -> None:
    with hosting(path) as process:
        process.send_signal(signal.SIGKILL)

    store = SqliteStore(path)
    await store.open(node=True)

    assert path.with_name(path.name + ".lock").read_text() == str(os.getpid())
    await store.close()


async def test_lock_without_a_readable_process_id_still_refuses(path: Path) -> None:
    with hosting(path):
        path.with_name(path.name + ".lock").write_text("")
        with pytest.raises(StoreLockedError, match="another process") as caught:
            await SqliteStore(path).open(node=True)

    assert caught.value.pid is None


async def test_node_sees_the_mail_of_another_process(path: Path) -> None:
    store = SqliteStore(path)
    await store.open(node=True)
    assert not await store.changed()

    assert posting(path, "client", 3).wait(60) == 0

    assert await store.changed()
    found = await store.mail(after=0, limit=10)
    assert [row.request_id for row in found] == ["client/0", "client/1", "client/2"]
    assert not await store.changed()
    await store.close()


async def test_processes_that_post_at_once_lose_no_mail_and_keep_their_order(path: Path) -> None:
    names = ["a", "b", "c"]
    processes = [posting(path, name, 50) for name in names]  # and create the file at once
    assert [process.wait(90) for process in processes] == [0, 0, 0]

    store = SqliteStore(path)
    await store.open(node=True)

    found = [row.request_id for row in await store.mail(after=0, limit=1000)]
    assert len(found) == 150
    for name in names:
        own = [request for request in found if request.startswith(name)]
        assert own == [f"{name}/{count}" for count in range(50)]
    await store.close()
