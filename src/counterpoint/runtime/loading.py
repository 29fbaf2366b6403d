"""Brings executions from the store into memory, and knows those that cannot be.

While the node has a fault nothing is loaded: what would be recorded could not be written, and an
execution in memory that is ahead of the store would be believed after the recovery.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from counterpoint.errors import CounterpointError, StoreError
from counterpoint.model.rows import DueRow, ExecutionRow, Query
from counterpoint.model.states import Status
from counterpoint.runtime import inputs
from counterpoint.runtime.host import Host, Loaded
from counterpoint.runtime.journals import records_of
from counterpoint.runtime.log import logger
from counterpoint.runtime.recovery import is_damage
from counterpoint.runtime.resident import Resident
from counterpoint.runtime.starts import starts_decided

DAMAGED_MAX = 1_000
Then: TypeAlias = Callable[[Resident], None]
STOPPED_PAGE = 200


class Loading:
    """The reader of a node's executions."""

    def __init__(self, node: Host) -> None:
        self.node = node
        self.damaged: dict[str, str] = {}
        """Executions that cannot be read, written or run, and why; at most `DAMAGED_MAX`."""
        self.unhosted: set[str] = set()
        """Workflows, with their versions, and activities that no service of this app has."""
        self._loading: dict[str, Loaded] = {}
        self._then: dict[str, list[Then]] = {}
        """What is done with an execution as soon as it is in memory."""

    @property
    def quiet(self) -> bool:
        """Whether nothing is being read."""
        return not self._loading

    async def load(self, execution_id: str, then: Then | None = None) -> Resident | None:
        """Return an execution in memory, read from the store if need be.

        None if it is unknown, has ended, or belongs to a workflow that this app does not have.
        *then* is called with it before anything of it begins again.
        """
        node = self.node
        await starts_decided(node.starting, execution_id)
        resident = node.residents.get(execution_id)
        if resident is None:
            if then is not None:
                self._then.setdefault(execution_id, []).append(then)
            try:
                resident = await asyncio.shield(await self._fetch(execution_id))
            except BaseException:
                if then is not None:
                    self._still_waits(execution_id, then)
                raise
            if then is not None and not self._still_waits(execution_id, then):
                return resident
        if then is not None and resident is not None:
            then(resident)
        return resident

    def _still_waits(self, execution_id: str, then: Then) -> bool:
        """Forget what was to be done with an execution; say whether it has not been done."""
        waiting = self._then.get(execution_id, [])
        if then not in waiting:
            return False
        waiting.remove(then)
        if not waiting:
            del self._then[execution_id]
        return True

    def arrived(self, resident: Resident) -> None:
        """Let those who loaded an execution act on it before anything of it begins again.

        On a store of several nodes it may have been another's until a letter to it was routed here:
        nobody here has looked yet whether what it waits for is in the log.
        """
        if self.node.store.features.many_nodes:
            state = resident.execution.state
            for wait in state.event_waits.values():
                read = state.event_positions.get((wait.event_type, wait.key), 0)
                self.node.messaging.awaited(resident, wait, max(read, wait.position))
        for then in self._then.pop(resident.id, ()):
            then(resident)

    async def load_due(self, rows: Sequence[DueRow]) -> None:
        """Bring those into memory that are not there yet."""
        node = self.node
        await starts_decided(node.starting, *(row.id for row in rows))
        wanted = [row.id for row in rows if row.id not in node.residents]
        for loaded in [await self._fetch(execution_id) for execution_id in wanted]:
            await asyncio.shield(loaded)

    async def try_stopped(self) -> None:
        """Try the executions again that code stopped: today's may agree with their journals."""
        node = self.node
        before: int | None = None
        while node.fault is None and not node.stopping:
            query = Query(statuses=(Status.INCIDENT,), before=before, limit=STOPPED_PAGE)
            try:
                rows = await node.store.executions(query)
            except StoreError as error:
                node.store_failed(error)
                return
            await self.load_due(
                [
                    DueRow(row.created_at, row.key, row.id)
                    for row in rows
                    if row.wake_at is None and node.owns(row)
                ]
            )
            if len(rows) < STOPPED_PAGE:
                return
            before = rows[-1].key

    def set_aside(self, execution_id: str, why: str) -> None:
        """Leave one execution alone until the next start, and say so."""
        logger.error("execution %s is left alone: %s", execution_id, why)
        if len(self.damaged) < DAMAGED_MAX:
            self.damaged[execution_id] = why
        error = CounterpointError(f"the execution is left alone: {why}")
        self.node.results.fail(execution_id, error)

    def hosts(self, row: ExecutionRow) -> bool:
        """Whether this app has the execution's workflow, in its version."""
        if self.node.registry.program(row.name, row.version) is not None:
            return True
        what = f"{row.name} version {row.version}"
        if what not in self.unhosted:
            self.unhosted.add(what)
            logger.warning("no service of this app has %s: its executions wait in the store", what)
        return False

    def not_loaded(self, execution_id: str) -> None:
        """Tell those who wait for one execution that it will not come into memory."""
        loaded = self._loading.get(execution_id)
        if loaded is not None:
            inputs.tell_loaded(loaded, None)

    def give_up(self) -> None:
        """Tell those who wait for an execution that it will not come into memory."""
        for execution_id in list(self._loading):
            self.not_loaded(execution_id)

    async def _fetch(self, execution_id: str) -> Loaded:
        """Read an execution; the future is set once a turn has brought it into memory."""
        known = self._loading.get(execution_id)
        if known is not None and not known.done():
            return known
        loaded: Loaded = asyncio.get_running_loop().create_future()
        self._loading[execution_id] = loaded
        loaded.add_done_callback(lambda done: self._loaded(execution_id, done))
        node = self.node
        try:
            row = None if node.fault is not None else await node.store.execution(execution_id)
            if row is None or not row.status.live or not (node.owns(row) and self.hosts(row)):
                inputs.tell_loaded(loaded, None)
            else:
                records = await records_of(node.store, node.codec, row)
                calls = await node.remote.calls_of(row)
                node.push(inputs.adopt, row, records, loaded, calls)
        except StoreError as error:
            inputs.tell_loaded(loaded, None)
            self._unreadable(execution_id, error)
        except BaseException:
            loaded.cancel()
            raise
        return loaded

    def _loaded(self, execution_id: str, done: Loaded) -> None:
        if self._loading.get(execution_id) is done:
            del self._loading[execution_id]

    def _unreadable(self, execution_id: str, error: StoreError) -> None:
        """One damaged journal stops its execution; a store that fails stops the node."""
        if is_damage(error):
            self.set_aside(execution_id, f"it cannot be read: {error}")
        else:
            self.node.store_failed(error)
