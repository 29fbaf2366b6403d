"""The deterministic event loop on which workflow code runs.

Ordinary asyncio code (`sleep`, `gather`, `wait`, `timeout`, `shield`, `TaskGroup`, `Queue`, …) runs
unchanged on `WorkflowLoop`, which has no I/O, no threads and no clock of its own:

* callbacks run in the order in which they were scheduled, until none is ready;
* `time()` is the time of the record that is being applied, in seconds since the execution began;
* `call_later` and `call_at` ask the execution for a durable timer;
* tasks are named, and hash, in the order of their making, so that sets of them iterate alike on
  replay whatever their addresses are;
* everything else that an event loop offers is refused with an error that says what to do instead.

Safety: the loop is entered from plain callbacks of the surrounding loop, never from inside one of
its tasks, since from Python 3.14 on a thread has one current task for all loops. While it runs, it
is the thread's running loop, and the hooks for asynchronous generators are its own: a generator
that is dropped is never closed by the surrounding loop at a moment that a replay could not repeat.

Eviction drops the code's frames. Python then runs their `finally` blocks, so `close` throws into
each coroutine itself, at a known moment, with this loop running and refusing whatever they ask for.
Nothing may be left to the garbage collector, which would run those blocks on the surrounding loop,
where an activity is an ordinary function and would really be called. Tried and given up:

* One `close()` a frame: one that awaits while it is closed stays suspended, with all the `finally`
  blocks around it, for the garbage collector.
* Refusing without end: `while True` around `except BaseException` then never ends. After
  `REFUSALS_MAX` refusals, what is awaited just never comes.
* Never refusing: a frame that awaits is abandoned half closed, and Python warns about it.
"""

import asyncio
import contextvars
import inspect
import sys
import types
from asyncio import events
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, NoReturn, Protocol, TypeVar, TypeVarTuple, Unpack

from counterpoint.errors import WorkflowRefusedError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_get_running_loop: Callable[[], asyncio.AbstractEventLoop | None] = vars(events)[
    "_get_running_loop"
]
_set_running_loop: Callable[[asyncio.AbstractEventLoop | None], None] = vars(events)[
    "_set_running_loop"
]
# Both are in `asyncio.events.__all__`, for authors of event loops, though they begin with `_`.
running_loop = _get_running_loop
"""Return the loop that runs in this thread, or None."""

STEPS_MAX = 1_000_000
"""Callbacks in one activation; more means a loop that never waits for anything."""

SALT_BITS = 16
"""Sets of fewer tasks than these bits count iterate by number alone."""

Future = asyncio.Future
"""For the engine's own use; workflow code gets futures from `create_future`."""


class Evicted(BaseException):
    """Thrown at workflow code that asks for something while its frames are being dropped."""


REFUSALS_MAX = 1_000
"""How often a loop refuses the code whose frames are being dropped."""
CLOSES_MAX = 100
"""How often a frame is closed that awaits something while it is being closed."""
_undead: list[object] = []
"""Frames that cannot be closed: kept for ever, so that the garbage collector does not try."""


class LoopOwner(Protocol):
    """What a loop needs from the execution that it runs."""

    def loop_time(self) -> float:
        """Return seconds since the execution began, as of the record being applied."""
        ...

    def set_timer(self, handle: "TimerHandle") -> None:
        """Fire the handle at `handle.when()`."""
        ...

    def cancel_timer(self, handle: "TimerHandle") -> None:
        """Forget the handle; it has not fired."""
        ...

    def callback_failed(self, error: BaseException) -> None:
        """A plain callback (not a task) raised."""
        ...


class Handle(asyncio.Handle):
    """A scheduled callback; what `call_soon` returns. Leaner than its base, which it only types."""

    __slots__ = ("args", "callback", "context", "dropped")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context,
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.dropped = False

    def cancel(self) -> None:
        self.dropped = True

    def cancelled(self) -> bool:
        return self.dropped

    def get_context(self) -> contextvars.Context:
        return self.context

    def __repr__(self) -> str:
        return f"<Handle {self.callback!r}>"


class TimerHandle(asyncio.TimerHandle):
    """A callback that a durable timer will schedule; what `call_later` returns."""

    __slots__ = ("due", "fired", "handle", "number", "owner")

    def __init__(self, due: float, handle: Handle, owner: LoopOwner) -> None:
        self.due = due
        self.handle = handle
        self.owner = owner
        self.number = 0
        self.fired = False

    def when(self) -> float:
        return self.due

    def cancel(self) -> None:
        if not self.handle.dropped:
            self.handle.dropped = True
            if not self.fired:
                self.owner.cancel_timer(self)

    def cancelled(self) -> bool:
        return self.handle.dropped

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"<TimerHandle {self.number} at {self.due}>"


class WorkflowTask(asyncio.Task[T]):
    """A task that hashes by its number, so that sets of tasks iterate alike on replay.

    Above the number its hash has what tells executions apart: asyncio keeps the tasks of all of
    them in one set, in which thousands of first tasks would be one chain of equal hashes.
    """

    def __init__(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        loop: "WorkflowLoop",
        number: int,
        name: str | None,
        context: contextvars.Context | None,
    ) -> None:
        self._hash = loop.salt + number
        super().__init__(coro, loop=loop, name=name or f"task-{number}", context=context)

    def __hash__(self) -> int:
        return self._hash


class WorkflowFuture(asyncio.Future[T]):
    """A future that hashes by its number; see `WorkflowTask`."""

    def __init__(self, *, loop: "WorkflowLoop", number: int) -> None:
        self._number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._number


class WorkflowLoop(asyncio.AbstractEventLoop):
    """Runs one execution's code; `execution` is its owner."""

    def __init__(self, execution: LoopOwner, identity: int = 0) -> None:
        self.execution = execution
        self.salt = identity << SALT_BITS
        """What the hashes of tasks have above their numbers."""
        self._ready: deque[Handle] = deque()
        self._tasks: list[WorkflowTask[Any]] = []
        self._prune_at = 64
        self._sequence = 0
        self._closed = False
        self._refusals = 0
        self._halted = False

    # ---- running ------------------------------------------------------------------------------

    def run_until_idle(self) -> None:
        """Run callbacks until none is ready; the execution calls it once per record."""
        ready = self._ready
        previous = _get_running_loop()
        hooks = sys.get_asyncgen_hooks()
        _set_running_loop(self)
        sys.set_asyncgen_hooks(firstiter=None, finalizer=_leave_generator_alone)
        steps = 0
        try:
            while ready:
                handle = ready.popleft()
                if handle.dropped:
                    continue
                steps += 1
                if steps > STEPS_MAX:
                    raise WorkflowRefusedError(
                        f"the workflow took {STEPS_MAX:,} steps without waiting for anything: "
                        "give a loop something to wait for, such as `await workflow.sleep(1)`"
                    )
                try:
                    handle.context.run(handle.callback, *handle.args)
                except KeyboardInterrupt:
                    raise
                except SystemExit:
                    pass  # its task holds it, like any other exception; the node goes on
                except BaseException as error:  # noqa: BLE001 - asyncio's own loop goes on too
                    self.execution.callback_failed(error)
        finally:
            sys.set_asyncgen_hooks(*hooks)
            _set_running_loop(previous)

    def halt(self) -> None:
        """Stop running this code for good, without an exception that it could catch."""
        self._halted = True
        self._ready.clear()

    def close(self) -> None:
        """Drop the code's frames now; their `finally` blocks run and can do nothing."""
        if self._closed:
            return
        self._closed = True
        self._ready.clear()
        previous = _get_running_loop()
        hooks = sys.get_asyncgen_hooks()
        _set_running_loop(self)
        sys.set_asyncgen_hooks(firstiter=None, finalizer=_leave_generator_alone)
        try:
            for task in self._tasks:
                if not task.done():
                    _close(task.get_coro())
            self._tasks.clear()
        finally:
            sys.set_asyncgen_hooks(*hooks)
            _set_running_loop(previous)
            self.execution = _NOBODY  # without the cycle, both are freed at once

    def check_open(self) -> None:
        """Refuse, if the code is being evicted: nothing that it asks for may get through."""
        if self._closed and self._refusals < REFUSALS_MAX:
            self._refusals += 1
            raise Evicted

    def next_number(self) -> int:
        """Return the next number for hashing: tasks, futures and calls in order of making."""
        self._sequence += 1
        return self._sequence

    def live_tasks(self) -> list[WorkflowTask[Any]]:
        """Return the tasks that have not ended, oldest first."""
        self._tasks = [task for task in self._tasks if not task.done()]
        return self._tasks

    # ---- what asyncio asks for ----------------------------------------------------------------

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: Unpack[Ts],
        context: contextvars.Context | None = None,
    ) -> Handle:
        handle = Handle(callback, args, contextvars.copy_context() if context is None else context)
        if not (self._closed or self._halted):
            self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: Unpack[Ts],
        context: contextvars.Context | None = None,
    ) -> TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: Unpack[Ts],
        context: contextvars.Context | None = None,
    ) -> TimerHandle:
        self.check_open()
        handle = Handle(callback, args, contextvars.copy_context() if context is None else context)
        timer = TimerHandle(when, handle, self.execution)
        if not self._closed:
            self.execution.set_timer(timer)
        return timer

    def fire(self, timer: TimerHandle) -> None:
        """Schedule a timer's callback; from now on cancelling it writes nothing."""
        timer.fired = True
        self._ready.append(timer.handle)

    def time(self) -> float:
        return self.execution.loop_time()

    def new_future(self) -> asyncio.Future[Any]:
        """Return a future for the engine's own use: it never lands in a set."""
        return asyncio.Future(loop=self)

    def create_future(self) -> WorkflowFuture[Any]:
        self.check_open()
        return WorkflowFuture(loop=self, number=self.next_number())

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> WorkflowTask[T]:
        if self._closed:
            coro.close()
            self.check_open()
        _refuse_unordered(coro)
        number = self.next_number()
        task = WorkflowTask(coro, loop=self, number=number, name=name, context=context)
        if self._closed:
            return task
        tasks = self._tasks
        tasks.append(task)
        if len(tasks) > self._prune_at:
            self._prune_at = 2 * len(self.live_tasks()) + 64
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return _get_running_loop() is self

    def is_closed(self) -> bool:
        return self._closed

    def get_exception_handler(self) -> None:
        return None

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Ignore what asyncio reports about dropped tasks: the journal tells how each ended."""

    default_exception_handler = call_exception_handler


class _Nobody:
    """The owner of a closed loop."""

    def loop_time(self) -> float:
        return 0.0

    def set_timer(self, handle: TimerHandle) -> None:
        """Nothing is left to wait for it."""

    def cancel_timer(self, handle: TimerHandle) -> None:
        """Nothing is left to forget."""

    def callback_failed(self, error: BaseException) -> None:
        """Nobody is left to hear of it."""


_NOBODY = _Nobody()


def new_loop(execution: LoopOwner, identity: int = 0) -> WorkflowLoop:
    """Return a loop for one execution, which *identity* tells from others: alike on replay."""
    make: Any = WorkflowLoop  # type checkers see the refusals below as missing methods
    loop: WorkflowLoop = make(execution, identity)
    return loop


def _close(code: Generator[Any, Any, Any] | Coroutine[Any, Any, Any]) -> None:
    """Run the `finally` blocks of a frame; each `await` in one of them takes another round."""
    for _ in range(CLOSES_MAX):
        try:
            code.close()
        except BaseException:  # noqa: BLE001, S112 - the code's own, or: it awaits, it goes on
            continue
        return
    _undead.append(code)


def _leave_generator_alone(generator: AsyncGenerator[Any, Any]) -> None:
    """Close nothing: the moment at which a generator is collected cannot be repeated."""


def _refuse_unordered(coro: object) -> None:
    """Refuse coroutines that `as_completed` takes out of a set, in the order of their addresses.

    Calls of activities and tasks hash by their number and are welcome there.
    """
    if type(coro) is not types.CoroutineType:
        return
    frame = inspect.currentframe()
    for _ in range(2):
        frame = frame.f_back if frame is not None else None
    if frame is None or frame.f_globals.get("__name__") != "asyncio.tasks":
        return
    for _ in range(4):
        if "as_completed" in frame.f_code.co_name.lower() or (
            "_AsCompletedIterator" in frame.f_code.co_qualname
        ):
            raise WorkflowRefusedError(
                "asyncio.as_completed takes coroutines in the order of their addresses, which a "
                "replay could not repeat. Give it tasks: "
                "asyncio.as_completed([asyncio.ensure_future(c) for c in coroutines])"
            )
        frame = frame.f_back
        if frame is None:
            return


def _refuse(name: str) -> Callable[..., NoReturn]:
    def refused(*_: object, **__: object) -> NoReturn:
        raise WorkflowRefusedError(
            f"workflow code cannot do I/O or use threads and processes (loop.{name}): "
            "a replay could not repeat it. Move it to an activity and await that"
        )

    return refused


for _name, _value in list(vars(asyncio.AbstractEventLoop).items()):
    if callable(_value) and _name not in vars(WorkflowLoop) and not _name.startswith("__"):
        setattr(WorkflowLoop, _name, _refuse(_name))
