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
    Status.COMPLETED: frozenset(),
    Status.COMPENSATED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.TERMINATED: frozenset(),
    Status.CONTINUED: frozenset(),
}
"""From each status, the statuses that may follow. `failed` is left by an operator's `retry()`."""
