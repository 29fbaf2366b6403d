"""What the processes of a round do: nodes that host services, and a client that submits orders."""

import asyncio
import functools
import logging
import os
import random
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from examples.shop.app import execution_id
from examples.shop.catalog import Order
from examples.shop.choreography import fulfilment
from examples.shop.forms import ORCHESTRATED, Form
from examples.shop.inventory import inventory
from examples.shop.orders import orders
from examples.shop.own_file import SERVICES
from examples.shop.payments import payments
from tests.crash.processes import Program, Say
from tests.nodes.attempts import Attempts
from tests.nodes.cluster import STOPS_ITSELF

from counterpoint import App, Client, ExecutionFailed, NodeStoppedError, StoreError
from counterpoint.errors import StoreBrokenError
from counterpoint.runtime.recovery import is_fatal

LAYOUTS: Mapping[str, Sequence[Sequence[str]]] = {
    "own": (("orders",), ("payments",), ("inventory",)),
    "all": (SERVICES, SERVICES, SERVICES),
    "pairs": (("orders", "payments"), ("payments", "inventory"), ("inventory", "orders")),
}
"""What each node hosts: one service, every one, or two, so that each lives on two nodes."""
IN_FLIGHT = 24
"""Orders that one node has submitted and that have not ended."""
SUBMITTERS = 8
"""Of a client, at the same time."""
AGAIN_AFTER_SECONDS = 0.05
LOOK_EVERY_SECONDS = 0.25
COMMITS_WITHIN_SECONDS = 0.5
LONGER_SECONDS = 0.2
"""So much longer, at most, takes an attempt where it takes its time;"""
WAY_SECONDS = 0.03
"""so long a commit to the server, and as long its answer back."""


@dataclass(frozen=True)
class Setting:
    """Where the processes of a round work, and how an order begins."""

    directory: Path
    url: str
    """Of the store, with its options."""
    form: Form = ORCHESTRATED
    slow: bool = False
    """Attempts and commits take their time: whatever happens often happens while some go on."""


def make_app(setting: Setting, name: str, hosts: Sequence[str] = SERVICES) -> App:
    """Return the shop's app; this process is known to the server by a name and its id."""
    own: dict[str, Any] = {} if set(hosts) == set(SERVICES) else {"hosts": list(hosts)}
    return App(
        "shop",
        services=[orders, payments, inventory],
        choreographies=[fulfilment],
        store=f"{setting.url}&application_name={name}.{os.getpid()}",
        **own,
    )


def be_a_node(
    setting: Setting, name: str, hosts: Sequence[str], work: Sequence[Order] = ()
) -> Program:
    """Be a node that submits orders, until SIGTERM or until somebody has it drained.

    It stops itself within its next commit when it gets SIGUSR1, and says how much CPU time it has
    used when it gets SIGUSR2.
    """

    async def program(say: Say) -> None:
        say = _begin(setting, name, say)
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, told.set)
        loop.add_signal_handler(signal.SIGUSR2, lambda: say(f"cpu {time.process_time()}"))
        app = make_app(setting, name, hosts)
        longer = LONGER_SECONDS if setting.slow else 0.0
        attempts = Attempts(setting.directory, lambda: _incarnation(app), longer)
        attempts.watch([orders, payments, inventory])
        try:
            async with app:
                _meet_commits(app, setting, say)
                say("ready")
                drained = asyncio.create_task(_tell_when_drained(app, told))
                submitting = asyncio.create_task(_submit_and_wait(app, setting.form, work, say))
                await _until_over(app, told, say)
                say("stopping")
                drained.cancel()
                submitting.cancel()
        except StoreError as error:
            say(f"refused {error}")
            return
        say("stopped")

    return program


def be_a_client(setting: Setting, work: Sequence[Order], per_second: float) -> Program:
    """Be a client that submits orders at a pace, whether nodes and the server are there or not."""

    async def program(say: Say) -> None:
        say = _begin(setting, "client", say)
        left = deque(work)
        began = time.monotonic()

        async def submit(client: Client) -> None:
            while left:
                order = left.popleft()
                try:
                    due = began + (len(work) - len(left)) / per_second
                    await asyncio.sleep(due - time.monotonic())
                    ask = functools.partial(setting.form.submit, client, order)
                    await _insist(ask, say, broken=False)
                except BaseException:
                    left.appendleft(order)
                    raise
                say(f"ack {execution_id(order)}")

        while left:
            try:
                async with make_app(setting, "client").client() as client:
                    say("opened")
                    async with asyncio.TaskGroup() as group:
                        for _ in range(SUBMITTERS):
                            group.create_task(submit(client))
            except* StoreError as errors:
                say(f"refused {errors.exceptions[0]!r}")
                await asyncio.sleep(AGAIN_AFTER_SECONDS)

    return program


async def _submit_and_wait(app: App, form: Form, work: Sequence[Order], say: Say) -> None:
    """Submit orders, some at a time; say of each saga how it ended."""
    places = asyncio.Semaphore(IN_FLIGHT)

    async def one(order: Order) -> None:
        async with places:
            await _insist(lambda: form.submit(app, order), say)
            id = execution_id(order)
            say(f"ack {id}")
            if form is not ORCHESTRATED:
                return
            with suppress(NodeStoppedError, StoreError):
                say(f"ended {id} {await _status(app, id)}")

    await asyncio.gather(*(one(order) for order in work))
    say("submitted")


async def _status(app: App, id: str) -> str:
    try:
        await app.execution(id).result()
    except ExecutionFailed as failed:
        return str(failed.status)
    return "completed"


async def _insist(ask: Callable[[], Awaitable[Any]], say: Say, *, broken: bool = True) -> None:
    """Ask until the answer is no refusal; *broken*: also of a store that has to be opened again."""
    said = False
    while True:
        try:
            await ask()
        except (StoreError, NodeStoppedError) as error:
            if not said:  # nobody may be reading: the pipe has to take it
                say(f"refused {error!r}")
            said = True
            if isinstance(error, StoreBrokenError) and not broken:
                raise
            await asyncio.sleep(AGAIN_AFTER_SECONDS)
        else:
            return


async def _until_over(app: App, told: asyncio.Event, say: Say) -> None:
    """Wait until this process is told to stop, or until the node stays down, and say so."""
    while not told.is_set():
        fault = app.node.fault
        if fault is not None and is_fatal(fault):
            say(f"down {fault!r}")
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), LOOK_EVERY_SECONDS)


async def _tell_when_drained(app: App, told: asyncio.Event) -> None:
    """Have who asks the node to hand over and stop end its process, as `counterpoint run` does."""
    await app.node.drained.wait()
    told.set()


def _meet_commits(app: App, setting: Setting, say: Say) -> None:
    """Have SIGUSR1 stop this process (SIGSTOP) in a commit soon, before it reaches the server.

    If they take their time, each is under way for a while before and after.
    """
    asked: list[float] = []
    kind: Any = type(app.node.store)
    commit: Any = kind.commit

    async def travel() -> None:
        if setting.slow:
            await asyncio.sleep(random.uniform(0, WAY_SECONDS))

    async def met(self: Any, what: Any) -> Any:
        if asked and time.monotonic() < asked.pop() + COMMITS_WITHIN_SECONDS:
            say(STOPS_ITSELF)
            os.kill(os.getpid(), signal.SIGSTOP)
        await travel()
        answer = await commit(self, what)
        await travel()
        return answer

    patch.object(kind, "commit", met).start()
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGUSR1, lambda: asked.append(time.monotonic())
    )


def _incarnation(app: App) -> int:
    """Return the node's incarnation; 0 before it has one."""
    return int(getattr(app.node.store, "incarnation", 0))


def _begin(setting: Setting, name: str, say: Say) -> Say:
    """Find the shop's files, log to a file, and end when nobody listens any more."""
    os.environ["SHOP_DIR"] = str(setting.directory)
    handler = logging.FileHandler(setting.directory / f"{name}.log")
    words = "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(message)s"
    handler.setFormatter(logging.Formatter(words, "%H:%M:%S"))
    logger = logging.getLogger("counterpoint")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)

    def attended(line: str) -> None:
        try:
            say(line)
        except BrokenPipeError:
            os._exit(1)

    def look() -> None:
        if os.getppid() != parent:
            os._exit(1)
        loop.call_later(LOOK_EVERY_SECONDS, look)

    loop, parent = asyncio.get_running_loop(), os.getppid()
    look()
    return attended
