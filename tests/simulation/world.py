"""The services' world: what has happened outside the engine, and what may not happen there.

An effect is known by the idempotency key of its call; it is *there* or *undone*. Each attempt is
held against what is durable when it begins: what it does must have been decided in the journal, and
its outcome must not be recorded yet.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from tests.simulation.plans import Case

from counterpoint import BusinessError, NotDone, RetryAfter
from counterpoint.activity import info
from counterpoint.authoring.attempt import AttemptInfo, current_attempt
from counterpoint.runtime.attempt import Attempt
from counterpoint.testing import Harness
from counterpoint.testing.simulation.ledger import Durable, LedgerStore
from counterpoint.testing.simulation.run import EngineErrors as EngineErrors

HANG = timedelta(hours=1)
SLOW = timedelta(seconds=3)
STUBBORN = timedelta(seconds=12)


class Declined(BusinessError):
    tag: int


@dataclass
class World:
    """What the services of one case did."""

    case: Case
    harness: Harness
    ledger: LedgerStore
    there: dict[str, bool] = field(default_factory=dict[str, bool])
    """Effects by the key of their call: whether they are there, or were and are undone."""
    did: Counter[str] = field(default_factory=Counter)
    """How often each effect was brought about (or tried again while it was there)."""
    undid: list[str] = field(default_factory=list[str])
    """Keys of calls in the order in which they were first undone; also what never was there."""
    tries: Counter[str] = field(default_factory=Counter)
    """Attempts by key; the case says how the first of them end."""
    begun: Counter[str] = field(default_factory=Counter)
    """Attempts by key, without those that said that nothing had happened."""
    allowed: Counter[str] = field(default_factory=Counter)
    """By key, how often a person allowed another attempt of what is called at most once."""
    retried: Counter[str] = field(default_factory=Counter)
    """How often people tried each execution again in the end."""
    running: Counter[str] = field(default_factory=Counter)
    tags: dict[str, int] = field(default_factory=dict[str, int])
    """The tag that came with each key."""
    violations: list[str] = field(default_factory=list[str])
    accepted: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Acts that were acknowledged, and of which execution."""
    published: list[str] = field(default_factory=list[str])
    """Ids of events whose publication was acknowledged."""
    sent: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    """What signals and events from outside carry."""
    calm: bool = False
    """Nothing fails any more: people put right what is open."""
    at_most_once: frozenset[str] = frozenset()

    # ---- what activities ask -----------------------------------------------------------------

    async def perform(self, tag: int) -> str:
        """Bring about the effect of the attempt that runs, or fail as the case says."""
        facts = info()
        self._begins(facts, tag)
        self.running[facts.idempotency_key] += 1
        try:
            kind = self._next(facts, self.case.faults.get(tag, ()))
            await self._act(facts, kind, tag)
        finally:
            self.running[facts.idempotency_key] -= 1
        return object() if kind == "unrecordable" else str(tag)  # type: ignore[return-value]

    async def undo(self, tag: int, result: str | None) -> None:
        """Undo the effect of the call that the running compensation belongs to."""
        facts = info()
        self._begins(facts, tag)
        key = facts.idempotency_key.removesuffix("c")
        self._check_undo(facts, key, tag, result)
        kind = self._next(facts, self.case.undo_faults.get(tag, ()))
        if kind in ("before", "declined", "hang"):
            await self._fail(facts, kind, tag)
        if kind == "slow":
            await self.harness.sleep(SLOW)
        self.note_undone(key)
        await self._fail(facts, kind, tag)

    def note_undone(self, key: str) -> None:
        """Undo the effect of a call: a compensation does, or a person by hand."""
        if key not in self.undid:
            self.undid.append(key)
        self.there[key] = False

    # ---- inside ------------------------------------------------------------------------------

    def _next(self, facts: AttemptInfo, kinds: Sequence[str]) -> str:
        """Return how the next attempt of a step ends."""
        tried = self.tries[facts.idempotency_key]
        self.tries[facts.idempotency_key] += 1
        return kinds[tried] if tried < len(kinds) and not self.calm else "well"

    async def _act(self, facts: AttemptInfo, kind: str, tag: int) -> None:
        if kind in ("before", "declined", "not-done", "broken", "later", "hang"):
            await self._fail(facts, kind, tag)
        if kind == "slow":
            await self.harness.sleep(SLOW)
        if kind == "stubborn":
            await self._insist(facts)
        self._do(facts.idempotency_key)
        await self._fail(facts, kind, tag)

    async def _fail(self, facts: AttemptInfo, kind: str, tag: int) -> None:
        match kind:
            case "before" | "after":
                raise ConnectionError(kind)
            case "declined":
                self.begun[facts.idempotency_key] -= 1
                raise Declined(tag=tag)
            case "not-done":
                self.begun[facts.idempotency_key] -= 1
                raise NotDone from ConnectionError(kind)
            case "broken":
                raise TypeError(kind)
            case "later":
                raise RetryAfter(SLOW, kind)
            case "hang" | "hang-after":
                await self.harness.sleep(HANG)
            case _:
                pass

    async def _insist(self, facts: AttemptInfo) -> None:
        """Take one's time, whoever asks to stop; but for the timeout and the end of the node.

        Where the engine no longer cares for the attempt, the effect comes about all the same.
        """
        clock = self.harness.clock
        until = clock.time + STUBBORN
        while clock.time < until:
            try:
                await self.harness.sleep(until - clock.time)
            except asyncio.CancelledError:
                over = facts.deadline is not None and clock.time >= facts.deadline
                if over or not self.harness.running or self.harness.app.node.fault is not None:
                    raise
                attempt = current_attempt.get()
                if isinstance(attempt, Attempt) and attempt.reported:
                    until_us = clock.now() + (until - clock.time) // timedelta(microseconds=1)
                    clock.call_at(until_us, lambda: self._come_late(facts.idempotency_key))
                    raise
                task = asyncio.current_task()
                assert task is not None
                task.uncancel()

    def _come_late(self, key: str) -> None:
        self._do(key)

    def _do(self, key: str) -> None:
        self.did[key] += 1
        if key in self.undid:
            self.violations.append(f"{key} came about after it had been undone")
        self.there[key] = True

    def _begins(self, facts: AttemptInfo, tag: int) -> None:
        key = facts.idempotency_key
        known, step = self._durable(key)
        if self.tags.setdefault(key, tag) != tag:
            self.violations.append(f"{key} came with the tags {self.tags[key]} and {tag}")
        if (step, facts.attempt) not in known.announced:
            self.violations.append(f"attempt {facts.attempt} of {key} begins, and nothing says so")
        if step in known.settled:
            self.violations.append(f"{key} is attempted again after its outcome was recorded")
        self.begun[key] += 1
        if facts.activity in self.at_most_once and self.begun[key] > 1 + self.allowed[key]:
            self.violations.append(f"{key} may be called at most once, and is called again")

    def _check_undo(self, facts: AttemptInfo, key: str, tag: int, result: str | None) -> None:
        known, step = self._durable(facts.idempotency_key)
        prefix = key.rpartition("/")[0] + "/"
        if known.open:
            self.violations.append(f"{key} is undone while the calls {known.open} are open")
        busy = [k for k, n in self.running.items() if n and k.startswith(prefix)]
        if [k for k in busy if "/" not in k.removeprefix(prefix)]:
            self.violations.append(f"{key} is undone while {busy} run")
        if (result is not None) != (-step in known.results) and "release" not in facts.activity:
            self.violations.append(f"{key} is undone with the result {result!r}")
        if result is not None and result != str(tag):
            self.violations.append(f"{key} is undone with another call's result {result!r}")

    def _durable(self, key: str) -> tuple[Durable, int]:
        name, _, step = key.rpartition("/")
        execution, _, run = name.rpartition("/")
        number = -int(step[:-1]) if step.endswith("c") else int(step)
        return self.ledger.durable.get((execution, int(run)), Durable()), number


_worlds: list[World] = []


def here() -> World:
    """Return the world of the case that runs."""
    return _worlds[-1]


def enter(world: World) -> None:
    """Let activities act in this world from now on."""
    _worlds[:] = [world]
