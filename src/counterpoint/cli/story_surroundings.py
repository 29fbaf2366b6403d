"""What `show` knows of an execution beside its journal: children, earlier runs, its node."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from counterpoint.model.states import Status
from counterpoint.runtime.client import Client, ExecutionSummary, PostedRequest
from counterpoint.runtime.description import Description, JournalEntry

RUNS_MAX = 5
_FLOW_MAX = 1_000
ACTS = frozenset({"retry-requested", "resolved", "reset", "terminate-requested", "cancel-refused"})
"""Records of what people asked for; of a request to cancel, the description tells."""


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


async def operator_acts(client: Client, execution_id: str) -> list[JournalEntry]:
    """Return the records of what people asked for, oldest first."""
    entries = await client.execution(execution_id).journal()
    return [entry for entry in entries if entry.type in ACTS]
