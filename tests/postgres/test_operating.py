"""The real commands beside real nodes on PostgreSQL: nodes, drain, doctor, SIGTERM."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from counterpoint.cli.main import cli

pytestmark = pytest.mark.slow
COMMAND = str(Path(sys.executable).with_name("counterpoint"))
DEADLINE_SECONDS = 60
HEARD_WITHIN = "counterpoint.stores.postgres_examination.HEARD_WITHIN_SECONDS"
SHOP = """
from counterpoint import App, Service, workflow

orders = Service("orders")

@orders.activity
async def create(order: str) -> str:
    return order

@orders.workflow
async def approval(order: str) -> str:
    await create(order)
    approved = await workflow.signal("approved", str)
    return await create(f"{order} by {approved}")

app = App("shop", services=[orders])
"""


class Node:
    """A node in its own process, which writes lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.number = 0

    async def says(self, event: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        found: dict[str, Any] = json.loads(line)
        assert found["event"] == event
        return found


@asynccontextmanager
async def node(url: str) -> AsyncIterator[Node]:
    words = (COMMAND, "run", "shop:app", "--store", url, "--json", "--log-level", "error")
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    found = Node(process)
    try:
        found.number = (await found.says("hosting"))["node"]
        yield found
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def counterpoint(*args: str) -> Any:
    """Run a command with --json in this process, beside the nodes; return what it writes."""
    result = await asyncio.to_thread(CliRunner().invoke, cli, [*args, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def test_a_drained_node_ends_well_and_another_one_goes_on_with_its_work(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTERPOINT_STORE", url)
    monkeypatch.setattr(HEARD_WITHIN, DEADLINE_SECONDS)
    async with asyncio.timeout(DEADLINE_SECONDS), node(url) as first:
        await counterpoint("start", "orders.approval", "tea", "--id", "o-1", "--app", "shop:app")
        async with node(url) as second:
            drained = await counterpoint("drain", str(first.number))
            ended = await first.says("stopped")
            code = await first.process.wait()
            await counterpoint("signal", "o-1", "approved", '"ann"')
            shown = await ends("o-1")
            (left,) = (await counterpoint("nodes"))["nodes"]
            healthy = await counterpoint("doctor")

            second.process.send_signal(signal.SIGTERM)
            told = await second.says("stopped")
            codes = (code, await second.process.wait())
            everyone = (await counterpoint("nodes", "--all"))["nodes"]

    assert (drained["stopped"], drained["node"]["state"]) == (True, "stopped")
    assert (ended["reason"], told["reason"], codes) == ("drained", "signal", (0, 0))
    assert (shown["status"], shown["result"]) == ("completed", "tea by ann")
    assert (left["incarnation"], left["state"]) == (second.number, "alive")
    assert {one["kind"] for one in healthy["findings"]} == {"durability"}  # a server of tests
    assert [one["state"] for one in everyone] == ["stopped", "stopped"]


async def ends(execution_id: str) -> Any:
    """Return what is shown of an execution once it has ended."""
    while True:
        shown = await counterpoint("show", execution_id)
        if shown["finished_at"] is not None:
            return shown
        await asyncio.sleep(0.02)
