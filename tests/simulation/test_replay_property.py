"""Random workflows, random outcomes, in random order: what a replay has to agree with.

`COUNTERPOINT_SIMULATION=N` runs N programs a property instead of a few seconds' worth.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.kernel import driving
from tests.unit.kernel.driving import Driver

from counterpoint import BusinessError, Service, workflow
from counterpoint.kernel import attempts
from counterpoint.model import records as r
from counterpoint.model.policies import Retry, StepPolicy
from counterpoint.model.states import Status

PROGRAMS = int(os.environ.get("COUNTERPOINT_SIMULATION", "60"))
STEPS_MAX = 120
Program: TypeAlias = list[Any]

pytestmark = pytest.mark.filterwarnings(  # what `finally` makes at eviction and cannot run
    "ignore:coroutine 'interpret' was never awaited:RuntimeWarning",
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning",
)
profile = settings(
    max_examples=PROGRAMS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    print_blob=True,
)
service = Service("shop")


class Declined(BusinessError):
    n: int


@service.activity
async def plain(n: int) -> int:
    return n


@service.activity
async def undoable(n: int) -> int:
    return n


@undoable.compensation
async def undo(n: int, result: int | None) -> None: ...


class Stop(Exception):
    """Raised by the program itself."""


# ---- programs ---------------------------------------------------------------------------------


async def interpret(node: Program, said: list[str]) -> str:
    """Run one node of a program."""
    kind, *parts = node
    answer = await _NODES[kind](said, *parts)
    said.append(f"{kind} {answer}")
    return str(answer)


async def _act(said: list[str], n: int) -> object:
    return await plain(n)


async def _undoable(said: list[str], n: int) -> object:
    return await undoable(n)


async def _sleep(said: list[str], seconds: int) -> object:
    await asyncio.sleep(seconds)
    return workflow.now()


async def _signal(said: list[str], name: str, timeout: int | None) -> object:
    return await workflow.signal(name, int, timeout=timeout)


async def _stop(said: list[str]) -> object:
    raise Stop


async def _chance(said: list[str]) -> object:
    return f"{workflow.uuid4()} {workflow.random().random()}"


async def _sequence(said: list[str], parts: list[Program]) -> object:
    return [await interpret(part, said) for part in parts]


async def _gather(said: list[str], tolerant: bool, parts: list[Program]) -> object:
    runs = [interpret(part, said) for part in parts]
    results = await asyncio.gather(*runs, return_exceptions=tolerant)
    return [type(x).__name__ if isinstance(x, BaseException) else x for x in results]


async def _group(said: list[str], parts: list[Program]) -> object:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(interpret(part, said)) for part in parts]
    return [task.result() for task in tasks]


async def _first(said: list[str], parts: list[Program]) -> object:
    tasks = {asyncio.ensure_future(interpret(part, said)) for part in parts}
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    names = [type(t.exception()).__name__ for t in done if not t.cancelled()]
    return [names, len(pending)]


async def _timeout(said: list[str], seconds: int, part: Program) -> object:
    async with asyncio.timeout(seconds):
        return await interpret(part, said)


async def _attempt(said: list[str], part: Program, other: Program) -> object:
    try:
        return await interpret(part, said)
    except* Exception as errors:  # noqa: BLE001 - what users write
        names = sorted(type(error).__name__ for error in errors.exceptions)
        said.append(f"caught {names}")
    return await interpret(other, said)


async def _finally(said: list[str], part: Program, other: Program) -> object:
    try:
        return await interpret(part, said)
    finally:
        await interpret(other, said)


async def _shield(said: list[str], seconds: int, part: Program) -> object:
    task = asyncio.ensure_future(interpret(part, said))
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.shield(task)
    except TimeoutError:
        return await task


_NODES: dict[str, Callable[..., Any]] = {
    "act": _act,
    "undoable": _undoable,
    "sleep": _sleep,
    "signal": _signal,
    "stop": _stop,
    "chance": _chance,
    "sequence": _sequence,
    "gather": _gather,
    "group": _group,
    "first": _first,
    "timeout": _timeout,
    "try": _attempt,
    "finally": _finally,
    "shield": _shield,
}

numbers = st.integers(0, 9)
seconds = st.integers(1, 9)
leaves = st.one_of(
    st.tuples(st.just("act"), numbers),
    st.tuples(st.just("undoable"), numbers),
    st.tuples(st.just("undoable"), numbers),
    st.tuples(st.just("sleep"), seconds),
    st.tuples(st.just("signal"), st.sampled_from("ab"), st.none() | seconds),
    st.just(("chance",)),
    st.just(("stop",)),
)


def inner(nodes: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(nodes, min_size=1, max_size=4)
    return st.one_of(
        st.tuples(st.just("sequence"), some),
        st.tuples(st.just("gather"), st.booleans(), some),
        st.tuples(st.just("group"), some),
        st.tuples(st.just("first"), some),
        st.tuples(st.just("timeout"), seconds, nodes),
        st.tuples(st.just("try"), nodes, nodes),
        st.tuples(st.just("finally"), nodes, nodes),
        st.tuples(st.just("shield"), seconds, nodes),
    )


programs = st.recursive(leaves, inner, max_leaves=12)
choices = st.lists(st.integers(0, 999), max_size=60)


async def run_program(program: list[Any]) -> list[str]:
    said: list[str] = []
    await interpret(program, said)
    return said


decorate_workflow: Any = service.workflow(name="shop.workflow")
decorate_saga: Any = service.saga(name="shop.saga")
as_workflow = decorate_workflow(run_program)
as_saga = decorate_saga(run_program)


# ---- a node without a store -------------------------------------------------------------------


def live(program: Program, dice: Sequence[int], *, saga: bool) -> Driver:
    """Run a program to its end, or until nothing but signals would move it; *dice* choose how."""
    driver = Driver(service, as_saga if saga else as_workflow).start(program)
    rolls = iter(dice)
    for _ in range(STEPS_MAX):
        if not driver.status.live:
            break
        roll = next(rolls, None)
        driver.hold = roll is not None and roll % 5 == 0
        move(driver, roll)
    driver.hold = False
    driver.commit()
    return driver


def move(driver: Driver, roll: int | None) -> None:
    """Apply one input: the one that the dice say, or one that leads to the end."""
    state = driver.state
    running = [n for n, step in state.open_steps.items() if step.retry_at is None]
    moves: list[Callable[[], object]] = []
    for step in running:
        moves += [lambda s=step: succeed(driver, s)] * 2  # type: ignore[misc]
        moves += outcomes(driver, step) if roll is not None else []
    wake = state.next_wake()
    if wake is not None:
        moves.append(lambda: driver.advance(max(0, wake - driver.now) / driving.SECOND))
    if roll is not None:
        moves += [lambda: driver.signal("a", roll), lambda: driver.signal("b", roll)]
        moves += [driver.cancel] if roll % 7 == 0 and not state.cancel_requested else []
    elif not moves:
        names = [*state.waits.values(), "a"]
        moves.append(lambda: driver.signal(names[0], 1))
    moves[(roll or 0) % len(moves)]()


def outcomes(driver: Driver, step: int) -> Iterator[Callable[[], object]]:
    yield lambda: driver.fail(step, final=False, unknown=False)
    yield lambda: driver.fail(step, final=False)
    if step > 0:
        yield lambda: driver.fail(step)
        yield lambda: driver.fail(step, Declined(n=step))
        if driver.state.calls[step].cancelled:
            yield lambda: driver.settle(step)


def succeed(driver: Driver, step: int) -> None:
    driver.complete(step, step)


def go_on(driver: Driver, records: Sequence[r.Record]) -> list[r.Record]:
    """Apply the inputs and the progress among *records* as one commit; return what it writes."""
    for record in records:
        if isinstance(record, r.INPUTS):
            driver.execution.deliver(record)
        elif isinstance(record, _PROGRESS):
            driver.execution.note(record)
    return driver.execution.take_pending()


_PROGRESS = (
    r.AttemptStarted,
    r.AttemptFailed,
    r.AttemptLost,
    r.HeartbeatRecorded,
    r.CompensationCompleted,
    r.IncidentRaised,
    r.IncidentResolved,
)


@pytest.fixture(autouse=True)
def dropped_executions() -> Iterator[None]:
    yield
    drop()


def drop() -> None:
    for execution in driving.made:
        execution.evict()
    driving.made.clear()


# ---- the properties ---------------------------------------------------------------------------


@profile
@given(programs, choices, st.booleans())
def test_a_replay_of_every_commit_agrees_with_the_live_execution(
    program: Program, dice: list[int], saga: bool
) -> None:
    driver = Driver(service, as_saga if saga else as_workflow).start(program)
    for roll in dice:
        if not driver.status.live:
            break
        driver.hold = roll % 5 == 0
        move(driver, roll)
        if not driver.hold:
            replayed = driver.replayed()
            assert replayed.execution.divergence is None, replayed.execution.divergence
            assert replayed.state == driver.state
            assert replayed.execution.take_pending() == []
    drop()


@profile
@given(programs, choices, st.booleans())
def test_going_on_after_any_commit_writes_the_same_journal(
    program: Program, dice: list[int], saga: bool
) -> None:
    driver = live(program, dice, saga=saga)
    cuts = [cut for cut in dict.fromkeys(driver.commits) if cut]

    for index, cut in enumerate(cuts):
        again = driver._on(driver.journal[:cut])
        assert again.execution.divergence is None, again.execution.divergence
        for begin, end in zip(cuts[index:], cuts[index + 1 :], strict=False):
            chunk = driver.journal[begin:end]
            assert r.encode_records(go_on(again, chunk)) == r.encode_records(chunk)
        assert again.state == driver.state
        again.evict()
    drop()


@profile
@given(programs, choices)
def test_a_saga_undoes_what_may_have_happened_newest_first_and_once(
    program: Program, dice: list[int]
) -> None:
    driver = live(program, dice, saga=True)
    if driver.status.live:  # it waits for signals in a loop that the steps did not suffice for
        return
    settled: dict[int, r.CallCompleted | r.CallFailed] = {}
    for record in driver.journal:
        if isinstance(record, r.CallCompleted | r.CallFailed):
            assert record.call not in settled
            settled[record.call] = record
    undone = [x.call for x in driver.journal if isinstance(x, r.CompensationScheduled)]
    ended = [x.call for x in driver.journal if isinstance(x, r.CompensationCompleted)]
    expected = [
        number
        for number, record in sorted(settled.items(), reverse=True)
        if driver.state.calls[number].name == "shop.undoable"
        and (isinstance(record, r.CallCompleted) or record.outcome_unknown)
    ]

    if driver.status in (Status.COMPENSATED, Status.CANCELLED):
        assert undone == ended == expected
        undoable_calls = {n for n, c in driver.state.calls.items() if c.name == "shop.undoable"}
        assert undoable_calls <= settled.keys()
    else:
        assert undone == ended == []
        assert driver.status is Status.COMPLETED or expected == []
    drop()


@profile
@given(programs, choices, st.booleans())
def test_a_retry_of_a_failure_replays_alike(program: Program, dice: list[int], saga: bool) -> None:
    driver = live(program, dice, saga=saga)
    for _ in range(3):
        if driver.status is not Status.FAILED:
            break
        driver.retry()
        assert driver.execution.divergence is None, driver.execution.divergence
        if driver.status.live:
            replayed = driver.replayed()
            assert replayed.execution.divergence is None, replayed.execution.divergence
            assert replayed.state == driver.state
            for step in list(driver.state.open_steps):
                if step in driver.state.open_steps:
                    succeed(driver, step)
            if driver.status.live:
                assert driver.replayed().state == driver.state
    drop()


@profile
@given(programs, choices)
def test_lost_attempts_are_found_by_the_next_node(program: Program, dice: list[int]) -> None:
    driver = live(program, dice[: len(dice) // 2], saga=True)
    if not driver.status.live:
        return
    again = driver.replayed()

    attempts.recover_attempts(again.execution, lambda _: StepPolicy(Retry()), again.now)
    again.commit()

    assert again.replayed().state == again.state
    assert not any(
        step.retry_at is None and not step.stuck for step in again.state.open_steps.values()
    ) or any(isinstance(x, r.CallScheduled | r.CompensationScheduled) for x in again.journal)
    drop()
