"""What a crash left behind and what was done again after it, as the files tell."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from counterpoint import Client, Description

from examples.shop.forms import Form
from examples.shop.own_file import read, services_in

REACTIONS = (
    "SELECT name || ':' || source || '/' || id, coalesce(status, '') = 'completed' FROM events "
    "JOIN subscriptions ON subscriptions.type = events.type LEFT JOIN reactions "
    "ON subscription = number AND reactions.position = events.position"
)
"""Every reaction that is due for an event, by its execution id, and whether it is recorded."""


@dataclass(frozen=True)
class Evidence:
    """The state of the files between the crash and the restart.

    A step is a call or a compensation, known by its idempotency key, or a reaction to one event,
    known by its execution id.
    """

    interrupted: frozenset[str]
    """The flows that had begun and not ended."""
    under_way: frozenset[str]
    """Steps whose outcome was not recorded."""
    recorded: frozenset[str]
    """Steps whose outcome was."""
    marks: Mapping[str, int]
    """The last line of each service's call log."""


@dataclass(frozen=True)
class Aftermath:
    """What the services saw after the restart."""

    made_again: int
    """Steps that were under way at the crash and reached a service after it."""
    had_happened: int
    """Those of them that had had an effect before: the service gave its old answer."""
    repeated: tuple[str, ...]
    """Recorded steps that were made again; there must be none."""


async def gather_evidence(form: Form, client: Client, directory: Path) -> Evidence:
    """Read what the crash left, before a node starts."""
    due = steps_due(directory)
    under_way, recorded = set(due), _recorded_reactions(directory)
    for told in await describe_all(client):
        for call in told.calls:
            (under_way if call.settled_at is None else recorded).add(call.idempotency_key)
            if call.compensation_key is not None:
                settled = call.compensated_at is not None
                (recorded if settled else under_way).add(call.compensation_key)
    marks = {
        service: read(directory, service, "SELECT coalesce(max(id), 0) FROM calls")[0][0]
        for service in services_in(directory)
    }
    interrupted = form.begun(directory) - form.ended(directory)
    return Evidence(frozenset(interrupted), frozenset(under_way), frozenset(recorded), marks)


def compare(evidence: Evidence, directory: Path) -> Aftermath:
    """Compare what was called after the crash with what had been recorded before it."""
    happened: set[str] = set()
    after: set[str] = set()
    for service in services_in(directory):
        for number, step, reached in read(
            directory, service, "SELECT id, step, reached FROM calls"
        ):
            if number > evidence.marks[service]:
                after.add(step)
            elif reached:
                happened.add(step)
    again = after & evidence.under_way
    return Aftermath(
        made_again=len(again),
        had_happened=len(again & happened),
        repeated=tuple(sorted(after & evidence.recorded)),
    )


def steps_due(directory: Path) -> list[str]:
    """Return the reactions that have to be done and are not recorded as done."""
    return [step for step, done in read(directory, "counterpoint", REACTIONS) if not done]


async def describe_all(client: Client) -> list[Description]:
    """Return everything that the journals tell of all executions, oldest first."""
    ids = [summary.id async for summary in client.executions()]
    return [await client.execution(id).describe() for id in reversed(ids)]


def _recorded_reactions(directory: Path) -> set[str]:
    return {step for step, done in read(directory, "counterpoint", REACTIONS) if done}
