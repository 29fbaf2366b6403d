"""What is told of executions that wait for events, receive and publish them."""

import io

import pytest
from tests.design.services_mix import SERVICES, Placed, Shipped, described, publishes, ship, waits

from counterpoint import Description, Service, activity, workflow
from counterpoint.cli.journal import record_words
from counterpoint.cli.output import console, show_parts
from counterpoint.cli.story import Surroundings, story
from counterpoint.graph.sequence_mermaid import sequence_mermaid
from counterpoint.graph.sequence_plantuml import sequence_plantuml
from counterpoint.graph.telling import story as tell
from counterpoint.testing import Harness
from counterpoint.testing.harness import StuckError

made = Service("made")


@made.saga(on=Placed)
async def by_event(event: Placed) -> int:
    return (await workflow.event(Shipped, key=event.order_id)).number


@made.activity
async def begins() -> None:
    activity.start(waits, "k", 1, id="begun")


@made.workflow
async def calls() -> None:
    await begins()


ALL = [*SERVICES, made]


def shown(description: Description, harness: Harness) -> str:
    """Return what `counterpoint show` prints."""
    file = io.StringIO()
    wide = console(file)
    wide.width = 200
    show_parts(wide, *story(description, Surroundings(harness.now)))
    return file.getvalue()


async def test_a_wait_for_an_event_is_described_in_words_and_as_data() -> None:
    async with Harness(services=ALL) as harness:
        await harness.start(waits, "k", 1, id="one")
        found = await described(harness)

        assert found.waits_for == ["the event shipping.Shipped of 'k'"]
        assert [(one.type, one.key) for one in found.awaited_events] == [("shipping.Shipped", "k")]
        assert found.to_json()["awaited_events"] == [{"type": "shipping.Shipped", "key": "k"}]


async def test_show_says_which_event_an_execution_waits_for() -> None:
    async with Harness(services=ALL) as harness:
        await harness.start(waits, "k", 1, id="one")

        assert "the event shipping.Shipped of 'k'" in shown(await described(harness), harness)


async def test_an_execution_that_is_over_waits_for_no_event() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(waits, "k", 1, id="one")
        await execution.cancel()
        found = await described(harness)

        assert found.waits_for == []
        assert list(found.awaited_events) == []


async def test_show_says_which_event_began_an_execution() -> None:
    async with Harness(services=ALL) as harness:
        await harness.app.publish(Placed(order_id="k"), id="e1")
        found = await described(harness, "made.by_event:orders/e1")

        assert found.caused_by is not None
        assert (found.caused_by.event_type, found.caused_by.id) == ("orders.Placed", "e1")
        assert "begun by   the event orders.Placed (orders/e1)" in shown(found, harness)


async def test_show_says_whose_activity_began_an_execution() -> None:
    async with Harness(services=ALL) as harness:
        await harness.run(calls, id="first")
        await harness.idle()
        found = await described(harness, "begun")

        assert found.caused_by is not None
        assert (found.caused_by.event_type, found.caused_by.id) == (None, "first")
        assert "begun by   an activity of first" in shown(found, harness)


async def test_what_a_test_waits_for_in_vain_is_named() -> None:
    async with Harness(services=ALL) as harness:
        with pytest.raises(StuckError, match=r"the event shipping\.Shipped of 'k'"):
            await harness.run(waits, "k", 1)


async def test_the_journal_has_received_and_published_events_with_their_data() -> None:
    async with Harness(services=ALL) as harness:
        execution = await harness.start(waits, "k", 1, id="one")
        await ship(harness, 7)
        published = await harness.start(publishes, "k", 1, id="two")
        await harness.settle()
        entries = {e.type: e.data for e in await execution.journal()}
        sent = {e.type: e.data for e in await published.journal()}

        assert entries["awaits-event"]["event_type"] == "shipping.Shipped"
        assert entries["event"]["data"] == {"order_id": "k", "number": 7}
        assert sent["published"]["data"] == {"order_id": "k", "number": 1}
        assert sent["published"]["event_type"] == "orders.Confirmed"


async def test_each_record_about_an_event_is_a_line_that_names_it() -> None:
    async with Harness(services=ALL) as harness:
        await harness.app.publish(Placed(order_id="k"), id="e1")
        await ship(harness, 7)
        execution = harness.execution("made.by_event:orders/e1")
        lines = {e.type: record_words(e) for e in await execution.journal()}

        assert "orders.Placed" in lines["caused-by"]
        assert "shipping.Shipped" in lines["awaits-event"]
        assert "shipping.Shipped" in lines["event"]


@pytest.mark.parametrize("draw", [sequence_mermaid, sequence_plantuml])
async def test_the_sequence_diagram_has_waits_and_events(draw: object) -> None:
    assert callable(draw)
    async with Harness(services=ALL) as harness:
        await harness.app.publish(Placed(order_id="k"), id="e1")
        await ship(harness, 7)
        execution = harness.execution("made.by_event:orders/e1")
        published = await harness.start(publishes, "k", 1, id="two")
        await harness.settle()
        received = draw(tell(execution.id, await execution.journal()))
        sent = draw(tell("two", await published.journal()))

        assert "waits for" in received
        assert "shipping.Shipped" in received
        assert "orders.Placed" in received
        assert "orders.Confirmed" in sent


async def test_the_next_run_tells_what_it_took_over() -> None:
    again = Service("again")

    @again.workflow
    async def goes_on(rounds: int) -> int:
        found = (await workflow.event(Shipped, key="k")).number
        if rounds:
            workflow.continue_as_new(rounds - 1)
        return found

    async with Harness(services=[*ALL, again]) as harness:
        execution = await harness.start(goes_on, 1, id="one")
        await ship(harness, 1)
        (data,) = [e.data for e in await execution.journal() if e.type == "continued"]

        assert data["events"] == [{"event_type": "shipping.Shipped", "key": "k", "position": 1}]
