"""The services of the simulation, and the one workflow that runs every plan.

Activities do nothing themselves: each asks the `World` of the case that runs what becomes of it.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, NoReturn

from tests.simulation.plans import Plan
from tests.simulation.world import Declined, here

from counterpoint import App, Event, Retry, Service, activity, workflow

shop = Service("shop")
RETRY = Retry(max_attempts=3, first=timedelta(seconds=1), cap=timedelta(seconds=4))
PATIENCE = Retry(max_attempts=3, first=timedelta(seconds=1), cap=timedelta(seconds=4))
TIMEOUT = timedelta(seconds=20)
UNDO_TIMEOUT = timedelta(seconds=10)


@shop.event(key="key")
class Told(Event):
    """Something that executions may wait for."""

    key: str
    tag: int
    """Of the step that published it; 0 for somebody outside."""


@shop.event(key="key")
class Asked(Event):
    """Something that begins a saga of its own, whose id is the key."""

    key: str
    tag: int
    plan: list[Any]


@shop.activity(retry=RETRY, timeout=TIMEOUT)
async def act(tag: int) -> str:
    return await here().perform(tag)


@act.compensation(retry=PATIENCE, timeout=UNDO_TIMEOUT)
async def undo_act(tag: int, result: str | None) -> None:
    await here().undo(tag, result)


@shop.activity(retry=RETRY, timeout=TIMEOUT)
async def plain(tag: int) -> str:
    return await here().perform(tag)


@shop.activity(retry=RETRY, timeout=TIMEOUT)
async def tell(tag: int, key: str) -> str:
    activity.publish(Told(key=key, tag=tag))
    return await here().perform(tag)


def name_of_spawned(key: str) -> str:
    """Return the id of what the call with that idempotency key starts."""
    return "w" + hashlib.blake2b(key.encode(), digest_size=4).hexdigest()


@shop.activity(retry=RETRY, timeout=TIMEOUT)
async def spawn(tag: int, plan: list[Any]) -> str:
    its_id = name_of_spawned(activity.info().idempotency_key)
    activity.start(job if tag % 2 else saga, tag, plan, id=its_id)
    return await here().perform(tag)


@shop.activity(retry=RETRY, timeout=TIMEOUT)
async def hear(tag: int, name: str, values: list[int]) -> str:
    """Be told which signals the code has read, so that the journal says it."""
    return await here().perform(tag)


@shop.activity(retry=RETRY, timeout=TIMEOUT, at_most_once=True)
async def once(tag: int) -> str:
    return await here().perform(tag)


@once.compensation(retry=PATIENCE, timeout=UNDO_TIMEOUT)
async def undo_once(tag: int, result: str | None) -> None:
    await here().undo(tag, result)


@shop.activity(retry=RETRY, timeout=TIMEOUT, at_most_once=True, on_unknown="fail")
async def once_or_fail(tag: int) -> str:
    return await here().perform(tag)


@once_or_fail.compensation(retry=PATIENCE, timeout=UNDO_TIMEOUT)
async def undo_once_or_fail(tag: int, result: str | None) -> None:
    await here().undo(tag, result)


@shop.activity(retry=PATIENCE, timeout=UNDO_TIMEOUT)
async def release(tag: int) -> None:
    await here().undo(tag, None)


# ---- workflows -----------------------------------------------------------------------------------


@shop.saga
async def saga(tag: int, plan: list[Any]) -> str:
    return await interpret(plan, tag)


@shop.saga(deadline=timedelta(seconds=30))
async def timed(tag: int, plan: list[Any]) -> str:
    return await interpret(plan, tag)


@shop.workflow
async def job(tag: int, plan: list[Any]) -> str:
    return await interpret(plan, tag)


@shop.saga
async def leg(tag: int, plan: list[Any]) -> str:
    return await interpret(plan, tag)


@shop.saga
async def own_leg(tag: int, plan: list[Any]) -> str:
    return await interpret(plan, tag)


@own_leg.compensation(retry=PATIENCE, timeout=UNDO_TIMEOUT)
async def undo_own_leg(tag: int, result: str | None) -> None:
    await here().undo(tag, result)


@shop.workflow
async def errand(tag: int, plan: list[Any]) -> str:
    return await interpret(plan, tag)


@shop.saga(on=Asked, id=lambda asked: asked.key)
async def answer(asked: Asked) -> str:
    return await interpret(asked.plan, asked.tag)


# ---- running a plan ------------------------------------------------------------------------------


async def interpret(plan: Plan, own: int) -> str:
    """Run one part of the plan of the execution whose own tag is *own*."""
    kind, *parts = plan
    await KINDS[kind](own, *parts)
    return str(own)


async def _act(_: int, tag: int) -> None:
    await act(tag)


async def _plain(_: int, tag: int) -> None:
    await plain(tag)


async def _once(_: int, tag: int) -> None:
    await once(tag)


async def _once_or_fail(_: int, tag: int) -> None:
    await once_or_fail(tag)


async def _tell(_: int, tag: int) -> None:
    await tell(tag, "kl"[tag % 2])


async def _with(_: int, tag: int) -> None:
    if workflow.info().workflow in (job.name, errand.name):
        return
    workflow.compensate_with(release, tag)


async def _fail(_: int) -> None:
    raise Declined(tag=0)


async def _error(_: int) -> None:
    raise ValueError("the plan says so")


async def _sleep(_: int, seconds: int) -> None:
    await asyncio.sleep(seconds)


async def _signal(_: int, name: str, timeout: int | None) -> None:
    await workflow.signal(name, int, timeout=timeout)


async def _nap(_: int, seconds: int) -> None:
    await workflow.sleep(timedelta(seconds=seconds))


async def _hear(_: int, tag: int, name: str, count: int) -> None:
    values = [await workflow.signal(name, int) for _ in range(count)]
    await hear(tag, name, values)


async def _event(_: int, key: str, timeout: int | None, keep: int) -> None:
    await workflow.event(Told, key, timeout=timeout, keep=timedelta(seconds=keep))


async def _publish(_: int, tag: int, key: str) -> None:
    await workflow.publish(Told(key=key, tag=tag))


async def _ask(_: int, tag: int, part: Plan) -> None:
    await workflow.publish(Asked(key=f"q{workflow.uuid4().hex[:8]}", tag=tag, plan=part))


async def _spawn(_: int, tag: int, part: Plan) -> None:
    await spawn(tag, part)


async def _pivot(_: int) -> None:
    if workflow.info().workflow not in (job.name, errand.name):
        workflow.pivot()


async def _attribute(own: int) -> None:
    workflow.set_attributes(own=own, patched=workflow.patched("change"))


async def _seq(own: int, parts: list[Plan]) -> None:
    for part in parts:
        await interpret(part, own)


async def _gather(own: int, parts: list[Plan]) -> None:
    await asyncio.gather(*(interpret(part, own) for part in parts))


async def _tolerant(own: int, parts: list[Plan]) -> None:
    runs = [interpret(part, own) for part in parts]
    for result in await asyncio.gather(*runs, return_exceptions=True):
        if isinstance(result, BaseException) and not isinstance(result, Exception):
            raise result


async def _group(own: int, parts: list[Plan]) -> None:
    async with asyncio.TaskGroup() as group:
        for part in parts:
            group.create_task(interpret(part, own))


async def _first(own: int, parts: list[Plan]) -> None:
    tasks = {asyncio.ensure_future(interpret(part, own)) for part in parts}
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


async def _all(own: int, parts: list[Plan]) -> None:
    tasks = [asyncio.ensure_future(interpret(part, own)) for part in parts]
    done, _ = await asyncio.wait(tasks)
    for task in tasks:
        assert task in done
        task.result()


async def _each(own: int, parts: list[Plan]) -> None:
    for earliest in asyncio.as_completed([interpret(part, own) for part in parts]):
        await earliest


async def _lock(own: int, parts: list[Plan]) -> None:
    lock = asyncio.Lock()

    async def alone(part: Plan) -> None:
        async with lock:
            await interpret(part, own)

    await asyncio.gather(*(alone(part) for part in parts))


async def _queue(own: int, parts: list[Plan]) -> None:
    queue: asyncio.Queue[Plan | None] = asyncio.Queue(maxsize=1)

    async def work() -> None:
        # A part that swallows its cancellation would wait for ever, as with any event loop.
        while (part := await asyncio.wait_for(queue.get(), 600)) is not None:
            await interpret(part, own)

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(work())
        for part in [*parts, None, None]:
            await queue.put(part)


async def _after(own: int, parts: list[Plan]) -> None:
    first, *others = parts
    ready = asyncio.Event()

    async def later(part: Plan) -> None:
        await ready.wait()
        await interpret(part, own)

    async with asyncio.TaskGroup() as group:
        for part in others:
            group.create_task(later(part))
        await interpret(first, own)
        ready.set()


async def _wait_for(own: int, seconds: int, part: Plan) -> None:
    await asyncio.wait_for(interpret(part, own), seconds)


async def _beside(own: int, seconds: int, part: Plan) -> None:
    task = asyncio.ensure_future(interpret(part, own))
    await asyncio.sleep(seconds)
    if task.done():
        task.result()  # else it is left behind


async def _timeout(own: int, seconds: int, part: Plan) -> None:
    async with asyncio.timeout(seconds):
        await interpret(part, own)


async def _shield(own: int, seconds: int, part: Plan) -> None:
    task = asyncio.ensure_future(interpret(part, own))
    try:
        async with asyncio.timeout(seconds):
            await asyncio.shield(task)
    except TimeoutError:
        await task


async def _try(own: int, part: Plan, other: Plan) -> None:
    failed = False
    try:
        await interpret(part, own)
    except* Exception:  # noqa: BLE001 - what users write
        failed = True
    if failed:
        await interpret(other, own)


async def _finally(own: int, part: Plan, other: Plan) -> None:
    try:
        await interpret(part, own)
    finally:
        await interpret(other, own)


async def _again(own: int, part: Plan) -> None:
    _continue(own, part)


async def _loop(own: int, times: int, part: Plan) -> None:
    await interpret(part, own)
    if times > 1:
        _continue(own, ["loop", times - 1, part])


def _continue(own: int, plan: Plan) -> NoReturn:
    known = workflow.info()
    if known.workflow == answer.name:
        workflow.continue_as_new(Asked(key=known.id, tag=own, plan=plan))
    workflow.continue_as_new(own, plan)


async def _leg(_: int, tag: int, part: Plan) -> None:
    await leg(tag, part)


async def _own_leg(_: int, tag: int, part: Plan) -> None:
    await own_leg(tag, part)


async def _errand(_: int, tag: int, part: Plan) -> None:
    await errand(tag, part)


KINDS: dict[str, Callable[..., Awaitable[None]]] = {
    "act": _act,
    "plain": _plain,
    "once": _once,
    "once-or-fail": _once_or_fail,
    "with": _with,
    "fail": _fail,
    "error": _error,
    "sleep": _sleep,
    "signal": _signal,
    "pivot": _pivot,
    "attribute": _attribute,
    "seq": _seq,
    "gather": _gather,
    "tolerant": _tolerant,
    "group": _group,
    "first": _first,
    "timeout": _timeout,
    "shield": _shield,
    "try": _try,
    "finally": _finally,
    "again": _again,
    "leg": _leg,
    "own-leg": _own_leg,
    "errand": _errand,
    "tell": _tell,
    "hear": _hear,
    "event": _event,
    "nap": _nap,
    "publish": _publish,
    "ask": _ask,
    "spawn": _spawn,
    "all": _all,
    "each": _each,
    "lock": _lock,
    "queue": _queue,
    "after": _after,
    "wait-for": _wait_for,
    "beside": _beside,
    "loop": _loop,
}

COMPENSABLE = (act.name, once.name, once_or_fail.name)
AT_MOST_ONCE = (once.name, once_or_fail.name)
ROOTS = {"saga": saga, "timed": timed, "job": job}

app = App(
    "simulation",
    services=[shop],
    store="memory:",
    settle=timedelta(seconds=8),
    keep_finished=timedelta(days=100_000),
)
