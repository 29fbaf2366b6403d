"""Calls from a workflow on one node to an activity on another."""

from datetime import timedelta

import pytest
from tests.runtime.remote_shop import (
    Refused,
    charge,
    events,
    is_empty,
    node,
    order,
    order_and_fail,
    order_and_stay,
    order_beating,
    order_by_wire,
    order_slowly,
    shop,
    terminal,
    until,
)

from counterpoint import ActivityFailed, ExecutionFailed, NotDone, RetryAfter
from counterpoint.model.states import Status


async def test_a_call_runs_where_its_service_is_hosted_and_its_result_comes_back() -> None:
    async with shop("orders", "payments") as (world, (here, _)):
        execution = await here.start(order, "one", id="one")

        assert await execution.result(timeout=30) == {"cents": 250}
        assert terminal.calls == ["charge one"]
        assert terminal.keys == ["one/1/2"]
        await is_empty(world)


async def test_an_offer_is_written_with_the_record_of_its_call() -> None:
    async with shop("orders") as (world, (here,)):
        await here.start(order_by_wire, "one", id="one")
        (commit,) = [one for one in world.commits if one.starts]

        assert commit.calls is not None
        assert [row.activity for row in commit.calls.offered] == ["payments.wire"]
        assert commit.starts[0].wake_at is None  # nobody here has to look after it


async def test_a_call_that_nobody_hosts_waits_until_somebody_does() -> None:
    async with shop("orders") as (world, (here,)):
        execution = await here.start(order, "one")
        await until(lambda: world.calls)
        status = (await execution.describe()).status
        async with node(world, "payments"):
            result = await execution.result(timeout=30)

        assert (status, result) == (Status.RUNNING, {"cents": 250})


async def test_a_business_error_crosses_with_its_facts() -> None:
    async with shop("orders", "payments") as (_, (here, _)):
        terminal.fail = [Refused(why="no money")]
        execution = await here.start(order_and_stay, "one")

        assert await execution.result(timeout=30) == "no money"
        assert len(terminal.calls) == 1


async def test_a_failed_attempt_is_made_again_under_the_same_key() -> None:
    async with shop("orders", "payments") as (_, (here, _)):
        terminal.fail = [ConnectionError("no route"), RetryAfter(timedelta(milliseconds=1))]
        execution = await here.start(order, "one")

        assert await execution.result(timeout=30) == {"cents": 250}
        assert len(terminal.keys) == 3
        assert len(set(terminal.keys)) == 1


async def test_a_retry_comes_when_the_other_nodes_error_says() -> None:
    async with shop("orders", "payments") as (world, (here, _)):
        terminal.fail = [RetryAfter(timedelta(hours=1))]
        await here.start(order, "one", id="one")
        await until(lambda: terminal.calls and not world.calls)
        (row,) = world.shared.live()

        assert row.wake_at is not None
        assert row.wake_at > here.node.clock.now() + 3_500_000_000


async def test_a_call_has_the_attempts_of_the_policy_where_it_is_hosted() -> None:
    async with shop("orders", "payments") as (_, (here, _)):
        terminal.fail = [ConnectionError("no route")] * 9
        execution = await here.start(order, "one")
        with pytest.raises(ExecutionFailed, match="after 3 attempts, outcome unknown"):
            await execution.result(timeout=30)

        assert len(terminal.calls) == 3


async def test_not_done_is_no_doubt_and_another_error_is() -> None:
    async with shop("orders", "payments") as (_, (here, _)):
        terminal.fail = [NotDone("surely not")]
        first = await here.start(order_by_wire, "one")
        assert await first.result(timeout=30) == "wired"
        terminal.fail = [ConnectionError("no answer")]
        second = await here.start(order_by_wire, "two")
        with pytest.raises(ExecutionFailed) as caught:
            await second.result(timeout=30)

        error = caught.value.__cause__
        assert isinstance(error, ActivityFailed)
        assert error.outcome_unknown
        assert terminal.calls == ["wire one", "wire one", "wire two"]


async def test_an_attempt_times_out_where_it_runs() -> None:
    async with shop("orders", "payments") as (_, (here, _)):
        terminal.open.clear()
        execution = await here.start(order_slowly, "one")
        with pytest.raises(ExecutionFailed, match=r"the attempt took longer than 0\.05 s"):
            await execution.result(timeout=30)

        assert terminal.cancelled == 1


async def test_a_heartbeats_detail_reaches_the_next_attempt() -> None:
    async with shop("orders", "payments") as (_, (here, _)):
        terminal.fail = [ConnectionError("no route")]
        execution = await here.start(order_beating, "one")

        assert await execution.result(timeout=30) == "{'page': 7}"


async def test_a_heartbeat_is_recorded_while_the_attempt_goes_on() -> None:
    async with shop("orders", "payments") as (_, (here, _)):
        terminal.open.clear()
        execution = await here.start(order_beating, "one")
        await terminal.entered.wait()
        resident = here.node.residents[execution.id]
        step = resident.execution.state.open_steps[1]
        await until(lambda: step.heartbeat is not None and bytes(step.heartbeat) == b'{"page":7}')
        terminal.open.set()

        assert await execution.result(timeout=30) == "None"


async def test_compensations_run_where_they_are_hosted() -> None:
    async with shop("orders", "payments") as (world, (here, _)):
        execution = await here.start(order_and_fail, "one", id="one")
        with pytest.raises(ExecutionFailed) as caught:
            await execution.result(timeout=30)

        assert caught.value.status == Status.COMPENSATED
        assert terminal.calls == ["charge one", "refund one {'cents': 250}", "release one"]
        assert terminal.keys == ["one/1/2", "one/1/2c", "one/1/1c"]
        await is_empty(world)


async def test_a_compensation_that_fails_is_tried_again() -> None:
    async with shop("orders", "payments") as (_, (here, _)):
        terminal.fail_when["refund"] = ConnectionError("no route")
        execution = await here.start(order_and_fail, "one")
        with pytest.raises(ExecutionFailed):
            await execution.result(timeout=30)

        refunds = [call for call in terminal.calls if call.startswith("refund")]
        assert refunds == ["refund one {'cents': 250}"] * 2


async def test_what_an_activity_publishes_is_in_the_log_with_its_result() -> None:
    async with shop("orders", "payments") as (world, (here, _)):
        terminal.fail = [ConnectionError("no route")]  # which publishes nothing
        execution = await here.start(order, "one", id="one")
        await execution.result(timeout=30)
        (event,) = await events(world)

        assert (event.type, event.key, event.source) == ("payments.Charged", "one", "payments")
        assert event.causation_id == "one"


async def test_many_calls_of_several_nodes_each_happen_once() -> None:
    async with shop("orders", "payments", "orders,payments", max_running=3) as (world, apps):
        started = [await apps[2 * (n % 2)].start(order, str(n)) for n in range(60)]
        for execution in started:
            assert await execution.result(timeout=20) == {"cents": 250}

        assert sorted(terminal.calls) == sorted(f"charge {n}" for n in range(60))
        await is_empty(world)


async def test_a_node_claims_no_more_than_it_can_run() -> None:
    async with shop("orders") as (world, (here,)):
        terminal.open.clear()
        for n in range(5):
            await here.start(order_by_wire, str(n))
        await until(lambda: len(world.calls) == 5)
        async with node(world, "payments", max_running=2):
            await until(lambda: terminal.running == 2)
            claimed = [row for row in world.calls.values() if row.claimed_by]
            terminal.open.set()
            await until(lambda: len(terminal.calls) == 5)

        assert len(claimed) == 2
        assert terminal.most == 2


async def test_a_result_that_does_not_fit_the_callers_types_fails_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with shop("orders", "payments") as (_, (here, _)):
        terminal.open.clear()
        execution = await here.start(order, "one")
        await terminal.entered.wait()
        decoded: list[object] = []

        def decode_once(_: object, payload: object) -> object:
            decoded.append(payload)
            if len(decoded) > 1:  # the first one is that of the node which has run it
                raise ValueError("not what I expected")
            return {"cents": 250}

        monkeypatch.setattr(type(charge.signature.result), "decode", decode_once)
        terminal.open.set()
        with pytest.raises(ExecutionFailed, match="not what I expected"):
            await execution.result(timeout=30)


async def test_a_node_is_not_idle_while_another_one_runs_its_call() -> None:
    async with shop("orders", "payments") as (_, (here, _)):
        terminal.open.clear()
        await here.start(order, "one")
        await terminal.entered.wait()
        with pytest.raises(TimeoutError):
            await here.idle(timeout=0.05)
        terminal.open.set()

        await here.idle(timeout=30)


async def test_a_node_that_began_again_is_not_idle_while_its_call_is_out() -> None:
    async with shop("orders", "payments") as (world, (here, _)):
        terminal.open.clear()
        await here.start(order_by_wire, "one", id="one")
        await terminal.entered.wait()
        await here.stop()
        async with node(world, "orders") as again:
            with pytest.raises(TimeoutError):
                await again.idle(timeout=0.2)
            in_memory = "one" in again.node.residents
            terminal.open.set()
            await again.idle(timeout=30)
            status = (await again.execution("one").describe()).status

        assert not in_memory
        assert status == Status.COMPLETED


async def test_health_names_the_calls_that_no_node_hosts() -> None:
    async with shop("orders") as (world, (here,)):
        await here.start(order_by_wire, "one", id="one")
        await here.start(order_by_wire, "two", id="two")
        await until(lambda: len(world.calls) == 2)
        unhosted = here.node.remote.unhosted
        assert unhosted is not None
        await unhosted.look()
        (problem,) = here.health().problems
        async with node(world, "payments"):
            await unhosted.look()
            problems = here.health().problems

        assert problem.startswith("no node hosts payments.wire: 2 calls wait since ")
        assert problems == ()
