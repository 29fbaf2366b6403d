"""DESIGN 3.1 and 4 (P4, P5): what workflows and activities publish and start."""

import asyncio
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.design.services_mix import (
    SECOND,
    SERVICES,
    SOON,
    STORES,
    Confirmed,
    MakeStore,
    Placed,
    Shipped,
    dead,
    desk,
    executions,
    lives,
    note,
    published,
    publishes,
    revived,
    types,
    work,
)

from counterpoint import (
    ActivityFailed,
    App,
    BusinessError,
    DefinitionError,
    ExecutionFailed,
    Retry,
    Service,
    activity,
    workflow,
)
from counterpoint.testing import Harness
from counterpoint.testing.faults import When

code = Service("code")
CRASHES: tuple[When, ...] = ("before", "after", "applied-but-failed")
COMMITS_MAX = 40


class Refused(BusinessError):
    why: str


@code.activity(retry=SOON, timeout=timedelta(seconds=10), emits=[Confirmed])
async def notes(number: int, then: str = "") -> int:
    """Publishes, and then does what the test says."""
    activity.publish(Confirmed(order_id="k", number=number))
    if then == "refuse":
        raise Refused(why="the test says so")
    if then == "fail":
        raise OSError("no route")
    return number


@notes.compensation(retry=SOON)
async def takes_back(number: int, result: int | None) -> None:
    activity.publish(Confirmed(order_id="k", number=-number))


@code.activity(retry=SOON)
def in_a_thread(number: int) -> int:
    activity.publish(Confirmed(order_id="k", number=number))
    activity.start(child, f"thread-{number}", id=f"thread-{number}")
    return number


@code.workflow
async def child(name: str) -> str:
    await workflow.publish(Confirmed(order_id=name))
    return name


@code.activity(retry=SOON)
async def begins(name: str, then: str = "") -> str:
    its_id = activity.start(child, name, id=f"child-{name}")
    if then == "fail":
        raise OSError("no route")
    return its_id


@code.workflow
async def calls(what: str, number: int, then: str = "") -> Any:
    if what == "notes":
        return await notes(number, then)
    if what == "thread":
        return await in_a_thread(number)
    return await begins(str(number), then)


@code.saga
async def undone(number: int) -> None:
    await notes(number)
    raise Refused(why="undo it")


@code.workflow(emits=[Confirmed])
async def says_too_much(order_id: str) -> None:
    await workflow.publish(Shipped(order_id=order_id))


@code.activity(emits=[Confirmed])
async def notes_too_much() -> None:
    activity.publish(Shipped(order_id="k"))


@code.workflow
async def calls_too_much() -> None:
    await notes_too_much()


@code.workflow
async def publishes_in_failure(order_id: str) -> str:
    """Publishes because of a failure that a retry takes back."""
    try:
        return await work("it")
    except ActivityFailed:
        await workflow.publish(Confirmed(order_id=order_id, number=1))
        raise


@code.workflow
async def gives_up(number: int) -> str:
    """Does not wait for the activity that publishes."""
    try:
        async with asyncio.timeout(5):
            await notes(number)
    except TimeoutError:
        return "gave up"
    return "done"


ALL = [*SERVICES, code]


# ---- workflow.publish -------------------------------------------------------------------------


@pytest.mark.parametrize("make_store", STORES)
async def test_a_workflow_publishes_once_across_replays(
    make_store: MakeStore, tmp_path: Path
) -> None:
    async with Harness(services=ALL, store=make_store(tmp_path)) as harness:
        harness.delay(work, SECOND)
        execution = await harness.start(publishes, "k", 3, id="one")
        for _ in range(3):
            await harness.advance(milliseconds=1500)
            await harness.crash()
            await harness.restart()

        assert await harness.result(execution) == "published"
        assert await published(harness) == [1, 2, 3]


@pytest.mark.parametrize("when", CRASHES)
@pytest.mark.parametrize("make_store", STORES)
async def test_an_event_is_in_the_log_exactly_if_its_step_is_committed(
    when: When, make_store: MakeStore, tmp_path: Path
) -> None:
    for commit in range(1, COMMITS_MAX):
        folder = tmp_path / str(commit)
        folder.mkdir()
        async with Harness(services=ALL, store=make_store(folder)) as harness:
            before = harness.store.commits
            harness.crash_at_commit(commit, when=when)
            await lives(harness, lambda: harness.app.start(publishes, "k", 3, id="one"))
            for _ in range(3):
                await lives(harness, lambda: harness.advance(seconds=5))
            in_journal = (await types(harness)).count("published")

            assert await published(harness) == [1, 2, 3]
            assert in_journal == 3
            if harness.store.commits - before < commit:
                return
    raise AssertionError("a loop over all commits ends before")


async def test_an_event_of_a_commit_that_is_held_is_seen_by_nobody() -> None:
    async with Harness(services=ALL) as harness:
        harness.store.hold_commits()
        begun = asyncio.ensure_future(harness.app.start(publishes, "k", 1, id="one"))
        await harness.store.commit_held()
        before = await published(harness)
        harness.store.release_commits()
        await begun
        await harness.settle()

        assert before == []
        assert await published(harness) == [1]


async def test_what_was_published_because_of_a_failure_that_is_taken_back_stays() -> None:
    """It happened. What the code publishes after the retry is another event."""
    async with Harness(services=ALL) as harness:
        harness.fail(work, TypeError("no"), times=2)
        execution = await harness.start(publishes_in_failure, "k", id="one")
        await execution.retry()
        await harness.settle()
        twice = await published(harness)
        await execution.retry()
        await harness.settle()

        assert twice == [1, 1]
        assert await harness.result(execution) == "it done"
        assert await published(harness) == [1, 1]


async def test_a_reset_publishes_again_what_comes_after_its_record() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(publishes, "k", 2, id="one")
        await harness.result(execution)
        seq = [entry.type for entry in await execution.journal()].index("completed") + 1
        await execution.reset(to=seq)
        await harness.settle()

        assert await harness.result(execution) == "published"
        assert await published(harness) == [1, 2, 2]


async def test_a_workflow_that_publishes_what_it_did_not_declare_fails() -> None:
    async with Harness(services=ALL) as harness:
        with pytest.raises(ExecutionFailed, match="add Shipped to it"):
            await harness.run(says_too_much, "k")

        assert await published(harness, Shipped) == []


async def test_an_event_without_a_key_is_refused_where_it_is_published() -> None:
    odd = Service("odd")

    @odd.workflow
    async def publishes_nothing() -> None:
        await workflow.publish(Confirmed(order_id=""))

    async with Harness(services=[*ALL, odd]) as harness:
        with pytest.raises(ExecutionFailed, match="the key order_id is empty"):
            await harness.run(publishes_nothing)


async def test_an_event_that_is_too_large_is_refused_where_it_is_published() -> None:
    odd = Service("odd")

    @odd.workflow
    async def publishes_much() -> None:
        await workflow.publish(Confirmed.model_construct(order_id="x" * 100, number="y" * 5000))

    async with Harness(services=[*ALL, odd], payload_bytes_max=1000) as harness:
        with pytest.raises(ExecutionFailed):
            await harness.run(publishes_much)

        assert await published(harness) == []


async def test_a_reaction_gets_what_a_workflow_publishes_and_can_start_the_next_one() -> None:
    chain = Service("chain")
    seen: list[int] = []

    @chain.on(Confirmed)
    async def hears(event: Confirmed) -> None:
        seen.append(event.number)

    async with Harness(services=[*ALL, chain]) as harness:
        await harness.run(publishes, "k", 3)
        await harness.idle()

        assert seen == [1, 2, 3]


# ---- activity.publish -------------------------------------------------------------------------


async def test_an_activity_publishes_with_its_result() -> None:
    async with Harness(services=ALL) as harness:
        assert await harness.run(calls, "notes", 7) == 7
        assert await published(harness) == [7]


async def test_failed_attempts_publish_nothing() -> None:
    async with Harness(services=ALL) as harness:
        harness.fail(notes, OSError("no route"), times=2, after=True)

        assert await harness.run(calls, "notes", 7) == 7
        assert await published(harness) == [7]


@pytest.mark.parametrize("then", ["fail", "refuse"])
async def test_a_call_that_fails_publishes_nothing(then: str) -> None:
    async with Harness(services=ALL) as harness:
        with pytest.raises(ExecutionFailed):
            await harness.run(calls, "notes", 7, then)

        assert await published(harness) == []


async def test_a_result_that_cannot_be_recorded_publishes_nothing() -> None:
    async with Harness(services=ALL) as harness:

        def wrong(number: int, then: str) -> object:
            activity.publish(Confirmed(order_id="k", number=number))
            return object()

        harness.replace(notes, wrong)
        with pytest.raises(ExecutionFailed):
            await harness.run(calls, "notes", 7)

        assert await published(harness) == []


async def test_an_attempt_that_times_out_publishes_nothing() -> None:
    async with Harness(services=ALL) as harness:
        going_on = asyncio.Event()

        async def deaf(number: int, then: str) -> int:
            try:
                await harness.sleep(timedelta(seconds=60))
            except asyncio.CancelledError:
                activity.publish(Confirmed(order_id="k", number=99))
                going_on.set()
                raise
            return number

        harness.replace(notes, deaf)
        with pytest.raises(ExecutionFailed):
            await harness.run(calls, "notes", 7)
        await harness.idle()

        assert going_on.is_set()
        assert await published(harness) == []


async def test_a_thread_that_timed_out_and_goes_on_publishes_nothing() -> None:
    slow = Service("slow")
    begun, let_go, gone_on = threading.Event(), threading.Event(), threading.Event()

    @slow.activity(retry=Retry(max_attempts=1), timeout=timedelta(seconds=1))
    def waits_in_a_thread() -> None:
        begun.set()
        let_go.wait(60)
        activity.publish(Confirmed(order_id="k", number=5))
        gone_on.set()

    @slow.workflow
    async def calls_slow() -> None:
        await waits_in_a_thread()

    async with Harness(services=[*ALL, slow]) as harness:
        execution = await harness.app.start(calls_slow, id="one")
        await asyncio.to_thread(begun.wait, 30)
        harness.clock.move_to(harness.clock.now() + 2_000_000)
        with pytest.raises(ExecutionFailed):
            await execution.result()
        let_go.set()
        await asyncio.to_thread(gone_on.wait, 30)
        await harness.settle()

        assert gone_on.is_set()
        assert await published(harness) == []


async def test_a_call_that_the_code_gave_up_publishes_only_with_a_recorded_result() -> None:
    async with Harness(services=ALL) as harness:
        hold = harness.hang(notes, times=None)
        execution = await harness.start(gives_up, 7, id="one")
        await harness.advance(seconds=6)
        hold.release()
        await harness.idle()
        recorded = (await types(harness)).count("completed")

        assert await harness.result(execution) == "gave up"
        assert len(await published(harness)) == recorded


@pytest.mark.parametrize("when", CRASHES)
@pytest.mark.parametrize("make_store", STORES)
async def test_what_an_activity_publishes_is_in_the_log_once_wherever_the_node_dies(
    when: When, make_store: MakeStore, tmp_path: Path
) -> None:
    for commit in range(1, COMMITS_MAX):
        folder = tmp_path / str(commit)
        folder.mkdir()
        async with Harness(services=ALL, store=make_store(folder)) as harness:
            before = harness.store.commits
            harness.crash_at_commit(commit, when=when)
            await lives(harness, lambda: harness.app.start(calls, "notes", 7, id="one"))
            for _ in range(3):
                await lives(harness, lambda: harness.advance(seconds=5))

            assert await published(harness) == [7]
            if harness.store.commits - before < commit:
                return
    raise AssertionError("a loop over all commits ends before")


async def test_a_compensation_publishes_when_it_has_undone() -> None:
    async with Harness(services=ALL) as harness:
        harness.fail("code.takes_back", OSError("no route"), times=2, after=True)
        with pytest.raises(ExecutionFailed):
            await harness.run(undone, 7)

        assert await published(harness) == [7, -7]


async def test_an_activity_in_a_thread_publishes_and_starts() -> None:
    async with Harness(services=ALL) as harness:
        harness.fail(in_a_thread, OSError("no route"), times=1, after=True)
        await harness.run(calls, "thread", 7)
        await harness.idle()

        assert await published(harness) == [7, 0]
        assert await harness.execution("thread-7").result() == "thread-7"


async def test_an_activity_that_publishes_what_it_did_not_declare_fails() -> None:
    async with Harness(services=ALL) as harness:
        with pytest.raises(ExecutionFailed, match="add Shipped to it"):
            await harness.run(calls_too_much)

        assert await published(harness, Shipped) == []


async def test_app_publish_and_app_start_in_an_activity_point_at_the_right_ones() -> None:
    odd = Service("odd")
    apps: list[App] = []

    @odd.activity(retry=Retry(max_attempts=1))
    async def publishes_past_it() -> None:
        await apps[0].publish(Confirmed(order_id="k"))

    @odd.activity(retry=Retry(max_attempts=1))
    async def starts_past_it() -> None:
        await apps[0].start(child, "x")

    @odd.workflow
    async def wrong(start: bool) -> None:
        await (starts_past_it() if start else publishes_past_it())

    async with Harness(services=[*ALL, odd]) as harness:
        apps.append(harness.app)
        with pytest.raises(ExecutionFailed, match=r"activity\.publish"):
            await harness.run(wrong, False)
        with pytest.raises(ExecutionFailed, match=r"activity\.start"):
            await harness.run(wrong, True)


# ---- activity.start ---------------------------------------------------------------------------


async def test_an_activity_starts_with_its_result() -> None:
    async with Harness(services=ALL) as harness:
        assert await harness.run(calls, "begins", 1) == "child-1"
        await harness.idle()

        assert await harness.execution("child-1").result() == "1"


async def test_failed_attempts_start_nothing() -> None:
    async with Harness(services=ALL) as harness:
        with pytest.raises(ExecutionFailed):
            await harness.run(calls, "begins", 1, "fail")
        await harness.idle()

        assert await executions(harness, "code.child") == []


async def test_an_id_that_was_started_before_is_left_as_it_is() -> None:
    async with Harness(services=ALL) as harness:
        await harness.run(calls, "begins", 1, id="one")
        await harness.run(calls, "begins", 1, id="two")
        await harness.idle()

        assert await executions(harness, "code.child") == ["child-1"]


@pytest.mark.parametrize("when", CRASHES)
async def test_what_an_activity_starts_is_started_once_wherever_the_node_dies(when: When) -> None:
    nameless = Service("nameless")

    @nameless.activity(retry=SOON)
    async def begins_without_an_id() -> str:
        return activity.start(child, "x")

    @nameless.workflow
    async def calls_it() -> str:
        return await begins_without_an_id()

    for commit in range(1, COMMITS_MAX):
        async with Harness(services=[*ALL, nameless]) as harness:
            before = harness.store.commits
            harness.crash_at_commit(commit, when=when)
            await lives(harness, lambda: harness.app.start(calls_it, id="one"))
            for _ in range(3):
                await lives(harness, lambda: harness.advance(seconds=5))
            await lives(harness, harness.idle)
            (its_id,) = await executions(harness, "code.child")

            assert await harness.execution("one").result() == its_id
            if harness.store.commits - before < commit:
                return
    raise AssertionError("a loop over all commits ends before")


async def test_a_start_with_arguments_that_do_not_fit_fails_the_attempt() -> None:
    odd = Service("odd")

    @odd.activity(retry=Retry(max_attempts=1))
    async def begins_badly() -> None:
        activity.start(child, 5)  # type: ignore[misc]

    @odd.activity(retry=Retry(max_attempts=1))
    async def begins_what_is_none() -> None:
        activity.start(note, "k", 1)  # type: ignore[arg-type]

    @odd.workflow
    async def wrong(none: bool) -> None:
        await (begins_what_is_none() if none else begins_badly())

    async with Harness(services=[*ALL, odd]) as harness:
        for none, words in ((False, "name"), (True, "takes a workflow of this app")):
            with pytest.raises(ExecutionFailed, match=words):
                await harness.run(wrong, none)
        await harness.idle()

        assert await executions(harness, "code.child") == []


# ---- in reactions -----------------------------------------------------------------------------


async def test_a_reaction_publishes_only_what_its_annotation_names() -> None:
    reacts = Service("reacts")

    @reacts.on(Placed, retry=Retry(max_attempts=2, first=SECOND, jitter=0))
    async def declared(event: Placed) -> Confirmed | None:
        activity.publish(Confirmed(order_id=event.order_id, number=1))
        if activity.info().attempt == 1:
            raise OSError("no route")
        return Confirmed(order_id=event.order_id, number=2)

    @reacts.on(Placed, lane="other")
    async def undeclared(event: Placed) -> None:
        activity.publish(Confirmed(order_id=event.order_id, number=9))

    async with Harness(services=[*ALL, reacts]) as harness:
        await harness.app.publish(Placed(order_id="k"))
        await harness.idle()

        assert await published(harness) == [1, 2]
        assert [letter.name for letter in await dead(harness)] == ["reacts.undeclared"]


async def test_a_reaction_starts_a_workflow_once() -> None:
    reacts = Service("reacts")

    @reacts.on(Placed, retry=SOON)
    async def begins_child(event: Placed) -> None:
        activity.start(child, event.order_id)
        if activity.info().attempt < 3:
            raise OSError("no route")

    async with Harness(services=[*ALL, reacts]) as harness:
        await harness.app.publish(Placed(order_id="k"))
        await harness.idle()
        await harness.crash()
        await revived(harness)
        await harness.idle()

        assert len(await executions(harness, "code.child")) == 1


async def test_emits_of_something_that_is_no_event_is_refused() -> None:
    with pytest.raises(DefinitionError):

        @desk.activity(name="desk.never", emits=[str])  # type: ignore[list-item]
        async def never() -> None: ...
