"""What can be seen of executions: lists, descriptions in each state, journals, health."""

from datetime import timedelta

import pytest
from tests.runtime.shop import GOOD, TOO_MUCH, check_payment, pay, place_order, shop

from counterpoint import ExecutionFailed, Service, workflow
from counterpoint.model.states import Status
from counterpoint.runtime.client import ExecutionSummary
from counterpoint.testing import Harness

service = Service("service")


@service.workflow
async def approve(limit: int) -> str:
    return await workflow.signal("approval", str, timeout=timedelta(days=3))


async def listed(harness: Harness, **filters: str | Status) -> list[str]:
    status = filters.get("status")
    found = harness.app.executions(
        status=status,
        workflow=filters.get("workflow"),
        service=filters.get("service"),
        correlation_id=filters.get("correlation_id"),
    )
    return [summary.id async for summary in found]


async def some_executions(harness: Harness) -> None:
    await harness.start(place_order, "tea", GOOD, id="good")
    await harness.start(place_order, "tea", TOO_MUCH, id="undone")
    await harness.start(pay, "tea", TOO_MUCH, id="failed", correlation_id="flow")
    await harness.start(approve, 5, id="waiting", correlation_id="flow")


async def test_executions_are_listed_newest_first() -> None:
    async with Harness(services=[shop, service]) as harness:
        await some_executions(harness)

        assert await listed(harness) == ["waiting", "failed", "undone", "good"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"status": "running"}, ["waiting"]),
        ({"status": Status.COMPENSATED}, ["undone"]),
        ({"workflow": "shop.place_order"}, ["undone", "good"]),
        ({"service": "service"}, ["waiting"]),
        ({"correlation_id": "flow"}, ["waiting", "failed"]),
        ({"correlation_id": "good"}, ["good"]),
        ({"correlation_id": "flow", "status": "failed"}, ["failed"]),
        ({"workflow": "shop.unknown"}, []),
    ],
)
async def test_executions_are_filtered(filters: dict[str, str], found: list[str]) -> None:
    async with Harness(services=[shop, service]) as harness:
        await some_executions(harness)

        assert await listed(harness, **filters) == found


async def test_executions_since_a_moment_are_listed() -> None:
    async with Harness(services=[service]) as harness:
        await harness.start(approve, 1, id="old")
        await harness.advance(hours=1)
        await harness.start(approve, 1, id="new")
        since = harness.now - timedelta(minutes=30)

        assert [e.id async for e in harness.app.executions(since=since)] == ["new"]


async def test_pages_follow_each_other_without_a_gap() -> None:
    async with Harness(services=[service], rehearse=False) as harness:
        ids = [f"w-{number:03}" for number in range(250)]
        for id in ids:
            await harness.app.start(approve, 1, id=id)

        assert await listed(harness) == ids[::-1]


async def test_summary_tells_what_a_line_of_a_list_needs() -> None:
    async with Harness(services=[shop]) as harness:
        await harness.run(place_order, "tea", GOOD, id="good")
        (summary,) = [e async for e in harness.app.executions()]

        assert summary == ExecutionSummary(
            "good", 1, "shop.place_order", Status.COMPLETED, harness.now, harness.now, "good"
        )


async def test_executions_are_counted_by_status() -> None:
    async with Harness(services=[shop, service]) as harness:
        await some_executions(harness)

        assert await harness.app.counts() == {
            Status.COMPLETED: 1,
            Status.COMPENSATED: 1,
            Status.FAILED: 1,
            Status.RUNNING: 1,
        }


async def test_completed_execution_is_described() -> None:
    async with Harness(services=[shop]) as harness:
        await harness.run(place_order, "tea", GOOD, id="good")
        known = await harness.execution("good").describe()

        assert (known.status, known.result, known.error) == ("completed", "tea confirmed", None)
        assert known.arguments == {"order": "tea", "amount": "10"}
        assert known.finished_at == harness.now
        assert known.kind == "saga"
        assert known.waits_for == []
        assert [(c.name, c.state, c.result) for c in known.calls] == [
            ("shop.create", "completed", {"created": "tea"}),
            ("shop.reserve", "completed", {"reserved": "tea"}),
            ("shop.charge", "completed", {"charged": "tea"}),
        ]


async def test_undone_execution_is_described() -> None:
    async with Harness(services=[shop]) as harness:
        harness.fail("shop.release", ConnectionError("no route"))
        execution = await harness.start(place_order, "tea", TOO_MUCH, id="undone")
        with pytest.raises(ExecutionFailed):
            await harness.result(execution)
        known = await execution.describe()

        assert (known.status, known.error_type) == ("compensated", "shop.PaymentDeclined")
        assert known.error == "reason='over the limit', amount=Decimal('1000')"
        assert [(c.state, c.compensation, c.compensation_attempts) for c in known.calls] == [
            ("undone", "shop.withdraw", 1),
            ("undone", "shop.release", 2),
            ("failed", None, 0),
        ]
        assert known.calls[1].compensation_key == "undone/1/2c"


async def test_compensating_execution_says_what_it_waits_for() -> None:
    async with Harness(services=[shop]) as harness:
        harness.fail("shop.release", ConnectionError("no route"), times=None)
        execution = await harness.start(place_order, "tea", TOO_MUCH)
        known = await execution.describe()

        assert known.status is Status.COMPENSATING
        assert known.calls[1].state == "being undone"
        assert known.calls[1].compensation_error == "builtins.ConnectionError: no route"
        assert len(known.waits_for) == 1
        assert known.waits_for[0].startswith("attempt 2 of shop.release (call 2) at 2026-01-01T")


async def test_compensation_out_of_patience_is_an_incident_that_ends_by_itself() -> None:
    async with Harness(services=[shop]) as harness:
        harness.fail("shop.release", ConnectionError("no route"), times=12)
        execution = await harness.start(place_order, "tea", TOO_MUCH)
        await harness.advance(minutes=2)
        known = await execution.describe()
        await harness.advance(minutes=10)

        assert known.status is Status.INCIDENT
        assert known.incident == "shop.release failed 10 times and is tried on: no route"
        assert known.incident_at is not None
        assert known.waits_for[0].startswith("a person: shop.release")
        assert (await execution.describe()).status is Status.COMPENSATED
        assert (await execution.describe()).incident is None


@pytest.mark.parametrize("how", ["restart", "evict"])
async def test_compensation_out_of_patience_is_tried_on_when_it_left_memory(how: str) -> None:
    async with Harness(services=[shop]) as harness:
        harness.fail("shop.release", ConnectionError("no route"), times=12)
        execution = await harness.start(place_order, "tea", TOO_MUCH)
        await harness.advance(minutes=2)
        status = (await execution.describe()).status
        await (harness.evict() if how == "evict" else harness.restart())
        await harness.advance(minutes=10)

        assert status is Status.INCIDENT
        assert (await execution.describe()).status is Status.COMPENSATED


async def test_waiting_execution_says_what_it_waits_for() -> None:
    async with Harness(services=[service]) as harness:
        execution = await harness.start(approve, 5)
        known = await execution.describe()

        assert known.status is Status.RUNNING
        assert known.awaited_signals == ["approval"]
        assert known.timers == [harness.now + timedelta(days=3)]
        assert known.waits_for == ["the signal 'approval'", "a timer at 2026-01-04T00:00:00+00:00"]


async def test_running_call_is_described() -> None:
    async with Harness(services=[shop]) as harness:
        harness.hang("shop.charge")
        execution = await harness.start(check_payment, "tea", GOOD, id="one")
        (call,) = (await execution.describe()).calls

        assert (call.state, call.attempts, call.idempotency_key) == ("running", 1, "one/1/1")
        assert call.arguments == {"order": "tea", "amount": "10"}
        assert call.scheduled_at == harness.now
        assert call.settled_at is None


async def test_call_that_is_being_cancelled_is_described() -> None:
    async with Harness(services=[shop]) as harness:
        hold = harness.hang("shop.charge")

        def stubborn(order: str, amount: object) -> dict[str, str]:
            return {}

        harness.replace("shop.charge", stubborn)
        execution = await harness.start(check_payment, "tea", GOOD, id="one")
        await execution.cancel()
        await harness.settle()
        known = await execution.describe()
        hold.release()

        assert known.status is Status.CANCELLED
        assert known.calls[0].state == "cancelled"


async def test_description_is_plain_json() -> None:
    async with Harness(services=[shop]) as harness:
        execution = await harness.start(place_order, "tea", TOO_MUCH)
        plain = (await execution.describe()).to_json()

        assert plain["status"] == "compensated"
        assert plain["created_at"] == "2026-01-01T00:00:00Z"
        assert plain["calls"][0]["result"] == {"created": "tea"}


async def test_journal_is_numbered_and_readable() -> None:
    async with Harness(services=[shop]) as harness:
        await harness.run(check_payment, "tea", TOO_MUCH, id="one")
        journal = await harness.execution("one").journal()

        assert [(entry.seq, entry.type) for entry in journal] == [
            (1, "started"),
            (2, "scheduled"),
            (3, "failed"),
            (4, "ended"),
        ]
        assert journal[1].data["arguments"] == {"order": "tea", "amount": "1000"}
        assert journal[2].data["error"]["facts"] == {"reason": "over the limit", "amount": "1000"}
        assert journal[2].at == harness.now


async def test_health_counts_what_a_node_does() -> None:
    async with Harness(services=[shop, service], max_running=1) as harness:
        harness.hang("shop.charge", times=None)
        await harness.start(check_payment, "tea", GOOD)
        await harness.start(check_payment, "milk", GOOD)
        await harness.start(approve, 5)
        health = harness.app.health()

        assert health.accepting
        assert health.problems == ()
        assert (health.resident, health.running, health.waiting) == (3, 1, 1)
        assert health.commits == 3
