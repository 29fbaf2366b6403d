"""How attempts end, and what they did: the world outside of the engine.

Each attempt is held against what is durable when it begins (P2, P3, P5, P6): what it does must have
been decided in a journal, its outcome must not be recorded yet, its key belongs to one step and
comes with the same arguments every time, and no other reaction of its service, lane and key runs.
"""

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from counterpoint.authoring.activity import Activity
from counterpoint.authoring.attempt import AttemptInfo, current_attempt, info
from counterpoint.authoring.business import BusinessError
from counterpoint.authoring.reaction import Reaction
from counterpoint.authoring.registry import Registry
from counterpoint.errors import NotDone
from counterpoint.model.ids import idempotency_key
from counterpoint.model.messages import ReactionStatus, SubscriptionRow
from counterpoint.runtime.attempt import Attempt
from counterpoint.testing.simulation.dice import Dice
from counterpoint.testing.simulation.ledger import Durable, LedgerStore
from counterpoint.testing.works import Work, copied_registry

HANG = timedelta(hours=1)
STUBBORN_SECONDS = 5.0
"""How long an attempt goes on at most after it was to end; less than an engine waits for it."""


class Evidence(Protocol):
    """What is known of the world outside: what the judge holds journals against."""

    there: dict[str, bool]
    """By the key of a call: whether its effect may be there, or was and is undone."""
    undid: list[str]
    """Keys of calls in the order in which they were first undone."""


@dataclass
class Effect:
    """What an attempt that ran to its end gave back."""

    value: Any
    outbox: int
    """How many events it published, and workflows it started."""


@dataclass
class Attempts:
    """Every attempt of one run."""

    dice: Dice
    ledger: LedgerStore
    note: Callable[[str], None]
    """Takes a line of the story."""
    died: Callable[[], bool]
    """Whether the node that attempts begin on has died."""
    findings: list[str] = field(default_factory=list[str])
    there: dict[str, bool] = field(default_factory=dict[str, bool])
    undid: list[str] = field(default_factory=list[str])
    begun: Counter[str] = field(default_factory=Counter)
    """By key: attempts that may have had their effect."""
    allowed: Counter[str] = field(default_factory=Counter)
    """By key: how often a person allowed another attempt of what is called at most once."""
    effects: dict[str, Effect] = field(default_factory=dict[str, Effect])
    """By key: what the newest attempt that ran to its end returned."""
    reacted: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])
    """By reaction and position: what the newest attempt that ran to its end published and started.
    """
    steps: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    """By key: the execution and the arguments that it came with."""
    running: Counter[str] = field(default_factory=Counter)
    places: dict[tuple[str, str, str], str] = field(default_factory=dict[tuple[str, str, str], str])
    """Service, lane and key of the reactions that run, and which."""
    count: int = 0

    def instrument(self, registry: Registry) -> Registry:
        """Return a copy of *registry* whose functions are attempts of this world."""
        copied, works = copied_registry(registry)
        for work in works:
            work.function = self._wrap(work, work.function)
            work.is_async = True
        return copied

    def forget_running(self) -> None:
        """The node has died, and everything that ran with it."""
        self.running.clear()
        self.places.clear()

    # ---- one attempt --------------------------------------------------------------------------

    def _wrap(self, work: Work, function: Callable[..., Any]) -> Callable[..., Any]:
        async def attempted(**arguments: Any) -> Any:
            facts = info()
            self._begins(work, facts, arguments)
            key = facts.idempotency_key
            self.running[key] += 1
            place = _place(work, facts)
            if place is not None:
                self._enter(place, facts)
            try:
                return await self._run(work, facts, function, arguments)
            finally:
                self.running[key] -= 1
                if place is not None and self.places.get(place) == key:
                    del self.places[place]

        return attempted

    async def _run(
        self, work: Work, facts: AttemptInfo, function: Callable[..., Any], arguments: Any
    ) -> Any:
        dice = self.dice
        if dice.strikes("error"):
            self.note(f"{facts.idempotency_key} fails before its effect")
            raise ConnectionError("injected: it failed before its effect")
        hangs = dice.strikes("hang")
        if hangs and dice.random.random() < 0.5:
            await self._hang(work)
        if dice.strikes("slow_attempt"):
            await asyncio.sleep(dice.seconds(dice.faults.slow))
        value = await self._act(facts, function, arguments)
        self._happened(work, facts, value)
        if dice.strikes("lost_result"):
            self.note(f"{facts.idempotency_key} fails after its effect")
            raise ConnectionError("injected: it failed after its effect")
        if hangs:
            await self._hang(work)
        if dice.strikes("late_result"):
            await self._dawdle()
        return value

    async def _act(
        self, facts: AttemptInfo, function: Callable[..., Any], arguments: dict[str, Any]
    ) -> Any:
        key = facts.idempotency_key
        undoes = facts.undoes_key
        before = self.there.get(key)
        if undoes is None:
            self.there[key] = True
        try:
            value = function(**arguments)
            if inspect.isawaitable(value):
                value = await value
        except (BusinessError, NotDone):
            self.begun[key] -= 1
            if undoes is None and not before:
                self.there.pop(key, None)
            raise
        return value

    def _happened(self, work: Work, facts: AttemptInfo, value: Any) -> None:
        key, undoes = facts.idempotency_key, facts.undoes_key
        attempt = current_attempt.get()
        outbox = len(attempt.outbox) if isinstance(attempt, Attempt) else 0
        if isinstance(work, Reaction):
            outbox += _count(value)
        self.effects[key] = Effect(value, outbox)
        if facts.event is not None and not facts.is_replay:
            self.reacted[facts.activity, facts.event.position] = outbox
        if undoes is None and key.endswith("c"):  # what `compensate_with` named
            undoes = key.removesuffix("c")
        if undoes is not None:
            if undoes not in self.undid:
                self.undid.append(undoes)
            self.there[undoes] = False
        elif key in self.undid:
            self.findings.append(f"P9: {key} came about after it had been undone")
        self.note(f"{key} has happened")

    async def _hang(self, work: Work) -> None:
        """Wait for a timeout; without one, for some seconds."""
        seconds = self.dice.seconds(self.dice.faults.slow)
        await asyncio.sleep(seconds if work.timeout is None else HANG.total_seconds())

    async def _dawdle(self) -> None:
        """Go on for some seconds, whoever asks to stop; but for the end of the node."""
        loop = asyncio.get_running_loop()
        until = loop.time() + STUBBORN_SECONDS * self.dice.random.random()
        while (left := until - loop.time()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                if self.died():
                    raise
                attempt = current_attempt.get()
                if isinstance(attempt, Attempt) and attempt.reported:
                    raise
                task = asyncio.current_task()
                assert task is not None
                task.uncancel()

    # ---- what may not be ----------------------------------------------------------------------

    def _begins(self, work: Work, facts: AttemptInfo, arguments: dict[str, Any]) -> None:
        self.count += 1
        key = facts.idempotency_key
        self.note(f"attempt {facts.attempt} of {facts.activity} begins: {key}")
        self.begun[key] += 1
        known = (facts.execution_id, _text(arguments, facts))
        first = self.steps.setdefault(key, known)
        if first != known:
            self.findings.append(f"P3: {key} came with {first} and with {known}")
        if facts.event is not None:
            self._check_reaction(facts)
        else:
            self._check_step(work, facts)

    def _check_step(self, work: Work, facts: AttemptInfo) -> None:
        key = facts.idempotency_key
        known, run, step = self.durable(key, facts.execution_id)
        if idempotency_key(facts.execution_id, run, step) != key:
            self.findings.append(f"P3: {key} is no key of {facts.execution_id}")
        if (step, facts.attempt) not in known.announced:
            self.findings.append(f"P2: attempt {facts.attempt} of {key} begins, nothing says so")
        if step in known.settled:
            self.findings.append(f"P2: {key} is attempted again after its outcome was recorded")
        once = isinstance(work, Activity) and work.policy.at_most_once
        if once and step > 0 and self.begun[key] > 1 + self.allowed[key]:
            self.findings.append(f"P3: {key} may be called at most once, and is called again")
        if step < 0:
            self._check_undo(facts, known, run, step)

    def _check_undo(self, facts: AttemptInfo, known: Durable, run: int, step: int) -> None:
        key = idempotency_key(facts.execution_id, run, -step)
        if known.open:
            self.findings.append(f"P9: {key} is undone while the calls {sorted(known.open)} go on")
        prefix = key.rpartition("/")[0] + "/"
        busy = [k for k, n in self.running.items() if n and k.startswith(prefix)]
        busy = [k for k in busy if "/" not in k.removeprefix(prefix) and not k.endswith("c")]
        if busy:
            self.findings.append(f"P9: {key} is undone while {busy} run")

    def _check_reaction(self, facts: AttemptInfo) -> None:
        event = facts.event
        assert event is not None
        row = self._subscription(facts)
        if row is None:
            self.findings.append(f"P5: {facts.activity} reacts without a subscription")
            return
        mark = self.ledger.mark(row.number, event.position)
        if mark is not None and mark.status.over:
            self.findings.append(
                f"P5: {facts.activity} takes {event.id} again, which was {mark.status}"
            )
        if not facts.is_replay:
            self._check_order(row, event.position, event.key)

    def _check_order(self, row: SubscriptionRow, position: int, key: str) -> None:
        """Everything below this event that the same reaction has to take is done, or dead."""
        for event in self.ledger.log():
            if event.position >= position:
                return
            if event.position <= row.first or event.type != row.type or event.key != key:
                continue
            mark = self.ledger.mark(row.number, event.position)
            passes = mark is not None and (mark.status.over or mark.status is ReactionStatus.DEAD)
            if not passes:
                self.findings.append(
                    f"P6: {row.name} takes the event at {position} of key {key} before that at "
                    f"{event.position}"
                )

    def _enter(self, place: tuple[str, str, str], facts: AttemptInfo) -> None:
        other = self.places.setdefault(place, facts.idempotency_key)
        if other != facts.idempotency_key or self.running[other] > 1:
            self.findings.append(
                f"P6: {facts.idempotency_key} begins beside {other}: both are of {place}"
            )

    def _subscription(self, facts: AttemptInfo) -> SubscriptionRow | None:
        return next(
            (
                row
                for row in self.ledger.subscribed()
                if row.name == facts.activity and (row.replay > 0) == facts.is_replay
            ),
            None,
        )

    def durable(self, key: str, execution_id: str) -> tuple[Durable, int, int]:
        """Return what is durable of the run that a key belongs to, with its run and step."""
        head, _, step = key.rpartition("/")
        run = int(head.rpartition("/")[2])
        number = -int(step[:-1]) if step.endswith("c") else int(step)
        return self.ledger.durable.get((execution_id, run), Durable()), run, number


def _place(work: Work, facts: AttemptInfo) -> tuple[str, str, str] | None:
    """Return the service, lane and key in which a reaction may run alone."""
    if not isinstance(work, Reaction) or facts.event is None or facts.is_replay:
        return None
    return work.service, work.lane, facts.event.key


def _count(value: Any) -> int:
    """Return how many events a reaction has returned."""
    if value is None:
        return 0
    several: list[Any] = [*value] if isinstance(value, list | tuple) else [value]
    return len(several)


def _text(arguments: dict[str, Any], facts: AttemptInfo) -> str:
    """Return arguments as text: what a compensation learns of its call's end may change."""
    if facts.event is not None:
        return f"{facts.event.id} at {facts.event.position}"
    return repr(arguments)
