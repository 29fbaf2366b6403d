"""Disks that are full, files that cannot be written, are damaged, or are newer than this code."""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.hearing import hearing

from counterpoint import App, NodeStoppedError, Service, StoreError, workflow
from counterpoint.errors import (
    StoreCorruptError,
    StoreFullError,
    StoreReadOnlyError,
    StoreVersionError,
)
from counterpoint.stores.migrate import MIGRATIONS
from counterpoint.stores.sqlite import SqliteStore

SECONDS = 60
OPEN_AGAIN = "the store is open again"
NOBODY = 65534
shop = Service("shop")


@shop.workflow
async def keep(text: str) -> int:
    await workflow.signal("go")
    return len(text)


async def fill(app: App, text: str, start: int = 0) -> tuple[list[str], StoreError]:
    """Start executions until one is refused; return the ids of the others, and why."""
    acknowledged: list[str] = []
    for number in range(start, 100_000):
        try:
            await app.start(keep, text, id=f"{number}")
        except StoreError as error:
            return acknowledged, error
        acknowledged.append(f"{number}")
    raise AssertionError("the disk never filled")


async def finish_all(app: App, ids: list[str], length: int) -> None:
    for id in ids:
        await app.execution(id).signal("go")
    results = [await app.execution(id).result(timeout=SECONDS) for id in ids]
    assert results == [length] * len(ids)


async def test_full_file_stops_the_node_until_there_is_room_and_nothing_acknowledged_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteStore(tmp_path / "shop.db", max_pages=400)
    text = "x" * 20_000
    async with App("shop", services=[shop], store=store) as app:
        acknowledged, error = await fill(app, text)
        health = app.health()
        with pytest.raises(NodeStoppedError, match="full"):
            await app.start(keep, text)

        async with hearing(OPEN_AGAIN):
            store._max_pages = 100_000  # as when an operator has made room
        await finish_all(app, acknowledged, len(text))
        assert await app.counts() == {"completed": len(acknowledged)}

    assert len(acknowledged) > 10
    assert isinstance(error, StoreFullError)
    assert not health.accepting
    assert "the disk or the quota is full: free space" in health.problems[0]
    assert "the store failed, the node takes no work until it recovers" in caplog.text


async def test_full_file_keeps_the_node_from_accepting_as_long_as_it_is_full(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteStore(tmp_path / "shop.db", max_pages=400)
    async with App("shop", services=[shop], store=store) as app:
        async with hearing("the store cannot be used yet"):
            await fill(app, "x" * 2_000)

        assert not app.health().accepting
        assert OPEN_AGAIN not in caplog.text


CHILD = """
import asyncio, json, resource, sys
from counterpoint import App
from tests.acceptance.test_faults_disk import OPEN_AGAIN, fill, finish_all, shop
from tests.hearing import hearing

FREE = resource.RLIM_INFINITY

async def main(path):
    async with App("shop", services=[shop], store=f"sqlite:///{path}") as app:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, FREE))
        acknowledged, error = await fill(app, "x" * 5_000)
        health = app.health()
        async with hearing(OPEN_AGAIN):
            resource.setrlimit(resource.RLIMIT_FSIZE, (FREE, FREE))
        await finish_all(app, acknowledged, 5_000)
        print(json.dumps([len(acknowledged), str(error), health.accepting, health.problems]))

asyncio.run(main(sys.argv[1]))
"""


def test_limit_on_file_sizes_stops_the_node_until_it_is_lifted_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "shop.db")],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    acknowledged, error, accepting, problems = json.loads(done.stdout)
    assert acknowledged > 10
    assert "a limit on the size of files is reached (ulimit -f)" in error
    assert not accepting
    assert error in problems[0]
    assert "the store failed" in done.stderr


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory of somebody whom permissions bind; the superuser is not."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory(prefix="counterpoint-") as name:
        directory = Path(name)
        directory.chmod(0o777)
        if user == 0:
            os.seteuid(NOBODY)
        try:
            yield directory
        finally:
            os.seteuid(user)


async def test_file_that_becomes_read_only_stops_the_node_until_it_can_be_written(
    directory: Path,
) -> None:
    path = directory / "shop.db"
    store = SqliteStore(path)
    async with App("shop", services=[shop], store=store) as app:
        await app.start(keep, "one", id="one")
        path.chmod(0o444)
        assert store._db is not None
        store._db.execute("PRAGMA query_only = ON")  # an open file cannot be closed to writes
        with pytest.raises(StoreReadOnlyError, match="cannot be written"):
            await app.start(keep, "two", id="two")
        health = app.health()

        async with hearing(OPEN_AGAIN):
            path.chmod(0o644)
        await finish_all(app, ["one"], 3)

    assert not health.accepting
    assert "change the permissions" in health.problems[0]


async def test_file_that_is_read_only_from_the_start_is_refused_with_advice(
    directory: Path,
) -> None:
    path = directory / "shop.db"
    app = App("shop", services=[shop], store=f"sqlite:///{path}")
    async with app:
        await app.start(keep, "one", id="one")
    path.chmod(0o444)

    with pytest.raises(StoreReadOnlyError, match="change the permissions"):
        async with app:
            raise AssertionError

    path.chmod(0o644)
    async with app:
        await finish_all(app, ["one"], 3)


async def test_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    app = App("shop", services=[shop], store=f"sqlite:///{path}")
    async with app:
        await app.start(keep, "one", id="one")
    _execute(path, "PRAGMA user_version = 99")
    before = path.read_bytes()

    with pytest.raises(StoreVersionError, match="upgrade Counterpoint"):
        async with app:
            raise AssertionError

    assert path.read_bytes() == before
    _execute(path, f"PRAGMA user_version = {len(MIGRATIONS)}")
    async with app:
        await finish_all(app, ["one"], 3)


async def test_damage_in_the_middle_of_the_file_stops_one_execution_and_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "shop.db"
    ids = [f"{number}" for number in range(50)]
    app = App("shop", services=[shop], store=f"sqlite:///{path}")
    async with app:
        for id in ids:
            await app.start(keep, f"the text of {id:>10}", id=id)
    content = path.read_bytes()
    victim = content.index(b"the text of         25")
    path.write_bytes(content[:victim] + b"THE" + content[victim + 3 :])
    sound = [id for id in ids if id != "25"]

    async with app:
        await app.execution("25").signal("go")
        await finish_all(app, sound, 22)
        with pytest.raises(StoreCorruptError, match="its digest does not match"):
            await app.execution("25").result(timeout=SECONDS)
        with pytest.raises(StoreCorruptError, match="restore the store from a backup"):
            await app.execution("25").journal()
        health = app.health()

    assert health.accepting
    assert "execution 25 is left alone" in health.problems[0]
    assert "execution 25 is left alone" in caplog.text


async def test_file_whose_pages_are_overwritten_is_refused_or_reported_never_believed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "shop.db"
    app = App("shop", services=[shop], store=f"sqlite:///{path}")
    async with app:
        for number in range(200):
            await app.start(keep, "x" * 500, id=f"{number}")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xa5" * (size // 2))

    async def use() -> None:
        async with app:
            for number in range(200):
                await app.execution(f"{number}").signal("go")
                await app.execution(f"{number}").result(timeout=SECONDS)

    with pytest.raises((StoreError, NodeStoppedError), match=r"damaged|cannot be"):
        await use()


async def test_file_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes " * 1_000)

    with pytest.raises(StoreCorruptError, match="check the path"):
        async with App("shop", services=[shop], store=f"sqlite:///{path}"):
            raise AssertionError

    assert path.read_text() == "my notes " * 1_000


def _execute(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
