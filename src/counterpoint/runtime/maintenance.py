"""Deletes finished executions that are older than they are kept, in small batches."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from counterpoint.errors import StoreError
from counterpoint.model.times import microseconds
from counterpoint.ports.clock import Clock
from counterpoint.ports.store import Store
from counterpoint.runtime.log import logger
from counterpoint.runtime.pause import pause

EVERY = timedelta(minutes=1)
BATCH = 200
"""Executions deleted in one transaction: short enough not to be felt by commits."""


class Maintenance:
    """The housekeeper of a node."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        keep_finished: timedelta,
        has_fault: Callable[[], bool] = lambda: False,
    ) -> None:
        self.store = store
        self.clock = clock
        self.keep = microseconds(keep_finished)
        self.has_fault = has_fault

    async def run(self) -> None:
        """Clean up now and then every minute, until cancelled."""
        while True:
            try:
                await self.clean_up()
            except StoreError as error:
                if not self.has_fault():  # which is told already
                    logger.warning("finished executions cannot be deleted: %s", error)
            await pause(self.clock, microseconds(EVERY))

    async def clean_up(self) -> int:
        """Delete what is too old, letting others work between two batches; return how many."""
        before = self.clock.now() - self.keep
        deleted = total = await self.store.forget(finished_before=before, limit=BATCH)
        while deleted == BATCH:
            await asyncio.sleep(0)
            deleted = await self.store.forget(finished_before=before, limit=BATCH)
            total += deleted
        return total + await self._clean_up_events(before)

    async def _clean_up_events(self, before: int) -> int:
        deleted = total = await self.store.forget_events(recorded_before=before, limit=BATCH)
        while deleted == BATCH:
            await asyncio.sleep(0)
            deleted = await self.store.forget_events(recorded_before=before, limit=BATCH)
            total += deleted
        return total
