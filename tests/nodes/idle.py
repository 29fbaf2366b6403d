"""What a cluster costs that has nothing to do: `python -m tests.nodes.idle [--seconds 30]`.

Three nodes host the whole shop. Counted are the CPU time of each node, as it says itself, and its
statements, as the server logs them. Exit code 1 if a node takes 1 % of a core, or 5 statements a
second.
"""

import argparse
import asyncio
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.nodes.cluster import Cluster, Member
from tests.nodes.member import LAYOUTS, Setting, be_a_node, make_app
from tests.nodes.server import Server, end_on_sigterm
from tests.nodes.witness import execute

SCHEMA = "idle"
WARM_SECONDS = 5.0
ANSWERED_WITHIN_SECONDS = 5.0
CORE_PERCENT_MAX = 1.0
STATEMENTS_MAX = 5.0
STATEMENT = re.compile(r"^(n\d+)\.\d+ LOG:  (?:execute|statement)", re.MULTILINE)


def main() -> int:
    """Measure an idle cluster."""
    parser = argparse.ArgumentParser(prog="python -m tests.nodes.idle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    end_on_sigterm()
    folder = Path(tempfile.mkdtemp(prefix="idle-"))
    try:
        with Server() as server:
            for setting in ("log_statement = 'all'", "log_line_prefix = '%a '"):
                execute(server, f"ALTER SYSTEM SET {setting}")
            execute(server, "SELECT pg_reload_conf()")
            return measure(Setting(folder, server.url(schema=SCHEMA)), server, given.seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(setting: Setting, server: Server, seconds: float) -> int:
    """Print what each node costs; return the exit code."""
    asyncio.run(_make_store(setting))
    members = [Member(f"n{n}", services) for n, services in enumerate(LAYOUTS["all"], 1)]
    cluster = Cluster(members, lambda one: be_a_node(setting, one.name, one.hosts))
    try:
        cluster.begin()
        time.sleep(WARM_SECONDS)
        statements, used = _statements(server), _cpu(cluster)
        began = time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        more, later = _statements(server), _cpu(cluster)
        cluster.end()
    finally:
        cluster.abandon()
    table = Table(title=f"three nodes with nothing to do, for {took:.0f} s")
    for column in ("node", "CPU, % of a core", "statements a second"):
        table.add_column(column, justify="left" if column == "node" else "right")
    good = True
    for member in members:
        percent = 100 * (later[member.name] - used[member.name]) / took
        rate = (more[member.name] - statements[member.name]) / took
        good = good and percent < CORE_PERCENT_MAX and rate < STATEMENTS_MAX
        table.add_row(member.name, f"{percent:.2f}", f"{rate:.2f}")
    Console(highlight=False).print(table)
    return 0 if good else 1


async def _make_store(setting: Setting) -> None:
    async with make_app(setting, "maker").client():
        pass


def _statements(server: Server) -> Counter[str]:
    return Counter(STATEMENT.findall(server.log.read_text(errors="replace")))


def _cpu(cluster: Cluster) -> dict[str, float]:
    """Return the CPU time of each node in seconds."""
    found: dict[str, float] = {}
    for member in cluster.members:
        child = member.child
        assert child is not None
        before = len(child.told("cpu"))
        child.signal(signal.SIGUSR2)
        end = time.monotonic() + ANSWERED_WITHIN_SECONDS
        while len(child.told("cpu")) == before and time.monotonic() < end:
            child.read(0.05)
        found[member.name] = float(child.told("cpu")[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
