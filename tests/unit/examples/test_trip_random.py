"""Trips with random faults, crashes and people: each is kept or undone as a whole, or told."""

import random
from contextlib import suppress
from datetime import timedelta
from typing import Any, Literal, get_args

import pytest
from examples.trip import airline, hotel, payments
from examples.trip.app import COMPANIES, SERVICES, reopen
from examples.trip.books import check
from examples.trip.itinerary import Card, Decision, Leg, Trip
from examples.trip.process import PATIENCE, book_trip

from counterpoint import (
    Execution,
    ExecutionNotFoundError,
    ExecutionRefusedError,
    NodeStoppedError,
    NotDone,
    Status,
    StoreError,
)
from counterpoint.testing import Harness

SEEDS = 24
STEPS_MAX = 25
ID = "trip-1"
YES, NO = Decision(True, "Grace"), Decision(False, "Grace")
NAMES = sorted(
    name
    for service in SERVICES
    for activity in service.activities.values()
    for name in (activity.name, activity.undo.name if activity.undo is not None else None)
    if name is not None
)
Step = Literal[
    "wait", "wait long", "evict", "restart", "crash", "fail", "fail after", "hang", "delay",
    "yes", "no", "cancel", "cancel a leg", "retry", "put right", "terminate",
]  # fmt: skip
RARE = {"no", "cancel", "cancel a leg", "terminate"}
SURPRISES = (NodeStoppedError, StoreError, ExecutionRefusedError, ExecutionNotFoundError)


async def put_right(harness: Harness) -> None:
    """Do what a person does about each incident, truthfully."""
    for id in [one.id async for one in harness.app.executions(status=Status.INCIDENT)]:
        execution = harness.execution(id)
        for one in (await execution.describe()).incidents:
            if one.cause != "unknown-outcome":
                await execution.retry(actor="Linus")
                continue
            seen = payments.bank.look_up(ID)
            word: dict[str, Any] = {"error": NotDone()}
            if isinstance(seen, int):
                word = {"result": seen}
            elif seen == "declined":
                word = {"error": payments.PaymentDeclined(reason="seen on the screen")}
            await execution.resolve(one.call or 0, **word)
        await harness.settle()


async def take(step: Step, harness: Harness, dice: random.Random) -> None:
    """Let one thing happen."""
    execution, name = harness.execution(ID), dice.choice(NAMES)
    match step:
        case "wait":
            await harness.advance(seconds=dice.choice([0.05, 0.5, 2, 20]))
        case "wait long":
            await harness.advance(PATIENCE / 2)
        case "evict":
            await harness.evict()
        case "restart":
            await harness.restart()
        case "crash":
            harness.crash_at_commit(
                dice.randint(1, 4), when=dice.choice(["before", "after", "applied-but-failed"])
            )
        case "fail":
            error = dice.choice([ConnectionError("random"), NotDone(), TypeError("random")])
            harness.fail(name, error, times=dice.choice([1, 2, 12]))
        case "fail after":
            harness.fail(name, ConnectionError("random"), times=dice.choice([1, 2]), after=True)
        case "hang":
            harness.hang(name)
        case "delay":
            harness.delay(name, timedelta(seconds=dice.choice([0.1, 3])), times=2)
        case _:
            await ask(step, harness, execution)
    await harness.settle()


async def ask(step: Step, harness: Harness, execution: Execution[Any]) -> None:
    """Let a person do one thing."""
    match step:
        case "yes" | "no":
            await execution.signal("approval", YES if step == "yes" else NO)
        case "cancel":
            await execution.cancel(actor="Linus")
        case "cancel a leg":
            await harness.execution(f"{ID}/4").cancel(actor="Linus")
        case "retry":
            await execution.retry(actor="Linus")
        case "terminate":
            await execution.terminate(actor="Linus")
        case _:
            await put_right(harness)


async def finish(harness: Harness, trip: Trip) -> Status:
    """Take every fault back, and do what is asked until the trip has ended."""
    harness.store.heal()
    harness.restore()
    airline.company.machine_works = True
    await harness.restart()
    execution = await harness.start(book_trip, trip, PATIENCE, id=ID)
    for _ in range(60):
        told = await execution.describe()
        if not told.status.live:
            break
        with suppress(ExecutionRefusedError):  # it went on by itself meanwhile
            if "approval" in told.awaited_signals:
                await execution.signal("approval", YES)
            await put_right(harness)
        await harness.advance(minutes=2)
    await harness.advance(hours=1)
    return (await execution.describe()).status


async def left_by(execution: Execution[Any]) -> set[str]:
    """Return the services whose calls a terminated execution, or its children, name as left."""
    told = await execution.describe()
    found: set[str] = set()
    for call in told.calls:
        if call.call in told.left:
            found.add(call.name.partition(".")[0])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_trip_ends_as_a_whole_whatever_happens(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(hotel, "SECONDS", 0)
    reopen()
    hotel.company.stock["room at Ritz"] = dice.choice([0, 1, 1, 1])
    airline.company.stock["seat back"] = dice.choice([0, 1, 1, 1])
    airline.company.machine_works = dice.random() < 0.8
    legs = (Leg("out"), Leg("back", bags=0))
    trip = Trip(ID, "Ada", "Lisbon", legs, "Ritz", "van", 84_000, dice.choice(list(Card)))
    async with Harness(services=SERVICES, seed=seed) as harness:
        for _ in range(dice.randint(3, STEPS_MAX)):
            step: Step = dice.choice(get_args(Step))
            if step in RARE and dice.random() < 0.7:
                continue
            try:
                await harness.app.start(book_trip, trip, PATIENCE, id=ID)
                await take(step, harness, dice)
            except SURPRISES:
                await harness.restart()
        status = await finish(harness, trip)
        live = [one async for one in harness.app.executions() if one.status.live]
        left = await left_by(harness.execution(ID))

    assert live == []
    assert len([one for one in payments.bank.statement if one.cents > 0]) <= 1
    if status is Status.TERMINATED:
        held = {company.name for company in COMPANIES if company.kept(ID)}
        held |= {"payments"} if payments.bank.balance(ID) else set()
        assert held <= left
    else:
        assert check({trip: status}) == []
    reopen()
