"""What a node does when its store fails: believe nothing in memory, ask the store, go on.

1. A commit that did not clearly succeed, or a read that the node cannot do without, is a *fault*.
   The node takes no work, its health says why, every execution in memory is dropped unperformed.
2. The store is opened again, less and less often, until it opens and a letter of `PROBE_BYTES` can
   be written: a full disk lets many stores be opened, and one page be written, long before there
   is room for work. The letter is taken over by the intake like any other.
3. Then interrupted executions are read again, and those who wait for a result are told what the
   store knows: the failed commit may have been written after all, and nothing else would tell them.
4. After a fatal error (the disk lost what it had confirmed) nothing is opened again in this
   process; everybody who waits learns that the node has stopped.
"""

import logging

from counterpoint.errors import NodeStoppedError, StoreBrokenError, StoreCorruptError, StoreError
from counterpoint.kernel.replay import fold
from counterpoint.model.ids import generate_id
from counterpoint.model.rows import Commit, ExecutionRow, MailRow, Query
from counterpoint.ports.clock import Clock
from counterpoint.ports.codec import Codec
from counterpoint.ports.store import Store
from counterpoint.runtime.journals import records_of
from counterpoint.runtime.pause import pause
from counterpoint.runtime.resident import Finished
from counterpoint.runtime.results import Results

logger = logging.getLogger("counterpoint")

PROBE = "probe"
"""The kind of the letter; see `runtime.intake`."""
PROBE_BYTES = 64 * 1024
SHORTEST_DELAY = 200_000
LONGEST_DELAY = 5_000_000
CALM = 10_000_000
"""Microseconds without a fault after which the next one is not the last one again."""


class Recovery:
    """Opens a failed store again; one for the life of a node, so that it knows about flapping."""

    def __init__(self, store: Store, clock: Clock, codec: Codec) -> None:
        self.store = store
        self.clock = clock
        self.codec = codec
        self._delay = SHORTEST_DELAY
        self._opened_at = 0

    async def run(self) -> None:
        """Return when the store is open and can be written.

        Raises:
            StoreBrokenError: a fatal one.
        """
        if self.clock.now() - self._opened_at > CALM:
            self._delay = SHORTEST_DELAY
        said = ""
        while True:
            await pause(self.clock, self._delay)
            self._delay = min(2 * self._delay, LONGEST_DELAY)
            try:
                await self.store.close()
                await self.store.open(node=True)
                await self._probe()
            except StoreError as error:
                if is_fatal(error):
                    raise
                if str(error) != said:
                    said = str(error)
                    logger.warning("the store cannot be used yet: %s", said)
            else:
                self._opened_at = self.clock.now()
                return

    async def _probe(self) -> None:
        now = self.clock.now()
        letter = MailRow(0, generate_id(), PROBE, "", now, self.codec.tag, bytes(PROBE_BYTES))
        await self.store.commit(Commit(mail=[letter]))


async def tell_end(store: Store, codec: Codec, results: Results, execution_id: str) -> bool:
    """Tell those who wait for an execution how the store says that it ended, if it has.

    Returns whether they were told, be it that it cannot be read.

    Raises:
        StoreError: the store cannot be read.
    """
    try:
        row = await store.execution(execution_id)
        if row is None or row.status.live:
            return False
        results.tell(execution_id, await read_end(store, codec, row))
    except StoreError as error:
        if not is_damage(error):
            raise
        results.fail(execution_id, error)
    return True


async def read_end(store: Store, codec: Codec, row: ExecutionRow) -> Finished:
    """Return how an ended execution ended, from its journal."""
    state = fold(await records_of(store, codec, row))
    return Finished(state.status, state.result, state.error)


async def newest_time(store: Store, clock: Clock) -> int:
    """Return when the newest execution began: later than now if the clock was set back.

    The row of an execution that never waited is due since it began, so up to this time every one of
    them is found. The highest key is not enough: if the clock was set back before an earlier start
    of the node, too, executions with lower keys began later.

    A store that cannot be read is closed: the node that opened it does not start.
    """
    now = clock.now()
    newest = 0
    try:
        found = await store.executions(Query(limit=1))
        while found:
            newest = found[0].created_at
            found = await store.executions(Query(since=max(newest, now) + 1, limit=1))
    except BaseException:
        await store.close()
        raise
    behind = newest - now
    if behind > 0:
        logger.warning(
            "the clock is %.0f s behind the newest execution, it was set back: timers fire when it "
            "has caught up, everything else goes on",
            behind / 1e6,
        )
    return newest


def is_fatal(error: BaseException) -> bool:
    """Whether opening the store again in this process would not tell what is true."""
    if isinstance(error, NodeStoppedError):
        return True  # a part of the node failed
    return isinstance(error, StoreBrokenError) and error.fatal


def is_damage(error: BaseException) -> bool:
    """Whether an execution's own journal is at fault, so that the others can go on."""
    return isinstance(error, StoreCorruptError)
