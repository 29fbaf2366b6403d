"""Runs one random choreography, and the people who put right what is left of it."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import msgspec
from tests.simulation.choreographies import KEYS, Case, Moment, Reacts
from tests.simulation.things import (
    CLASSES,
    A,
    B,
    Thing,
    declare_join,
    follow,
    others,
    returned,
    things,
)
from tests.simulation.world import Declined, EngineErrors

from counterpoint import NodeStoppedError, Retry, RetryAfter, Service, activity
from counterpoint.authoring.event import contract_of
from counterpoint.errors import StoreBrokenError, StoreError
from counterpoint.model.messages import (
    DeadLetterQuery,
    DeadLetterRow,
    EventQuery,
    EventRow,
    ReactionRow,
    ReactionStatus,
)
from counterpoint.model.records import Died, decode_records
from counterpoint.model.rows import Commit, JournalRow
from counterpoint.model.states import Status
from counterpoint.runtime.mail import (
    EVENTS,
    DiscardMail,
    Mail,
    PostedEvent,
    RedriveMail,
    ReplayMail,
    mail_row,
)
from counterpoint.runtime.messaging import dispatcher, messaging, queues, streams
from counterpoint.runtime.messaging.publishing import posted_row
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing import Harness

RESTS_MAX = 400
RETRY = Retry(max_attempts=3, first=timedelta(seconds=1), jitter=0, stop_on=(TypeError,))
TIMEOUT = timedelta(seconds=5)
GONE = (NodeStoppedError, StoreError)
ALL = 1_000_000
SCHEMAS = "counterpoint:"
HOPELESS = ("InvalidEventError", "UnknownVersionError", "HopLimitError")
"""Causes of dead letters that no further attempt mends."""


class Store(MemoryStore):
    """A memory store that remembers in which order reactions were done."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[ReactionRow] = []
        self.died: set[tuple[int, int]] = set()
        """Places of what has ever been a dead letter."""
        self.suspends = False

    async def _suspend(self) -> None:
        for _ in range(3 if self.suspends else 0):
            await asyncio.sleep(0)

    async def events(self, query: EventQuery) -> list[EventRow]:
        found = await super().events(query)
        await self._suspend()
        return found

    async def reactions(
        self, subscriptions: Sequence[int], first: int, last: int
    ) -> list[ReactionRow]:
        await self._suspend()
        return await super().reactions(subscriptions, first, last)

    async def journal(self, key: int, *, after_seq: int = 0) -> list[JournalRow]:
        found = await super().journal(key, after_seq=after_seq)
        await self._suspend()
        return found

    async def commit(self, commit: Commit) -> int:
        first = await super().commit(commit)
        if commit.messages is not None:
            rows = (*commit.messages.done, *commit.messages.changed)
            self.done += [row for row in rows if row.status is ReactionStatus.COMPLETED]
            self.died |= {(one.subscription, one.position) for one in commit.messages.dead}
        return first


@dataclass
class World:
    """What the services of one case did."""

    case: Case
    store: Store = field(default_factory=Store)
    faults: list[deque[str]] = field(default_factory=list[deque[str]])
    running: set[tuple[str, str, str]] = field(default_factory=set[tuple[str, str, str]])
    """Service, lane and key of what is under way."""
    violations: list[str] = field(default_factory=list[str])
    counts: Counter[str] = field(default_factory=Counter)
    calm: bool = False

    def __post_init__(self) -> None:
        self.faults = [deque(reacts.faults) for reacts in self.case.reactions]
        self.store.suspends = self.case.suspends


class Driver:
    """One case on its way."""

    def __init__(self, case: Case, judge: "Judge") -> None:
        self.case = case
        self.judge = judge
        self.world = World(case)
        self.removed: set[int] = set()
        self.acknowledged: list[str] = []
        self.harness = Harness(
            services=self.services(),
            store=self.world.store,
            patience=timedelta(seconds=10),
            hop_limit=case.hop_limit,
        )
        self._crashes = iter(case.crashes)
        self._rest = 0

    async def run(self) -> list[str]:
        """Return what the judge says."""
        errors = EngineErrors()
        logger = logging.getLogger("counterpoint")
        logger.addHandler(errors)
        found = self.world.violations
        try:
            with limits(self.case):
                async with self.harness:
                    await self._live()
                    found += self.judge(self)
        except Exception as error:  # noqa: BLE001 - whatever a defect raises
            found.append(f"the harness met {type(error).__name__}: {error}")
        finally:
            logger.removeHandler(errors)
        return found + [said for said in errors.said if not _forgivable(said)]

    # ---- services -----------------------------------------------------------------------------

    def services(self) -> list[Service]:
        """Return the services with the reactions that are deployed."""
        found = [Service("s0"), Service("s1")]
        for number, reacts in enumerate(self.case.reactions):
            if number not in self.removed:
                self._declare(found[reacts.service], number, reacts)
        for number, joins in enumerate(self.case.joins):
            declare_join(found[joins.service], number, joins)
        return [things, others, *found]

    def _declare(self, service: Service, number: int, reacts: Reacts) -> None:
        async def react(event: Thing) -> Any:
            place = (service.name, reacts.lane, event.key)
            if place in self.world.running:
                self.world.violations.append(f"r{number} begins beside another one of {place}")
            self.world.running.add(place)
            try:
                await self._attempt(number)
            finally:
                self.world.running.discard(place)
            made = [
                CLASSES[kind](key=event.key, name=f"{event.name}>{number}.{place_of}")
                for place_of, kind in enumerate(reacts.emits)
            ]
            if reacts.starts:
                name = f"{event.name}>{number}"
                activity.start(follow, event.key, name, id=name)
            match reacts.returns:
                case "list":
                    if len(made) > 1:  # one of them from within
                        activity.publish(made[0])
                        del made[0]
                    return made
                case "tuple":
                    return tuple(made)
                case "one" | "maybe":
                    return made[0] if made else None

        react.__annotations__["return"] = returned(reacts)
        service.on(
            CLASSES[reacts.on],
            name=f"{service.name}.r{number}",
            retry=RETRY,
            timeout=TIMEOUT,
            lane=reacts.lane,
            on_dead=reacts.on_dead,
            concurrency=reacts.concurrency,
        )(react)

    async def _attempt(self, number: int) -> None:
        faults = self.world.faults[number]
        fault = faults.popleft() if faults and not self.world.calm else None
        if fault is not None:
            self.world.counts[f"fault {fault}"] += 1
        match fault:
            case "error":
                raise ConnectionError("injected")
            case "final":
                raise TypeError("injected")
            case "later":
                raise RetryAfter(timedelta(seconds=2))
            case "declined":
                raise Declined(tag=number)
            case "hang":
                await self.harness.sleep(60)
            case "slow":
                await self.harness.sleep(3)
            case "kill":
                if self.harness._crashing is None:
                    self.harness._store_crashed()
                await asyncio.Future()
            case _:
                await asyncio.sleep(0)

    # ---- going on -----------------------------------------------------------------------------

    async def _live(self) -> None:
        self._arm()
        for number, (kind, key) in enumerate(self.case.published):
            await self._publish(CLASSES[kind](key=str(key), name=f"p{number}"))
        await self.go_on()
        self.harness.store.heal()
        self.world.calm = True
        await self._deploy_all()
        await self.go_on()
        for _ in range(50):
            letters = await self.dead()
            if not letters and not await self._try_what_was_lost():
                break
            for letter in letters:
                cause = letter.cause.rpartition(".")[2]
                hopeless = cause in HOPELESS
                if cause == "InvalidEventError" and "name: " not in said_of(letter):
                    self.world.violations.append(f"{letter} does not name the field")
                await self._post(_discard(letter) if hopeless else _redrive(letter))
            await self.go_on()
        await self.harness.advance(seconds=5)

    async def _try_what_was_lost(self) -> bool:
        """Retry the sagas that wait for a person because nodes died during a call of theirs."""
        app = self.harness.app
        stuck = [one.id async for one in app.executions(status=Status.INCIDENT)]
        lost: list[str] = []
        for execution_id in stuck:
            known = await app.execution(execution_id).describe()
            if any("the node died" in incident.message for incident in known.incidents):
                await app.execution(execution_id).retry(actor="ann", reason="nodes are calm now")
                lost.append(execution_id)
        return bool(lost)

    async def _publish(self, event: Thing) -> None:
        for _ in range(30):
            try:
                await self._awake()
                await self.harness.app.publish(event, id=event.name)
            except GONE:
                continue
            self.acknowledged.append(event.name)
            return
        raise AssertionError("an event cannot be published")

    async def go_on(self) -> None:
        """Let everything happen that happens by itself, whatever time it takes."""
        for _ in range(RESTS_MAX):
            await self._awake()
            await self.harness.settle()
            if not self.harness.running:
                continue
            self._rest += 1
            for moment in self.case.moments:
                if moment.at == self._rest and not self.world.calm:
                    await self._act(moment)
            at = self.harness.clock.next_alarm()
            if at is None and self.harness.running:
                return
            if at is not None:
                self.harness.clock.move_to(at)
        raise AssertionError("the case does not come to rest")

    async def _awake(self) -> None:
        """Start the node again if it has died; let time pass while its store recovers."""
        await self.harness.settle()
        while not self.harness.running:
            self.world.counts["crashes"] += 1
            self._arm()
            await self.harness.restart()
        while self.harness.app.node.fault is not None:
            at = self.harness.clock.next_alarm()
            assert at is not None, "the store does not recover"
            self.harness.clock.move_to(at)
            await self.harness.settle()
            if not self._runs():
                await self._awake()
                return

    def _runs(self) -> bool:
        return self.harness.running

    def _arm(self) -> None:
        crash = next(self._crashes, None)
        if crash is not None and not self.world.calm:
            self.harness.crash_at_commit(crash.at, when=crash.when)

    # ---- interfering --------------------------------------------------------------------------

    async def _act(self, moment: Moment) -> None:
        await self._awake()
        self.world.counts[moment.act] += 1
        harness = self.harness
        match moment.act:
            case "restart":
                harness.store.heal()
                await harness.restart()
            case "crash":
                await harness.crash()
            case "break":
                harness.store.fail_commits(StoreBrokenError("injected"))
            case "unknown":
                harness.store.fail_commits(StoreBrokenError("injected"), applied=True)
            case "remove":
                self.removed.add(moment.target % len(self.case.reactions))
                harness.store.heal()
                await harness.restart(services=self.services())
            case "return":
                await self._deploy_all()
            case "publish":
                await self._publish(A(key="0", name=f"m{self._rest}-{moment.target}"))
            case "twice" | "cloudevent" | "older" | "newer" | "malformed":
                await self._post_from_outside(moment)
            case "replay" | "redrive" | "discard":
                await self._ask(moment)

    async def _ask(self, moment: Moment) -> None:
        """Ask the node for what operators ask for."""
        if moment.act == "replay":
            number = moment.target % len(self.case.reactions)
            name = f"s{self.case.reactions[number].service}.r{number}"
            last = await self.world.store.last_position()
            await self._post(ReplayMail(name, 1, max(1, last)))
        elif letters := await self.dead():
            letter = letters[moment.target % len(letters)]
            discarded = moment.act == "discard"
            await self._post(_discard(letter) if discarded else _redrive(letter))

    async def _post_from_outside(self, moment: Moment) -> None:
        """Post an event as somebody else does who does not know this program's classes."""
        name = f"x{self._rest}-{moment.target}-{moment.act}"
        key = str(moment.target % KEYS)
        if moment.act == "twice":
            log = list(self.world.store._events.values())
            if log:
                row = log[moment.target % len(log)]._replace(position=0)
                with suppress(*GONE):
                    node = self.harness.app.node
                    await node.messaging.publishing.publish([row], given_ids=True)
            return
        known: dict[str, tuple[int, dict[str, Any]]] = {
            "cloudevent": (2, {"key": key, "name": name}),
            "older": (1, {"key": key, "label": name}),
            "newer": (3, {"key": key, "title": name}),
            "malformed": (2, {"key": key, "name": [name]}),
        }
        version, data = known[moment.act]
        if moment.act == "malformed":  # where events are taken in, it would be refused
            await self._slip_in(name, key, data)
            return
        event = {
            "specversion": "1.0",
            "id": name,
            "source": "elsewhere",
            "type": contract_of(B).type,
            "dataschema": f"{SCHEMAS}{contract_of(B).type}/{version}",
            "partitionkey": key,
            "data": data,
        }
        for _ in range(2):  # who is not sure that it was taken posts it again
            with suppress(*GONE):
                await self._awake()
                await self.harness.app.publish_cloudevent(msgspec.json.encode(event))
                self.acknowledged.append(name)

    async def _slip_in(self, name: str, key: str, data: dict[str, Any]) -> None:
        """Write an event that fits no contract into the log, past the door that refuses it."""
        now = self.harness.clock.now()
        posted = PostedEvent(
            "elsewhere",
            name,
            contract_of(B).type,
            contract_of(B).version,
            key,
            name,
            None,
            0,
            None,
            now,
            msgspec.Raw(msgspec.json.encode(data)),
        )
        with suppress(*GONE):
            node = self.harness.app.node
            row = posted_row(posted, now, node.codec)
            await node.messaging.publishing.publish([row], given_ids=True)
            self.acknowledged.append(name)

    async def _deploy_all(self) -> None:
        if self.removed:
            self.removed.clear()
            self.harness.store.heal()
            await self.harness.restart(services=self.services())

    async def _post(self, mail: Mail) -> None:
        with suppress(*GONE):
            node = self.harness.app.node
            await node.post(mail_row(EVENTS, mail, node.clock.now(), node.codec))

    async def dead(self) -> list[DeadLetterRow]:
        """Return the dead letters."""
        return await self.world.store.dead_letters(DeadLetterQuery(limit=ALL))


def _redrive(letter: DeadLetterRow) -> RedriveMail:
    return RedriveMail(letter.subscription, letter.position)


def said_of(letter: DeadLetterRow) -> str:
    """Return what a dead letter says of its cause."""
    (record,) = decode_records(letter.error)
    assert isinstance(record, Died)
    return record.error.message


def _discard(letter: DeadLetterRow) -> DiscardMail:
    return DiscardMail(letter.subscription, letter.position)


@contextmanager
def limits(case: Case) -> Iterator[None]:
    """Let a case have little memory."""
    with ExitStack() as stack:
        for module, name, value in (
            (dispatcher, "PENDING_MAX", case.pending_max),
            (messaging, "PENDING_MAX", case.pending_max),
            (dispatcher, "QUEUE_MAX", case.queue_max),
            (queues, "QUEUE_MAX", case.queue_max),
            (streams, "PAGE", case.page),
        ):
            stack.enter_context(patch.object(module, name, value))
        yield


def _forgivable(said: str) -> bool:
    return "is a dead letter" in said


Judge = Callable[[Driver], list[str]]
