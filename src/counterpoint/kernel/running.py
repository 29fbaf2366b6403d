"""What the parts of an execution need of the whole."""

from typing import Protocol

from counterpoint.kernel.loop import WorkflowLoop
from counterpoint.kernel.program import Program
from counterpoint.kernel.state import ExecutionState
from counterpoint.model import records as r


class OpenCalls(Protocol):
    """The calls of an execution, as far as its end asks for them."""

    @property
    def anything_open_to_undo(self) -> bool:
        """Whether a call that would be undone has not settled."""
        ...


class Running(Protocol):
    """An execution whose code runs; `kernel.execution` says what each of these does."""

    id: str
    run: int
    program: Program
    state: ExecutionState
    now: int
    loop: WorkflowLoop
    pivoted: bool
    winding_up: bool

    @property
    def calls(self) -> OpenCalls:
        """What the code has called."""
        ...

    @property
    def replaying(self) -> bool:
        """Whether a recorded past is being repeated."""
        ...

    def record(self, record: r.Record) -> None:
        """Add a record to the journal."""
        ...

    def decide(self, decision: r.Decision) -> None:
        """Record what the code decides, or compare it with what it decided then."""
        ...

    def finish(self, decision: r.Decision) -> None:
        """The code is over: decide its end and drop its frames."""
        ...
