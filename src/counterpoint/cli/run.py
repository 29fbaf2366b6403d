"""`counterpoint run`: hosts an app in this process until it is told to stop."""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Callable, Coroutine, Generator
from datetime import timedelta
from enum import StrEnum
from types import FrameType
from typing import Annotated, Any, TypeAlias

import typer

from counterpoint.app import App
from counterpoint.cli.failures import CommandError, Exit, user_input
from counterpoint.cli.options import JsonOption, StoreOption
from counterpoint.cli.output import say, say_json
from counterpoint.cli.progress import log_to_stderr, progress
from counterpoint.cli.target import required, store_words
from counterpoint.errors import StoreBrokenError, StoreError, StoreLockedError
from counterpoint.model.states import LIVE, Status
from counterpoint.runtime.cluster import cluster_of

_FAULT_POLL_SECONDS = 0.2
_STOPPED = {
    "signal": "stopped",
    "drained": "asked to hand over (counterpoint drain), so stopped",
    "idle": "idle, so stopped",
    "fault": "stopped by a fault",
}


class LogLevel(StrEnum):
    """What `--log-level` takes."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


HostOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--host",
        metavar="SERVICE",
        show_default=False,
        help="A service that this process hosts, one of several where it is given several times; "
        "default: the app's hosts, or COUNTERPOINT_HOSTS, or all.",
    ),
]
UntilIdleOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--until-idle",
        help="Stop when nothing runs, is ready to run or waits for a retry; for scripts. "
        "Timers and waits for signals do not count.",
    ),
]
StopWithinOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--stop-within",
        min=0,
        metavar="SECONDS",
        show_default=False,
        help="Seconds that activities get to finish when the node stops; default: the app's "
        "setting stop_within.",
    ),
]
LogLevelOption: TypeAlias = Annotated[
    LogLevel,
    typer.Option(
        "--log-level",
        metavar="LEVEL",
        help="What is logged to stderr: debug, info, warning or error; an app that configures "
        "logging itself is left alone.",
    ),
]


def run(
    app: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:APP",
            envvar="COUNTERPOINT_APP",
            show_default=False,
            help="The app, such as shop:app; the current directory is searched first.",
        ),
    ],
    store: StoreOption = None,
    host: HostOption = None,
    until_idle: UntilIdleOption = False,
    stop_within: StopWithinOption = None,
    log_level: LogLevelOption = LogLevel.INFO,
    as_json: JsonOption = False,
) -> None:
    """Host an app: this process becomes the node of its store.

    Interrupted executions go on. Ctrl-C or SIGTERM stops the node: it takes no more work and lets
    activities finish; the rest goes on at the next start. A second signal ends the process at once,
    which loses nothing either, as a crash does not.

    Example: counterpoint run shop:app
    """
    target = required(app, store)
    if host:
        target.app.hosts = tuple(host)
    with user_input(f"--stop-within {stop_within} is no time"):
        within = None if stop_within is None else timedelta(seconds=stop_within)
    hosting = Host(target.app, within, as_json=as_json)
    with progress(target.app) as console:
        log_to_stderr(console, log_level.value.upper())
        try:
            asyncio.run(hosting.run(until_idle=until_idle))
        except StoreLockedError as error:
            who = f"process {error.pid}" if error.pid else "another process"
            raise CommandError(
                f"{store_words(target.app)} is hosted by {who}: stop that node first; start, list, "
                "show and the other commands work beside it",
                Exit.STORE,
            ) from error


class Host:
    """One app, hosted from start to stop."""

    def __init__(self, app: App, stop_within: timedelta | None, *, as_json: bool) -> None:
        self.app = app
        self.stop_within = stop_within
        self.as_json = as_json

    async def run(self, *, until_idle: bool) -> None:
        """Host the app until a signal, `counterpoint drain`, idleness or the end of its store.

        Raises:
            StoreLockedError: another process hosts it; names the process.
            StoreError: the store cannot be opened.
            CommandError: the store failed for good while the node ran.
        """
        told = asyncio.Event()
        with _stop_signals(told.set):
            async with self.app:
                await self._say_hosting()
                gc.collect()
                gc.freeze()  # no collection walks what the start has made: an eighth less CPU
                ends: dict[str, Coroutine[Any, Any, None]] = {
                    "signal": _wait(told),
                    "fault": self._fatal_fault(),
                    "drained": _wait(self.app.node.drained),
                }
                if until_idle:
                    ends["idle"] = self.app.idle()
                reason = await _first(ends)
                await self._say_stopping(reason)
                fault = self.app.node.fault
                await self.app.stop(self.stop_within)
                gc.unfreeze()
            await self._say_stopped(reason)
        if reason == "fault":
            raise CommandError(
                f"the store failed and this process cannot go on with it: {fault}; look at the "
                "system's log, then run the node again"
                if _is_fatal(fault)
                else f"this process cannot go on: {fault}; look at its log, then run it again",
                Exit.STORE,
            )

    async def _fatal_fault(self) -> None:
        node = self.app.node
        while not (_is_fatal(node.fault) or node.faults.down):  # noqa: ASYNC110 - none is announced
            await asyncio.sleep(_FAULT_POLL_SECONDS)

    async def _say_hosting(self) -> None:
        app = self.app
        counts = await app.counts()
        live = {status: counts.get(status, 0) for status in LIVE}
        incidents = live.pop(Status.INCIDENT)
        interrupted = sum(live.values())
        dead = sum(group.count for group in await app.dead_letter_groups())
        hosted = app.node.registry
        cluster = cluster_of(app.node.store)
        if self.as_json:
            say_json(
                {
                    "event": "hosting",
                    "app": app.name,
                    "node": None if cluster is None else cluster.incarnation,
                    "pid": os.getpid(),
                    "store": store_words(app),
                    "hosts": sorted(hosted.services),
                    "workflows": sorted(hosted.workflows),
                    "activities": sorted(hosted.activities),
                    "interrupted": interrupted,
                    "incidents": incidents,
                    "dead_letters": dead,
                }
            )
            return
        say(f"{app.name} is hosted by process {os.getpid()}")
        for service in hosted.services.values():
            owned = [
                _count(len(service.workflows), "workflow"),
                _count(len(service.activities), "activity"),
                _count(len(service.reactions), "reaction"),
            ]
            said = [count for count in owned if not count.startswith("0 ")]
            say(f"  {service.name}: {', '.join(said) or 'events only'}")
        if rest := [name for name in app.registry.services if name not in hosted.services]:
            say(f"  not here: {', '.join(rest)}")
        say(f"store: {store_words(app)}")
        if cluster is None:
            say(f"{_count(interrupted, 'interrupted execution')} to go on with")
        else:
            others = len(await app.nodes()) - 1
            say(f"this is node {cluster.incarnation}, beside {_count(others, 'other')}")
            say(f"{_count(interrupted, 'execution')} under way or interrupted")
        if incidents:
            say(f"{_count(incidents, 'incident')} to look at: counterpoint list --status incident")
        if dead:
            say(f"{_count(dead, 'dead letter')} to look at: counterpoint deadletters list")

    async def _say_stopping(self, reason: str) -> None:
        running = self.app.health().running
        if reason in ("signal", "drained") and running and not self.as_json:
            within = self.stop_within or self.app.settings.stop_within
            attempts = _count(running, "attempt")
            say(f"stopping: {attempts} may take {within.total_seconds():g} s to finish")
            say("a second signal ends the process at once")

    async def _say_stopped(self, reason: str) -> None:
        counts = await self._counts_beside()
        if self.as_json:
            plain = {status.value: count for status, count in counts.items()}
            say_json({"event": "stopped", "reason": reason, "executions": plain})
            return
        words = ", ".join(f"{count} {status.value}" for status, count in counts.items())
        say(f"{_STOPPED[reason]}; in the store: {words or 'no executions'}")

    async def _counts_beside(self) -> dict[Status, int]:
        with contextlib.suppress(StoreError):
            async with self.app.client() as client:
                return await client.counts()
        return {}


def _is_fatal(fault: BaseException | None) -> bool:
    return isinstance(fault, StoreBrokenError) and fault.fatal


def _count(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1] + 'ies' if noun.endswith('y') else noun + 's'}"


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _first(ends: dict[str, Coroutine[Any, Any, None]]) -> str:
    tasks = {asyncio.ensure_future(end): name for name, end in ends.items()}
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()
    return min(tasks[task] for task in done)


@contextlib.contextmanager
def _stop_signals(stop: Callable[[], None]) -> Generator[None, None, None]:
    """Call *stop* on the event loop at the first SIGINT or SIGTERM; end the process at the second.

    These are handlers of the process and not of the loop, so that the second signal works while
    user code blocks the loop.
    """
    loop = asyncio.get_running_loop()
    received: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            os.write(2, b"counterpoint: forced to end; what was under way is repeated\n")
            os._exit(128 + number)
        loop.call_soon_threadsafe(stop)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
