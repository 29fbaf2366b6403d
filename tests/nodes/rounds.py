"""One round: a store, three nodes, a share of the shop's orders, trouble, and the judge."""

import asyncio
import os
import random
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from examples.shop import books
from examples.shop.app import open_shop
from examples.shop.forms import CHOREOGRAPHED, ORCHESTRATED
from tests.crash.processes import Child, ChildFailedError, Program, Say
from tests.crash.rounds import Result
from tests.nodes import judge, witness
from tests.nodes.attempts import read_attempts
from tests.nodes.cluster import Cluster, Member
from tests.nodes.evidence import Evidence
from tests.nodes.expected import choose_orders, outcomes
from tests.nodes.member import LAYOUTS, Setting, be_a_client, be_a_node, make_app
from tests.nodes.server import Server
from tests.nodes.stored import read_store, witness_of
from tests.nodes.troubles import COMMIT_STOPS, DEPLOY, Troubles

from counterpoint import Status

FORMS = {form.name: form for form in (ORCHESTRATED, CHOREOGRAPHED)}
TICK_SECONDS = 0.02
LOOK_EVERY_SECONDS = 0.5
SETTLED_WITHIN_SECONDS = 60.0
STUCK_AFTER_SECONDS = 90.0
"""How long no order may end while there is trouble."""
VIOLATIONS_KEPT = 12
SPARED = {"own": 2, "all": 1, "pairs": 1}
"""How many nodes are left alone: where each has a service of its own, no order ends without all."""
LOST = "AttemptsLostError"
HELPED = "the trouble is over"
OWN_SHARE = 4
"""One order of so many is submitted by a node, the others by a client."""


@dataclass(frozen=True)
class Plan:
    """What is chosen for a round."""

    number: int
    seed: int
    form: str
    layout: str
    trouble: str
    orders: int
    per_second: float
    lease: float

    @property
    def name(self) -> str:
        """What it is called."""
        return (
            f"round {self.number} of seed {self.seed}: {self.form}, {self.layout}, trouble with "
            f"{self.trouble}"
        )


@dataclass
class Round:
    """Runs a round and judges it; its evidence stays in a folder if anything is wrong."""

    plan: Plan
    server: Server
    folder: Path
    kept: bool = False
    before_load: Callable[["Round"], None] = lambda _: None
    """Plants a defect in the store, once it is there."""
    before_judging: Callable[["Round"], None] = lambda _: None
    """Plants a defect in what is judged."""
    result: Result = field(default_factory=lambda: Result(1))

    def __post_init__(self) -> None:
        plan = self.plan
        self.directory = self.folder / f"round-{plan.seed}-{plan.number}"
        self.schema = f"round_{plan.seed}_{plan.number}"
        self.dice = random.Random(f"{plan.seed}/{plan.number}")
        self.setting = Setting(
            self.directory,
            self.server.url(schema=self.schema, lease=plan.lease),
            FORMS[plan.form],
            slow=plan.trouble == DEPLOY,
        )
        self.orders = choose_orders(plan.orders)
        own = self.orders[::OWN_SHARE]
        hosts = LAYOUTS[plan.layout]
        self.work = {f"n{n}": own[n - 1 :: len(hosts)] for n in range(1, len(hosts) + 1)}
        members = [Member(f"n{n}", services) for n, services in enumerate(hosts, 1)]
        self.cluster = Cluster(members, self._node)
        self.client: Child | None = None
        self.restarts: list[tuple[str, int]] = []

    def run(self) -> Result:
        """Run it."""
        began = time.monotonic()
        try:
            self._run()
        except (ChildFailedError, TimeoutError) as error:
            self.violated(str(error))
        finally:
            self.cluster.abandon()
            if self.client is not None and self.client.status is None:
                self.client.kill()
        self.result.figures["seconds"] += round(time.monotonic() - began)
        self._put_away()
        return self.result

    def violated(self, what: str) -> None:
        """Take note of a broken promise."""
        self.result.violations.append(f"{self.plan.name}: {what}")

    def open(self) -> Mapping[str, int]:
        """Return what is still open in the store."""
        pids = [0 if member.child is None else member.pid for member in self.cluster.members]
        return witness.still_open(self.server, self.schema, orders=len(self.orders), pids=pids)

    def _run(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        prepare(self.setting, self.server, self.schema)
        self.before_load(self)
        self.cluster.begin()
        submitted = [order for n, order in enumerate(self.orders) if n % OWN_SHARE]
        self.client = Child(be_a_client(self.setting, submitted, self.plan.per_second))
        self._make_trouble()
        self._settle()
        self.cluster.end()
        self.client.finish()
        self.before_judging(self)
        self.judge()

    def _node(self, member: Member) -> Program:
        acknowledged = set(self.cluster.told("ack"))
        left = [one for one in self.work[member.name] if f"order-{one.id}" not in acknowledged]
        return be_a_node(self.setting, member.name, member.hosts, left)

    def _make_trouble(self) -> None:
        plan, figures = self.plan, self.result.figures
        troubles = Troubles(
            self.cluster,
            self.server,
            plan.trouble,
            plan.lease,
            SPARED[plan.layout],
            self.dice,
            figures,
            self._drain,
            self.restarts,
        )
        moved, left, look_at = time.monotonic(), len(self.orders), 0.0
        # The last tenth is for a quiet end: what is still open then is judged by itself.
        while left > len(self.orders) // 10:
            troubles.step()
            self._listen()
            time.sleep(TICK_SECONDS)
            if (now := time.monotonic()) < look_at:
                continue
            look_at = now + LOOK_EVERY_SECONDS
            still = self.open()
            found = still.get("orders that have not ended", 0)
            for_people = still.get("incidents", 0) + still.get("dead letters", 0)
            if found - for_people < left:
                left, moved = found - for_people, now
            elif now - moved > STUCK_AFTER_SECONDS:
                self.violated(f"nothing moves in the trouble: {dict(still)}")
                break
        troubles.mend()
        figures[COMMIT_STOPS] = sum(1 for _ in self.cluster.told("stops"))

    def _drain(self, member: Member) -> None:
        """Ask a member's node to hand over and stop, as `counterpoint drain` does."""

        async def ask() -> None:
            async with make_app(self.setting, "person").client() as client:
                alive = await client.nodes()
                (node,) = [one.incarnation for one in alive if one.pid == member.pid]
                await client.drain(node)

        asyncio.run(ask())

    def _settle(self) -> None:
        """Wait until all is over, with all nodes there and nothing done to them any more."""
        until = time.monotonic() + SETTLED_WITHIN_SECONDS + len(self.orders) / 50
        while still := self.open():
            if time.monotonic() > until:
                self.violated(f"this does not end: {dict(still)}")
                return
            self._listen()
            for member in self.cluster.members:
                if member.child is None:
                    self.cluster.start(member)
            if "letters" not in still:
                asyncio.run(self._help())
            time.sleep(LOOK_EVERY_SECONDS / 2)

    async def _help(self) -> None:
        """Do what a person does where a step, or a reaction, was lost three times in a row."""
        figures = self.result.figures
        async with make_app(self.setting, "person").client() as client:
            for summary in [one async for one in client.executions(status=Status.INCIDENT)]:
                figures["incidents that a person retried"] += 1
                await client.execution(summary.id).retry(reason=HELPED)
            for group in await client.dead_letter_groups():
                if group.cause.endswith(LOST):  # anything else is a violation in the end
                    figures["dead letters that a person redrove"] += await client.redrive_group(
                        group.reaction, group.cause, reason=HELPED
                    )

    def _listen(self) -> None:
        self.cluster.glance()
        assert self.client is not None
        if not self.client.closed:
            self.client.read(TICK_SECONDS / 10)
        self.client.check()

    def judge(self) -> None:
        """Compare what is left with what must be."""
        evidence = self.gather()
        for violation in judge.check(evidence):
            self.violated(violation)
        self.result.figures.update(judge.figures(evidence))
        self.result.figures["processes that ended by themselves"] += len(self.cluster.ended)

    def gather(self) -> Evidence:
        """Return the evidence."""
        assert self.client is not None
        told = (line.split() for line in self.cluster.told("ended"))
        return Evidence(
            read_store(self.server, self.schema),
            read_attempts(self.directory),
            books.check(self.directory),
            outcomes(self.orders),
            self.plan.form == ORCHESTRATED.name,
            {*self.cluster.told("ack"), *self.client.told("ack")},
            [(id, status) for id, status in told],
            self.cluster.killed,
            self.plan.trouble == DEPLOY,
            self.cluster.departures,
            errors_in(self.directory),
        )

    def _put_away(self) -> None:
        broken = self.result.violations
        if not broken and not self.kept:
            shutil.rmtree(self.directory, ignore_errors=True)
            witness.drop(self.server, self.schema)
            return
        self._write_story()
        self.server.dump([self.schema, witness_of(self.schema)], self.directory / "store.sql")
        shutil.copy(self.server.log, self.directory / "server.log")
        if len(broken) > VIOLATIONS_KEPT:
            left_out = len(broken) - VIOLATIONS_KEPT
            del broken[VIOLATIONS_KEPT:]
            self.violated(f"and {left_out} more")
        (self.violated if broken else print)(f"its files are in {self.directory}")

    def _write_story(self) -> None:
        """Write down what was done to the processes and what they said."""
        lines = [self.plan.name, *self.result.violations, ""]
        lines += [f"process {pid} was killed at {at}" for pid, at in self.cluster.killed.items()]
        lines += [
            f"process {pid} stood still from {begin} to {end}"
            for pid, begin, end in self.cluster.stops
        ]
        lines += [f"the server was restarted, {mode}, at {at}" for mode, at in self.restarts]
        lines += [f"ended by itself: {what}" for what in self.cluster.ended]
        lines += [
            f"{one.name}, process {one.pid}, ended {one.seconds:.2f} s after {one.how}"
            for one in self.cluster.departures
        ]
        for member in self.cluster.members:
            lines += [f"{member.name} said {line}" for line in member.lines]
        if self.client is not None:
            lines += [f"the client said {line}" for line in self.client.lines]
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "story.txt").write_text("\n".join(lines))


def errors_in(directory: Path) -> list[str]:
    """Return what nodes have logged as errors; see `member` for what their lines look like."""
    lines = [
        f"{path.stem}: {line}"
        for path in sorted(directory.glob("n*.log"))
        for line in path.read_text().splitlines()
    ]
    return [line for line in lines if line.split()[3:4] in (["ERROR"], ["CRITICAL"])]


def prepare(setting: Setting, server: Server, schema: str) -> None:
    """Make the shop's files and the store, and have the server write down who writes to it.

    A first node makes the subscriptions, so that no event comes before them.
    """
    os.environ["SHOP_DIR"] = str(setting.directory)
    setting.directory.mkdir(parents=True)
    open_shop()

    async def make(_: Say) -> None:
        async with make_app(setting, "maker"):
            pass

    Child(make).finish()
    witness.call_witness(server, schema)
