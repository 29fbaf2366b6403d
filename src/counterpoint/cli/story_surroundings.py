"""What `show` knows of an execution beside its journal: children, earlier runs, its node."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from counterpoint.model.states import Status
from counterpoint.runtime.client import Client, ExecutionSummary, PostedRequest
from counterpoint.runtime.description import Description, JournalEntry

RUNS_MAX = 5
UNDER_WAY = frozenset({"running", "being cancelled", "being undone"})
"""States of a call of which an attempt runs, or is to be claimed by a node."""
_FLOW_MAX = 1_000
ACTS = frozenset({"retry-requested", "resolved", "reset", "terminate-requested", "cancel-refused"})
"""Records of what people asked for; of a request to cancel what is live, the description tells."""
CANCELS = "cancel-requested"
_OUTCOMES = frozenset({"completed", "failed", "compensated", "attempt-failed"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known beside the journal."""

    at: datetime
    """The moment of telling."""
    posted: Sequence[PostedRequest] = ()
    app: str | None = None
    """MODULE:APP, if one was named."""
    version: int | None = None
    """The version of the workflow in the app; 0 if the app does not have it."""
    activities: Collection[str] | None = None
    run_command: str | None = None
    """What starts a node, where no node hosts the store."""
    verbose: bool = False
    """Tell all attempts, and where errors were raised in full."""
    children: Mapping[str, Status] = field(default_factory=dict[str, Status])
    """How children stand that have not ended, by id; the first ones."""
    earlier: Sequence[ExecutionSummary] = ()
    """Earlier runs of the same id, newest first; at most `RUNS_MAX`."""
    acts: Sequence[JournalEntry] = ()
    """What people asked for, oldest first."""
    outcomes: Mapping[int, JournalEntry] = field(default_factory=dict[int, JournalEntry])
    """The outcome that a person stated, by the number of the record that says who did."""
    unhosted: Collection[str] = frozenset()
    """Activities that calls wait for, and no living node hosts."""
    options: str = ""
    """What a command needs behind its arguments to reach the same store."""


def open_children(description: Description) -> dict[str, Status]:
    """Return how the children stand that the execution waits for."""
    return {
        call.child: Status(call.child_status)
        for call in description.calls
        if call.child is not None
        and call.child_status is not None
        and (call.settled_at is None or call.state == "being undone")
    }


async def unhosted_calls(client: Client, description: Description) -> frozenset[str]:
    """Return the activities that the execution may wait for because no node hosts them."""
    if not any(call.state in UNDER_WAY for call in description.calls):
        return frozenset()
    return frozenset(one.name for one in await client.unhosted() if one.kind == "activity")


async def earlier_runs(client: Client, description: Description) -> list[ExecutionSummary]:
    """Return the runs before this one, newest first; of a long flow the newest part is read."""
    found: list[ExecutionSummary] = []
    if description.run == 1:
        return found
    read = 0
    async for summary in client.executions(correlation_id=description.correlation_id):
        read += 1
        if summary.id == description.id and summary.run < description.run:
            found.append(summary)
        if read == _FLOW_MAX or len(found) == min(RUNS_MAX, description.run - 1):
            break
    return found


async def operator_acts(
    client: Client, description: Description
) -> tuple[list[JournalEntry], dict[int, JournalEntry]]:
    """Return what people asked for, oldest first, and the outcomes that they stated."""
    entries = await client.execution(description.id).journal()
    kinds = ACTS if description.status.live else ACTS | {CANCELS}
    acts = [entry for entry in entries if entry.type in kinds]
    return acts, stated_outcomes(entries)


def stated_outcomes(entries: Sequence[JournalEntry]) -> dict[int, JournalEntry]:
    """Return the record of each outcome that a person stated, by the number of their word."""
    found: dict[int, JournalEntry] = {}
    for position, entry in enumerate(entries):
        if entry.type != "resolved":
            continue
        for later in entries[position + 1 :]:
            if later.type in _OUTCOMES and _step(later) == entry.data["step"]:
                found[entry.seq] = later
                break
            if later.type == "resolved":
                break
    return found


def _step(entry: JournalEntry) -> int:
    if entry.type == "attempt-failed":
        return int(entry.data["step"])
    return int(entry.data["call"]) * (-1 if entry.type == "compensated" else 1)
