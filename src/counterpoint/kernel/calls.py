"""The calls that workflow code makes: numbered in their order, each with the future of its outcome.

Calls of activities, calls of workflows (children) and what `compensate_with` names share one
numbering, so that what happened later is undone earlier whatever it was.
"""

from counterpoint.kernel.loop import Future
from counterpoint.kernel.running import Running
from counterpoint.kernel.settled import Completed, Settled
from counterpoint.model import records as r
from counterpoint.model.ids import child_id


class Calls:
    """What one execution's code has called, as far as it has run."""

    __slots__ = ("_number", "_undoable", "_waiting", "child_ids", "execution", "loop")

    def __init__(self, execution: Running) -> None:
        self.execution = execution
        self.loop = execution.loop
        self._waiting: dict[int, Future[Settled]] = {}
        self._number = 0
        self.child_ids: dict[int, str] = {}
        self._undoable: dict[int, bool] = {}
        """Calls that would be undone, as far as the code has been told; whether they settled."""

    @property
    def anything_to_undo(self) -> bool:
        """Whether the code, if it failed now, would leave something to undo."""
        return bool(self._undoable)

    @property
    def anything_open_to_undo(self) -> bool:
        """Whether a call that would be undone has not settled."""
        return not all(self._undoable.values())

    def schedule(self, name: str, arguments: r.Payload) -> tuple[int, Future[Settled]]:
        """Call an activity; the future gets `Completed` or what failed."""
        self.loop.check_open()
        if self.loop.is_closed():
            return 0, self.loop.new_future()
        execution = self.execution
        program = execution.program
        compensable = program.saga and program.compensation_of(name) is not None
        number, future = self._next()
        if compensable:
            self._undoable[number] = False
        execution.decide(r.CallScheduled(number, name, arguments, compensable))
        return number, future

    def schedule_child(
        self, name: str, arguments: r.Payload, *, saga: bool, given_id: str | None
    ) -> tuple[int, Future[Settled]]:
        """Call a workflow; it becomes an execution of its own."""
        self.loop.check_open()
        if self.loop.is_closed():
            return 0, self.loop.new_future()
        execution = self.execution
        program = execution.program
        compensable = program.saga and program.compensation_of(name) is not None
        number, future = self._next()
        if compensable or (saga and program.saga):
            self._undoable[number] = False
        its_id = given_id or child_id(execution.id, execution.run, number)
        self.child_ids[number] = its_id
        execution.decide(r.ChildScheduled(number, its_id, name, arguments, saga, compensable))
        return number, future

    def register_undo(self, name: str, arguments: r.Payload) -> None:
        """Name an activity that undoes what the code has done otherwise."""
        self.loop.check_open()
        if self.loop.is_closed():
            return
        self._number = number = self._number + 1
        self._undoable[number] = True
        self.execution.decide(r.UndoRegistered(number, name, arguments))

    def abandon(self, number: int) -> None:
        """Say that the code no longer waits for a call; called when its future was cancelled."""
        if self.loop.is_closed() or self._waiting.pop(number, None) is None:
            return
        self.execution.decide(r.CallCancelled(number))

    def settle(self, number: int, settled: Settled) -> None:
        """Hand an outcome to what waits for it."""
        if number in self._undoable:
            if isinstance(settled, Completed) or settled.outcome_unknown:
                self._undoable[number] = True
            else:
                del self._undoable[number]
        future = self._waiting.pop(number, None)
        if future is not None and not future.done():
            future.set_result(settled)

    def drop(self) -> None:
        """Forget what waits: the code is over, and its loop, which is asked first, is closed.

        Without the cycle between this and the execution both are freed at once.
        """
        self._waiting.clear()
        if hasattr(self, "execution"):
            del self.execution

    def _next(self) -> tuple[int, Future[Settled]]:
        self._number = number = self._number + 1
        future: Future[Settled] = self.loop.new_future()
        self._waiting[number] = future
        return number, future
