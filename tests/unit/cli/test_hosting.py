"""Which process hosts a store, told without taking its lock."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from counterpoint import App
from counterpoint.stores.locks import UNKNOWN_PROCESS, NodeLock, hosting_pid


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def gone() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def leave(store: Path, text: str) -> None:
    store.with_name("shop.db.lock").write_text(text)


def test_a_store_that_never_had_a_node_or_whose_node_stopped_has_none(store: Path) -> None:
    never = hosting_pid(store)
    lock = NodeLock(store)
    lock.acquire()
    lock.release()

    assert (never, hosting_pid(store)) == (None, None)


def test_the_process_that_holds_the_lock_hosts_the_store(store: Path) -> None:
    lock = NodeLock(store)
    lock.acquire()
    try:
        assert hosting_pid(store) == os.getpid()
    finally:
        lock.release()


def test_a_process_that_ended_hosts_nothing(store: Path, gone: int) -> None:
    leave(store, str(gone))

    assert hosting_pid(store) is None


def test_a_process_that_ended_and_was_not_waited_for_hosts_nothing(store: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()
    process.stdout.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    leave(store, str(process.pid))
    found = hosting_pid(store)
    process.wait()

    assert found is None


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the system lists no locks")
def test_a_lock_that_another_process_inherited_is_not_overlooked(store: Path, gone: int) -> None:
    lock = NodeLock(store)
    lock.acquire()
    leave(store, str(gone))
    found = hosting_pid(store)
    lock.release()

    assert found == UNKNOWN_PROCESS


@pytest.mark.parametrize("pid", ["1", "no number", "99999999999999999999999"])
def test_what_cannot_be_told_is_no_claim(store: Path, pid: str) -> None:
    leave(store, pid)

    assert hosting_pid(store) == {"1": 1, "no number": UNKNOWN_PROCESS}.get(pid)


async def test_an_app_says_who_hosts_its_store(store: Path) -> None:
    url = f"sqlite:///{store}"
    app, beside = App("shop", services=[], store=url), App("shop", services=[], store=url)
    before = beside.hosted_by()
    async with app:
        during = (app.hosted_by(), beside.hosted_by())

    assert (before, during, beside.hosted_by()) == (None, (os.getpid(), os.getpid()), None)


def test_a_store_without_a_lock_file_may_be_hosted() -> None:
    assert App("shop", services=[], store="memory:").hosted_by() == UNKNOWN_PROCESS
