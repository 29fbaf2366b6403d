import asyncio
import io
import json
import logging
import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.cli.dead import copy_shop, counterpoint, make_filled

from counterpoint import App, Service, workflow
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.output import console
from counterpoint.cli.progress import ConsoleHandler, log_to_stderr, progress, status_line
from counterpoint.cli.run import Host
from counterpoint.errors import NodeStoppedError, StoreBrokenError

orders = Service("orders")
PARTS = """
from counterpoint import App, Service

orders, payments, stock = Service("orders"), Service("payments"), Service("stock")

@payments.activity
async def charge() -> None: ...

app = App("parts", services=[orders, payments, stock], hosts=["orders"])
"""


@orders.activity
async def nap(seconds: float) -> None:
    await asyncio.sleep(seconds)


@orders.workflow
async def rest() -> None:
    await workflow.sleep(3600)


async def hosted(app: App) -> None:
    while app._node is None:  # noqa: ASYNC110 - an app announces no start
        await asyncio.sleep(0)


def memory_app() -> App:
    return App("shop", services=[orders], store="memory:")


async def test_a_signal_stops_the_node_cleanly(capsys: pytest.CaptureFixture[str]) -> None:
    app = memory_app()
    hosting = asyncio.ensure_future(Host(app, timedelta(0), as_json=False).run(until_idle=False))
    async with asyncio.timeout(30):
        await hosted(app)
        os.kill(os.getpid(), signal.SIGTERM)
        await hosting

    written = capsys.readouterr().out
    assert "shop is hosted by process " in written
    assert "orders: 1 workflow, 1 activity" in written
    assert "stopped; in the store: " in written


async def test_a_node_that_is_drained_stops_and_says_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app = memory_app()
    hosting = asyncio.ensure_future(Host(app, timedelta(0), as_json=False).run(until_idle=False))
    async with asyncio.timeout(30):
        await hosted(app)
        app.node.drained.set()
        await hosting

    assert "asked to hand over (counterpoint drain), so stopped" in capsys.readouterr().out


async def test_an_idle_node_stops_where_it_was_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    await Host(memory_app(), None, as_json=True).run(until_idle=True)

    hosting, stopped = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (hosting["event"], hosting["pid"]) == ("hosting", os.getpid())
    assert stopped == {"event": "stopped", "reason": "idle", "executions": {}}


def test_a_node_hosts_the_services_that_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    monkeypatch.chdir(tmp_path)
    named = ("--host", "payments", "--host", "stock", "--store", "parts.db")

    words = counterpoint("run", "parts:app", "--until-idle", *named).stdout
    facts = counterpoint("run", "parts:app", "--until-idle", "--json", *named).stdout
    refused = counterpoint("run", "parts:app", "--host", "payment")

    assert "  payments: 1 activity\n" in words
    assert "  not here: orders\n" in words
    assert json.loads(facts.splitlines()[0])["hosts"] == ["payments", "stock"]
    assert json.loads(facts.splitlines()[0])["activities"] == ["payments.charge"]
    assert refused.exit_code == Exit.USAGE
    assert "did you mean 'payments'?; its services are orders, payments, stock" in refused.stderr


def test_a_node_says_how_many_dead_letters_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = tmp_path / "copy"
    shop.mkdir()
    copy_shop(make_filled(tmp_path), shop, monkeypatch)

    words = counterpoint("run", "shop:app", "--until-idle").stdout
    facts = counterpoint("run", "shop:app", "--until-idle", "--json").stdout

    assert "2 dead letters to look at: counterpoint deadletters list\n" in words
    assert json.loads(facts.splitlines()[0])["dead_letters"] == 2


def test_a_contract_that_differs_is_told_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = tmp_path / "copy"
    shop.mkdir()
    copy_shop(make_filled(tmp_path), shop, monkeypatch)
    source = Path("shop.py").read_text()
    Path("shop.py").write_text(source.replace("quantity: int", "quantity: int | str"))

    result = counterpoint("run", "shop:app", "--until-idle")

    said = [line for line in result.stderr.splitlines() if "INFO" not in line]
    assert result.exit_code == 2
    assert said[0] == "error: orders.Ordered version 1 was published with another schema:"
    assert said[1].startswith("  ")
    assert said[-1].startswith("declare version=2 with @Ordered.upcaster(1)")


async def test_a_store_that_failed_for_good_ends_the_node_with_an_error() -> None:
    app = memory_app()
    fault = StoreBrokenError("the disk lost it")
    fault.fatal = True
    hosting = asyncio.ensure_future(Host(app, None, as_json=False).run(until_idle=False))
    async with asyncio.timeout(30):
        await hosted(app)
        app.node.fault = fault

        with pytest.raises(CommandError, match="cannot go on with it: the disk lost it") as ended:
            await hosting

    assert ended.value.code is Exit.STORE


async def test_a_node_that_stays_down_for_another_reason_ends_the_process_too() -> None:
    app = memory_app()
    hosting = asyncio.ensure_future(Host(app, timedelta(0), as_json=True).run(until_idle=False))
    async with asyncio.timeout(30):
        await hosted(app)
        app.node.fault, app.node.faults.down = NodeStoppedError("a part of it failed"), True
        with pytest.raises(CommandError, match="cannot go on: a part of it failed") as caught:
            await hosting

    assert caught.value.code is Exit.STORE


async def test_the_status_line_says_what_the_node_does() -> None:
    app = memory_app()
    before = status_line(app)
    async with app:
        during = status_line(app)
        app.node.fault = StoreBrokenError("disk full")
        broken = status_line(app)
        app.node.fault = None

    assert before == "shop: not running"
    assert during.startswith("shop: 0 running, 0 waiting for their turn, 0 in memory, ")
    assert broken.endswith(": disk full")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_the_status_line_and_a_pipe_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    written: list[str] = []
    for file in (Terminal(), io.StringIO()):
        monkeypatch.setattr("sys.stderr", file)
        with progress(memory_app()) as shown:
            shown.print("hello")
        written.append(file.getvalue())

    assert "shop: not running" in written[0]
    assert written[1] == "hello\n"


def test_logs_are_lines_with_times_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    root = logging.RootLogger(logging.WARNING)
    monkeypatch.setattr(logging, "root", root)

    log_to_stderr(console(file), "INFO")
    root.info("a\x1b[31m[b]")
    root.error("%d", 7)

    first, second = file.getvalue().splitlines()
    assert first.endswith("Z INFO    root: a\\x1b[31m[b]")
    assert second.endswith("Z ERROR   root: 7")


def test_a_log_line_that_cannot_be_made_does_not_stop_the_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    record = logging.LogRecord("a", logging.INFO, "", 1, "%d", ("no number",), None)

    ConsoleHandler(console(io.StringIO())).emit(record)
