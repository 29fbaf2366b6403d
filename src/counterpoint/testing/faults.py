"""A store that fails on demand, over any other store."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from counterpoint.errors import StoreBrokenError, StoreError
from counterpoint.model.rows import Commit
from counterpoint.ports.cluster import Transaction
from counterpoint.ports.store import Store
from counterpoint.testing.passing import PassingStore

When = Literal["before", "after", "applied-but-failed"]


@dataclass(slots=True)
class _Fault:
    error: StoreError
    left: int | None
    applied: bool = False
    after: int = 0

    def strikes(self) -> bool:
        """Whether it strikes now; counts down."""
        if self.after:
            self.after -= 1
            return False
        if self.left is not None:
            self.left -= 1
        return True


class FaultyStore(PassingStore):
    """Passes everything on to *inner*, and fails where a test says so.

    store = FaultyStore(SqliteStore("shop.db"))
    store.fail_commits(StoreFullError("the disk is full"), times=1)
    """

    def __init__(self, inner: Store, *, on_crash: Callable[[], None] | None = None) -> None:
        super().__init__(inner)
        self.commits = 0
        """Commits that were asked for since the store was made; the first is number 1."""
        self._on_crash = on_crash
        self._crash_at: dict[int, When] = {}
        self._commit_faults: list[_Fault] = []
        self._read_faults: list[_Fault] = []
        self._open_faults: list[_Fault] = []
        self._gate = asyncio.Event()
        self._gate.set()
        self._held = asyncio.Event()

    # ---- what tests ask for -------------------------------------------------------------------

    def fail_commits(
        self,
        error: StoreError,
        *,
        times: int | None = 1,
        after: int = 0,
        applied: bool = False,
    ) -> None:
        """Fail the next commits but *after* (None: all until `heal`).

        Those that are *applied* are written all the same.

        Only `StoreBrokenError` may be said of a commit that was written: the other errors of the
        port promise that nothing was.
        """
        if applied and not isinstance(error, StoreBrokenError):
            raise ValueError("a store says of a written commit at most that it is unknown")
        self._commit_faults.append(_Fault(error, times, applied, after))

    def fail_reads(self, error: StoreError, *, times: int | None = 1, after: int = 0) -> None:
        """Fail the next reads, of any kind; let *after* of them pass first."""
        self._read_faults.append(_Fault(error, times, after=after))

    def fail_opens(self, error: StoreError, *, times: int | None = 1) -> None:
        """Fail the next attempts to open the store."""
        self._open_faults.append(_Fault(error, times))

    def heal(self) -> None:
        """Fail no more, and let commits go on that were held."""
        self._commit_faults.clear()
        self._read_faults.clear()
        self._open_faults.clear()
        self._crash_at.clear()
        self._gate.set()

    def hold_commits(self) -> None:
        """Let commits wait, unwritten, until `release_commits`."""
        self._gate.clear()
        self._held.clear()

    async def commit_held(self) -> None:
        """Wait until a commit waits since `hold_commits`."""
        await self._held.wait()

    def release_commits(self) -> None:
        """Let commits go on."""
        self._gate.set()

    def crash_at(self, number: int, *, when: When) -> None:
        """Die at commit *number*, counted from now: before or after it is written.

        `applied-but-failed` does not die: the commit is written and reported as broken.
        """
        if number < 1:
            raise ValueError("the next commit is number 1")
        self._crash_at[self.commits + number] = when

    # ---- the port -----------------------------------------------------------------------------

    async def open(self, *, node: bool) -> None:
        _strike(self._open_faults)
        await self.inner.open(node=node)

    async def commit(self, commit: Commit) -> int:
        return await self.write(lambda: self.inner.commit(commit))

    async def begin(self) -> Transaction:
        return FaultyTransaction(self, await self.inner.begin())

    async def write(self, commit: Callable[[], Awaitable[int]]) -> int:
        """Make a commit, of a transaction or not, or what a test has asked for instead."""
        self.commits += 1
        when = self._crash_at.pop(self.commits, None)
        if not self._gate.is_set():
            self._held.set()
            await self._gate.wait()
        if when == "before":
            await self._die()
        fault = _due(self._commit_faults)
        if fault is not None and not fault.applied:
            raise fault.error
        first = await commit()
        if when == "after":
            await self._die()
        if when == "applied-but-failed":
            raise StoreBrokenError("injected: the commit was written, and reported as broken")
        if fault is not None:
            raise fault.error
        return first

    async def before_read(self) -> None:
        _strike(self._read_faults)

    async def _die(self) -> None:
        if self._on_crash is not None:
            self._on_crash()
        await asyncio.Future()  # whoever crashed never comes back from here


class FaultyTransaction:
    """A transaction whose commit is one of the store's."""

    def __init__(self, store: FaultyStore, inner: Transaction) -> None:
        self._store = store
        self._inner = inner

    @property
    def connection(self) -> Any:
        return self._inner.connection

    def expires(self, expired: Callable[[StoreError], None]) -> None:
        self._inner.expires(expired)

    async def check(self) -> None:
        await self._inner.check()

    async def commit(self, commit: Commit) -> int:
        try:
            return await self._store.write(lambda: self._inner.commit(commit))
        except StoreError:
            await self._inner.rollback()
            raise

    async def rollback(self) -> None:
        await self._inner.rollback()


def _due(faults: list[_Fault]) -> _Fault | None:
    while faults and faults[0].left == 0:
        faults.pop(0)
    return faults[0] if faults and faults[0].strikes() else None


def _strike(faults: list[_Fault]) -> None:
    fault = _due(faults)
    if fault is not None:
        raise fault.error
