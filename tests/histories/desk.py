"""A service whose workflows use what asyncio and the engine offer, each in a few lines.

They never change, as those of `services.py`: journals replay for ever.
"""

import asyncio
import threading
from datetime import timedelta

from counterpoint import BusinessError, ExecutionFailed, Retry, Service, workflow

TWICE = Retry(max_attempts=2, first=timedelta(seconds=1), jitter=0)
desk = Service("desk")
released = threading.Event()


class Closed(BusinessError):
    """Nobody is at the desk."""

    until: int


@desk.activity(retry=TWICE, timeout=timedelta(minutes=5))
async def ask(name: str) -> str:
    if name == "closed":
        raise Closed(until=9)
    return f"{name} answers"


@desk.activity(retry=TWICE, timeout=timedelta(minutes=5))
async def ponder(name: str) -> str:
    """Takes ten seconds."""
    return f"{name} knows"


@desk.activity(retry=TWICE)
def stamp(name: str) -> str:
    """Runs in a thread."""
    return f"{name}, stamped"


@desk.activity(at_most_once=True, retry=TWICE)
async def sign(name: str) -> str:
    return f"{name}, signed"


@desk.activity(retry=TWICE)
async def lend(name: str) -> str:
    return f"{name} is lent"


@lend.compensation(retry=TWICE)
async def take_back(name: str, result: str | None, error: Exception | None) -> None: ...


@desk.activity(timeout=timedelta(hours=1))
def archive(name: str) -> str:
    """Runs in a thread that nobody can stop."""
    released.wait(60)
    return name


@desk.workflow
async def waits_for_the_first() -> list[str]:
    tasks = [asyncio.ensure_future(call) for call in (ponder("slow"), ask("quick"))]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return sorted(task.result() for task in done)


@desk.workflow
async def waits_so_long() -> str:
    try:
        return await asyncio.wait_for(ponder("slow"), 5)
    except TimeoutError:
        return await asyncio.wait_for(ask("quick"), 60)


@desk.workflow
async def takes_each_as_it_comes() -> list[str]:
    calls = [ponder("slow"), ask("closed"), ask("quick")]
    seen: list[str] = []
    for one in asyncio.as_completed(calls):
        try:
            seen.append(await one)
        except Closed as error:
            seen.append(f"closed until {error.until}")
    return seen


@desk.workflow
async def shields() -> str:
    asked = asyncio.ensure_future(ponder("slow"))
    try:
        return await asyncio.wait_for(asyncio.shield(asked), 5)
    except TimeoutError:
        return f"late: {await asked}"


@desk.workflow
async def gathers_errors() -> list[str]:
    found = await asyncio.gather(ask("closed"), stamp("form"), return_exceptions=True)
    return [str(one) for one in found]


@desk.workflow
async def groups() -> str:
    """One fails, so the other is cancelled."""
    closed = 0
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(ponder("slow"))
            group.create_task(ask("closed"))
    except* Closed as errors:
        closed = len(errors.exceptions)
    return f"{closed} closed, {await ask('quick')}"


@desk.workflow
async def is_too_slow() -> str:
    try:
        async with asyncio.timeout(60):
            return await workflow.signal("never", str)
    except TimeoutError:
        return await ask("quick")


@desk.workflow
async def takes_turns() -> list[str]:
    """Three tasks, one lock, one queue, and an event that says when to begin."""
    lock, begin = asyncio.Lock(), asyncio.Event()
    queue: asyncio.Queue[str] = asyncio.Queue(maxsize=1)

    async def worker(name: str) -> None:
        await begin.wait()
        async with lock:
            await queue.put(await ask(name))

    workers = [asyncio.create_task(worker(name)) for name in ("one", "two", "three")]
    await workflow.sleep(timedelta(minutes=1))
    begin.set()
    answers = [await queue.get() for _ in workers]
    await asyncio.gather(*workers)
    return answers


@desk.workflow
async def leaves_a_task() -> str:
    """What is left when the function ends is cancelled."""
    task = asyncio.create_task(ponder("slow"))
    answer = await ask("quick")
    return f"{answer}, {task.done()}"


@desk.workflow
async def cleans_up() -> str:
    try:
        return await workflow.signal("never", str)
    except asyncio.CancelledError:
        await ask("cleaner")
        raise


@desk.workflow
async def looks_around() -> list[str]:
    """Values that differ from run to run, and are the same on replay."""
    began = workflow.now()
    await workflow.sleep(90)
    info = workflow.info()
    workflow.log.info("%s goes on", info.id)
    passed = (workflow.now() - began).total_seconds()
    chance = workflow.random().randrange(100)
    return [info.id, f"{info.run}", f"{passed}", f"{workflow.uuid4()}", f"{chance}"]


@desk.workflow
async def signs() -> str:
    return await sign("form")


@desk.workflow
async def breaks() -> None:
    await ask("quick")
    raise ValueError("a defect")


@desk.workflow
async def has_a_child_that_breaks() -> str:
    try:
        await breaks()
    except ExecutionFailed as failed:
        return f"{failed.status}"
    return "it did not"


@desk.saga
async def lends(name: str) -> None:
    """Its compensation is told why."""
    await lend(name)
    await ask("closed")


@desk.saga
async def files(name: str) -> None:
    """Undoing waits for a thread."""
    await lend(name)
    await asyncio.gather(archive(name), ask("closed"))


@desk.saga
async def counts(seen: int) -> int:
    """Goes on as new although there was something to undo: it is past its pivot."""
    await lend(f"{seen}")
    workflow.pivot()
    if seen < 2:
        workflow.continue_as_new(seen + 1)
    return seen
