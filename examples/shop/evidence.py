"""What a crash left behind and what was done again after it, as the files tell."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from counterpoint import Client, Description

from examples.shop.own_file import SERVICES, read


@dataclass(frozen=True)
class Evidence:
    """The state of the files between the crash and the restart."""

    interrupted: frozenset[str]
    """The ids of executions that had begun and not ended."""
    under_way: frozenset[str]
    """The keys of calls and compensations whose outcome was not recorded."""
    recorded: frozenset[str]
    """The keys of calls whose outcome was."""
    marks: Mapping[str, int]
    """The last line of each service's call log."""


@dataclass(frozen=True)
class Aftermath:
    """What the services saw after the restart."""

    made_again: int
    """Calls that were under way at the crash and were made once more."""
    had_happened: int
    """Those of them that had already had their effect: the service gave its old answer."""
    repeated: tuple[str, ...]
    """Keys of recorded calls that were made again; there must be none."""


async def gather_evidence(client: Client, directory: Path) -> Evidence:
    """Read what the crash left, before a node starts."""
    interrupted: set[str] = set()
    under_way: set[str] = set()
    recorded: set[str] = set()
    for told in await describe_all(client):
        if told.status.live:
            interrupted.add(told.id)
        for call in told.calls:
            (under_way if call.settled_at is None else recorded).add(call.idempotency_key)
            if call.compensation_key is not None:
                settled = call.compensated_at is not None
                (recorded if settled else under_way).add(call.compensation_key)
    marks = {
        service: read(directory, service, "SELECT coalesce(max(id), 0) FROM calls")[0][0]
        for service in SERVICES
    }
    return Evidence(frozenset(interrupted), frozenset(under_way), frozenset(recorded), marks)


def compare(evidence: Evidence, directory: Path) -> Aftermath:
    """Compare what was called after the crash with what had been recorded before it."""
    before: set[str] = set()
    after: set[str] = set()
    for service in SERVICES:
        for number, key in read(directory, service, "SELECT id, key FROM calls"):
            (before if number <= evidence.marks[service] else after).add(key)
    return Aftermath(
        made_again=len(after & evidence.under_way),
        had_happened=len(after & before & evidence.under_way),
        repeated=tuple(sorted(after & evidence.recorded)),
    )


async def describe_all(client: Client) -> list[Description]:
    """Return everything that the journals tell of all executions, oldest first."""
    ids = [summary.id async for summary in client.executions()]
    return [await client.execution(id).describe() for id in reversed(ids)]
