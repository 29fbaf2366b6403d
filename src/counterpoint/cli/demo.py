"""`counterpoint demo`: a node is killed in the middle of its orders, and nothing is lost.

Each order is run twice: as a saga, and from service to service. Both have to end alike.
"""

import asyncio
import contextlib
import os
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.text import Text

from counterpoint.cli import demo_shop
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.flow_lines import flow_lines
from counterpoint.cli.options import JsonOption
from counterpoint.cli.output import console, say, say_json, show_parts
from counterpoint.cli.story import Surroundings, story
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.cli.times import duration, now
from counterpoint.errors import ExecutionNotFoundError
from counterpoint.model.states import LIVE, Status
from counterpoint.runtime.client import Client
from counterpoint.runtime.description import Description
from counterpoint.runtime.flow import Flow

APP = "counterpoint.cli.demo_shop:app"
NODE_APP = APP
ORDERS = 24
"""Each of them once as a saga and once as a flow of events."""
SAGA, FLOW = "order-", "flow-"
FLOW_ENDS = {
    "orders.OrderConfirmed": Status.COMPLETED,
    "orders.OrderRejected": Status.COMPENSATED,
}
KILL_AFTER_STEPS = 90
DEADLINE_SECONDS = 60
_POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the demonstration found."""

    steps_before: int
    """Steps that were recorded when the node was killed."""
    repeated: int
    """Recorded steps that ran again; must be 0."""
    interrupted: int
    """Effects that had happened and were not recorded yet, repeated under the same key."""
    outcomes: Mapping[str, int]
    """How many sagas and how many flows of events ended in each way."""
    wrong: tuple[str, ...]
    """Orders whose effects do not fit their outcome; must be empty."""
    different: tuple[str, ...] = ()
    """Orders that ended otherwise as a flow of events than as a saga; must be empty."""

    @property
    def good(self) -> bool:
        """Whether nothing was lost, nothing recorded was repeated, and both styles agree."""
        ended = sum(self.outcomes.values())
        return not (self.repeated or self.wrong or self.different) and ended == 2 * ORDERS


def demo(
    directory: Annotated[
        Path | None,
        typer.Option(
            "--directory",
            metavar="DIRECTORY",
            file_okay=False,
            show_default=False,
            help="Keep the store and the ledger in this new or empty directory, to look around.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run orders in both styles, kill their node with SIGKILL in the middle, and check the books.

    Each order is run as a saga, and again as a flow of events with no one in the middle. It takes
    a few seconds and one SQLite file in a temporary directory.

    Example: counterpoint demo --directory /tmp/shop
    """
    if directory is None:
        with tempfile.TemporaryDirectory(prefix="counterpoint-", ignore_cleanup_errors=True) as new:
            verdict = asyncio.run(_play(Path(new), as_json=as_json))
    else:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise CommandError(f"{directory} is not empty: name a new directory")
        verdict = asyncio.run(_play(directory, as_json=as_json))
        if not as_json:
            store = directory / "demo.db"
            say(f"look around: counterpoint list --store {store}")
    if not as_json:
        say("the full shop, with real orders, is in the repository: make demo")
    if not verdict.good:
        raise CommandError(
            "the books do not balance: that is a defect of Counterpoint", Exit.FAILED
        )


async def _play(directory: Path, *, as_json: bool) -> Verdict:
    play = _Play(directory, sys.stderr if as_json else sys.stdout)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            before, recorded, ledger_before = await play.until_the_kill()
            await play.the_rest()
            stories, flows = await play.stories()
    except TimeoutError:
        raise CommandError(f"not done after {DEADLINE_SECONDS} s", Exit.TIMEOUT) from None
    ledger = demo_shop.read_ledger(play.ledger)
    verdict = judge(before, recorded, ledger, ledger_before, stories, flows)
    if as_json:
        say_json(verdict)
    else:
        _tell(play, verdict, stories, flows, ledger)
    return verdict


class _Play:
    """The demonstration, act by act."""

    def __init__(self, directory: Path, file: TextIO) -> None:
        self.console = console(file)
        self.ledger = directory / "ledger.jsonl"
        self.log = directory / "node.log"
        self.target: Target = resolve(APP, str(directory / "demo.db"))

    async def until_the_kill(self) -> tuple[int, set[str], int]:
        """Return the steps recorded at the kill, their keys, and the effects that had happened."""
        async with self._node() as node, open_client(self.target) as client:
            self.console.print(f"node {node.pid} hosts orders, payments and inventory")
            for number in range(1, ORDERS + 1):
                await _submit(client, number)
            self.console.print(f"{ORDERS} orders started as sagas of four steps")
            self.console.print(
                f"{ORDERS} more are published: services react to each other's events"
            )
            while len(demo_shop.read_ledger(self.ledger)) < KILL_AFTER_STEPS:  # noqa: ASYNC110
                await asyncio.sleep(_POLL_SECONDS)  # another process writes it
            node.kill()
            await node.wait()
            recorded = await _recorded(client)
            counts = await client.counts()
            in_the_middle = sum(count for status, count in counts.items() if status in LIVE)
            in_the_middle += sum(flow_end(flow) is None for flow in await _flows(client))
            self.console.print(
                f"node {node.pid} killed with SIGKILL: {len(recorded)} steps are recorded, "
                f"{in_the_middle} orders are in the middle"
            )
            return len(recorded), recorded, len(demo_shop.read_ledger(self.ledger))

    async def the_rest(self) -> None:
        """Run a new node until nothing is left to do."""
        begun = now()
        async with self._node("--until-idle") as node:
            self.console.print(f"node {node.pid} goes on")
            if await node.wait() != 0:
                raise CommandError(f"the second node failed: {self._log_end()}", Exit.FAILED)
        self.console.print(f"all orders ended, {duration(now() - begun)} later")

    async def stories(self) -> tuple[list[Description], list[Flow]]:
        """Return what became of each saga, newest first, and of each flow of events."""
        async with open_client(self.target) as client:
            return await _descriptions(client), await _flows(client)

    @asynccontextmanager
    async def _node(self, *options: str) -> AsyncGenerator[Process, None]:
        with self.log.open("a") as log:
            node = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "counterpoint", "run", NODE_APP, "--json", *options),
                *("--store", str(self.target.app.store)),
                env={**os.environ, demo_shop.LEDGER: str(self.ledger)},
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=log,
            )
            try:
                if node.stdout is None or not await node.stdout.readline():
                    await node.wait()
                    raise CommandError(f"the node did not start: {self._log_end()}", Exit.FAILED)
                yield node
            finally:
                with contextlib.suppress(ProcessLookupError):
                    node.kill()
                await node.wait()

    def _log_end(self) -> str:
        return " ".join(self.log.read_text().splitlines()[-3:]) or "it said nothing"


async def _submit(client: Client, number: int) -> None:
    """Start an order as a saga, and publish the same one."""
    total, pieces = 120 if number % 5 == 0 else 10 + number, 5 if number % 7 == 0 else 1
    saga, flow = f"{SAGA}{number}", f"{FLOW}{number}"
    await client.start(demo_shop.place_order, saga, total, pieces, id=saga)
    await client.publish(
        demo_shop.OrderPlaced(order=flow, total=total, pieces=pieces), id=flow, correlation_id=flow
    )


async def _descriptions(client: Client) -> list[Description]:
    return [await client.execution(s.id).describe() async for s in client.executions()]


async def _flows(client: Client) -> list[Flow]:
    """Return the flows of events; one of which nothing is known yet has not begun."""
    flows: list[Flow] = []
    for number in range(1, ORDERS + 1):
        with contextlib.suppress(ExecutionNotFoundError):
            flows.append(await client.flow(f"{FLOW}{number}"))
    return flows


def flow_end(flow: Flow) -> Status | None:
    """Return how a saga would call the end of a flow; None while it has none."""
    ends = {FLOW_ENDS[event.type] for event in flow.events if event.type in FLOW_ENDS}
    return ends.pop() if len(ends) == 1 else None


async def _recorded(client: Client) -> set[str]:
    keys: set[str] = set()
    for description in await _descriptions(client):
        for call in description.calls:
            if call.settled_at is not None:
                keys.add(call.idempotency_key)
            if call.compensated_at is not None and call.compensation_key is not None:
                keys.add(call.compensation_key)
    for flow in await _flows(client):
        keys |= {reaction.id for reaction in flow.reactions if reaction.status == "completed"}
    return keys


def judge(
    steps_before: int,
    recorded: set[str],
    ledger: list[dict[str, Any]],
    effects_before: int,
    stories: list[Description],
    flows: list[Flow],
) -> Verdict:
    """Return whether the ledger, the journals and the events tell the same."""
    late = ledger[effects_before:]
    early = {entry["step"] for entry in ledger[:effects_before]}
    done: dict[str, set[str]] = {}
    for entry in ledger:
        done.setdefault(entry["order"], set()).add(entry["what"])
    sagas = {story.id: story.status for story in stories}
    ended = {flow.id: end for flow in flows if (end := flow_end(flow)) is not None}
    both = {**sagas, **ended}
    names = {Status.COMPLETED: "confirmed", Status.COMPENSATED: "rejected"}
    return Verdict(
        steps_before=steps_before,
        repeated=sum(entry["step"] in recorded for entry in late),
        interrupted=sum(entry["step"] in early - recorded for entry in late),
        outcomes=Counter([*(s.value for s in sagas.values()), *(names[e] for e in ended.values())]),
        wrong=tuple(id for id, end in both.items() if not fits(end, done.get(id, set()))),
        different=tuple(
            id for id, end in ended.items() if sagas.get(id.replace(FLOW, SAGA)) is not end
        ),
    )


def fits(status: Status, effects: set[str]) -> bool:
    """Whether the effects on one order are what its outcome promises."""
    if status is Status.COMPLETED:
        return effects == {"created", "charged", "reserved", "confirmed"}
    undone = {"created": "discarded", "charged": "refunded", "reserved": "released"}
    happened = effects & undone.keys()
    return (
        status is Status.COMPENSATED
        and "created" in happened
        and "confirmed" not in effects
        and effects == happened | {undone[what] for what in happened}
    )


def _tell(
    play: "_Play",
    verdict: Verdict,
    stories: list[Description],
    flows: list[Flow],
    ledger: list[dict[str, Any]],
) -> None:
    print_line = play.console.print
    outcomes = ", ".join(f"{count} {status}" for status, count in sorted(verdict.outcomes.items()))
    print_line(f"\n{outcomes}")
    print_line(
        f"{len({entry['key'] for entry in ledger})} effects in the ledger of the outside world"
    )
    print_line(f"{verdict.repeated} of the {verdict.steps_before} recorded steps ran again")
    print_line(
        f"{verdict.interrupted} steps were done but not recorded at the kill, and were done again "
        "under the same idempotency key"
    )
    books = "balance" if verdict.good else "DO NOT BALANCE"
    print_line(f"the books {books}\n")
    undone = [s for s in stories if s.status is Status.COMPENSATED]
    longest = max(undone or stories, key=lambda s: len(s.calls))
    show_parts(play.console, *story(longest, Surroundings(now())), Text())
    show_parts(play.console, *flow_lines(max(flows, key=lambda f: len(f.events)), now()), Text())
