"""Ordinary asyncio code on the deterministic loop: what it does, live and replayed."""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from tests.unit.kernel.driving import START, Driver, run_workflow

from counterpoint import ActivityFailed, Service, workflow

Code = Callable[..., Awaitable[Any]]
service = Service("shop")


@service.activity
async def act(n: int) -> int:
    return n


def begin(code: Code) -> Driver:
    service.workflows.clear()
    return run_workflow(code, service=service)


def result_of(driver: Driver) -> Any:
    """Return the result; check that the journal without its end replays to the same place."""
    before_the_end = next(
        cut for cut in reversed([0, *driver.commits]) if cut < len(driver.journal)
    )
    if before_the_end:
        assert driver._on(driver.journal[:before_the_end]).execution.divergence is None
    return driver.result


# ---- time -------------------------------------------------------------------------------------


def test_sleep_is_a_durable_timer() -> None:
    async def code() -> float:
        before = asyncio.get_running_loop().time()
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time() - before

    driver = begin(code)
    assert driver.kinds() == ["Started", "TimerSet"]

    assert result_of(driver.advance(3600)) == 3600


@pytest.mark.parametrize("seconds", [0, -1])
def test_sleep_of_no_time_sets_no_timer(seconds: float) -> None:
    async def code() -> str:
        return await asyncio.sleep(seconds, "done")

    driver = begin(code)

    assert (driver.result, driver.kinds()) == ("done", ["Started", "Ended"])


@pytest.mark.parametrize("seconds", [float("inf"), 1e18])
def test_a_sleep_longer_than_time_is_a_sleep_to_its_end(seconds: float) -> None:
    async def code() -> None:
        await asyncio.sleep(seconds)

    driver = begin(code)

    assert driver.state.next_wake() == 253_402_300_799_000_000
    assert driver.replayed().execution.divergence is None


def test_timeout_cancels_what_it_surrounds() -> None:
    async def code() -> str:
        try:
            async with asyncio.timeout(5):
                return str(await act(1))
        except TimeoutError:
            return "late"

    driver = begin(code).advance(5)

    assert "CallCancelled" in driver.kinds()
    assert result_of(driver) == "late"


def test_timeout_that_is_not_reached_is_cancelled() -> None:
    async def code() -> int:
        async with asyncio.timeout(5):
            return await act(1)

    driver = begin(code).complete(1, 4)

    assert result_of(driver) == 4
    assert "TimerCancelled" in driver.kinds()


def test_timeout_without_a_limit_sets_no_timer() -> None:
    async def code() -> int:
        async with asyncio.timeout(None):
            return await act(1)

    driver = begin(code)

    assert driver.state.timers == {}
    assert result_of(driver.complete(1, 4)) == 4


def test_timeout_at_and_reschedule_move_the_timer() -> None:
    async def code() -> float:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(loop.time() + 5) as timeout:
                await act(1)
                timeout.reschedule(loop.time() + 100)
                await act(2)
        except TimeoutError:
            return loop.time()
        return 0

    driver = begin(code).complete(1, 1).advance(50)
    assert driver.status == "running"

    assert result_of(driver.advance(60)) == pytest.approx(100)


def test_nested_timeouts_tell_which_one_passed() -> None:
    async def code() -> str:
        try:
            async with asyncio.timeout(10):
                try:
                    async with asyncio.timeout(5):
                        await act(1)
                except TimeoutError:
                    await act(2)
        except TimeoutError:
            return "outer"
        return "inner"

    assert result_of(begin(code).advance(10)) == "outer"
    assert result_of(begin(code).advance(6).complete(2, 1)) == "inner"


def test_wait_for_gives_the_result_or_raises() -> None:
    async def code() -> list[object]:
        first = await asyncio.wait_for(act(1), 5)
        try:
            await asyncio.wait_for(act(2), 5)
        except TimeoutError:
            return [first, "late"]
        return []

    assert result_of(begin(code).complete(1, 7).advance(5)) == [7, "late"]


def test_call_later_and_call_at_are_timers_that_can_be_cancelled() -> None:
    async def code() -> list[str]:
        loop, said = asyncio.get_running_loop(), list[str]()
        loop.call_later(2, said.append, "later")
        loop.call_at(loop.time() + 1, said.append, "at")
        never = loop.call_later(1, said.append, "never")
        await asyncio.sleep(0)
        never.cancel()
        never.cancel()
        await asyncio.sleep(3)
        return [*said, str(never.cancelled())]

    assert result_of(begin(code).advance(3)) == ["at", "later", "True"]


# ---- several at once --------------------------------------------------------------------------


def test_gather_gives_results_in_order_of_its_arguments() -> None:
    async def code() -> list[int]:
        return list(await asyncio.gather(act(1), act(2), act(3)))

    assert result_of(begin(code).complete(3, 30).complete(1, 10).complete(2, 20)) == [10, 20, 30]


def test_gather_raises_the_first_error() -> None:
    async def code() -> str:
        try:
            await asyncio.gather(act(1), act(2))
        except ActivityFailed as error:
            return f"call {error.call}"
        return ""

    assert result_of(begin(code).fail(2)) == "call 2"


def test_gather_returns_exceptions_when_asked_to() -> None:
    async def code() -> list[str]:
        results = await asyncio.gather(act(1), act(2), return_exceptions=True)
        return [type(result).__name__ for result in results]

    assert result_of(begin(code).fail(2).complete(1, 1)) == ["int", "ActivityFailed"]


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (asyncio.FIRST_COMPLETED, [[1], [2, 3]]),
        (asyncio.FIRST_EXCEPTION, [[1, 2], [3]]),
        (asyncio.ALL_COMPLETED, [[1, 2, 3], []]),
    ],
)
def test_wait_waits_until(until: str, expected: list[list[int]]) -> None:
    async def code() -> list[list[int]]:
        tasks = [asyncio.ensure_future(act(n)) for n in (1, 2, 3)]
        done, pending = await asyncio.wait(tasks, return_when=until)
        return [[n for n, t in enumerate(tasks, 1) if t in group] for group in (done, pending)]

    driver = begin(code)
    for step, end in ((1, driver.complete), (2, driver.fail), (3, driver.complete)):
        if driver.status == "running":
            end(step, None if step == 2 else step)  # type: ignore[arg-type]

    assert driver.result == expected


def test_wait_gives_up_after_its_timeout() -> None:
    async def code() -> list[int]:
        tasks = {asyncio.ensure_future(act(n)) for n in (1, 2)}
        done, pending = await asyncio.wait(tasks, timeout=5)
        return [len(done), len(pending)]

    assert result_of(begin(code).complete(2, 2).advance(5)) == [1, 1]


@pytest.mark.parametrize("of", ["calls", "tasks"])
def test_as_completed_gives_results_as_they_come(of: str) -> None:
    async def code() -> list[int]:
        calls = [act(n) for n in (1, 2, 3)]
        given = calls if of == "calls" else [asyncio.ensure_future(call) for call in calls]
        return [await next_one for next_one in asyncio.as_completed(given)]

    driver = begin(code)
    call_of = {bytes(driver.state.calls[call].arguments): call for call in (1, 2, 3)}
    for n in (3, 1, 2):
        driver.complete(call_of[b'{"n":%d}' % n], n)

    assert result_of(driver) == [3, 1, 2]


def test_as_completed_refuses_coroutines_whose_order_a_replay_could_not_repeat() -> None:
    async def child(n: int) -> int:
        return await act(n)

    async def code() -> list[int]:
        return [await done for done in asyncio.as_completed([child(1), child(2)])]

    with pytest.warns(RuntimeWarning, match="never awaited"):
        driver = begin(code)

    assert driver.status == "failed"
    assert "asyncio.ensure_future(c) for c in coroutines" in driver.error.message


def test_a_task_group_waits_for_its_tasks() -> None:
    async def code() -> int:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(act(n)) for n in (1, 2)]
        return sum(task.result() for task in tasks)

    assert result_of(begin(code).complete(2, 2).complete(1, 1)) == 3


def test_a_task_group_cancels_the_others_when_one_fails() -> None:
    async def code() -> str:
        outcome = ""
        try:
            async with asyncio.TaskGroup() as group:
                for n in (1, 2, 3):
                    group.create_task(act(n))
        except* ActivityFailed as errors:
            outcome = f"{len(errors.exceptions)} failed"
        return outcome

    driver = begin(code).fail(2)

    assert driver.kinds()[-3:] == ["CallCancelled", "CallCancelled", "Ended"]
    assert result_of(driver) == "1 failed"


def test_shield_keeps_a_call_from_being_cancelled() -> None:
    async def code() -> int:
        task = asyncio.ensure_future(act(1))
        try:
            async with asyncio.timeout(5):
                return await asyncio.shield(task)
        except TimeoutError:
            return 100 + await task

    driver = begin(code).advance(5)
    assert "CallCancelled" not in driver.kinds()

    assert result_of(driver.complete(1, 1)) == 101


def test_tasks_left_over_are_cancelled_at_the_end() -> None:
    seen: list[str] = []

    async def background() -> None:
        try:
            await act(1)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def code() -> str:
        task = asyncio.ensure_future(background())
        await asyncio.sleep(0)
        return task.get_name()

    driver = begin(code)

    assert driver.status == "completed"
    assert driver.kinds()[-2:] == ["CallCancelled", "Ended"]
    assert seen == ["cancelled"]


def test_a_task_left_over_may_finish_what_it_does_when_cancelled() -> None:
    async def background() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await act(1)

    async def code() -> str:
        task = asyncio.ensure_future(background())
        await asyncio.sleep(0)
        return task.get_name()

    driver = begin(code)
    assert (driver.status, driver.calls()) == ("running", ["act"])

    assert result_of(driver.complete(1, 1))


# ---- synchronisation --------------------------------------------------------------------------


def test_events_locks_conditions_semaphores_and_barriers_work() -> None:
    async def code() -> list[str]:
        said: list[str] = []
        event, lock, condition = asyncio.Event(), asyncio.Lock(), asyncio.Condition()
        semaphore, barrier = asyncio.Semaphore(1), asyncio.Barrier(2)

        async def child(name: str) -> None:
            await event.wait()
            async with lock, semaphore:
                said.append(f"{name} {await act(len(said))}")
            await barrier.wait()
            async with condition:
                said.append(name)
                condition.notify_all()

        tasks = [asyncio.ensure_future(child(name)) for name in ("a", "b")]
        event.set()
        async with condition:
            await condition.wait_for(lambda: len(said) == 4)
        await asyncio.wait(tasks)
        return said

    assert result_of(begin(code).complete(1, 1).complete(2, 2)) == ["a 1", "b 2", "b", "a"]


def test_queues_work() -> None:
    async def code() -> list[int]:
        queue: asyncio.Queue[int] = asyncio.Queue(maxsize=1)
        got: list[int] = []

        async def consumer() -> None:
            while True:
                got.append(await act(await queue.get()))
                queue.task_done()

        task = asyncio.ensure_future(consumer())
        for n in (1, 2, 3):
            await queue.put(n)
        await queue.join()
        task.cancel()
        return got

    assert result_of(begin(code).complete(1, 1).complete(2, 2).complete(3, 3)) == [1, 2, 3]


def test_futures_of_the_loop_can_be_awaited() -> None:
    async def code() -> int:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(1, future.set_result, 5)
        return await future

    assert result_of(begin(code).advance(1)) == 5


def test_async_generators_and_context_managers_work() -> None:
    async def numbers() -> AsyncGenerator[int]:
        try:
            for n in (1, 2, 3):
                yield await act(n)
        finally:
            await act(9)

    async def code() -> list[int]:
        async with aclosing(numbers()) as stream:
            return [n async for n in stream if n < 3]

    driver = begin(code).complete(1, 1).complete(2, 2).complete(3, 3)
    assert driver.status == "running"

    assert result_of(driver.complete(4, 9)) == [1, 2]


def test_tasks_are_named_in_order_of_making_and_know_themselves() -> None:
    async def named() -> str:
        task = asyncio.current_task()
        return task.get_name() if task else ""

    async def code() -> list[str]:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(named()), loop.create_task(named(), name="mine")]
        return [await named(), *[await task for task in tasks], str(len(asyncio.all_tasks()))]

    first, second = begin(code).result, begin(code).result

    assert first == second
    assert first[2] == "mine"


def test_cancelling_a_task_reaches_its_call() -> None:
    async def code() -> str:
        task = asyncio.ensure_future(act(1))
        await asyncio.sleep(0)
        task.cancel("enough")
        try:
            await task
        except asyncio.CancelledError as error:
            return f"{error.args} {task.cancelled()}"
        return ""

    driver = begin(code)

    assert driver.kinds()[-2:] == ["CallCancelled", "Ended"]
    assert driver.result == "('enough',) True"


def test_a_call_cancelled_before_it_ran_is_never_made() -> None:
    async def code() -> str:
        task = asyncio.ensure_future(act(1))
        task.cancel()
        await asyncio.wait([task])
        return str(task.cancelled())

    driver = begin(code)

    assert (driver.result, driver.calls()) == ("True", [])


# ---- the engine's own -------------------------------------------------------------------------


def test_time_and_chance_are_the_same_on_replay() -> None:
    seen: list[str] = []

    async def code() -> str:
        parts = [workflow.now(), workflow.uuid4(), workflow.random().random()]
        await act(1)
        parts += [workflow.now(), workflow.uuid4(), workflow.random().randrange(10**9)]
        seen.append(" ".join(map(str, parts)))
        await act(2)
        return seen[-1]

    driver = begin(code).advance(7).complete(1, 1)
    replayed = driver.replayed()

    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert driver.complete(2, 1).result == replayed.complete(2, 1).result


def test_uuids_are_valid_and_differ() -> None:
    async def code() -> list[str]:
        ids = [workflow.uuid4() for _ in range(100)]
        assert {u.version for u in ids} == {4}
        assert {u.variant for u in ids} == {"specified in RFC 4122"}
        return [str(u) for u in ids]

    assert len(set(begin(code).result)) == 100


def test_the_log_is_silent_on_replay() -> None:
    async def code() -> None:
        workflow.log.info("before %d", 1)
        await act(1)
        workflow.log.warning("after")
        await act(2)

    driver = begin(code).complete(1, 1)

    assert driver.execution.speech == [(20, "before 1"), (30, "after")]
    assert driver.replayed().execution.speech == []


@pytest.mark.parametrize("name", ["now", "uuid4", "random", "info"])
def test_what_only_workflows_have_says_so_elsewhere(name: str) -> None:
    with pytest.raises(Exception, match=rf"workflow\.{name}\(\) works in workflow code only"):
        getattr(workflow, name)()


# ---- refusals ---------------------------------------------------------------------------------


async def in_executor() -> None:
    await asyncio.get_running_loop().run_in_executor(None, print)


async def to_thread() -> None:
    await asyncio.to_thread(print)


async def open_connection() -> None:
    await asyncio.open_connection("localhost", 80)


async def start_server() -> None:
    await asyncio.start_server(print, "localhost")


async def create_subprocess() -> None:
    await asyncio.create_subprocess_exec("true")


async def add_reader() -> None:
    asyncio.get_running_loop().add_reader(0, print)


async def call_soon_threadsafe() -> None:
    asyncio.get_running_loop().call_soon_threadsafe(print)


async def add_signal_handler() -> None:
    asyncio.get_running_loop().add_signal_handler(2, print)


async def getaddrinfo() -> None:
    await asyncio.get_running_loop().getaddrinfo("localhost", 80)


@pytest.mark.parametrize(
    "code",
    [
        in_executor,
        to_thread,
        open_connection,
        start_server,
        create_subprocess,
        add_reader,
        call_soon_threadsafe,
        add_signal_handler,
        getaddrinfo,
    ],
)
def test_io_threads_and_processes_are_refused(code: Code) -> None:
    driver = begin(code)

    assert driver.status == "failed"
    assert driver.error.type == "counterpoint.errors.WorkflowRefusedError"
    assert "Move it to an activity and await that" in driver.error.message


def test_running_another_loop_inside_a_workflow_is_an_error() -> None:
    async def nested() -> None: ...

    async def code() -> str:
        coroutine = nested()
        try:
            asyncio.run(coroutine)
        except RuntimeError as error:
            return str(error)
        finally:
            coroutine.close()
        return ""

    assert "running event loop" in begin(code).result


@pytest.mark.parametrize("when", [-1e30, -math.inf, -5.0, 0.0])
def test_timers_in_the_past_are_due_at_the_start(when: float) -> None:
    async def main() -> str:
        woken = asyncio.Event()
        asyncio.get_running_loop().call_at(when, woken.set)
        await woken.wait()
        return "woken"

    driver = run_workflow(main)

    assert driver.state.next_wake() == START
    driver.advance(0)
    assert driver.result == "woken"
    assert driver.replayed().result == "woken"


def test_timer_at_no_number_is_refused() -> None:
    async def main() -> str:
        try:
            asyncio.get_running_loop().call_at(math.nan, print)
        except ValueError as error:
            return str(error)
        return ""

    driver = run_workflow(main)

    assert driver.result == "a timer cannot be due at nan s"
    assert driver.replayed().result == driver.result
