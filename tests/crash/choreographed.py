"""Rounds without an orchestrator: events from a node and a client, and those who react to them."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

from tests.crash import judge, order
from tests.crash.evidence import Evidence, Seen
from tests.crash.flow import REMOVABLE, ledger, make_app
from tests.crash.hosting import AGAIN_AFTER_SECONDS, insist, until_over
from tests.crash.kills import Kills
from tests.crash.ledger import read_ledger
from tests.crash.people import Person
from tests.crash.plan import Batch, make_plan
from tests.crash.processes import Child, Program, Say
from tests.crash.rounds import Round, Trouble
from tests.crash.stored import read_events

from counterpoint import App, NodeStoppedError, Status, StoreError
from counterpoint.model.rows import Commit, MailRow
from counterpoint.runtime.client import Client
from counterpoint.runtime.messaging import dispatcher, messaging, queues, streams

IN_FLIGHT = 16
LOAD_SECONDS = 0.35
IDLE_WITHIN_SECONDS = 30.0
PAUSE_SECONDS_MAX = 0.008
LOOKS_MAX = 20
"""How often somebody looks for dead letters at the end: some die again."""


class ChoreographedRound(Round):
    """Publishes orders and visits, and judges what became of them."""

    style = "choreographed"
    load_seconds = LOAD_SECONDS

    def __init__(
        self, seed: int, number: int, trouble: type[Trouble] = Kills, *, kept: bool = False
    ) -> None:
        super().__init__(seed, number, trouble, kept=kept)
        self.plan = make_plan(self.dice)
        share = self.dice.random()
        self.own = [batch for batch in self.plan if self.dice.random() < share]
        """What nodes publish; a client publishes the rest."""
        self.removes = self.dice.random() < 1 / 3
        """Whether some nodes do not have one of the reactions."""
        self.tight = self.dice.random() < 1 / 2
        """Whether nodes have little room in memory, and write positions often."""
        self.acknowledged: dict[int, tuple[str, ...]] = {}
        self.tried: set[int] = set()
        self.seen: list[Seen] = []

    def node(self) -> Program:
        without = self.removes and self.dice.random() < 1 / 2
        batches = self._left(self.own)
        return host(self.directory, self.name, batches, tight=self.tight, without=without)

    def client(self) -> Program | None:
        batches = [batch for batch in self.plan if batch not in self.own]
        return be_a_client(self.directory, self.name, self._left(batches))

    def last_node(self) -> Program:
        batches = self._left(self.own)
        return host_until_idle(self.directory, self.name, batches, tight=self.tight)

    def _left(self, batches: Sequence[Batch]) -> list[Batch]:
        """Return what the next process publishes: nothing twice that has no id of its own."""
        return [b for b in batches if b.id is not None or b.number not in self.tried]

    def heard(self, child: Child) -> None:
        self.tried.update(int(number) for number in child.told("try"))
        for line in child.told("ack"):
            number, ids = line.split()
            self.acknowledged[int(number)] = tuple(ids.split(","))

    def look(self, after: str) -> None:
        evidence = self._evidence()
        for violation in judge.check_restart(evidence, self.seen):
            self.violated(f"after {after}: {violation}")
        self.seen.append(Seen.of(evidence))
        figures = self.result.figures
        figures["reactions under way or waiting at a kill"] += order.under_way(evidence)
        figures["events not taken by everybody at a kill"] += order.not_taken(evidence)

    def check_end(self) -> None:
        evidence = self._evidence()
        for violation in judge.check_end(evidence, self.seen):
            self.violated(violation)
        for name, count in judge.figures(evidence).items():
            self.result.figures[name] += count

    def _evidence(self) -> Evidence:
        return Evidence(
            read_events(self.directory),
            read_ledger(self.directory),
            self.plan,
            self.acknowledged,
            self.tried,
            self.name,
            [batch.number for batch in self.plan if batch not in self.own],
        )


def tighten() -> None:
    """Give this process little room for events, and have it write positions all the time."""
    for module in (queues, dispatcher):
        vars(module)["QUEUE_MAX"] = 3
    for module in (dispatcher, messaging):
        vars(module)["PENDING_MAX"] = 24
    vars(messaging)["WRITE_EVERY"] = 4
    vars(streams)["PAGE"] = 5


def hurry() -> None:
    """Have this process write positions often enough for a life of half a second."""
    vars(messaging)["WRITE_AFTER"] = 30_000


def host(
    directory: Path, seed: str, batches: Sequence[Batch], *, tight: bool, without: bool
) -> Program:
    """Be a node that publishes events, until SIGTERM."""

    async def program(say: Say) -> None:
        over = until_over(say)
        hurry()
        if tight:
            tighten()
        app = make_app(directory, seed)
        if without:
            del app.registry.reactions[REMOVABLE]
        async with app:
            say("ready")
            publishing = asyncio.create_task(publish_all(app, batches, say))
            await over(app.node)
            say("stopping")
            publishing.cancel()
        say("stopped")

    return program


def host_until_idle(
    directory: Path, seed: str, batches: Sequence[Batch], *, tight: bool
) -> Program:
    """Be a node that publishes events and has its dead letters looked after until all is done."""

    async def program(say: Say) -> None:
        hurry()
        if tight:
            tighten()
        async with make_app(directory, seed) as app:
            await publish_all(app, batches, say)
            await finish(app)

    return program


async def finish(app: App) -> None:
    """Wait until nothing is left to do, redriving and discarding what is dead."""
    person = Person(app.node.store, app.codec, ledger(), app.node.post)
    for _ in range(LOOKS_MAX):
        try:
            await app.idle(timeout=IDLE_WITHIN_SECONDS)
        except TimeoutError as error:
            for attempt in app.node.activities.running:
                error.add_note(f"{attempt.owner.id}, attempt {attempt.number}, still runs")
            raise
        acted = await person.look_after_letters()
        for summary in [s async for s in app.executions(status=Status.INCIDENT)]:
            acted += 1
            await app.execution(summary.id).retry(reason="the crashes are over")
        if not acted:
            return


def be_a_client(directory: Path, seed: str, batches: Sequence[Batch]) -> Program:
    """Be a client that publishes at an uneven pace and looks after dead letters."""

    async def program(say: Say) -> None:
        dice = random.Random(seed)
        app = make_app(directory, seed)
        async with app.client() as client:
            store = client._access().store

            async def post(row: MailRow) -> None:
                await insist(lambda: store.commit(Commit(mail=[row])), say)

            person = Person(store, app.codec, ledger(), post)
            for batch in batches:
                await publish(client, batch, say)
                await asyncio.sleep(dice.uniform(0, PAUSE_SECONDS_MAX))
                what = dice.random()
                if what < 0.15:
                    await person.look_after_letters()
                elif what < 0.19 and (last := await store.last_position()):
                    await person.replay(dice.randrange(9), last, publish=dice.random() < 1 / 2)

    return program


async def publish_all(app: App, batches: Sequence[Batch], say: Say) -> None:
    """Publish batches, some at a time."""
    places = asyncio.Semaphore(IN_FLIGHT)

    async def one(batch: Batch) -> None:
        async with places:
            await publish(app, batch, say)

    await asyncio.gather(*(one(batch) for batch in batches))


async def publish(client: Client, batch: Batch, say: Say) -> None:
    """Publish a batch, and say so before and after.

    After a refusal nobody knows whether it is published; with an id of its own it is tried again.
    """
    say(f"try {batch.number}")
    try:
        ids = await client.publish(*batch.events, id=batch.id)
    except (StoreError, NodeStoppedError) as error:
        say(f"refused {error}")
        if batch.id is None:
            await asyncio.sleep(AGAIN_AFTER_SECONDS)
            return
        ids = await insist(lambda: client.publish(*batch.events, id=batch.id), say)
    say(f"ack {batch.number} {','.join(ids)}")
