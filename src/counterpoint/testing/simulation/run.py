"""One run: clients, a node that lives many lives, chance, and the judges at the end."""

import asyncio
import inspect
import logging
import traceback
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

from counterpoint.app import App
from counterpoint.errors import CounterpointError
from counterpoint.kernel.replay import fold
from counterpoint.testing.simulation.dice import seeded
from counterpoint.testing.simulation.faults import Faults
from counterpoint.testing.simulation.judge import Executions, covered, taken_over
from counterpoint.testing.simulation.judge_events import judge_events, under_way
from counterpoint.testing.simulation.life import POLL
from counterpoint.testing.simulation.loop import NothingHappensError, VirtualLoop
from counterpoint.testing.simulation.people import People
from counterpoint.testing.simulation.simulation import Simulation
from counterpoint.testing.simulation.stage import Stage
from counterpoint.testing.story import tell

CALM_SECONDS = POLL.total_seconds() + 1
"""For how long nothing may move before nothing moves: a node looks for mail meanwhile."""
RESTLESS_MAX = 10_000
"""How often in a row a node may be found busy before it is said to come to no rest."""
LIVES_MAX = 200
"""How often in a row it may be found dead, new or broken before that is said."""
ROUNDS_MAX = 30
"""How often people look at what is open."""
INJECTED = "injected"
"""What stands in the messages of errors that the simulation raises."""
LEAP = 60_000_000
"""Microseconds that are not waited for in small steps."""
FORGIVABLE = (
    "incident in",
    "%s %s: %s%s",
    "the store failed",
    "%s is a dead letter",
    "a commit was refused",
)
"""How messages begin that tell of users' code and of injected faults; all others are defects."""


class EngineErrors(logging.Handler):
    """Keeps what the engine logs as an error of its own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not str(record.msg).startswith(FORGIVABLE) and "dead letter" not in str(record.msg):
            error = record.exc_info[1] if record.exc_info else None
            self.said.append(record.getMessage() + (f": {error!r}" if error else ""))


class RestlessError(AssertionError):
    """Something goes on for ever, although nothing goes wrong any more, or hardly anything."""


@dataclass
class Outcome:
    """How one run went."""

    seed: int
    findings: list[str]
    """What is wrong, each with the promise that it breaks."""
    faults: Counter[str]
    """What struck, and how often."""
    covered: Counter[str]
    """What the run contained."""
    trace: list[str]
    """Everything that happened, in order: the same seed gives the same lines."""
    story: str = ""
    """Executions and events at the end, where something is wrong."""
    virtual: timedelta = timedelta(0)
    """How much virtual time it took."""


Scenario: TypeAlias = Callable[[Simulation], Awaitable[object]]
Check: TypeAlias = Callable[[Simulation], Iterator[str]]


def raised(error: BaseException) -> str:
    """Return an error of the user's code in words, with the line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"


def checked(check: Check, simulation: Simulation) -> Iterator[str]:
    """Yield what a check finds; one that raises has found that."""
    try:
        found: Any = check(simulation)
        if found is None:
            return  # it asserts
        if isinstance(found, str) or inspect.isawaitable(found):
            what = "is a coroutine function" if inspect.isawaitable(found) else "returns a str"
            yield f"the check {what}: it is a function that yields what is wrong"
            return
        yield from map(str, found)
    except Exception as error:  # noqa: BLE001 - a check may raise anything
        yield f"the check raised {raised(error)}"


@contextmanager
def engine_errors() -> Generator[EngineErrors]:
    """Collect what the engine says of itself for a while, and let it say nothing else."""
    logger = logging.getLogger("counterpoint")
    errors = EngineErrors()
    level, propagates = logger.level, logger.propagate
    logger.addHandler(errors)
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # what eviction leaves unawaited
            yield errors
    finally:
        logger.removeHandler(errors)
        logger.setLevel(level)
        logger.propagate = propagates


@dataclass
class Run:
    """Runs one scenario under one seed."""

    stage: Stage
    scenario: Scenario
    check: Check | None
    errors: EngineErrors

    def __post_init__(self) -> None:
        stage = self.stage
        self.simulation = Simulation(stage)
        self.life = stage.life
        self.dice = stage.dice
        self.ledger = stage.ledger
        self.attempts = stage.attempts
        self.clients = stage.clients
        self.loop = stage.loop
        self.within = stage.within
        self.findings = stage.findings

    async def run(self) -> Outcome:
        """Return how it went."""
        await self.ledger.open(node=True)
        self.life.move_in(self.attempts)
        self.loop.set_exception_handler(self._let_out)
        living = self.loop.create_task(self.life.run())
        story = ""
        try:
            await self._live(living)
        except Exception as error:  # noqa: BLE001 - whatever a defect raises
            self.findings += [f"the run met {error!r}", *self._found_so_far()]
        else:
            if self.findings:
                story = await _tell(self.life.app)
        finally:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)
            await self.life.end()
            self.life.move_out()
        executions = Executions(self.ledger, self.life.app.registry, self.attempts)
        return Outcome(
            self.stage.seed,
            self.findings,
            self.dice.struck,
            covered(executions.runs) + Counter(self._counts(executions)),
            self.stage.trace,
            story,
            timedelta(seconds=self.loop.time()),
        )

    def _let_out(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Note what a callback or a task of the engine raised, and nobody caught."""
        error = context.get("exception")
        if error is not None:
            self.findings.append(f"the engine let out {error!r}: {context.get('message')}")

    def _ends(self, executions: Executions) -> Counter[str]:
        """Count how executions ended, and what was raised that no fault of ours explains."""
        ends: Counter[str] = Counter()
        for run in executions.newest.values():
            status = run.known.status
            ends["not ended" if status.live else f"ended {status}"] += 1
            error = None if run.known.error is None else fold(run.records).error
            if error is not None and not error.business and INJECTED not in error.message:
                ends[f"raised {error.type}"] += 1
        return ends

    def _counts(self, executions: Executions) -> dict[str, int]:
        return {
            **self._ends(executions),
            "dead letters": len(self.ledger.died),
            "executions": len(self.ledger.durable),
            "events": len(self.ledger.log()),
            "commits": self.ledger.commits,
            "attempts": self.attempts.count,
            "starts of a node": self.life.births,
            "acknowledged": len(self.clients.acknowledged),
        }

    # ---- going on -----------------------------------------------------------------------------

    async def _live(self, living: asyncio.Task[None]) -> None:
        acting = self.loop.create_task(self._act())
        await asyncio.wait([acting, living], return_when=asyncio.FIRST_COMPLETED)
        if living.done():
            acting.cancel()
            await living  # raises what it met
        if acting.cancelled():
            self.findings.append("the scenario was cut off with the node: use the simulation's own")
        await self._drain()
        self.dice.calm = True
        await self.life.up()
        await self._drain()
        people = People(self.life.app, self.ledger, self.attempts)
        for _ in range(ROUNDS_MAX):
            if not await people.put_right():
                break
            await self._drain()
        self.findings += self._judge()

    async def _act(self) -> None:
        await self.life.up()
        try:
            async with asyncio.timeout(self.within):
                await self.scenario(self.simulation)
        except TimeoutError:
            self.findings.append(
                f"the scenario does not end within {timedelta(seconds=self.within)} of virtual time"
            )
        except Exception as error:  # noqa: BLE001 - a scenario may raise anything
            self.findings.append(f"the scenario met {raised(error)}")
        with suppress(CounterpointError):
            await asyncio.gather(*self.clients.later)

    async def _drain(self) -> None:
        """Let time pass until nothing is left that time would bring."""
        until = self.loop.time() + self.within
        restless = lives = 0
        while self.loop.time() < until:
            births = self.life.births
            was_quiet = self.life.quiet
            await asyncio.sleep(CALM_SECONDS)
            if not (was_quiet and self.life.quiet and births == self.life.births):
                restless += 1
                node = self.life.node
                lives += node is None or node.fault is not None or births != self.life.births
                if restless > RESTLESS_MAX or lives > LIVES_MAX:
                    raise RestlessError("the node does not come to rest")
                continue
            restless = lives = 0
            clock = self.life.clock
            at = clock.next_alarm()
            if at is None:
                return
            if self.dice.strikes("idle_crash"):
                self.life.kill()
            elif self.dice.strikes("restart"):
                await self.life.restart()
            elif self.dice.strikes("jump"):
                clock.set_by(self.dice.faults.skew_max * self.dice.random.random())
            else:
                await self._wait(clock.seconds_until(at))
        self.dice.struck["time ran out"] += 1

    async def _wait(self, seconds: float) -> None:
        if seconds > LEAP / 1e6:
            self.loop.leap(int(seconds * 1e6) - LEAP // 2)
            seconds = LEAP / 2e6
        await asyncio.sleep(seconds)

    # ---- the end ------------------------------------------------------------------------------

    def _judge(self) -> Iterator[str]:
        registry = self.life.app.registry
        executions = Executions(self.ledger, registry, self.attempts)
        yield from self._found_so_far()
        yield from self._acknowledged(executions)
        yield from executions.judge()
        yield from judge_events(self.ledger, registry, self.attempts)
        if self.life.node is not None and not self.ledger.letters_dead():
            yield from under_way(self.life.node)
        if self.dice.struck["time ran out"]:
            yield (
                f"the app does not come to rest within {timedelta(seconds=self.within)} of virtual "
                "time: give more of it with within="
            )
        if self.check is not None:
            yield from checked(self.check, self.simulation)

    def _found_so_far(self) -> list[str]:
        return [
            *self.ledger.findings,
            *self.attempts.findings,
            *self.clients.findings,
            *self.errors.said,
        ]

    def _acknowledged(self, executions: Executions) -> Iterator[str]:
        log = {(row.source, row.id) for row in self.ledger.log()}
        for one in self.clients.acknowledged:
            if one.what == "start":
                if not self.ledger.knows(one.id):
                    yield f"P1: the start of {one.id} was acknowledged, and there is no execution"
            elif one.what == "publish":
                if (one.detail, one.id) not in log:
                    yield f"P1: the event {one.id} was acknowledged, and it is not in the log"
            elif not taken_over(one.what, one.id, executions.runs):
                yield f"P1: a {one.what} for {one.id} was acknowledged, and nothing says so"


async def _tell(app: App) -> str:
    """Return what the executions and events of an app did, as far as that can be read."""
    try:
        return await tell(app)
    except Exception as error:  # noqa: BLE001 - whatever a broken journal raises
        return f"what happened cannot be told: {error!r}"


def run_seed(
    app: App,
    scenario: Scenario,
    seed: int,
    *,
    faults: Faults | None = None,
    check: Check | None = None,
    within: timedelta = timedelta(days=30),
    traced: bool = True,
) -> Outcome:
    """Run a scenario under one seed; return how it went, with its trace if it is *traced*."""
    loop = VirtualLoop()
    stages: list[Stage] = []

    async def run() -> Outcome:
        stage = Stage(app, seed, faults or Faults(), within, traced=traced)
        stages.append(stage)
        with seeded(stage.dice, lambda: loop.microseconds), engine_errors() as errors:
            return await Run(stage, scenario, check, errors).run()

    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(run())
    except NothingHappensError as error:
        stage = stages[0]
        findings = [str(error), *stage.findings, *stage.ledger.findings, *stage.attempts.findings]
        return Outcome(seed, findings, stage.dice.struck, Counter(), stage.trace)
