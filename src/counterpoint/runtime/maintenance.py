"""Deletes finished executions that are older than they are kept, in small batches."""

import asyncio
from datetime import timedelta

from counterpoint.errors import StoreError
from counterpoint.ports.clock import Clock
from counterpoint.ports.store import Store
from counterpoint.runtime.log import logger

EVERY = timedelta(minutes=1)
BATCH = 200
"""Executions deleted in one transaction: short enough not to be felt by commits."""


class Maintenance:
    """The housekeeper of a node."""

    def __init__(self, store: Store, clock: Clock, keep_finished: timedelta) -> None:
        self.store = store
        self.clock = clock
        self.keep = keep_finished // timedelta(microseconds=1)

    async def run(self) -> None:
        """Clean up now and then every minute, until cancelled."""
        while True:
            try:
                await self.clean_up()
            except StoreError as error:
                logger.warning("finished executions cannot be deleted: %s", error)
            await self._pause()

    async def clean_up(self) -> int:
        """Delete what is too old, letting others work between two batches; return how many."""
        before = self.clock.now() - self.keep
        deleted = total = await self.store.forget(finished_before=before, limit=BATCH)
        while deleted == BATCH:
            await asyncio.sleep(0)
            deleted = await self.store.forget(finished_before=before, limit=BATCH)
            total += deleted
        return total

    async def _pause(self) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        at = self.clock.now() + EVERY // timedelta(microseconds=1)
        alarm = self.clock.call_at(at, lambda: None if done.done() else done.set_result(None))
        try:
            await done
        finally:
            alarm.cancel()
