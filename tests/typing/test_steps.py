"""Children, delayed starts, at-most-once calls and operators' acts, as both type checkers see them.

Each `type: ignore` marks an error that has to be there. Most functions are read by the checkers and
never run.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Never, assert_type

from counterpoint import App, Execution, NotDone, Retry, Service, workflow
from counterpoint.authoring.activity import Activity
from counterpoint.authoring.call import Call
from counterpoint.runtime.handle import ResetReport

trips = Service("trips")


@trips.activity(at_most_once=True)
async def pay(amount: int) -> str:
    return "paid"


@trips.activity(at_most_once=True, on_unknown="fail", retry=Retry(max_attempts=2))
def pay_or_fail(amount: int) -> str:
    return "paid"


@trips.activity
async def release(lock: str, *, force: bool = False) -> None: ...


@trips.saga
async def book_leg(flight: str, seats: int) -> list[str]:
    return [flight] * seats


@trips.workflow(version=2)
async def remind(flight: str) -> None: ...


@book_leg.compensation
async def cancel_leg(flight: str, result: list[str] | None) -> None: ...


@trips.saga(deadline=timedelta(hours=1))
async def book_trip(flight: str) -> int:
    assert_type(book_leg(flight, 2), Call[list[str]])
    assert_type(await book_leg(flight, 2), list[str])
    assert_type(workflow.child(book_leg, flight, 2), Call[list[str]])
    assert_type(await workflow.child(book_leg, flight, 2, id="leg-7"), list[str])
    await remind(flight)
    assert_type(await pay(5), str)
    assert_type(await pay_or_fail(5), str)
    assert_type(workflow.patched("check-fraud"), bool)
    workflow.compensate_with(release, "lock", force=True)
    workflow.set_attributes(customer="ann", amount=5, reviewer=None)
    workflow.pivot()
    return 1


@trips.workflow
async def for_ever(count: int) -> None:
    assert_type(workflow.continue_as_new(count + 1), Never)


async def starts(app: App) -> None:
    begins = datetime(2026, 1, 2, tzinfo=UTC)
    assert_type(await app.start(book_trip, "7", delay=5), Execution[int])
    assert_type(await app.start(book_trip, "7", delay=timedelta(hours=1)), Execution[int])
    assert_type(await app.start(book_trip, "7", at=begins), Execution[int])
    assert_type(await app.run(book_trip, "7", delay=0.5, id="trip-7"), int)
    async with app.client() as client:
        assert_type(await client.start(book_trip, "7", at=begins), Execution[int])


async def acts(execution: Execution[int]) -> None:
    assert_type(await execution.reset(to=3, actor="ann", reason="mended"), ResetReport)
    await execution.resolve(2, result="paid", actor="ann", reason="seen")
    await execution.resolve(2, error=NotDone())
    await execution.resolve(2, done=True)
    await execution.terminate(actor="ann", reason="a test order")
    await execution.retry(actor="ann", reason="mended")
    await execution.cancel(actor="ann", reason="by phone")


async def refused(app: App, execution: Execution[Any]) -> None:
    book_leg("7")  # type: ignore[call-arg]
    book_leg("7", "2")  # type: ignore[arg-type]
    workflow.child(book_leg, "7")  # type: ignore[misc]
    workflow.compensate_with(release)  # type: ignore[call-arg]
    trips.activity(at_most_once=True, on_unknown="ask")  # type: ignore[call-overload]
    await app.start(book_trip, "7", delay="soon")  # type: ignore[arg-type]
    await app.start(book_trip, "7", at=5)  # type: ignore[arg-type]
    await execution.reset()  # type: ignore[call-arg]
    await execution.resolve("2", done=True)  # type: ignore[arg-type]


def test_decorated_workflows_keep_their_types() -> None:
    assert isinstance(pay, Activity)
    assert isinstance(pay_or_fail, Activity)
    assert_type(pay.policy.at_most_once, bool)
    assert cancel_leg.__name__ == "cancel_leg"
