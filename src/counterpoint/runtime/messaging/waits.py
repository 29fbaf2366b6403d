"""Hands events to the workflows that wait for them.

Safety argument: an event that is in the log reaches a wait in one of two ways. If the event is
committed after the wait, `appended` finds the wait in the store. If it is committed before or with
it, the wait's own commit is followed by a look into the log. Both only propose: in a turn of its
own the execution takes the event if it still waits and has not read that far (`take_event`). After
a crash every wait is compared with the log once.
"""

from collections.abc import Sequence

from counterpoint.errors import StoreError
from counterpoint.model.messages import EventQuery, EventRow, EventWaitRow
from counterpoint.model.records import EventAwaited
from counterpoint.runtime.event_rows import wait_row
from counterpoint.runtime.host import Host
from counterpoint.runtime.messaging.taking import take_event
from counterpoint.runtime.resident import Resident

PAGE = 200


class EventWaits:
    """The waits of workflows for events, on one node."""

    def __init__(self, node: Host) -> None:
        self.node = node
        self.types: set[str] = set()
        """Types of events that somebody has waited for."""
        self.scanning = 0
        self._scans = False
        self._scan_again = False

    @property
    def quiet(self) -> bool:
        """Whether every event has been offered to those who wait for it."""
        return self.scanning == 0

    async def open(self) -> None:
        """Read which types are waited for."""
        self.types |= set(await self.node.store.awaited_types())

    def appended(self, events: Sequence[EventRow]) -> None:
        """Look who waits for events that were just appended."""
        if not self.types:
            return
        awaited = [event for event in events if event.type in self.types]
        if awaited:
            self._spawn(awaited)

    def _spawn(self, events: list[EventRow]) -> None:
        self.scanning += 1
        self.node.spawn(self._offer(events))

    async def _offer(self, events: list[EventRow]) -> None:
        try:
            keys = list(dict.fromkeys((event.type, event.key) for event in events))
            for first in range(0, len(keys), PAGE):
                for wait in await self.node.store.waits_for(keys[first : first + PAGE]):
                    await self._look(wait)
        except StoreError as error:
            self.node.store_failed(error)
        finally:
            self.scanning -= 1

    async def scan(self) -> None:
        """Compare every wait in the store with the log: after a start or a store failure.

        One scan at a time, once more if it was asked for meanwhile: of a million waits a reading
        takes seconds, and several would leave the store no time for anything else.
        """
        self._scan_again = True
        if self._scans:
            return
        self._scans = True
        self.scanning += 1
        try:
            while self._scan_again and not self.node.stopping:
                self._scan_again = False
                await self._scan()
        finally:
            self._scans = False
            self.scanning -= 1
            self.node.check_idle()

    async def _scan(self) -> None:
        try:
            after = (0, 0)
            while rows := await self.node.store.fulfilled_waits(after=after, limit=PAGE):
                for wait in rows:
                    await self._look(wait)
                after = (rows[-1].execution_key, rows[-1].wait)
        except StoreError as error:
            self.node.store_failed(error)

    def awaited(self, resident: Resident, record: EventAwaited, after: int) -> None:
        """A wait is durable: look whether what it waits for is in the log, above *after*."""
        self.types.add(record.event_type)
        wait = wait_row(resident.row, record)._replace(position=after)
        self.scanning += 1
        self.node.spawn(self._look_once(wait))

    async def _look_once(self, wait: EventWaitRow) -> None:
        try:
            await self._look(wait)
        except StoreError as error:
            self.node.store_failed(error)
        finally:
            self.scanning -= 1
            self.node.check_idle()

    async def _look(self, wait: EventWaitRow) -> None:
        """Hand the first event in the log that a wait is about to its execution."""
        node = self.node
        query = EventQuery(
            after=wait.position,
            types=(wait.type,),
            key=wait.event_key,
            since=wait.since,
            limit=1,
        )
        found = await node.store.events(query)
        if not found or node.stopping or node.fault is not None:
            return

        def deliver(resident: Resident) -> None:
            node.push(take_event, resident, wait, found[0])

        if wait.execution_id in node.residents:
            deliver(node.residents[wait.execution_id])
        else:
            await node.load(wait.execution_id, deliver)
