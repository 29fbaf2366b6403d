"""Calls and their steps, as the folded journal knows them.

A *step* is what a call does, or what its compensation does: a chain of attempts by this node, or
one child execution, whose own journal tells about its attempts.
"""

from dataclasses import dataclass

from counterpoint.model import records as r


@dataclass(slots=True)
class Step:
    """What is under way for one call, or for its compensation."""

    attempts: int = 1
    """Attempts that began, the current one included."""
    retry_at: int | None = None
    """When the next attempt begins; None while one is under way."""
    scheduled_at: int = 0
    last_error: r.Failure | None = None
    may_have_happened: bool = False
    lost_in_a_row: int = 0
    heartbeat: r.Payload | None = None
    stuck: bool = False
    """No attempt will begin until a person asks for it."""
    asks: bool = False
    """Only a person's word settles it: another attempt could do it twice."""
    remote: bool = False
    """It happens in a child execution; a letter says how it ended."""

    @property
    def under_way(self) -> bool:
        """Whether an attempt of it runs on a node (or did when the node died)."""
        return self.retry_at is None and not self.stuck and not self.remote


@dataclass(slots=True)
class Call:
    """One call of an activity or of a workflow, or what `compensate_with` named."""

    number: int
    name: str
    arguments: r.Payload
    step: Step | None
    """None once the call has settled."""
    result: r.Payload | None = None
    error: r.Failure | None = None
    outcome_unknown: bool = False
    cancelled: bool = False
    compensable: bool = False
    attempts: int = 0
    """Attempts that began, once it has settled."""
    undo: Step | None = None
    """The compensation under way."""
    undo_name: str | None = None
    undone: bool = False
    stays: str | None = None
    """Why it is not undone although it happened."""
    run: int | None = None
    """The run in which it settled, if a reset has kept it since: its key is that run's."""
    registered: bool = False
    """It is only a compensation, named by `compensate_with`."""
    child: str | None = None
    """The id of the child execution, for a call of a workflow."""
    child_status: str | None = None
    """How the child ended."""
    saga: bool = False
    """The child undoes itself."""
    pivoted: bool = False
    """The child passed its pivot."""

    @property
    def may_have_happened(self) -> bool:
        """Whether its effects may exist: not settled, completed, or failed with doubt."""
        if self.step is not None or self.result is not None or self.registered:
            return True
        return self.outcome_unknown
