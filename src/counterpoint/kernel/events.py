"""Events that workflow code waits for and publishes.

A wait observes the log: events of its type and key reach the execution in the order of the log,
each once, and nothing is consumed. How far the code has read is known here from what was fed to it,
never from the fold of the journal, which on replay knows more than the code has seen.
"""

import hashlib

from counterpoint.kernel.loop import Future
from counterpoint.kernel.running import Running
from counterpoint.model import records as r


class Events:
    """What one execution's code waits for and has published, as far as it has run."""

    __slots__ = ("_published", "_read", "_wait_number", "_waits", "execution", "loop")

    def __init__(self, execution: Running) -> None:
        self.execution = execution
        self.loop = execution.loop
        self._waits: dict[int, Future[r.EventReceived]] = {}
        self._wait_number = 0
        self._read: dict[tuple[str, str], int] = {}
        self._published = 0

    @property
    def used(self) -> bool:
        """Whether the code has waited for events, or published some."""
        return self._wait_number > 0 or self._published > 0

    def keep(self, cursors: list[r.EventCursor]) -> None:
        """Take over how far an earlier run has read."""
        for cursor in cursors:
            self._read[cursor.event_type, cursor.key] = cursor.position

    def wait(self, event_type: str, key: str, keep: int) -> tuple[int, Future[r.EventReceived]]:
        """Wait for the next event of that type and key.

        The first is one that was recorded at most *keep* microseconds before the execution began,
        or after the event that started it.
        """
        self.loop.check_open()
        future: Future[r.EventReceived] = self.loop.new_future()
        if self.loop.is_closed():
            return 0, future
        self._wait_number = number = self._wait_number + 1
        self._waits[number] = future
        position, since = self._beginning(event_type, key, keep)
        self.execution.decide(r.EventAwaited(number, event_type, key, position, since))
        return number, future

    def _beginning(self, event_type: str, key: str, keep: int) -> tuple[int, int]:
        read = self._read.get((event_type, key))
        if read is not None:
            return read, 0
        state = self.execution.state
        cause = state.caused_by
        if cause is not None and cause.position:
            return (0, cause.recorded_at - keep) if keep else (cause.position, 0)
        began = state.started_at
        if state.carried is not None and state.carried.since is not None:
            began = state.carried.since
        return 0, began - keep

    def end_wait(self, number: int) -> None:
        """Say that the code no longer waits; called when its future was cancelled."""
        if self.loop.is_closed() or self._waits.pop(number, None) is None:
            return
        self.execution.decide(r.EventWaitEnded(number))

    def feed(self, record: r.EventReceived) -> None:
        """Hand an event to the wait that it was found for."""
        self._read[record.event_type, record.key] = record.position
        future = self._waits.pop(record.wait, None)
        if future is not None and not future.done():
            future.set_result(record)

    def publish(self, event_type: str, version: int, key: str, data: r.Payload) -> None:
        """Append an event to the log, with the commit of what the code does now."""
        self.loop.check_open()
        if self.loop.is_closed():
            return
        execution = self.execution
        self._published = number = self._published + 1
        # A retry may take back what was decided since: the count of records never goes back.
        count = execution.state.count
        made = f"{execution.id}/{execution.run}/{number}/{count}/{execution.now}".encode()
        digest = hashlib.blake2b(made, digest_size=10).hexdigest()
        event_id = f"{execution.now // 1_000:012x}{digest}"
        execution.decide(r.Published(event_id, event_type, version, key, data))

    def drop(self) -> None:
        """Forget what waits: the code is over, and its loop, which is asked first, is closed."""
        self._waits.clear()
        if hasattr(self, "execution"):
            del self.execution
