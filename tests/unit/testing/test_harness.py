"""The harness itself: time, rehearsal, injected faults, crashes, and what it says of misuse."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from counterpoint import (
    App,
    DefinitionError,
    ExecutionFailed,
    NodeStoppedError,
    NonDeterminismError,
    Retry,
    Service,
    workflow,
)
from counterpoint.errors import StoreBusyError
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing import Harness, StuckError
from counterpoint.testing import harness as harnesses

service = Service("service")
STEADY = Retry(max_attempts=3, first=timedelta(seconds=1), factor=1, jitter=0)


@service.activity(retry=STEADY)
async def work(text: str) -> str:
    return text


@work.compensation(retry=STEADY)
async def undo(text: str, result: str | None) -> None: ...


@service.activity(retry=STEADY)
def compute(number: int) -> int:
    return number + 1


@service.activity
async def really_slow() -> None:
    await asyncio.sleep(0.05)


@service.saga
async def flow(text: str) -> str:
    done = await work(text)
    if text == "bad":
        raise ValueError(text)
    return done


@service.workflow
async def count(number: int) -> int:
    return await compute(number)


@service.workflow
async def sleep(days: float) -> str:
    await asyncio.sleep(timedelta(days=days).total_seconds())
    return workflow.now().isoformat()


@service.workflow
async def approval() -> str:
    return await workflow.signal("approval", str)


@service.workflow
async def slow() -> None:
    await really_slow()


# ---- time -------------------------------------------------------------------------------------


async def test_run_moves_time_to_the_end_of_the_execution() -> None:
    async with Harness(services=[service]) as harness:
        assert await harness.run(sleep, 365) == "2027-01-01T00:00:00+00:00"
        assert harness.now == datetime(2027, 1, 1, tzinfo=UTC)


async def test_advance_adds_up_its_units() -> None:
    async with Harness(services=[service], start=datetime(2026, 5, 1, tzinfo=UTC)) as harness:
        await harness.advance(timedelta(days=1), hours=1, minutes=1, seconds=1, milliseconds=1)

        assert harness.now == datetime(2026, 5, 2, 1, 1, 1, 1000, tzinfo=UTC)


async def test_time_does_not_go_back() -> None:
    async with Harness(services=[service]) as harness:
        with pytest.raises(ValueError, match="does not go back"):
            await harness.advance(hours=-1)


async def test_a_year_of_daily_work_takes_no_real_time() -> None:
    async with Harness(services=[service]) as harness:
        began = time.monotonic()
        for _ in range(10):
            await harness.start(sleep, 365)
        await harness.advance(days=366)

        assert time.monotonic() - began < 60


async def test_result_within_a_span_gives_up_after_it() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(sleep, 10)

        with pytest.raises(StuckError, match="waits for a timer at 2026-01-11"):
            await harness.result(execution, within=timedelta(days=9))
        assert await harness.result(execution) == "2026-01-11T00:00:00+00:00"


async def test_execution_that_waits_for_a_signal_is_stuck() -> None:
    async with Harness(services=[service]) as harness:
        with pytest.raises(StuckError, match="one waits for the signal 'approval'"):
            await harness.run(approval, id="one")


async def test_idle_moves_time_over_retries_and_not_over_timers() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail(work, ConnectionError("no route"))
        await harness.start(flow, "tea")
        await harness.start(sleep, 1)
        await harness.idle()

        assert harness.now == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)


async def test_app_that_never_becomes_idle_is_stuck() -> None:
    async with Harness(services=[service]) as harness:
        harness.hang(work, times=None)
        harness.fail(work, ConnectionError("no route"), times=None)
        await harness.start(flow, "tea")

        with pytest.raises(StuckError, match="does not become idle"):
            await harness.idle(within=timedelta(seconds=10))


async def test_activity_that_really_waits_takes_its_real_time() -> None:
    async with Harness(services=[service]) as harness:
        await harness.run(slow)

        assert harness.now == datetime(2026, 1, 1, tzinfo=UTC)


async def test_activity_that_really_waits_too_long_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    still, passed = Service("still"), [0.0]  # real time, which passes in the activity alone
    monkeypatch.setattr(harnesses, "time", SimpleNamespace(monotonic=lambda: passed[0]))

    @still.activity
    async def stand() -> None:
        while not harness.app.node.quiet:  # noqa: ASYNC110 - a few turns
            await asyncio.sleep(0)
        passed[0] = 11
        await asyncio.Event().wait()

    @still.workflow
    async def stands() -> None:
        await stand()

    async with Harness(services=[still], patience=timedelta(seconds=10)) as harness:
        with pytest.raises(StuckError, match=r"still\.stand still runs after 10 s.*harness\.hang"):
            await harness.run(stands)


async def test_jitter_is_the_same_in_every_run() -> None:
    jittery = Service("jittery")

    @jittery.activity
    async def shake() -> None: ...

    @jittery.workflow
    async def shaken() -> None:
        await shake()

    times: list[datetime] = []
    for _ in range(2):
        async with Harness(services=[jittery], seed=7) as harness:
            harness.fail(shake, ConnectionError("no route"), times=3)
            await harness.run(shaken)
            times.append(harness.now)

    assert times[0] == times[1]


# ---- rehearsal --------------------------------------------------------------------------------


def undetermined() -> Service:
    """Return a service whose workflow does something else whenever its code runs."""
    changing, runs = Service("service"), list[None]()
    changing.activities["service.work"] = work

    @changing.workflow
    async def alternate() -> None:
        runs.append(None)
        if len(runs) % 2:
            await work("odd")
        else:
            await asyncio.sleep(1)
        await work("end")

    return changing


async def test_code_that_a_replay_would_not_repeat_fails_the_test() -> None:
    changing = undetermined()

    with pytest.raises(NonDeterminismError, match=r"the journal says call 1 of service\.work"):
        async with Harness(services=[changing]) as harness:
            await harness.run(changing.workflows["service.alternate"])


async def test_rehearsal_fails_the_test_at_its_end_if_nothing_asked_before() -> None:
    changing = undetermined()
    harness = Harness(services=[changing])
    await harness.__aenter__()
    await harness.app.start(changing.workflows["service.alternate"])
    await asyncio.sleep(0.05)

    with pytest.raises(NonDeterminismError):
        await harness.__aexit__(None, None, None)


async def test_without_rehearsal_such_code_is_not_noticed() -> None:
    changing = undetermined()

    async with Harness(services=[changing], rehearse=False) as harness:
        await harness.run(changing.workflows["service.alternate"])

        assert len(harness.calls) == 2


# ---- faults -----------------------------------------------------------------------------------


async def test_failures_are_used_up_in_order() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail("service.work", ConnectionError("first"))
        harness.fail(work, ConnectionResetError)
        execution = await harness.start(flow, "tea")
        await harness.result(execution)
        errors = [e.data["error"] for e in await execution.journal() if e.type == "attempt-failed"]

        assert [error["type"] for error in errors] == [
            "builtins.ConnectionError",
            "builtins.ConnectionResetError",
        ]


async def test_failure_after_the_work_has_its_effects() -> None:
    done: list[str] = []

    async def working(text: str) -> str:
        done.append(text)
        return text

    async with Harness(services=[service]) as harness:
        harness.replace(work, working)
        harness.fail(work, ConnectionError("the answer got lost"), after=True)

        assert await harness.run(flow, "tea") == "tea"
        assert done == ["tea", "tea"]


async def test_failures_reach_compensations_by_name_and_by_function() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail("service.undo", ConnectionError("no route"))
        harness.fail(undo, ConnectionError("no route"))
        with pytest.raises(ExecutionFailed, match="compensated"):
            await harness.run(flow, "bad")

        assert [(c.name, c.attempt) for c in harness.calls] == [
            ("service.work", 1),
            ("service.undo", 1),
            ("service.undo", 2),
            ("service.undo", 3),
        ]
        assert harness.calls[1].arguments == {"text": "bad", "result": "bad"}


async def test_failures_reach_threads() -> None:
    async with Harness(services=[service]) as harness:
        harness.fail(compute, ConnectionError("no route"))
        harness.fail(compute, ConnectionError("too late"), after=True)

        assert await harness.run(count, 1) == 2
        assert len(harness.calls) == 3


async def test_delay_takes_virtual_time() -> None:
    async with Harness(services=[service]) as harness:
        harness.delay(work, timedelta(minutes=1))
        harness.delay(compute, timedelta(minutes=1))
        await harness.run(flow, "tea")
        await harness.run(count, 1)

        assert harness.now == datetime(2026, 1, 1, 0, 2, tzinfo=UTC)


async def test_held_attempts_go_on_when_released() -> None:
    async with Harness(services=[service]) as harness:
        hold, held = harness.hang(work, times=None), harness.hang(compute)
        executions = [await harness.start(flow, "tea") for _ in range(3)]
        computing = await harness.start(count, 1)
        waiting = hold.waiting, held.waiting
        hold.release()
        held.release()

        assert waiting == (3, 1)
        assert [await harness.result(execution) for execution in executions] == ["tea"] * 3
        assert await harness.result(computing) == 2


async def test_replacement_may_be_def_or_async_def() -> None:
    async def later(number: int) -> int:
        await harness.sleep(timedelta(minutes=1))
        return number * 10

    async with Harness(services=[service]) as harness:
        harness.replace(compute, later)
        harness.replace(work, lambda text: text.upper())

        assert await harness.run(count, 4) == 40
        assert await harness.run(flow, "tea") == "TEA"
        assert harness.now.minute == 1


async def test_restore_takes_everything_back() -> None:
    async with Harness(services=[service]) as harness:
        harness.replace(work, lambda text: text.upper())
        harness.fail(compute, TypeError("wrong"), times=None)
        harness.restore()

        assert await harness.run(flow, "tea") == "tea"
        assert await harness.run(count, 1) == 2


async def test_restore_of_one_leaves_the_others() -> None:
    async with Harness(services=[service]) as harness:
        harness.replace(work, lambda text: text.upper())
        harness.fail(compute, TypeError("wrong"), times=None)
        harness.restore(compute)

        assert await harness.run(flow, "tea") == "TEA"
        assert await harness.run(count, 1) == 2


@pytest.mark.parametrize(
    ("name", "near"), [("service.wrok", r"service\.work"), ("nothing", "it has")]
)
async def test_unknown_name_is_refused_and_near_ones_are_named(name: str, near: str) -> None:
    async with Harness(services=[service]) as harness:
        with pytest.raises(DefinitionError, match=near):
            harness.fail(name, ConnectionError("no route"))


async def test_function_of_another_app_is_refused() -> None:
    async def stranger() -> None: ...

    async with Harness(services=[service]) as harness:
        with pytest.raises(DefinitionError, match="stranger"):
            harness.hang(stranger)


async def test_delay_takes_some_time() -> None:
    async with Harness(services=[service]) as harness:
        with pytest.raises(ValueError, match="some time"):
            harness.delay(work, timedelta(0))


async def test_threads_that_hang_end_with_the_harness() -> None:
    async with Harness(services=[service]) as harness:
        hold = harness.hang(compute)
        await harness.start(count, 1)
        waiting = hold.waiting

    assert (waiting, hold.waiting) == (1, 0)


# ---- apps and crashes -------------------------------------------------------------------------


async def test_given_app_runs_itself_and_gets_its_store_back() -> None:
    app = App("app", services=[service], store="memory:")
    registry = app.registry
    async with Harness(app) as harness:
        harness.fail(work, ConnectionError("no route"))
        assert harness.app is app
        await app.start(flow, "tea", id="one")
        assert await harness.result(app.execution("one")) == "tea"

    assert (app.store, app.clock, app.registry) == ("memory:", None, registry)
    async with app:
        assert await app.counts() == {}


async def test_harness_takes_an_app_or_services() -> None:
    with pytest.raises(DefinitionError, match="one of them"):
        Harness()
    with pytest.raises(DefinitionError, match="give the settings max_running to the app"):
        Harness(App("app", services=[service]), max_running=1)


async def test_harness_that_cannot_start_gives_the_app_back() -> None:
    store = MemoryStore()
    await store.open(node=True)
    app = App("app", services=[service], store="memory:")

    with pytest.raises(Exception, match="hosted by"):
        await Harness(app, store=store).__aenter__()

    assert app.store == "memory:"


async def test_crash_ends_the_node_and_keeps_the_store() -> None:
    async with Harness(services=[service]) as harness:
        harness.hang(work)
        execution = await harness.start(flow, "tea", id="one")
        await harness.crash()
        down = harness.running
        await harness.crash()
        await harness.restart()

        assert not down
        assert harness.running
        assert await harness.result(execution) == "tea"


async def test_time_passes_while_no_node_runs() -> None:
    async with Harness(services=[service]) as harness:
        await harness.crash()
        await harness.advance(hours=1)

        assert harness.now.hour == 1


async def test_commit_to_crash_at_is_counted_from_now() -> None:
    async with Harness(services=[service]) as harness:
        with pytest.raises(ValueError, match="number 1"):
            harness.crash_at_commit(0)
        await harness.run(flow, "tea")
        harness.crash_at_commit(1, when="after")
        starting = asyncio.create_task(harness.app.start(flow, "milk", id="two"))
        await harness.settle()

        assert not harness.running
        with pytest.raises(NodeStoppedError):
            await starting
        await harness.restart()
        assert await harness.execution("two").result() == "milk"


async def failed_test(executions: int, *, unreadable: bool = False) -> Harness:
    """Return the harness of a test that failed while executions waited for a signal."""
    harness = Harness(services=[service])
    await harness.__aenter__()
    for number in range(executions):
        await harness.start(approval, id=f"n-{number:02}")
    if unreadable:
        harness.store.fail_reads(StoreBusyError("somebody holds the file"), times=None)
    await harness.__aexit__(AssertionError, AssertionError("the test failed"), None)
    return harness


async def test_story_of_a_failed_test_has_the_journals() -> None:
    harness = await failed_test(1)

    assert "n-00  service.approval  running" in harness.story
    assert "waits for the signal 'approval'" in harness.story
    assert "started" in harness.story


async def test_story_of_many_executions_is_cut() -> None:
    harness = await failed_test(12)

    assert "n-11" in harness.story
    assert "n-00" not in harness.story
    assert harness.story.endswith("and older ones")


async def test_story_says_what_cannot_be_read() -> None:
    harness = await failed_test(1, unreadable=True)

    assert harness.story == "the rest cannot be read: somebody holds the file"


async def test_harness_shows_its_app_and_time() -> None:
    async with Harness(services=[service]) as harness:
        assert repr(harness) == "<harness of <app test> at 2026-01-01T00:00:00+00:00>"
