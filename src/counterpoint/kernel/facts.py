"""What is known of an execution once its journal is folded, and what follows from it."""

from collections import deque
from dataclasses import dataclass, field

from counterpoint.kernel.steps import Call, Step
from counterpoint.model import records as r
from counterpoint.model.states import Status


@dataclass(slots=True)
class Facts:
    """The fields that records change; see `kernel.state` for how."""

    keep_calls: bool = True
    """Keep completed calls (a saga needs them to undo, `describe()` to show them)."""
    status: Status = Status.RUNNING
    workflow: str = ""
    version: int = 1
    arguments: r.Payload = field(default_factory=lambda: r.NULL)
    started_at: int = 0
    updated_at: int = 0
    count: int = 0
    """Records applied; the number of the last one."""
    calls_made: int = 0
    calls: dict[int, Call] = field(default_factory=dict)
    open_steps: dict[int, Step] = field(default_factory=dict)
    under_way: dict[int, None] = field(default_factory=dict)
    """Open steps of which an attempt runs (or did when the node died); a set is larger."""
    unsettled: int = 0
    """Open calls; their compensations not counted."""
    uncancelled: int = 0
    """Open calls that the code still waits for."""
    timers: dict[int, int] = field(default_factory=dict)
    """Due time by timer number."""
    waits: dict[int, str] = field(default_factory=dict)
    """Signal name by wait number."""
    event_waits: dict[int, r.EventAwaited] = field(default_factory=dict)
    """Waits for events, by number."""
    event_positions: dict[tuple[str, str], int] = field(default_factory=dict)
    """How far the events of a type and key were read."""
    caused_by: r.CausedBy | None = None
    """The event that started the execution."""
    hops: int = 0
    """How many events led to it, one after the other."""
    unread: dict[str, deque[r.CarriedSignal]] = field(default_factory=dict)
    """Signals that came and were not taken, by name, oldest first."""
    request_ids: set[str] = field(default_factory=set)
    parent: r.ChildOf | None = None
    """Whose step it is."""
    children: bool = False
    """Whether it has called workflows."""
    begins_at: int | None = None
    """When the code begins; None once it has."""
    delayed_until: int | None = None
    """When it was to begin; None if it was not delayed."""
    began_in_run: int | None = None
    """The run in which its code began, if it was reset since."""
    carried: r.Continued | None = None
    """What an earlier run handed on."""
    attributes: dict[str, str] = field(default_factory=dict)
    attributed: bool = False
    """Whether its code has set attributes."""
    pivoted: bool = False
    code_over: bool = False
    """The code failed past the pivot; a person's `retry()` lets it go on."""
    cancel_requested: bool = False
    cancel_is_stale: bool = False
    """The parent has called it again since it cancelled it."""
    undoing: bool = False
    """The code is over and what it did is being undone (or waits for a person while it is)."""
    undoing_cancelled: bool = False
    undoing_since: int = 0
    undo_asked: bool = False
    """Its parent is being undone, and it with it."""
    undo_from: int = 0
    """The newest call whose compensation began last; those above it are done with."""
    result: r.Payload | None = None
    error: r.Failure | None = None
    failed_call: int | None = None
    incidents: dict[int | None, r.IncidentRaised] = field(default_factory=dict)
    """What needs a person, by step; None stands for the execution as a whole."""

    @property
    def incident(self) -> r.IncidentRaised | None:
        """The oldest of the incidents, or None."""
        return next(iter(self.incidents.values()), None)

    @property
    def code_lives(self) -> bool:
        """Whether the code goes on from here: it is neither over nor stopped for good."""
        return self.status.live and not (self.undoing or self.code_over)

    @property
    def busy(self) -> bool:
        """Whether an attempt is under way (or the node died while it was)."""
        return bool(self.under_way)

    @property
    def settling(self) -> bool:
        """Whether a call that the code gave up has to settle here; with no attempt, at once."""
        return self.unsettled > self.uncancelled and any(
            number > 0 and not step.remote and self.calls[number].cancelled
            for number, step in self.open_steps.items()
        )

    def overdue_at(self, settle: int) -> int | None:
        """Return when a person is told of calls that undoing waits for; None while none is."""
        waits = self.status is Status.COMPENSATING and self.unsettled
        return self.undoing_since + settle if waits else None

    def due_timers(self, now: int) -> list[int]:
        """Return the numbers of the timers that are due, in order of their times."""
        due = [(at, number) for number, at in self.timers.items() if at <= now]
        return [number for _, number in sorted(due)]

    def next_wake(self) -> int | None:
        """Return the earliest timer or retry, or None; meaningful while not `busy`."""
        if self.begins_at is not None:
            return self.begins_at
        times = list(self.timers.values())
        times += [s.retry_at for s in self.open_steps.values() if s.retry_at is not None]
        return min(times, default=None)
