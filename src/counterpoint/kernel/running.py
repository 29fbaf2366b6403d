"""What the parts of an execution need of the whole."""

from typing import Protocol

from counterpoint.kernel.loop import WorkflowLoop
from counterpoint.kernel.program import Program
from counterpoint.kernel.state import ExecutionState
from counterpoint.model import records as r


class Running(Protocol):
    """An execution whose code runs; `kernel.execution` says what each of these does."""

    id: str
    run: int
    program: Program
    state: ExecutionState
    now: int
    loop: WorkflowLoop
    pivoted: bool

    def decide(self, decision: r.Decision) -> None:
        """Record what the code decides, or compare it with what it decided then."""
        ...

    def finish(self, decision: r.Decision) -> None:
        """The code is over: decide its end and drop its frames."""
        ...
