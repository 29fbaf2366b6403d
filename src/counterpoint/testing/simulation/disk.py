"""What one process sees of the disk: slow, sometimes broken, and never there for the dead."""

import asyncio
from collections.abc import Callable

from counterpoint.errors import StoreBrokenError, StoreBusyError, StoreError
from counterpoint.model.rows import Commit
from counterpoint.ports.store import StoreFeatures
from counterpoint.testing.passing import PassingStore
from counterpoint.testing.simulation.dice import Dice
from counterpoint.testing.simulation.ledger import LedgerStore

LOOKS_MISSED = 3
"""How often in a row a node may overlook that something was posted."""
Die = Callable[[], None]


class Connection(PassingStore):
    """A store as the node, or a client beside it, has it open; the data outlives it."""

    def __init__(self, ledger: LedgerStore, dice: Dice, die: Die | None = None) -> None:
        super().__init__(ledger)
        self.ledger = ledger
        self.dice = dice
        self.dead = False
        """The process has died: whoever asks now stands still."""
        self.buried = False
        """Everything that ran in it is gone: nobody can ask any more."""
        self.inside: dict[asyncio.Task[object], None] = {}
        """Tasks of the process that wait for the disk."""
        self._writing = asyncio.Lock()
        self._die = die
        """Kills the node; None for a client."""
        self._seen = 0
        self._missed = 0

    @property
    def features(self) -> StoreFeatures:
        """It keeps what is committed, and others can open it."""
        return StoreFeatures(durable=True, shared=True)

    async def open(self, *, node: bool) -> None:
        del node
        await self._check_alive("opens the store")
        await self._be_slow("slow_read")

    async def close(self) -> None:
        """Wait for the commit that is under way: what is read after this knows whether it was."""
        if not self.dead:
            async with self._writing:
                pass

    async def before_read(self) -> None:
        if self.dead:
            await self._stand_still()
        if self._die is None:
            return
        await self._be_slow("slow_read")
        if self.dice.strikes("failed_read"):
            raise StoreBusyError("injected: a read failed")

    async def reserve_keys(self, count: int) -> range:
        await self.before_read()
        return await super().reserve_keys(count)

    async def changed(self) -> bool:
        posted = self.ledger.commits != self._seen
        if posted and self._missed < LOOKS_MISSED and self.dice.strikes("unseen_notice"):
            self._missed += 1
            return False
        self._missed = 0
        self._seen = self.ledger.commits
        return posted

    async def commit(self, commit: Commit) -> int:
        await self._check_alive("commits")
        if self._die is None:
            return await self.inner.commit(commit)
        async with self._writing:
            return await self._commit(commit)

    # ---- inside -------------------------------------------------------------------------------

    async def _commit(self, commit: Commit) -> int:
        if self.dice.strikes("crash"):
            return await self._die_at(commit)
        await self._be_slow("slow_commit")
        if self.dice.strikes("refused_commit"):
            raise StoreBusyError("injected: the store is busy, nothing was written")
        if self.dice.strikes("unknown_commit"):
            if self.dice.random.random() < 0.5:
                await self.inner.commit(commit)
            raise StoreBrokenError("injected: nobody knows whether the commit was written")
        first = await self.inner.commit(commit)
        await self._be_slow("slow_commit")
        return first

    async def _die_at(self, commit: Commit) -> int:
        """Die before the commit, after it, or at some moment while it is under way."""
        assert self._die is not None
        dice = self.dice
        when = dice.choice(("before", "after", "during"))
        dice.struck[f"crash {when} a commit"] += 1
        if when == "during":
            seconds = 0.001 + dice.seconds(dice.faults.slow)
            asyncio.get_running_loop().call_later(seconds * dice.random.random(), self._die)
            await self._pass(seconds / 2)  # it may be dead before it is written, or
            first = await self.inner.commit(commit)
            await self._pass(seconds)  # before it is told so
            return first
        if when == "after":
            await self.inner.commit(commit)
        self._die()
        return await self._stand_still()

    async def _be_slow(self, fault: str) -> None:
        if self._die is not None and self.dice.strikes(fault):
            await self._pass(self.dice.seconds(self.dice.faults.slow))

    async def _pass(self, seconds: float) -> None:
        """Let time pass; a process that has died meanwhile never learns that it has."""
        task = asyncio.current_task()
        assert task is not None
        self.inside[task] = None
        await asyncio.sleep(seconds)
        if self.dead:
            await self._stand_still()
        del self.inside[task]

    async def _stand_still(self) -> int:
        """Wait for the end of a process that has died: nobody comes back from here."""
        task = asyncio.current_task()
        assert task is not None
        self.inside[task] = None
        never: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        return await never

    async def _check_alive(self, what: str) -> None:
        if self.buried:
            self.ledger.findings.append(f"P7: a node that has died {what}")
            raise StoreError("injected: the process is dead")
        if self.dead:
            await self._stand_still()
