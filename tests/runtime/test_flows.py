"""Flows as `app.flow` returns them: what led to what, in both styles, from the store alone."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from tests.runtime.flow_shop import (
    FAILS,
    SERVICES,
    OrderPlaced,
    PaymentTaken,
    StockShort,
    orders,
    parcels,
    place,
    sell,
    thank,
)

from counterpoint import (
    AwaitedEvent,
    ExecutionFailed,
    ExecutionNotFoundError,
    Flow,
    FlowEvent,
    FlowExecution,
    FlowReaction,
)
from counterpoint.model import records as r
from counterpoint.model.messages import (
    EventQuery,
    EventRow,
    ReactionRow,
    ReactionStatus,
    SubscriptionRow,
    slot_of,
)
from counterpoint.model.rows import Query
from counterpoint.runtime import flow_rows
from counterpoint.runtime.flow_rows import FlowRows
from counterpoint.runtime.flow_tree import flow_of
from counterpoint.testing import Harness


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    FAILS.clear()
    async with Harness(services=SERVICES) as harness:
        yield harness
    FAILS.clear()


def words(flow: Flow) -> list[str]:
    """Return the tree as indented lines."""
    return [f"{'  ' * depth}{line(step)}" for depth, step in flow.outline()]


def line(step: Any) -> str:
    match step:
        case FlowEvent():
            return f"{step.type} by {step.publisher}"
        case FlowReaction():
            return f"{step.name} {step.status}"
        case _:
            return f"{step.description.workflow} {step.id} {step.description.status}"


async def publish(harness: Harness, *events: Any, flow: str) -> tuple[str, ...]:
    ids = await harness.app.publish(*events, correlation_id=flow)
    await harness.idle()
    return ids


async def failing_choreography(harness: Harness) -> str:
    FAILS["give_back"] = 99
    (event_id,) = await publish(harness, OrderPlaced(order="c", item="gold"), flow="c")
    return event_id


# ---- trees ------------------------------------------------------------------------------------


async def test_a_saga_is_a_tree_with_its_calls_retries_and_compensations(harness: Harness) -> None:
    FAILS.update({"authorize": 2, "void": 1})

    with pytest.raises(ExecutionFailed):
        await harness.run(place, "o", "gold", id="o")
    flow = await harness.app.flow("o")

    assert words(flow) == ["orders.place o compensated"]
    assert flow.counts() == {
        "executions": 1,
        "events": 0,
        "reactions": 0,
        "calls": 3,
        "compensations": 2,
        "retries": 3,
        "dead_letters": 0,
        "waiting": 0,
        "incidents": 0,
    }
    assert not flow.live


async def test_events_and_reactions_are_under_what_led_to_them(harness: Harness) -> None:
    FAILS["take_payment"] = 1

    await publish(harness, OrderPlaced(order="c", item="gold"), flow="c")
    flow = await harness.app.flow("c")

    assert words(flow) == [
        "orders.OrderPlaced by None",
        "  payments.take_payment completed",
        "    payments.PaymentTaken by payments.take_payment",
        "      stock.set_aside completed",
        "        stock.StockShort by stock.set_aside",
        "          payments.give_back completed",
    ]
    assert flow.counts()["retries"] == 1
    assert flow.ended_at == flow.started_at + timedelta(milliseconds=100)


async def test_both_styles_are_one_tree(harness: Harness) -> None:
    await harness.run(sell, "m", id="m")
    await harness.idle()
    flow = await harness.app.flow("m")

    assert words(flow) == [
        "orders.sell m completed",
        "  orders.OrderNoted by orders.note",
        "    parcels.ship ship-m completed",
        "      parcels.wrap ship-m/1 completed",
        "      parcels.ParcelShipped by parcels.ship",
        "        orders.remember completed",
        "          orders.thank thank-m completed",
    ]
    noted, shipped = flow.events
    assert (noted.call, shipped.call) == (3, None)
    (received,) = flow.executions[0].received
    assert (received.source, received.id) == (shipped.source, shipped.id)


async def test_a_dead_letter_and_what_waits_behind_it_are_in_the_flow(harness: Harness) -> None:
    await failing_choreography(harness)
    await publish(harness, StockShort(order="c"), flow="c")

    flow = await harness.app.flow("c")

    dead, behind = [one for one in flow.reactions if one.name == "payments.give_back"]
    assert (dead.status, dead.attempts, len(dead.failed_attempts)) == ("dead", 4, 4)
    assert dead.error == "builtins.ConnectionError: no route to the bank of give_back"
    assert (behind.status, behind.created_at, behind.attempts) == ("waiting", None, 0)
    assert behind.waits_for == (
        "an earlier event of the key 'c', which is a dead letter of payments.give_back"
    )
    assert flow.counts()["dead_letters"] == flow.counts()["waiting"] == 1
    assert flow.live


async def test_a_redriven_dead_letter_completes_in_the_flow(harness: Harness) -> None:
    await failing_choreography(harness)
    (dead,) = [one for one in (await harness.app.flow("c")).reactions if one.status == "dead"]
    FAILS.clear()

    await harness.app.redrive(dead.id)
    await harness.settle()
    await harness.idle()
    flow = await harness.app.flow("c")

    (again,) = [one for one in flow.reactions if one.id == dead.id]
    assert (again.status, again.error, again.waits_for) == ("completed", None, None)
    assert len(again.failed_attempts) == 4
    assert not flow.live


async def test_an_event_waits_for_a_node_that_has_its_reaction(harness: Harness) -> None:
    await harness.restart(services=[orders, parcels])
    await publish(harness, OrderPlaced(order="c"), flow="c")

    flow = await harness.app.flow("c")

    assert words(flow) == ["orders.OrderPlaced by None", "  payments.take_payment waiting"]
    assert flow.reactions[0].waits_for == "a node to take it"


async def test_an_execution_says_for_which_event_it_waits(harness: Harness) -> None:
    FAILS["authorize"] = 3

    await harness.start(sell, "m", id="m")
    await harness.settle()
    before = (await harness.app.flow("m")).executions[0]
    await harness.advance(milliseconds=800)
    after = (await harness.app.flow("m")).executions[0]

    assert before.awaits == []
    assert after.awaits == [AwaitedEvent("parcels.ParcelShipped", "m")]


async def test_what_has_one_correlation_id_by_choice_has_several_roots(harness: Harness) -> None:
    await publish(harness, PaymentTaken(order="a"), PaymentTaken(order="b"), flow="day")
    await harness.start(thank, "a", id="a")
    await harness.app.start(thank, "b", id="b", correlation_id="day")
    await harness.idle()

    flow = await harness.app.flow("day")

    assert [line(root) for root in flow.roots] == [
        "payments.PaymentTaken by None",
        "payments.PaymentTaken by None",
        "orders.thank b completed",
    ]


# ---- which flow -------------------------------------------------------------------------------


async def test_the_id_of_anything_in_a_flow_finds_it(harness: Harness) -> None:
    await harness.run(sell, "m", id="m")
    await harness.idle()
    flow = await harness.app.flow("m")
    event, reaction = flow.events[1], flow.reactions[0]

    for any_id in (
        *(one.id for one in flow.executions),
        event.id,
        f"{event.source}/{event.id}",
        reaction.id,
    ):
        assert (await harness.app.flow(any_id)).id == "m"


async def test_an_event_begins_the_flow_of_its_own_id(harness: Harness) -> None:
    (event_id,) = await harness.app.publish(OrderPlaced(order="c"))
    await harness.idle()

    assert (await harness.app.flow(event_id)).id == event_id


@pytest.mark.parametrize("unknown", ["x", "a/b", "payments.take_payment:orders/x", "", ":/"])
async def test_an_unknown_id_is_refused_with_what_to_pass(harness: Harness, unknown: str) -> None:
    await publish(harness, OrderPlaced(order="c"), flow="c")

    with pytest.raises(ExecutionNotFoundError, match="no flow, execution, reaction or event"):
        await harness.app.flow(unknown)


# ---- completeness -----------------------------------------------------------------------------


async def in_the_store(harness: Harness) -> list[tuple[str, ...]]:
    store = harness.store
    executions = await store.executions(Query(limit=10_000))
    events = await store.events(EventQuery(limit=10_000))
    names = {one.number: one.name for one in await store.subscriptions()}
    found: list[tuple[str, ...]] = [("execution", row.id, str(row.run)) for row in executions]
    found += [("event", row.source, row.id) for row in events]
    starters = {row.name for row in executions if row.causation_id is not None}
    by_position = {row.position: row for row in events}
    for row in await store.reactions_at(list(by_position)):
        if names[row.subscription] not in starters:  # that of a workflow is its execution
            found.append(("reaction", names[row.subscription], by_position[row.position].id))
    return sorted(found)


def in_the_tree(flow: Flow) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for step in flow.steps():
        match step:
            case FlowEvent():
                found.append(("event", step.source, step.id))
            case FlowReaction():
                found.append(("reaction", step.name, step.event))
            case FlowExecution():
                found.append(("execution", step.id, str(step.description.run)))
    return sorted(found)


async def test_everything_is_in_the_tree_exactly_once_however_many_pages_it_takes(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_rows, "PAGE", 3)
    FAILS.update({"take_payment": 5, "set_aside": 3, "authorize": 4})
    for number in range(10):
        item = "gold" if number % 3 else "tea"
        await harness.app.publish(OrderPlaced(order=f"c{number}", item=item), correlation_id="all")
        await harness.app.start(sell, f"m{number}", correlation_id="all")
    await harness.idle()

    flow = await harness.app.flow("all")

    assert in_the_tree(flow) == await in_the_store(harness)
    assert len(flow.roots) == 20


async def test_a_flow_as_json_names_the_cause_of_each_step(harness: Harness) -> None:
    await harness.run(sell, "m", id="m")
    await harness.idle()

    plain = (await harness.app.flow("m")).to_json()

    kinds = [(one["number"], one["cause"], one["kind"]) for one in plain["steps"]]
    assert kinds == [
        (1, None, "execution"),
        (2, 1, "event"),
        (3, 2, "execution"),
        (4, 3, "execution"),
        (5, 3, "event"),
        (6, 5, "reaction"),
        (7, 6, "execution"),
    ]
    assert plain["events"] == 2
    assert not any("journal" in one or "led_to" in one for one in plain["steps"])


def event_row(position: int, event_id: str, cause: str) -> EventRow:
    return EventRow(
        position, "s", event_id, "s.E", 1, "k", slot_of("k"), "f", cause, None, 0, None,
        position, position, "json", b"{}",
    )  # fmt: skip


async def test_events_that_name_each_other_as_causes_are_told_all_the_same(
    harness: Harness,
) -> None:
    rows = FlowRows("f", events=[event_row(1, "a", "b"), event_row(2, "b", "a")])

    flow = flow_of(rows, harness.app.codec)

    assert [(depth, step.id) for depth, step in flow.outline()] == [(0, "a"), (1, "b")]


async def test_a_chain_may_be_longer_than_the_stack_of_python(harness: Harness) -> None:
    events = [event_row(n, str(n), str(n - 1)) for n in range(1, 5_001)]

    flow = flow_of(FlowRows("f", events=events), harness.app.codec)

    assert [depth for depth, _ in flow.outline()] == list(range(5_000))


async def test_a_replay_is_a_reaction_of_its_own_in_the_flow(harness: Harness) -> None:
    await publish(harness, OrderPlaced(order="c"), flow="c")
    await harness.app.replay_events("payments.take_payment", first=1, last=1)
    await harness.settle()
    await harness.idle()

    flow = await harness.app.flow("c")

    first, again = flow.events[0].led_to
    assert isinstance(first, FlowReaction)
    assert isinstance(again, FlowReaction)
    assert (first.replay, again.status, again.led_to) == (0, "completed", ())
    assert again.id == f"{first.id}#{again.replay}"
    assert (await harness.app.flow(again.id)).id == "c"


def reaction_rows(row: ReactionRow, *records: r.Record) -> FlowRows:
    subscription = SubscriptionRow(row.subscription, "s", "s.r", "s.E", "", 0, 1, 1)
    return FlowRows(
        "f",
        events=[event_row(1, "a", "")],
        records={9: list(records)},
        subscriptions={row.subscription: subscription},
        reactions={(row.subscription, row.position): row},
    )


async def test_an_attempt_that_was_lost_and_the_one_under_way_are_told(harness: Harness) -> None:
    row = ReactionRow(7, 1, ReactionStatus.RUNNING, 1, None, 9, 2)

    flow = flow_of(reaction_rows(row, r.AttemptLost(2, 0, 1, 3)), harness.app.codec)

    (reaction,) = flow.reactions
    assert [(one.attempt, one.lost) for one in reaction.failed_attempts] == [(1, True)]
    assert reaction.waits_for == "attempt 2, under way"
    assert (reaction.retries, flow.live) == (1, True)


async def test_a_retry_says_which_attempt_comes_when(harness: Harness) -> None:
    row = ReactionRow(7, 1, ReactionStatus.RETRYING, 1, None, 9, 1, 5_000_000)
    error = r.Failure("builtins.ValueError", "")

    flow = flow_of(
        reaction_rows(row, r.AttemptFailed(2, 0, 1, error, True, 5_000_000)), harness.app.codec
    )

    (reaction,) = flow.reactions
    assert reaction.error == "builtins.ValueError"
    assert reaction.waits_for == "attempt 2 at 1970-01-01T00:00:05+00:00"


async def test_an_event_whose_reaction_nobody_knows_any_more_is_under_its_cause(
    harness: Harness,
) -> None:
    events = [event_row(1, "a", ""), event_row(2, "b", "a")._replace(publisher="s.gone")]

    flow = flow_of(FlowRows("f", events=events), harness.app.codec)

    assert [(depth, step.id) for depth, step in flow.outline()] == [(0, "a"), (1, "b")]
