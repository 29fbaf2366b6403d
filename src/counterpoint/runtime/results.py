"""Those who wait for executions to end."""

import asyncio

from counterpoint.errors import NodeStoppedError
from counterpoint.runtime.resident import Finished


class Results:
    """Futures of how executions end, by id; each is told once."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[Finished]]] = {}

    def ids(self) -> list[str]:
        """Return the executions that somebody waits for."""
        return list(self._waiting)

    def wait(self, execution_id: str) -> "asyncio.Future[Finished]":
        """Return a future of how an execution ends; for one that has not ended yet."""
        future: asyncio.Future[Finished] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(execution_id, []).append(future)
        return future

    def forget(self, execution_id: str, future: "asyncio.Future[Finished]") -> None:
        """Wait no longer."""
        futures = self._waiting.get(execution_id)
        if futures is not None and future in futures:
            futures.remove(future)
            if not futures:
                del self._waiting[execution_id]

    def tell(self, execution_id: str, finished: Finished) -> None:
        """Tell those who wait for an execution how it has ended."""
        for future in self._waiting.pop(execution_id, ()):
            if not future.done():
                future.set_result(finished)

    def fail(self, execution_id: str, error: BaseException) -> None:
        """Tell those who wait for an execution that it does not end here."""
        for future in self._waiting.pop(execution_id, ()):
            if not future.done():
                future.set_exception(error)

    def stop(self, why: str) -> None:
        """Tell everybody that the node has stopped."""
        for execution_id in list(self._waiting):
            self.fail(execution_id, NodeStoppedError(why))
