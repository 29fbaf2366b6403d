"""What the runner and the workers of rivals say to each other, and how a worker counts."""

import asyncio
import sys
import threading
from pathlib import Path

import pytest
from benchmarks.rivals.conversation import Worker, WorkerError
from benchmarks.rivals.workers.protocol import Request, Undone, measure, percentile_ms

MANY_SECONDS = 60.0

PROGRAM = """
from benchmarks.rivals.workers.protocol import serve, work

async def run(order_id, twin):
    print("a rival prints", order_id)
    if twin:
        raise ValueError("out of stock")

async def main(settings):
    await serve(run, version=settings["version"])

work(main)
"""


def request(sagas: int, in_flight: int = 1, *, twin: bool = False, patience: float = 5) -> Request:
    return Request("order", twin, in_flight, MANY_SECONDS, sagas, patience)


async def test_every_saga_is_run_once_with_an_id_of_its_own() -> None:
    ran: list[tuple[str, bool]] = []

    async def run(order_id: str, twin: bool) -> None:
        ran.append((order_id, twin))

    reply = await measure(run, request(3, in_flight=2, twin=True))

    assert ran == [(f"order-000000{number}", True) for number in range(3)]
    assert (reply.done, reply.errors, reply.unfinished) == (3, {}, 0)


async def test_as_many_are_in_flight_as_were_asked_for() -> None:
    everybody = asyncio.Barrier(4)

    async def run(order_id: str, twin: bool) -> None:
        await everybody.wait()

    reply = await asyncio.wait_for(measure(run, request(8, in_flight=4)), 60)

    assert reply.done == 8


async def test_a_saga_that_raises_is_counted_by_what_it_raised_and_is_not_done() -> None:
    async def run(order_id: str, twin: bool) -> None:
        if order_id.endswith("1"):
            raise ValueError("lost\nand more")

    reply = await measure(run, request(3))

    assert (reply.done, reply.errors) == (2, {"ValueError: lost": 1})


async def test_a_saga_that_does_not_end_is_given_up_and_counted() -> None:
    async def run(order_id: str, twin: bool) -> None:
        if order_id.endswith("0"):
            await asyncio.Event().wait()

    wanted = Request("order", False, 2, 0.0, 2, 0.05)
    reply = await measure(run, wanted)

    assert (reply.done, reply.unfinished) == (1, 1)


async def test_no_more_sagas_are_started_when_the_time_is_over() -> None:
    async def run(order_id: str, twin: bool) -> None:
        pass

    reply = await measure(run, Request("order", False, 3, 0.0, 1_000, 5.0))

    assert reply.done == 3


def test_percentiles_of_nothing_are_unknown() -> None:
    assert percentile_ms([], 99) is None
    assert percentile_ms([0.001, 0.002, 0.003], 50) == 2.0
    assert percentile_ms([0.001, 0.002, 0.003], 99) == 3.0


@pytest.mark.parametrize(
    ("twin", "names"),
    [(True, []), (True, ["void"]), (True, ["discard", "void"]), (False, ["void", "discard"])],
)
def test_a_saga_that_was_undone_otherwise_than_it_should_is_an_error(
    twin: bool, names: list[str]
) -> None:
    undone = Undone()
    for name in names:
        undone.note("order-1", name)

    with pytest.raises(AssertionError, match="compensations that ran"):
        undone.check("order-1", twin)


def test_a_twin_that_was_undone_newest_first_is_fine() -> None:
    undone = Undone()
    undone.note("order-1", "void")
    undone.note("order-1", "discard")

    undone.check("order-1", twin=True)
    undone.check("order-2", twin=False)


def test_a_worker_answers_whatever_the_rival_prints(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, '{"version": "1.0"}']

    with Worker(command, tmp_path / "worker.log") as worker:
        facts = worker.facts()
        saga, twin = worker.ask(request(5)), worker.ask(request(2, twin=True))

    assert facts["version"] == "1.0"
    assert facts["python"].startswith("3.")
    assert (saga.done, saga.errors) == (5, {})
    assert (twin.done, twin.errors) == (0, {"ValueError: out of stock": 2})
    assert "a rival prints" in (tmp_path / "worker.log").read_text()


def test_a_worker_that_ends_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such database')"]

    with (
        Worker(command, tmp_path / "worker.log") as worker,
        pytest.raises(WorkerError, match="worker ended: no such database"),
    ):
        worker.facts()


def test_a_worker_is_gone_when_its_block_ends(tmp_path: Path) -> None:
    others = set(threading.enumerate())  # nodes of earlier tests may leave some that end now

    with Worker([sys.executable, "-c", PROGRAM, '{"version": "1"}'], tmp_path / "log") as worker:
        worker.facts()
        (reader,) = set(threading.enumerate()) - others

    assert not reader.is_alive()
