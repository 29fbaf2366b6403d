"""The states of an execution and every transition between them, in one table."""

from enum import StrEnum


class Status(StrEnum):
    """How an execution stands; what `Execution.describe()` and `counterpoint list` show."""

    RUNNING = "running"
    COMPENSATING = "compensating"
    INCIDENT = "incident"
    COMPLETED = "completed"
    FAILED = "failed"
    COMPENSATED = "compensated"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    CONTINUED = "continued"

    @property
    def live(self) -> bool:
        """Whether something may still happen by itself or by an operator's act."""
        return self in LIVE


LIVE = frozenset({Status.RUNNING, Status.COMPENSATING, Status.INCIDENT})

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.RUNNING: frozenset(
        {
            Status.COMPENSATING,
            Status.INCIDENT,
            Status.COMPLETED,
            Status.FAILED,
            Status.CANCELLED,
            Status.TERMINATED,
            Status.CONTINUED,
        }
    ),
    Status.COMPENSATING: frozenset(
        {Status.INCIDENT, Status.COMPENSATED, Status.CANCELLED, Status.TERMINATED}
    ),
    Status.INCIDENT: frozenset({Status.RUNNING, Status.COMPENSATING, Status.TERMINATED}),
    Status.FAILED: frozenset({Status.RUNNING}),
    Status.COMPLETED: frozenset({Status.COMPENSATING}),
    Status.COMPENSATED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.TERMINATED: frozenset(),
    Status.CONTINUED: frozenset(),
}
"""From each status, the statuses that may follow. `failed` is left by an operator's `retry()`, and
`completed` by a child saga whose parent is undone."""


class Cause(StrEnum):
    """Why an execution is an incident: what stopped, and what a person can do about it."""

    NON_DETERMINISM = "non-determinism"
    """Today's code does something else than the journal says: deploy code that agrees."""
    UNKNOWN_ACTIVITY = "unknown-activity"
    """Something has to be undone by an activity that this app no longer has: deploy it."""
    LOST_ATTEMPTS = "lost-attempts"
    """Nodes died during one step, three times in a row: `retry()` once it is harmless."""
    UNKNOWN_OUTCOME = "unknown-outcome"
    """Nobody knows whether an at-most-once call happened: look, and `resolve()` it."""
    PATIENCE = "patience"
    """A compensation keeps failing; it is tried on: mend its cause, or `resolve()` it."""
    SETTLE = "settle"
    """A call does not end although it was cancelled, and undoing waits for it."""
    PAST_PIVOT = "past-pivot"
    """Past its pivot a call ran out of attempts, or the code failed: `retry()` goes forward."""
    DEADLINE = "deadline"
    """The deadline passed after the pivot; the execution goes on."""
