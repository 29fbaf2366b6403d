"""The real command in real processes: a node, clients beside it, signals, crashes.

What a client does alike in any process runs in this one, beside the node: a new one takes a second.
"""

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from counterpoint.cli.main import cli

pytestmark = pytest.mark.slow
DEADLINE_SECONDS = 60
COMMAND = str(Path(sys.executable).with_name("counterpoint"))

SHOP = """
import asyncio
from datetime import timedelta
from pathlib import Path

from counterpoint import App, Retry, Service, workflow

orders, payments = Service("orders"), Service("payments")

@orders.activity
async def create(order: str) -> str:
    print("created", order, flush=True)
    return order

@create.compensation
async def discard(order: str) -> None:
    print("discarded", order, flush=True)

@payments.activity(retry=Retry(first=timedelta(hours=1), cap=timedelta(hours=1)))
async def charge(order: str) -> str:
    print("charging", order, flush=True)
    if Path("down").exists():
        raise ConnectionError("the provider does not answer")
    return f"receipt {order}"

@payments.activity
async def settle(order: str) -> str:
    print("settling", order, flush=True)
    while not Path("settled").exists():
        await asyncio.sleep(0.01)
    return f"settled {order}"

@orders.saga
async def place(order: str) -> str:
    await create(order)
    return await charge(order)

@orders.workflow
async def approval(order: str) -> str:
    return "by " + await workflow.signal("approved", str)

@orders.workflow
async def settlement(order: str) -> str:
    await create(order)
    return await settle(order)

app = App("shop", services=[orders, payments], store="sqlite:///shop.db")
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "shop.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setenv("COUNTERPOINT_APP", "shop:app")
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


class Node:
    """A node in its own process; what it prints is read line by line, with a deadline."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.pid = process.pid
        self.said: list[str] = []

    async def says(self, text: str) -> str:
        """Wait until the node prints a line with *text*."""
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE_SECONDS):
            while line := (await self.process.stdout.readline()).decode():
                self.said.append(line.rstrip())
                if text in line:
                    return line.rstrip()
        raise AssertionError(f"the node ended without saying {text!r}: {self.said}")

    async def ends(self) -> int:
        """Wait for the node's end and return its exit code."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.process.wait()

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await self.ends()


@asynccontextmanager
async def node(*options: str) -> AsyncIterator[Node]:
    process = await asyncio.create_subprocess_exec(
        COMMAND, "run", *options, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    running = Node(process)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        transport: Any = process._transport  # type: ignore[attr-defined]
        transport.close()


async def counterpoint(*args: str) -> tuple[int, str, str]:
    """Run a command beside the node, in this process."""
    ran = await asyncio.to_thread(CliRunner().invoke, cli, args)
    return ran.exit_code, ran.stdout, ran.stderr


async def process(*args: str) -> tuple[int, str, str]:
    """Run a command in a process of its own."""
    own = await asyncio.create_subprocess_exec(
        COMMAND, *args, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(DEADLINE_SECONDS):
        out, err = await own.communicate()
    assert own.returncode is not None
    return own.returncode, out.decode(), err.decode()


async def plain(*args: str) -> Any:
    code, out, err = await counterpoint(*args, "--json")
    assert code == 0, err
    return json.loads(out)


async def until(look: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    """Look again and again until it is so."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await look():
            pass


async def test_a_node_hosts_what_clients_beside_it_start_and_stops_cleanly(shop: Path) -> None:
    async with node() as running:
        await running.says("to go on with")
        waited = await process("start", "place", "o-1", "--id", "o-1", "--wait")
        listed = await process("list")
        shown = await plain("show", "o-1")
        code = await running.stop()
        await running.says("stopped; in the store: 1 completed")

    assert waited[:2] == (0, 'o-1: completed\n"receipt o-1"\n')
    assert re.search(r"^o-1 +orders\.place +completed", listed[1], re.MULTILINE)
    assert [call["state"] for call in shown["calls"]] == ["completed", "completed"]
    assert running.said[0] == f"shop is hosted by process {running.pid}"
    assert code == 0


async def test_a_signal_reaches_the_workflow_that_waits_for_it(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("counterpoint.cli.posting.PATIENCE_SECONDS", DEADLINE_SECONDS)
    shown = ""

    async def waits() -> bool:
        nonlocal shown
        _, shown, _ = await counterpoint("show", "a")
        return "the signal 'approved'" in shown

    async with node() as running:
        await running.says("to go on with")
        await counterpoint("start", "approval", "o-1", "--id", "a")
        await until(waits)  # that is written with the commit after the one that takes the start
        hosted = await plain("show", "a")
        sent = await plain("signal", "a", "approved", '"Ada"')
        waited = await counterpoint("start", "approval", "o-1", "--id", "a", "--wait")

    assert "no node hosts" not in shown
    assert hosted["hosted_by"] == running.pid
    assert sent["id"] == "a"
    assert waited[1] == 'a: completed\n"by Ada"\n'


async def test_a_cancelled_saga_is_undone(shop: Path) -> None:
    (shop / "down").touch()
    async with node() as running:
        await running.says("to go on with")
        await counterpoint("start", "place", "o-1", "--id", "o-1")
        await running.says("charging o-1")
        cancelled = await counterpoint("cancel", "o-1", "--actor", "Ada", "--reason", "late")
        await running.says("discarded o-1")
        waited = await counterpoint("start", "place", "o-1", "--id", "o-1", "--wait")
        journal = await counterpoint("journal", "o-1")

    assert cancelled[:2] == (0, "o-1: the request to cancel is sent\n")
    assert waited[0] == 1
    assert "o-1 cancelled" in waited[2]
    assert "actor=Ada" in journal[1]
    assert "reason=late" in journal[1]


async def test_a_retry_does_not_wait_for_the_next_attempt(shop: Path) -> None:
    (shop / "down").touch()

    async def waits() -> bool:
        calls = (await plain("show", "o-1"))["calls"]
        return any(call["state"] == "waiting for a retry" for call in calls)

    async with node() as running:
        await running.says("to go on with")
        await counterpoint("start", "place", "o-1", "--id", "o-1")
        await running.says("charging o-1")
        await until(waits)
        shown = await counterpoint("show", "o-1")
        (shop / "down").unlink()
        retried = await counterpoint("retry", "o-1")
        await running.says("charging o-1")
        waited = await counterpoint("start", "place", "o-1", "--id", "o-1", "--wait")

    assert "builtins.ConnectionError: the provider does not answer" in shown[1]
    assert re.search(r"attempt 2 in \d+ min \(.* UTC\)", shown[1])
    assert retried[:2] == (0, "o-1: the request to retry is sent\n")
    assert waited[0] == 0


async def test_a_killed_node_is_followed_by_one_that_goes_on(shop: Path) -> None:
    async with node() as killed:
        await killed.says("to go on with")
        await counterpoint("start", "settlement", "o-1", "--id", "s")
        await killed.says("settling o-1")
        killed.process.kill()
        await killed.ends()
    (shop / "settled").touch()
    async with node("--until-idle") as following:
        await following.says("idle, so stopped; in the store: 1 completed")
        code = await following.ends()
    shown = await plain("show", "s")

    assert "1 interrupted execution to go on with" in following.said
    assert "settling o-1" in following.said
    assert "created o-1" not in following.said
    assert (code, shown["result"]) == (0, "settled o-1")


async def test_a_start_without_a_node_is_taken_by_the_next_one(shop: Path) -> None:
    async with node("--until-idle") as first:
        await first.ends()
    started = await counterpoint("start", "place", "o-1", "--id", "o-1")
    again = await counterpoint("start", "place", "o-1", "--id", "o-1")
    async with node("--until-idle") as running:
        await running.says("idle, so stopped; in the store: 1 completed")

    assert started[1] == "o-1: the start of orders.place is stored\n"
    assert "no node has taken it yet" in started[2]
    assert again[0] == 0


async def test_a_second_node_is_refused_with_the_pid_of_the_first(shop: Path) -> None:
    async with node() as running:
        await running.says("to go on with")
        code, _, err = await process("run", "shop:app")

    assert code == 4
    assert err.startswith(f"error: sqlite:///shop.db is hosted by process {running.pid}: ")


async def test_a_node_leaves_a_start_that_its_app_does_not_know(shop: Path) -> None:
    (shop / "other.py").write_text(
        "from counterpoint import App, Service\n"
        "app = App('other', services=[Service('other')], store='sqlite:///shop.db')\n"
    )
    async with node("other:app") as running:
        await running.says("to go on with")
        code, _, err = await counterpoint("start", "place", "o-1", "--id", "o-1")

        await running.says("no service of this app has orders.place")

    assert code == 0
    assert "no node has taken it yet" in err


async def test_a_second_signal_ends_the_node_at_once(shop: Path) -> None:
    async with node() as running:
        await running.says("to go on with")
        await counterpoint("start", "settlement", "o-1", "--id", "s")
        await running.says("settling o-1")
        running.process.send_signal(signal.SIGINT)
        await running.says("a second signal ends the process at once")
        running.process.send_signal(signal.SIGINT)
        code = await running.ends()

    assert code == 130


async def test_activities_get_the_time_to_finish_that_was_asked_for(shop: Path) -> None:
    async with node("--stop-within", "0.1") as running:
        await running.says("to go on with")
        await counterpoint("start", "settlement", "o-1", "--id", "s")
        await running.says("settling o-1")
        code = await running.stop()
        await running.says("stopped; in the store: 1 running")

    assert "stopping: 1 attempt may take 0.1 s to finish" in running.said
    assert code == 0


def test_a_terminal_shows_what_the_node_does(shop: Path) -> None:
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen(
        [COMMAND, "run"], stdin=theirs, stdout=theirs, stderr=theirs, env=environ
    )
    os.close(theirs)
    shown = b""
    while b"in memory" not in shown:
        shown += os.read(ours, 4096)
    process.send_signal(signal.SIGTERM)
    while b"in the store: no executions" not in shown:
        shown += os.read(ours, 4096)
    code = process.wait(DEADLINE_SECONDS)
    os.close(ours)

    assert b"shop: 0 running" in shown
    assert (
        b"\x1b[2Kstopped; in the store: no executions" in shown
    )  # the status line is cleared before
    assert code == 0


def test_the_demonstration_says_what_it_found() -> None:
    plain = subprocess.run([COMMAND, "demo", "--json"], capture_output=True, text=True, check=True)

    verdict = json.loads(plain.stdout)
    assert (verdict["repeated"], verdict["wrong"]) == (0, [])


async def test_a_stream_without_unicode_gets_escapes(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    async with node() as running:
        await running.says("to go on with")
        await counterpoint("start", "place", "Zoë", "--id", "o-1", "--wait")
        text = await process("show", "o-1")
        shown = await plain("show", "o-1")

    assert text[0] == 0
    assert "1 orders.create \\u2713 completed" in text[1]
    assert shown["arguments"] == {"order": "Zoë"}


def test_the_module_is_the_command() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "counterpoint", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert result.stdout.startswith("counterpoint ")


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        ("counterpoint sho", ["show"]),
        ("counterpoint start --app counterpoint.cli.demo_shop:app ord", ["orders.place_order"]),
    ],
)
def test_the_shell_completes_commands_and_workflows(words: str, offers: list[str]) -> None:
    environ = {
        **os.environ,
        "_COUNTERPOINT_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }

    result = subprocess.run([COMMAND], capture_output=True, text=True, env=environ, check=False)

    assert result.stdout.split() == offers
