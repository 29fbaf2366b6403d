"""Servers of rivals are started, waited for, and gone afterwards."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.rivals import rounds, servers
from benchmarks.rivals.catalogue import RIVALS, Rival
from benchmarks.rivals.environments import NotAvailableError
from benchmarks.rivals.processes import cpu_seconds

LISTEN = """
import socket, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
address = "127.0.0.1", int(sys.argv[1])
with socket.create_server(address, reuse_port=True) as listener:
    while True:
        listener.accept()
"""


def is_there(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nobody gets before the server does: it is bound, and not listened on."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_a_server_and_what_it_started_are_gone_when_the_block_ends(
    tmp_path: Path, port: int
) -> None:
    log = tmp_path / "server.log"

    with servers.process([sys.executable, "-c", LISTEN, str(port)], log, port) as pid:
        child = int(log.read_text())
        assert is_there(pid)
        assert is_there(child)

    assert not is_there(pid)
    assert not is_there(child)


def test_a_server_that_ends_at_once_says_why(tmp_path: Path, port: int) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no licence')"]

    with (
        pytest.raises(NotAvailableError, match=r"server did not start: .*no licence"),
        servers.process(command, tmp_path / "server.log", port),
    ):
        pass


def test_a_rival_that_does_not_start_is_a_visit_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = Rival("Absent", "nobody", "SQLite", environment="nowhere")
    monkeypatch.setitem(RIVALS, "absent", absent)

    visit = rounds.visit("absent", 1, rounds.Options(directory=tmp_path))

    assert "var/rivals/nowhere/bin/python" in visit.reason
    assert str(Path.cwd()) not in visit.reason
    assert visit.cases == {}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_cpu_of_a_process_is_seen_from_outside() -> None:
    before = cpu_seconds([os.getpid()])
    total = 0
    for number in range(3_000_000):
        total += number
    after = cpu_seconds([os.getpid()])

    assert before is not None
    assert after is not None
    assert after > before
