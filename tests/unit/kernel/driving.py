"""Drives the kernel without a node: inputs go in by hand, records come out."""

import gc
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from counterpoint.authoring.failures import failure_of
from counterpoint.authoring.registry import Registry, WorkflowProgram
from counterpoint.authoring.service import Service
from counterpoint.authoring.workflow import Workflow
from counterpoint.errors import NonDeterminismError
from counterpoint.kernel import attempts
from counterpoint.kernel.execution import Execution
from counterpoint.kernel.state import ExecutionState
from counterpoint.model import records as r
from counterpoint.model.outcomes import Raised, Returned
from counterpoint.model.policies import Retry, StepPolicy
from counterpoint.model.states import Status

START = 1_700_000_000_000_000
SECOND = 1_000_000
AnyWorkflow = Workflow[Any, *tuple[Any, ...]]


class Box:
    """Something in a workflow's frame that a weak reference can watch."""

    def __init__(self, watched: "list[weakref.ref[Box]]") -> None:
        watched.append(weakref.ref(self))


def alive(watched: "list[weakref.ref[Box]]") -> int:
    """Return how many watched objects still exist, cycles not counted."""
    gc.collect()
    return sum(ref() is not None for ref in watched)


made: list[Execution] = []
"""Executions of the running test; evicted after it, as a node does before it drops one."""


def execution_of(program: WorkflowProgram) -> Execution:
    """Return a new execution that is evicted after the test."""
    made.append(Execution("order-1", 1, program))
    return made[-1]


class Driver:
    """One execution, its clock and its journal."""

    def __init__(
        self, service: Service, workflow: AnyWorkflow, *, payload_bytes_max: int = 1 << 20
    ) -> None:
        self.registry = Registry([service], payload_bytes_max=payload_bytes_max)
        program = self.registry.program(workflow.name)
        assert program is not None
        self.program: WorkflowProgram = program
        self.execution = execution_of(program)
        self.now = START
        self.journal: list[r.Record] = []
        self.commits: list[int] = []
        self.hold = False
        """Do not commit after each input: several inputs share a commit."""
        self.requests = 0

    # ---- inputs -------------------------------------------------------------------------------

    def start(self, *args: Any) -> "Driver":
        signature = self.program.workflow.signature
        arguments = signature.encode_arguments(args, {})
        workflow = self.program.workflow
        started = r.Started(self.now, workflow.name, workflow.version, arguments)
        self.execution.start(started, signature.decode_arguments(arguments))
        self.commit()
        return self

    def complete(self, step: int, value: Any = None) -> "Driver":
        """A call (or, with a negative number, a compensation) returns."""
        outcome = Returned(r.NULL, None)
        if step > 0:
            activity = self.registry.activity(self.state.calls[step].name)
            assert activity is not None
            payload = activity.signature.encode_result(value)
            outcome = Returned(payload, activity.signature.result.decode(payload))
        return self._end(step, outcome)

    def fail(
        self,
        step: int,
        error: BaseException | None = None,
        *,
        final: bool = True,
        unknown: bool = True,
    ) -> "Driver":
        failure = failure_of(error or OSError("no route"), "shop")
        unknown = unknown and not failure.business
        return self._end(step, Raised(failure, final=final, may_have_happened=unknown))

    def _end(self, step: int, outcome: Returned | Raised) -> "Driver":
        self.now += 1
        attempts.end_attempt(self.execution, step, outcome, StepPolicy(Retry()), self.now, 0.5)
        self.commit()
        return self

    def advance(self, seconds: float) -> "Driver":
        """Time passes; timers fire and attempts begin one after the other, when they are due."""
        until = self.now + round(seconds * SECOND)
        while True:
            wake = self.execution.state.next_wake()
            if wake is None or wake > until or not self.state.status.live:
                break
            self.now = max(self.now, wake)
            for timer in self.execution.state.due_timers(self.now):
                self.execution.fire_timer(timer, self.now)
            attempts.begin_due_attempts(self.execution, self.now)
            self.commit()
        self.now = until
        return self

    def signal(self, name: str, value: Any = None) -> "Driver":
        self.requests += 1
        payload = msgspec.Raw(msgspec.json.encode(value))
        at = self.execution.stamp(self.now)
        self.execution.deliver(r.SignalReceived(at, name, payload, f"request-{self.requests}"))
        self.commit()
        return self

    def cancel(self) -> "Driver":
        self.requests += 1
        at = self.execution.stamp(self.now)
        self.execution.deliver(r.CancelRequested(at, f"request-{self.requests}"))
        self.commit()
        return self

    def settle(self, call: int) -> "Driver":
        """Settle a call that the code no longer waits for and that was not running."""
        attempts.settle_cancelled(self.execution, call, None, self.now)
        self.commit()
        return self

    def commit(self) -> None:
        if not self.hold:
            self.journal += self.execution.take_pending()
            self.commits.append(len(self.journal))

    def retry(self) -> "Driver":
        """Replay the journal of the failed execution with a retry, as a node does."""
        self.now += 1
        execution = execution_of(self.program)
        execution.replay(self.journal, r.RetryRequested(self.now, f"retry-{self.now}"))
        self.execution = execution
        attempts.recover_attempts(execution, lambda _: StepPolicy(Retry()), self.now)
        attempts.begin_due_attempts(execution, self.now)
        self.commit()
        return self

    # ---- what became of it --------------------------------------------------------------------

    @property
    def state(self) -> ExecutionState:
        return self.execution.state

    @property
    def status(self) -> Status:
        return self.execution.state.status

    @property
    def result(self) -> Any:
        """The result, decoded; fails with what the execution ended with instead."""
        assert self.state.status is Status.COMPLETED, (self.state.status, self.state.error)
        assert self.state.result is not None
        return self.program.workflow.signature.result.decode(self.state.result)

    @property
    def error(self) -> r.Failure:
        assert self.state.error is not None
        return self.state.error

    def kinds(self) -> list[str]:
        """Return the journal as words."""
        return [type(record).__name__ for record in self.journal]

    def calls(self) -> list[str]:
        """Return the names of the calls made, in order."""
        scheduled = [x for x in self.journal if isinstance(x, r.CallScheduled)]
        return [record.name.partition(".")[2] for record in scheduled]

    def evict(self) -> "Driver":
        self.execution.evict()
        return self

    def replayed(self) -> "Driver":
        """Return a driver whose execution is the replay of this one's committed journal."""
        return self._on(self.journal)

    def _on(self, journal: Sequence[r.Record]) -> "Driver":
        other = object.__new__(Driver)
        other.__dict__.update(self.__dict__)
        other.journal = [*journal]
        other.commits = []
        other.execution = execution_of(self.program)
        other.execution.replay(journal)
        return other


def divergence_of(
    journal: Sequence[r.Record], service: Service, workflow: AnyWorkflow
) -> NonDeterminismError:
    """Replay *journal* on other code; return how they differ."""
    program = Registry([service], payload_bytes_max=1 << 20).program(workflow.name)
    assert program is not None
    execution = execution_of(program)
    before = r.encode_records(journal)
    execution.replay(journal)
    assert execution.divergence is not None, "the replay agrees"
    assert execution.take_pending() == []
    assert r.encode_records(journal) == before
    assert execution.state.count == len(journal)
    return execution.divergence


def run_workflow(
    code: Callable[..., Any], *args: Any, service: Service | None = None, saga: bool = False
) -> Driver:
    """Start *code* as a workflow of *service* (or of one with no activities)."""
    service = service or Service("shop")
    decorate: Any = service.saga if saga else service.workflow
    return Driver(service, decorate(name="shop.main")(code)).start(*args)
