"""Flows as sequence diagrams: every call, compensation and delivery of an event once, in order."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from random import Random

import pytest
from tests.runtime.flow_shop import (
    FAILS,
    SERVICES,
    OrderPlaced,
    StockShort,
    create,
    orders,
    parcels,
    place,
    reserve,
    sell,
    thank,
)

from counterpoint import (
    Event,
    ExecutionFailed,
    Flow,
    FlowEvent,
    FlowReaction,
    Service,
    activity,
    workflow,
)
from counterpoint.graph.sequence import Arrow, Happening, Item, Message, Remark, Repeated, Story
from counterpoint.graph.sequence_mermaid import sequence_mermaid
from counterpoint.graph.sequence_plantuml import sequence_plantuml
from counterpoint.runtime.flow_story import story_of
from counterpoint.testing import Harness

lonely = Service("lonely")


@lonely.event(key="name")
class Called(Event):
    name: str


@lonely.workflow
async def calls_out(name: str) -> None:
    await workflow.publish(Called(name=name))


@lonely.activity
async def hand_over(order: str) -> None:
    activity.start(thank, order, id=f"thank-{order}")


@lonely.workflow
async def hands_over(order: str) -> None:
    await hand_over(order)


@lonely.workflow
async def repeats(left: int) -> None:
    if left:
        workflow.continue_as_new(left - 1)


@lonely.saga
async def hold(order: str) -> None:
    await create(order)


@lonely.saga
async def bundle(order: str) -> None:
    await hold(order)
    await reserve(order, "gold")


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    FAILS.clear()
    async with Harness(services=[*SERVICES, lonely]) as harness:
        yield harness
    FAILS.clear()


async def drawn(harness: Harness, flow_id: str) -> list[str]:
    """Return the lines of the flow as Mermaid, without the participants and the times."""
    text = sequence_mermaid(story_of(await harness.app.flow(flow_id)))
    lines = [line.strip() for line in text.splitlines()[1:]]
    names = dict(re.findall(r"^\s*participant (p\d+) as (.*)$", text, re.MULTILINE))
    beside = ("actor", "participant", "Note left", "rect", "end")
    kept = [one for one in lines if not one.startswith(beside)]
    return [re.sub(r"(?:\b|(?<=-x))p\d+\b", lambda found: names[found[0]], one) for one in kept]


async def publish(harness: Harness, *events: Event, flow: str) -> None:
    await harness.app.publish(*events, correlation_id=flow)
    await harness.idle()


# ---- what is drawn ----------------------------------------------------------------------------


async def test_an_orchestrated_flow_has_solid_arrows_loops_and_what_is_undone(
    harness: Harness,
) -> None:
    FAILS["authorize"] = 2

    with pytest.raises(ExecutionFailed):
        await harness.run(place, "o", "gold", id="o")

    assert await drawn(harness, "o") == [
        'outside->>orders: start orders.place o<br/>{"order": "o", "item": "gold"}',
        'orders->>orders: 1 create<br/>{"order": "o"}',
        'orders-)orders: ✓ 1 create<br/>"o"',
        'orders->>payments: 2 authorize<br/>{"order": "o"}',
        "loop 2 authorize: attempts 1 to 2 fail, until +0.100 s",
        "payments-xorders: ✗ 2 authorize"
        "<br/>builtins.ConnectionError: no route to the bank of authorize",
        "orders->>payments: 2 authorize, attempt 3",
        'payments-)orders: ✓ 2 authorize<br/>"o"',
        'orders->>stock: 3 reserve<br/>{"order": "o", "item": "gold"}',
        "stock-xorders: ✗ 3 reserve failed<br/>stock.Short: item='gold'",
        "Note over orders: ⚠ ↶ orders.place o undoes what happened<br/>stock.Short: item='gold'",
        "orders->>payments: ↶ undo call 2: void",
        "payments-)orders: ✓ call 2 is undone",
        "orders->>orders: ↶ undo call 1: withdraw",
        "orders-)orders: ✓ call 1 is undone",
        "orders-xoutside: ✗ orders.place o compensated",
    ]


async def test_a_choreographed_flow_has_dashed_arrows_and_marks_dead_letters(
    harness: Harness,
) -> None:
    FAILS.update({"take_payment": 1, "give_back": 99})

    await publish(harness, OrderPlaced(order="c", item="gold"), flow="c")
    await harness.advance(seconds=1)
    await publish(harness, StockShort(order="c"), flow="c")

    assert await drawn(harness, "c") == [
        "outside->>orders: publish orders.OrderPlaced of c",
        "orders--)payments: orders.OrderPlaced<br/>→ take_payment",
        "loop take_payment: attempt 1 fails, and another follows",
        "payments-xpayments: ✗ take_payment"
        "<br/>builtins.ConnectionError: no route to the bank of take_payment",
        "Note over payments: ✓ take_payment completed at attempt 2",
        "payments--)stock: payments.PaymentTaken<br/>→ set_aside",
        "stock--)payments: stock.StockShort<br/>→ give_back",
        "loop give_back: attempts 1 to 3 fail, until +0.400 s",
        "payments-xpayments: ✗ give_back"
        "<br/>builtins.ConnectionError: no route to the bank of give_back",
        "Note over payments: ⚠ ✗ give_back gives up after 4 attempts: a dead letter"
        "<br/>builtins.ConnectionError: no route to the bank of give_back",
        "outside->>stock: publish stock.StockShort of c",
        "Note over payments: ⚠ payments.give_back has not taken stock.StockShort"
        "<br/>it waits for an earlier event of the key 'c', which is a dead letter of "
        "payments.give_back",
    ]


async def test_a_mixed_flow_shows_who_started_and_who_waited(harness: Harness) -> None:
    await harness.run(sell, "m", id="m")
    await harness.idle()

    assert await drawn(harness, "m") == [
        'outside->>orders: start orders.sell m<br/>{"order": "m"}',
        'orders->>orders: m: 1 create<br/>{"order": "m"}',
        'orders->>payments: m: 2 authorize<br/>{"order": "m"}',
        'orders-)orders: ✓ m: 1 create<br/>"m"',
        'payments-)orders: ✓ m: 2 authorize<br/>"m"',
        'orders->>orders: m: 3 note<br/>{"order": "m"}',
        "orders-)orders: ✓ m: 3 note",
        "Note over orders: m: waits for the event parcels.ParcelShipped of m",
        "orders--)parcels: orders.OrderNoted<br/>→ starts parcels.ship ship-m",
        'parcels->>parcels: ship-m: 1 child wrap<br/>id ship-m/1<br/>{"order": "m"}',
        'parcels->>parcels: ship-m/1: 1 pack<br/>{"order": "m"}',
        'parcels-)parcels: ✓ ship-m/1: 1 pack<br/>"m"',
        'parcels-)parcels: ✓ ship-m: 1 child wrap<br/>"m"',
        "Note over parcels: ship-m: timer 1 is due",
        "parcels--)orders: parcels.ParcelShipped<br/>→ m has waited for it",
        'orders-)outside: ✓ orders.sell m completed<br/>"m"',
        "Note over parcels: ✓ parcels.ship ship-m completed",
        "parcels--)orders: parcels.ParcelShipped<br/>→ remember",
        "orders->>orders: remember starts orders.thank thank-m",
        'orders->>orders: thank-m: 1 write<br/>{"order": "m"}',
        "orders-)orders: ✓ thank-m: 1 write",
        "Note over orders: ✓ orders.thank thank-m completed",
    ]


async def test_an_event_that_nobody_takes_is_not_lost(harness: Harness) -> None:
    await harness.run(calls_out, "x", id="x")

    assert await drawn(harness, "x") == [
        'outside->>lonely: start lonely.calls_out x<br/>{"name": "x"}',
        "lonely--)lonely: lonely.Called of x<br/>nobody takes it",
        "lonely-)outside: ✓ lonely.calls_out x completed",
    ]


async def test_later_runs_are_told_as_what_they_are(harness: Harness) -> None:
    await harness.run(repeats, 2, id="r")

    assert await drawn(harness, "r") == [
        'outside->>lonely: start lonely.repeats r<br/>{"left": 2}',
        'lonely-)outside: ✓ lonely.repeats r continued<br/>{"left": 1}',
        "Note over lonely: lonely.repeats r: run 2 begins",
        'Note over lonely: ✓ lonely.repeats r continued<br/>{"left": 0}',
        "Note over lonely: lonely.repeats r: run 3 begins",
        "Note over lonely: ✓ lonely.repeats r completed",
    ]


async def test_what_people_do_about_dead_letters_is_drawn(harness: Harness) -> None:
    FAILS["give_back"] = 99
    await publish(harness, StockShort(order="c"), flow="c")
    (dead,) = (await harness.app.flow("c")).reactions
    await harness.app.redrive(dead.id, actor="ann", reason="the bank is back")
    await harness.settle()
    await harness.idle()
    await harness.app.discard(dead.id, actor="bob", reason="paid by hand")
    await harness.settle()

    lines = await drawn(harness, "c")

    asked = [line for line in lines if line.startswith("outside->>payments")]
    assert asked == [
        "outside->>payments: redrive the dead letter of give_back<br/>by ann<br/>the bank is back",
        "outside->>payments: discard the dead letter of give_back<br/>by bob<br/>paid by hand",
    ]


async def test_an_event_that_no_node_has_taken_yet_says_so(
    harness: Harness,
) -> None:
    await harness.restart(services=[orders, parcels])
    await publish(harness, OrderPlaced(order="c"), flow="c")

    assert await drawn(harness, "c") == [
        "outside->>orders: publish orders.OrderPlaced of c",
        "Note over payments: ⚠ payments.take_payment has not taken orders.OrderPlaced"
        "<br/>it waits for a node to take it",
    ]


# ---- everything once --------------------------------------------------------------------------


def happenings(item: Item) -> Iterator[Happening]:
    yield from item.first if isinstance(item, Repeated) else (item,)


def in_the_journals(flow: Flow) -> Counter[str]:
    """Return what the journals and the log say has to be drawn, and how often."""
    counts: Counter[str] = Counter()
    for step in flow.steps():
        under = Counter(type(one).__name__ for one in step.led_to)
        if isinstance(step, FlowEvent):
            counts["deliveries"] += under["FlowExecution"]
            continue
        tags = Counter(entry.type for entry in step.journal)
        counts["calls"] += tags["scheduled"] + tags["child"]
        counts["compensations"] += tags["compensate"] + tags["undo-child"]
        counts["deliveries"] += tags["event"]
        counts["failures"] += tags["attempt-failed"] + tags["failed"]
        counts["dead letters"] += tags["died"]
        if isinstance(step, FlowReaction):
            counts["deliveries"] += step.status != "waiting"
            counts["starts"] += under["FlowExecution"]
    return counts


def in_the_drawing(story: Story) -> Counter[str]:
    counts: Counter[str] = Counter()
    for item in story.items:
        title = item.title if isinstance(item, Repeated) else ""
        several = re.search(r"attempts (\d+) to (\d+) fail", title)
        times = int(several[2]) - int(several[1]) + 1 if several else 1
        for one in happenings(item):
            counts[kind(one)] += times
    del counts[""]
    return counts


def kind(one: Happening) -> str:
    """Return what of the journals a happening draws; nothing for what is beside the point."""
    match one.what:
        case Message(arrow=arrow, lines=lines):
            words = lines[0]
            if ", attempt " in words or "nobody takes it" in lines:
                return ""
            if arrow is Arrow.ASK:
                began = words.startswith(("start ", "publish "))
                return "" if began else "starts" if " starts " in words else "calls"
            if arrow is Arrow.FAILED and not words.endswith("compensated"):
                return "failures"
            return {Arrow.UNDO: "compensations", Arrow.EVENT: "deliveries"}.get(arrow, "")
        case Remark(lines=lines):
            return "dead letters" if lines[0].endswith(": a dead letter") else ""
        case _:
            return ""


@pytest.mark.parametrize("seed", range(6))
async def test_every_call_compensation_and_delivery_is_drawn_exactly_once(
    harness: Harness, seed: int
) -> None:
    dice = Random(seed)
    for name in ("authorize", "take_payment", "give_back"):
        FAILS[name] = dice.randrange(12)
    FAILS["void"] = dice.randrange(3)
    for number in range(8):
        item = dice.choice(["tea", "gold"])
        key = f"k{dice.randrange(4)}"
        await harness.app.publish(OrderPlaced(order=key, item=item), correlation_id="f")
        await harness.app.start(place, key, item, id=f"p{number}", correlation_id="f")
        await harness.app.start(sell, f"s{number}", id=f"s{number}", correlation_id="f")
    await harness.idle()
    flow = await harness.app.flow("f")

    story = story_of(flow)

    wanted, found = in_the_journals(flow), in_the_drawing(story)
    assert +found == +wanted
    assert wanted["calls"] > 20
    for draw in (sequence_mermaid, sequence_plantuml):
        assert len([one for one in draw(story).splitlines() if ": 1 create" in one]) >= 8


async def test_a_story_of_thousands_of_events_leaves_nothing_out(harness: Harness) -> None:
    events = [OrderPlaced(order=f"k{number % 50}") for number in range(1_000)]

    await publish(harness, *events, flow="f")
    flow = await harness.app.flow("f")
    story = story_of(flow)

    assert len(flow.events) == 2_000
    assert in_the_drawing(story)["deliveries"] == 2_000
    assert sequence_mermaid(story).count("--)") == 2_000


# ---- families ---------------------------------------------------------------------------------


async def test_a_child_that_is_undone_with_its_parent_is_told_as_one_story(
    harness: Harness,
) -> None:
    with pytest.raises(ExecutionFailed):
        await harness.run(bundle, "b", id="b")

    assert await drawn(harness, "b") == [
        'outside->>lonely: start lonely.bundle b<br/>{"order": "b"}',
        'lonely->>lonely: b: 1 child hold<br/>id b/1<br/>{"order": "b"}',
        'lonely->>orders: b/1: 1 create<br/>{"order": "b"}',
        'orders-)lonely: ✓ b/1: 1 create<br/>"b"',
        "lonely-)lonely: ✓ b: 1 child hold",
        'lonely->>stock: b: 2 reserve<br/>{"order": "b", "item": "gold"}',
        "stock-xlonely: ✗ b: 2 reserve failed<br/>stock.Short: item='gold'",
        "Note over lonely: ⚠ ↶ lonely.bundle b undoes what happened<br/>stock.Short: item='gold'",
        "lonely->>lonely: b: ↶ undo call 1: child hold",
        "Note over lonely: ⚠ ↶ lonely.hold b/1 undoes what happened"
        "<br/>counterpoint.ParentUndone: its parent is being undone",
        "lonely->>orders: b/1: ↶ undo call 1: withdraw",
        "orders-)lonely: ✓ b/1: call 1 is undone",
        "lonely-)lonely: ✓ b: call 1 is undone",
        "lonely-xoutside: ✗ lonely.bundle b compensated",
    ]


async def test_what_an_activity_started_is_under_its_execution(harness: Harness) -> None:
    await harness.run(hands_over, "x", id="x")
    await harness.idle()

    flow = await harness.app.flow("x")

    assert [(depth, step.id) for depth, step in flow.outline()] == [(0, "x"), (1, "thank-x")]
    assert flow.executions[1].event is None
    assert (await drawn(harness, "x"))[-4:] == [
        'lonely->>orders: start orders.thank thank-x<br/>{"order": "x"}',
        'orders->>orders: thank-x: 1 write<br/>{"order": "x"}',
        "orders-)orders: ✓ thank-x: 1 write",
        "Note over orders: ✓ orders.thank thank-x completed",
    ]
