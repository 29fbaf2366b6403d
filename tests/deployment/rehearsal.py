"""The rehearsal: what is deployed, what customers do, what a person types, and what must hold."""

import asyncio
import csv
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deployment import books, first, fixed, journals
from tests.deployment.books import Books
from tests.deployment.commands import Shell, wait_until
from tests.deployment.journals import Journals

from counterpoint import App
from counterpoint.model.states import Cause, Status

WAITS = ("approval", "pause", "warehouse")
NEW_ORDERS = 10
VIOLATIONS_KEPT = 5
"""Of one kind; many of them tell no more."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer ordered, and what the order waits for half-way."""

    id: str
    cents: int
    waits_for: str


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the table at the end."""

    what: str
    seconds: float | None
    figure: str


class Rehearsal:
    """Runs the rehearsal once, in a folder of its own."""

    def __init__(self, directory: Path, sagas: int, unknown: int) -> None:
        self.directory = directory
        self.shell = Shell(directory)
        self.orders = [
            Order(f"order-{n}", 100 + n, WAITS[n % len(WAITS)]) for n in range(1, sagas + 1)
        ]
        self.new = [Order(f"new-{n}", 100 + n, "warehouse") for n in range(1, NEW_ORDERS + 1)]
        chosen = random.Random(f"{sagas}/{unknown}").sample(self.orders, unknown)
        self.lost = sorted(order.id for order in chosen)
        self.not_done: set[str] = set()
        """Orders of which the person found no charge in the provider's books."""
        self.pause_seconds = 5 + sagas * 0.02
        self.patience_seconds = 60 + sagas * 0.2
        self.steps: list[Step] = []
        self.violations: list[str] = []
        self._snapshots: list[tuple[str, Journals]] = []

    def run(self) -> None:
        """Rehearse, into `steps` and `violations`.

        Raises:
            RehearsalError: a process failed, or something did not come in time.
        """
        books.make(self.directory)
        (self.directory / books.CLOSED).touch()
        self._begin()
        self._deploy_badly()
        self._deploy_the_fix()
        self._check_end()

    # ---- the phases ---------------------------------------------------------------------------

    def _begin(self) -> None:
        count = len(self.orders)
        with self.shell.node("first"), self._timed("orders under way", f"{count:,}"):
            asyncio.run(self._start(self.orders))
            self._until("all have booked", "parcels.book", count)
        self._expect({Status.RUNNING: count}, "after the first deployment")
        self._look("the first deployment")

    def _deploy_badly(self) -> None:
        calls = len(books.read(self.directory).calls)
        with self.shell.node("broken"):
            with self._timed("bad deployment: all are incidents", f"{len(self.orders):,}"):
                asyncio.run(self._approve())
                self._until_statuses({Status.INCIDENT: len(self.orders)})
            listed = self._listed("status=incident")
            self._check("listed as incidents", set(listed) ^ {one.id for one in self.orders})
            self.shell.run("list", "--status", "incident", "--limit", "3")
            self.shell.run("show", self.orders[0].id)
        before = self._snapshots[-1][1]
        after = self._look("the bad deployment")
        called = books.read(self.directory).calls[calls:]
        self._check("calls of services by the bad code", [f"{n} of {o}" for n, o, _ in called])
        self._check("decisions by the bad code", journals.decided(before, after))
        other = [
            id
            for id, one in after.items()
            if [incident.cause for incident in journals.incidents(one)] != [Cause.NON_DETERMINISM]
        ]
        self._check("executions with another incident", other)

    def _deploy_the_fix(self) -> None:
        plans = [(id, n % 5 < 2, n % 5 == 4) for n, id in enumerate(self.lost)]
        books.plan_lost_answers(self.directory, plans)
        (self.directory / books.CLOSED).unlink()
        good = len(self.orders) - len(self.lost)
        with self.shell.node("fixed"):
            with self._timed("fix deployed: all go on by themselves", f"{good:,} completed"):
                self._until_statuses({Status.COMPLETED: good, Status.INCIDENT: len(self.lost)})
            self._check("retries by a person", journals.asked_for(journals.read(self.directory)))
            with self._timed("new orders, in the new order of calls", f"{len(self.new)}"):
                asyncio.run(self._start(self.new))
                self._until("new orders are sent", "parcels.send", good + len(self.new))
            self._look("the fix")
            with self._timed("unknown payments answered", f"{len(self.lost)}"):
                self._answer()
                self._until_statuses({Status.INCIDENT: 0, Status.RUNNING: 0})
                self._until_statuses({Status.COMPENSATING: 0})
        self._look("the answers")

    def _answer(self) -> None:
        """Do what a person does: list, look at each, look into the provider's books, answer."""
        listed = self._listed("incident=unknown-outcome")
        self._check("listed as unknown payments", set(listed) ^ set(self.lost))
        self.shell.run("list", "--where", "incident=unknown-outcome", "--limit", "3")
        self.shell.run("show", listed[0])
        rows: list[dict[str, str]] = []
        for place, id in enumerate(listed):
            answer = self._look_up(id)
            if place % 2:
                rows.append({"id": id, **answer})
                continue
            call = answer["call"]
            reason = answer["reason"]
            self.shell.run("resolve", id, call, *_options(answer), "--reason", reason)
        if not rows:
            return
        path = self.directory / "answers.csv"
        with path.open("w", newline="") as file:
            columns = ["id", "call", "outcome", "result", "error", "facts", "reason"]
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        self.shell.run("resolve", "--from", str(path))
        self.shell.run("resolve", "--from", str(path), "--yes")

    def _look_up(self, id: str) -> dict[str, str]:
        """Return what the provider's books say of an unknown payment, as a row of a file."""
        shown: dict[str, Any] = json.loads(self.shell.run("show", id, "--json"))
        (incident,) = shown["incidents"]
        call = next(one for one in shown["calls"] if one["call"] == incident["call"])
        provider = books.read(self.directory)
        found = provider.charge(call["idempotency_key"])
        answer = {"call": str(call["call"])}
        if found is not None:
            receipt = json.dumps({"number": found.number, "cents": found.cents})
            return {**answer, "result": receipt, "reason": "charged, say the books"}
        if id in provider.expired:
            facts = json.dumps({"month": "2026-10"})
            error = {"error": "payments.CardExpired", "facts": facts}
            return {**answer, **error, "reason": "the card has expired"}
        self.not_done.add(id)
        return {**answer, "outcome": "not-done", "reason": "not in the books"}

    # ---- what must hold at the end ------------------------------------------------------------

    def _check_end(self) -> None:
        for (earlier, before), (later, after) in zip(
            self._snapshots, self._snapshots[1:], strict=False
        ):
            self._check(
                f"journals damaged between {earlier} and {later}", journals.damaged(before, after)
            )
        last = self._snapshots[-1][1]
        self._check("executions that have not ended", _live(last))
        found = books.read(self.directory)
        self._check(
            "books that do not balance", _unbalanced([*self.orders, *self.new], last, found)
        )
        self._check("calls repeated", _repeated(found, self.not_done))
        self._step(
            "journal rows written, none damaged", sum(len(one.rows) for one in last.values())
        )
        charged = sum(one.cents for one in found.effects if one.name == "payments.charge")
        sold = sum(one.cents for one in (*self.orders, *self.new) if _completed(last, one.id))
        self._step("cents charged, cents sold", f"{charged:,} {sold:,}")
        if charged != sold:
            self.violations.append(f"{charged:,} cents are charged, and {sold:,} are sold")
        counts = journals.statuses(self.directory)
        for status, count in sorted(counts.items()):
            self._step(f"  {status}", f"{count:,}")

    # ---- inside -------------------------------------------------------------------------------

    async def _start(self, orders: Sequence[Order]) -> None:
        async with self._client(fixed.app if orders is self.new else first.app) as client:
            place = fixed.place_order if orders is self.new else first.place_order
            for one in orders:
                await client.start(
                    place, one.id, one.cents, one.waits_for, self.pause_seconds, id=one.id
                )

    async def _approve(self) -> None:
        async with self._client(first.app) as client:
            for one in self.orders:
                if one.waits_for == "approval":
                    await client.execution(one.id).signal("approved", True)

    def _client(self, app: App) -> Any:
        app.store = self.shell.environment()["COUNTERPOINT_STORE"]
        return app.client()

    def _listed(self, where: str) -> list[str]:
        many = str(10 * len(self.orders))
        text = self.shell.run("list", "--where", where, "--limit", many, "--json")
        return [json.loads(line)["id"] for line in text.splitlines()]

    def _until(self, what: str, name: str, count: int) -> None:
        wait_until(
            self.shell,
            what,
            lambda: books.count(self.directory, name) >= count,
            self.patience_seconds,
        )

    def _until_statuses(self, wanted: dict[Status, int]) -> None:
        def are_so() -> bool:
            counts = journals.statuses(self.directory)
            return all(counts[status] == count for status, count in wanted.items())

        words = ", ".join(f"{count} {status}" for status, count in wanted.items())
        wait_until(self.shell, words, are_so, self.patience_seconds)

    def _expect(self, wanted: dict[Status, int], when: str) -> None:
        counts = journals.statuses(self.directory)
        if counts != wanted:
            self.violations.append(f"{when}: {dict(counts)}")

    def _look(self, after: str) -> Journals:
        found = journals.read(self.directory)
        self._snapshots.append((after, found))
        return found

    def _check(self, what: str, wrong: Sequence[str] | set[str]) -> None:
        if wrong:
            named = ", ".join(sorted(wrong)[:VIOLATIONS_KEPT])
            self.violations.append(f"{what}: {len(wrong):,}: {named}")

    @contextmanager
    def _timed(self, what: str, figure: str) -> Generator[None, None, None]:
        began = time.monotonic()
        yield
        self.steps.append(Step(what, time.monotonic() - began, figure))

    def _step(self, what: str, figure: object) -> None:
        self.steps.append(
            Step(what, None, f"{figure:,}" if isinstance(figure, int) else f"{figure}")
        )

    def discard(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.directory)


def _options(answer: dict[str, str]) -> list[str]:
    if "outcome" in answer:
        return ["--not-done"]
    return [
        word
        for name in ("result", "error", "facts")
        if name in answer
        for word in (f"--{name}", answer[name])
    ]


def _live(last: Journals) -> list[str]:
    return [f"{id} is {one.status}" for id, one in last.items() if Status(one.status).live]


def _completed(last: Journals, id: str) -> bool:
    return last[id].status == Status.COMPLETED


def _unbalanced(orders: Sequence[Order], last: Journals, found: Books) -> list[str]:
    """Return the orders whose effects are neither all there nor all undone, or that paid wrong."""
    wrong: list[str] = []
    effects = found.of_orders()
    charges = {one.order: one for one in found.effects if one.name == "payments.charge"}
    for order in orders:
        had = effects[order.id]
        kept = {"stock.reserve": 1, "parcels.book": 1}
        undone = {**kept, "stock.release": 1, "parcels.unbook": 1}
        sold = {**kept, "payments.charge": 1, "parcels.send": 1}
        if not _completed(last, order.id):
            if order.id not in found.expired or had != undone:
                wrong.append(f"{order.id} is {last[order.id].status} with {had}")
        elif had != sold or charges[order.id].cents != order.cents:
            wrong.append(f"{order.id} is completed with {had}")
        elif journals.result_of(last[order.id]) != str(charges[order.id].number):
            wrong.append(f"{order.id} has another receipt")
    return wrong


def _repeated(found: Books, not_done: set[str]) -> list[str]:
    """Return the calls that were made again although nobody had asked for it."""
    tries = Counter((name, order) for name, order, _ in found.calls)
    return [
        f"{name} of {order}, {count} times"
        for (name, order), count in tries.items()
        if count > 1 + (name == "payments.charge" and order in not_done)
        and name != "stock.confirm"  # tried until the warehouse opens
    ]
