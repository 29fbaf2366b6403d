"""`resolve`, `terminate` and `reset` beside a node, which runs in a thread of its own."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.hearing import hearing
from typer.testing import CliRunner, Result

from counterpoint import App, ExecutionFailed, Service, workflow
from counterpoint.cli.main import cli

desk = Service("desk")
INCIDENTS = 2
STARTED = {"ask-1": "ask", "ask-2": "ask", "trip-1": "trip", "twice-1": "twice"}


@desk.activity
async def keep(what: str) -> str:
    return what


@keep.compensation
async def give_back(what: str) -> None:
    """Undo it."""


@desk.activity(at_most_once=True)
async def ring(what: str) -> int:
    raise ConnectionError("no answer")


@desk.saga
async def ask(what: str) -> int:
    await keep(what)
    return await ring(what)


@desk.saga
async def leg(what: str) -> None:
    await keep(what)
    await workflow.signal("go")


@desk.saga
async def trip(what: str) -> None:
    await keep(what)
    await leg(what)


@desk.workflow
async def twice(what: str) -> str:
    await keep(what)
    return await keep(what)


class Node:
    """Hosts the desk in a thread until it is told to stop."""

    def __init__(self, url: str) -> None:
        self.app = App("desk", services=[desk], store=url)
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._host()))

    async def _host(self) -> None:
        self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()
        async with self.app:
            async with hearing("incident in", times=INCIDENTS):
                for id, name in STARTED.items():
                    await self.app.start(self.app.registry.workflows[f"desk.{name}"], "a", id=id)
            await self.app.idle(30)
            self.ready.set()
            await self.over.wait()

    def result(self, id: str) -> Any:
        """Wait for the end of an execution; return its result or the status that it has instead."""
        waiting = asyncio.run_coroutine_threadsafe(self.app.execution(id).result(30), self.loop)
        try:
            return waiting.result(30)
        except ExecutionFailed as failed:
            return failed.status

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(30)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.delenv("COUNTERPOINT_APP", raising=False)
    monkeypatch.setenv("COUNTERPOINT_STORE", f"sqlite:///{tmp_path / 'desk.db'}")
    monkeypatch.setattr("counterpoint.cli.posting.PATIENCE_SECONDS", 30)
    running = Node(f"sqlite:///{tmp_path / 'desk.db'}")
    running.thread.start()
    assert running.ready.wait(60)
    yield running
    running.stop()


def counterpoint(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, env={"COLUMNS": "300"})


def test_an_answer_lets_the_execution_go_on(node: Node) -> None:
    result = counterpoint("resolve", "ask-1", "2", "--result", "17")
    file = CliRunner().invoke(
        cli, ["resolve", "--from", "-", "--yes"], input="id,call,error\nask-2,2,TimeoutError\n"
    )

    assert (result.exit_code, result.stderr) == (0, "")
    assert node.result("ask-1") == 17
    assert "└── the outcome of call 2 (returned 17)" in counterpoint("show", "ask-1").stdout
    assert file.stdout == "the request to resolve is sent to 1 of 1 call\n"
    assert node.result("ask-2") == "compensated"
    assert "undoing\n└── 1 desk.keep: undone\n" in counterpoint("show", "ask-2").stdout


def test_an_answer_that_the_node_does_not_take_is_no_success(node: Node) -> None:
    result = counterpoint("resolve", "ask-1", "2", "--result", '"seventeen"')

    assert result.exit_code == 1
    assert "the node did not take the answer" in result.stderr
    assert counterpoint("resolve", "ask-1", "2", "--result", "17").exit_code == 0


def test_terminate_says_what_it_left(node: Node) -> None:
    result = counterpoint("terminate", "trip-1", "--actor", "Ada", "--reason", "by hand")

    shown = counterpoint("show", "trip-1").stdout
    assert result.stdout.splitlines() == [
        "trip-1: it is terminated",
        "  2 desk.leg: the child trip-1/2, terminated with it: counterpoint show trip-1/2",
        "  1 desk.keep: it happened (key trip-1/1/1)",
    ]
    assert result.stderr == "nothing undoes these: look after each by hand\n"
    assert "left by the termination, for a person to look after\n├── 2 desk.leg" in shown
    assert re.search(r"└── the end at once by Ada, .* UTC\): by hand\n", shown)
    assert node.result("trip-1/2") == "terminated"
    leg_shown = counterpoint("show", "trip-1/2").stdout
    assert "└── 1 desk.keep: it happened (key trip-1/2/1/1)\n" in leg_shown


def test_many_that_are_terminated_end_so_with_their_children_and_nothing_is_undone(
    node: Node,
) -> None:
    result = counterpoint("terminate", "--where", "id=trip-1*", "--yes")

    assert result.stdout.splitlines() == [
        "the request to terminate is sent to 1 of 1 execution",
        "1 child ends with its parent",
    ]
    assert node.result("trip-1") == "terminated"
    assert node.result("trip-1/2") == "terminated"
    assert "undone" not in counterpoint("show", "trip-1").stdout


def test_many_that_are_cancelled_end_so_with_their_children(node: Node) -> None:
    counterpoint("cancel", "--where", "id=trip-1*", "--yes")

    assert node.result("trip-1") == "cancelled"
    assert node.result("trip-1/2") == "cancelled"


def test_terminate_has_what_it_left_in_its_json(node: Node) -> None:
    plain = json.loads(counterpoint("terminate", "ask-1", "--json").stdout)

    assert (plain["id"], plain["taken"], plain["status"]) == ("ask-1", True, "terminated")
    assert [call["call"] for call in plain["left"]] == [1, 2]


def test_a_reset_begins_a_run_that_show_tells_of(node: Node) -> None:
    result = counterpoint("reset", "twice-1", "--to", "3", "--yes", "--actor", "Ada")

    assert (result.exit_code, result.stderr) == (0, "")
    assert node.result("twice-1") == "a"
    shown = counterpoint("show", "twice-1").stdout
    assert "earlier    run 1 completed" in shown
    assert "└── this run, from a reset of run 1 to record 3 by Ada, " in shown
