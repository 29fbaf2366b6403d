"""Interleaved rounds: each runs everybody once, in a new process on new data."""

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.machine import ROOT
from benchmarks.rivals import environments
from benchmarks.rivals.catalogue import RIVALS, Rival
from benchmarks.rivals.conversation import Worker, WorkerError
from benchmarks.rivals.environments import NotAvailableError
from benchmarks.rivals.processes import cpu_seconds, loop_ms, sync_ms
from benchmarks.rivals.servers import Served
from benchmarks.rivals.workers.protocol import Reply, Request

ALONE, TWIN_ALONE = "order saga, alone", "failing twin, alone"
MANY, TWIN_MANY = "order saga, 100 in flight", "failing twin, 100 in flight"
CASES = {
    ALONE: (False, 1),
    TWIN_ALONE: (True, 1),
    MANY: (False, 100),
    TWIN_MANY: (True, 100),
}
"""Twin or not, and how many are in flight; alone first, beside nothing that is left over."""
WARM_UP = ((False, 1, 3), (False, 10, 20), (True, 10, 20))
"""The same for everybody: twin or not, in flight, sagas."""
SAGAS_MAX = 1_000_000


@dataclass(frozen=True)
class Options:
    """How much is measured."""

    seconds: float = 3.0
    """For how long sagas are started with 100 in flight; half of it alone."""
    patience_seconds: float = 30.0
    directory: Path | None = None


@dataclass(frozen=True)
class Seen:
    """One case of one rival in one round."""

    reply: Reply
    server_cpu_seconds: float | None


@dataclass(frozen=True)
class Visit:
    """One rival's turn in one round."""

    rival: str
    round: int
    facts: dict[str, str] = field(default_factory=dict[str, str])
    cases: dict[str, Seen] = field(default_factory=dict[str, Seen])
    warm_up_errors: dict[str, int] = field(default_factory=dict[str, int])
    reason: str = ""
    """Why it could not be measured (to the end)."""
    loop_ms: tuple[float, float] = (0.0, 0.0)
    """The fixed loop, before and after."""
    sync_ms: tuple[float, float] = (0.0, 0.0)
    seconds: float = 0.0


Say = Callable[[str], None]


def install(names: Iterable[str], say: Say) -> dict[str, str]:
    """Install what is missing and return the reasons of those that cannot be."""
    reasons: dict[str, str] = {}
    for name in names:
        rival = RIVALS[name]
        try:
            for environment in filter(None, (rival.environment, *rival.more_environments)):
                environments.install(environment, rival.least_python, say)
            if rival.npm:
                environments.install_npm("restate-server", rival.npm, say)
        except NotAvailableError as error:
            reasons[name] = str(error)
            say(f"{name}: {error}")
    return reasons


def measure(names: Sequence[str], rounds: int, options: Options, say: Say) -> list[Visit]:
    """Run everybody once a round."""
    reasons = install(names, say)
    visits: list[Visit] = []
    for number in range(1, rounds + 1):
        started = time.perf_counter()
        for name in names:
            if name in reasons:
                visits.append(Visit(name, number, reason=reasons[name]))
            else:
                visits.append(visit(name, number, options))
                say(f"round {number} of {rounds}: {_summary(visits[-1])}")
        if number < rounds:
            minutes = (time.perf_counter() - started) * (rounds - number) / 60
            say(f"about {minutes:.0f} minutes to go")
    return visits


def visit(name: str, number: int, options: Options) -> Visit:
    """Run one rival once: its servers, its worker, the warm-up, every case."""
    rival, started = RIVALS[name], time.perf_counter()
    before = loop_ms(), sync_ms(options.directory)
    session = Session(rival, options)
    reason = ""
    try:
        while len(session.cases) < len(CASES):
            session.run()
    except (NotAvailableError, WorkerError, OSError) as error:
        reason = str(error).replace(f"{ROOT}/", "")
    after = loop_ms(), sync_ms(options.directory)
    return Visit(
        rival=name,
        round=number,
        facts=session.facts,
        cases=session.cases,
        warm_up_errors=dict(session.warm_up_errors),
        reason=reason,
        loop_ms=(before[0], after[0]),
        sync_ms=(before[1], after[1]),
        seconds=time.perf_counter() - started,
    )


class Session:
    """What one rival shows in one round."""

    def __init__(self, rival: Rival, options: Options) -> None:
        self.facts: dict[str, str] = {}
        self.cases: dict[str, Seen] = {}
        self.warm_up_errors: Counter[str] = Counter()
        self._rival, self._options = rival, options

    def run(self) -> None:
        """Start servers and worker on new data; run the cases that are left.

        Sagas that were not waited for would take part in the next case: that one gets a new start.
        """
        where, options = self._options.directory, self._options
        with (
            tempfile.TemporaryDirectory(dir=where, ignore_cleanup_errors=True) as folder,
            self._rival.server(Path(folder)) as served,
            Worker(command(self._rival, served, folder), Path(folder, "worker.log")) as worker,
        ):
            self.facts = worker.facts()
            for number, (twin, in_flight, sagas) in enumerate(WARM_UP):
                wanted = (twin, in_flight, options.seconds, sagas, options.patience_seconds)
                self.warm_up_errors.update(worker.ask(Request(f"warm-{number}", *wanted)).errors)
            for case in CASES:
                if case not in self.cases:
                    seen = self.cases[case] = self._ask(worker, case, served)
                    if seen.reply.unfinished:
                        break

    def _ask(self, worker: Worker, case: str, served: Served) -> Seen:
        options, (twin, in_flight) = self._options, CASES[case]
        request = Request(
            name=f"order-{list(CASES).index(case)}",
            twin=twin,
            in_flight=in_flight,
            seconds=options.seconds if in_flight > 1 else options.seconds / 2,
            sagas_max=SAGAS_MAX,
            patience_seconds=options.patience_seconds,
        )
        before = cpu_seconds(served.pids)
        reply = worker.ask(request)
        after = cpu_seconds(served.pids)
        used = None if before is None or after is None else after - before
        return Seen(reply, used if served.pids else 0.0)


def command(rival: Rival, served: Served, folder: str) -> list[str]:
    """Return how the worker of a rival is started."""
    environment = rival.environment
    interpreter = str(environments.python_of(environment)) if environment else sys.executable
    settings = {"folder": folder, **rival.settings, **served.settings}
    module = f"benchmarks.rivals.workers.on_{rival.worker}"
    return [interpreter, "-m", module, json.dumps(settings)]


def _summary(done: Visit) -> str:
    if done.reason:
        return f"{done.rival}: {done.reason}"
    figures = [f"{seen.reply.done / seen.reply.seconds:,.0f}" for seen in done.cases.values()]
    return f"{done.rival}: {' / '.join(figures)} sagas/s in {done.seconds:.0f} s"


def as_json(visits: Iterable[Visit]) -> list[dict[str, object]]:
    """Return visits as they are written to a file."""
    return [asdict(one) for one in visits]
