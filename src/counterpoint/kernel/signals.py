"""Signals that reach workflow code: taken oldest first, kept until the code asks for them."""

from collections import deque
from collections.abc import Callable, Iterable

from counterpoint.kernel.loop import Future, WorkflowLoop
from counterpoint.model import records as r


class Signals:
    """What one execution's code has not read yet, and what it waits for."""

    __slots__ = ("_decide", "_unread", "_wait_number", "_waits", "loop")

    def __init__(self, loop: WorkflowLoop, decide: Callable[[r.Decision], None]) -> None:
        self.loop = loop
        self._decide = decide
        self._unread: dict[str, deque[r.Payload]] = {}
        self._waits: dict[int, tuple[str, Future[r.Payload]]] = {}
        self._wait_number = 0

    def keep(self, signals: Iterable[r.CarriedSignal]) -> None:
        """Take over what an earlier run has not read."""
        for signal in signals:
            self._unread.setdefault(signal.name, deque()).append(signal.value)

    def wait(self, name: str) -> tuple[int, Future[r.Payload]]:
        """Take the oldest unread signal of that name, or wait for the next one."""
        self.loop.check_open()
        future: Future[r.Payload] = self.loop.new_future()
        if self.loop.is_closed():
            return 0, future
        unread = self._unread.get(name)
        if unread:
            future.set_result(unread.popleft())
            self._decide(r.SignalTaken(name))
            return 0, future
        self._wait_number = number = self._wait_number + 1
        self._waits[number] = (name, future)
        self._decide(r.SignalAwaited(number, name))
        return number, future

    def end_wait(self, number: int) -> None:
        """Say that the code no longer waits; called when its future was cancelled."""
        if self.loop.is_closed() or self._waits.pop(number, None) is None:
            return
        self._decide(r.SignalWaitEnded(number))

    def feed(self, record: r.SignalReceived) -> None:
        """Hand a signal to whoever waits for it longest, or keep it."""
        for number, (name, future) in self._waits.items():
            if name == record.name and not future.done():
                del self._waits[number]
                future.set_result(record.value)
                return
        self._unread.setdefault(record.name, deque()).append(record.value)

    def drop(self) -> None:
        """Forget who waits: the code is over, and its loop, which is asked first, is closed."""
        self._waits.clear()
        if hasattr(self, "_decide"):
            del self._decide  # a method of the execution: without the cycle it is freed at once
