"""How long it takes until others go on with the work of a node that was killed.

`python -m tests.nodes.failover [--kills 20] [--lease 10]`: three nodes host the whole shop, and a
client submits a burst of orders. Then the node that owns most of them is killed (SIGKILL). Measured
is the time until another node has written the first record of an execution that the dead one owned;
it consists of what was left of the lease, until somebody declared the node lost, until its first
execution had another owner, and until that one's first commit.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from tests.crash.processes import Child
from tests.nodes.attempts import now
from tests.nodes.cluster import Cluster, Member
from tests.nodes.expected import choose_orders
from tests.nodes.member import LAYOUTS, Setting, be_a_client, be_a_node
from tests.nodes.rounds import prepare
from tests.nodes.server import Server, end_on_sigterm
from tests.nodes.stored import witness_of

SCHEMA = "failover"
BURST = 60
"""Orders that are submitted before each kill."""
PER_SECOND = 300.0
ENOUGH = 5
"""So many executions of its own a node has under way when it is killed."""
GLANCE_SECONDS = 0.01
LATER_SECONDS = 8.0
"""How long after its lease the work of a node may stand still."""
LOOK_EVERY_SECONDS = 0.2


class Failover(NamedTuple):
    """What one kill came to, in seconds."""

    total: float
    """From the kill to the first record of an execution that was taken over."""
    lease: float
    """What was left of the lease at the kill."""
    declared: float
    """From the lease's end until the node was declared lost."""
    adopted: float
    """From then until the first of its executions had another owner."""
    moved: float
    """From then until the first record."""
    last: float
    """From the kill until every execution that was taken over had a new record."""
    executions: float
    """How many were taken over."""


def main() -> int:
    """Kill nodes and print how long others took."""
    parser = argparse.ArgumentParser(prog="python -m tests.nodes.failover", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, metavar="N")
    parser.add_argument("--lease", type=float, default=10.0, metavar="SECONDS")
    given = parser.parse_args()
    end_on_sigterm()
    folder = Path(tempfile.mkdtemp(prefix="failover-"))
    console = Console(highlight=False)
    try:
        with Server() as server:
            setting = Setting(folder / "shop", server.url(schema=SCHEMA, lease=given.lease))
            prepare(setting, server, SCHEMA)
            found = measure(setting, server, given, console)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _print(console, found, given.lease)
    return 0 if found else 1


def measure(
    setting: Setting, server: Server, given: argparse.Namespace, console: Console
) -> list[Failover]:
    """Return what the kills came to."""
    members = [Member(f"n{n}", services) for n, services in enumerate(LAYOUTS["all"], 1)]
    cluster = Cluster(members, lambda one: be_a_node(setting, one.name, one.hosts))
    orders = choose_orders(2 * given.kills * BURST)
    client: Child | None = None
    found: list[Failover] = []
    try:
        cluster.begin()
        for first in range(0, len(orders), BURST):
            client = Child(be_a_client(setting, orders[first : first + BURST], PER_SECOND))
            member = _wait_for_work(cluster, client, server)
            one = _kill(cluster, client, server, member, given.lease)
            console.print(f"{member.name}: {'it owned nothing' if one is None else one.total}")
            found += [] if one is None else [one]
            cluster.start(member)
            cluster.wait_until_ready(member)
            client.finish()
            client = None
            _wait_for_the_end(cluster, server)
            if len(found) == given.kills:
                break
    finally:
        if client is not None:
            client.kill()
        cluster.abandon()
    return found


def _wait_for_work(cluster: Cluster, client: Child, server: Server) -> Member:
    """Return the member that owns most of a burst, when it owns enough."""
    end = time.monotonic() + LATER_SECONDS
    while True:
        _listen(cluster, client, GLANCE_SECONDS)
        pid, count = asyncio.run(_busiest(server))
        if count >= ENOUGH or time.monotonic() > end:
            members = cluster.members
            return next((one for one in members if one.pid == pid), members[0])


def _wait_for_the_end(cluster: Cluster, server: Server) -> None:
    """Wait until nothing is under way, but for what waits for a person."""
    end = time.monotonic() + LATER_SECONDS
    while asyncio.run(_busiest(server))[1] and time.monotonic() < end:
        cluster.glance()
        time.sleep(LOOK_EVERY_SECONDS)


def _kill(
    cluster: Cluster, client: Child, server: Server, member: Member, lease: float
) -> Failover | None:
    pid = member.pid
    incarnation, until = asyncio.run(_lease(server, pid))
    killed = now()
    cluster.kill(member)
    end = time.monotonic() + lease + LATER_SECONDS
    while time.monotonic() < end:
        _listen(cluster, client, LOOK_EVERY_SECONDS)
        if (found := asyncio.run(_look(server, incarnation))) is not None:
            lost, adopted, moved, last, count = found
            return Failover(
                _seconds(killed, moved),
                _seconds(killed, until),
                _seconds(until, lost),
                _seconds(lost, adopted),
                _seconds(adopted, moved),
                _seconds(killed, last),
                count,
            )
    return None


def _seconds(begin: int, end: int) -> float:
    return (end - begin) / 1e6


async def _busiest(server: Server) -> tuple[int, int]:
    """Return the process that owns most of what is under way, and how much that is."""
    pid, count = await _row(
        server,
        "SELECT coalesce(max(pid), 0), coalesce(max(count), 0) FROM ("
        "  SELECT pid, count(*) FROM executions JOIN nodes ON owner = incarnation "
        "  WHERE status IN ('running', 'compensating') AND lost_at IS NULL AND pid <> $1 "
        "  GROUP BY pid ORDER BY 2 DESC LIMIT 1) AS busiest",
        0,
    )
    return pid, count


async def _lease(server: Server, pid: int) -> tuple[int, int]:
    """Return the incarnation of a process, and the end of its lease."""
    incarnation, until = await _row(
        server,
        "SELECT incarnation, until FROM nodes JOIN leases USING (incarnation) "
        "WHERE pid = $1 AND lost_at IS NULL",
        pid,
    )
    return incarnation, until


async def _look(server: Server, incarnation: int) -> tuple[int, ...] | None:
    """Return when an incarnation was lost, when its first execution was taken over and written, and
    when all were, and how many; None before the end of that.
    """
    found = await _row(
        server,
        """
        WITH taken AS (
          SELECT written.key, at FROM written JOIN executions ON executions.key = written.key
          WHERE what = 'adopted' AND part = $1 AND status <> 'incident'
        ), moved AS (
          SELECT taken.key, taken.at, (
            SELECT min(written.at) FROM written
            WHERE written.key = taken.key AND what = 'journal' AND written.at > taken.at
          ) AS first FROM taken
        )
        SELECT (SELECT lost_at FROM nodes WHERE incarnation = $1) AS lost, min(at), min(first),
          max(first), count(*), count(*) - count(first) AS open FROM moved
        """,
        incarnation,
    )
    *times, still = found
    return tuple(times) if all(time is not None for time in times) and not still else None


async def _row(server: Server, query: str, value: int) -> Any:
    connection = await server.connect()
    try:
        await connection.execute(f"SET search_path = {SCHEMA}, {witness_of(SCHEMA)}")
        return tuple(await connection.fetchrow(query, value))
    finally:
        await connection.close()


def _listen(cluster: Cluster, client: Child, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        cluster.glance()
        client.read(LOOK_EVERY_SECONDS / 10)
        client.check()


def _print(console: Console, found: Sequence[Failover], lease: float) -> None:
    table = Table(title=f"{len(found)} kills, a lease of {lease:g} s")
    for column in ("", "median", "worst"):
        table.add_column(column, justify="left" if not column else "right")
    for name, what in (
        ("total", "from SIGKILL to the first record of what was taken over"),
        ("lease", "  left of the lease"),
        ("declared", "  until somebody declared it lost"),
        ("adopted", "  until its first execution had another owner"),
        ("moved", "  until that owner's first commit"),
        ("last", "from SIGKILL until all that was taken over had moved"),
    ):
        values = [getattr(one, name) for one in found] or [0.0]
        table.add_row(what, f"{median(values):.2f} s", f"{max(values):.2f} s")
    counts = [one.executions for one in found] or [0.0]
    table.add_row("executions taken over", f"{median(counts):.0f}", f"{max(counts):.0f}")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
