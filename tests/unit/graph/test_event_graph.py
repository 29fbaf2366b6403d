"""What is read of events: from definitions, and from the source of workflows and activities."""

from dataclasses import make_dataclass
from typing import Any

import pytest
from tests.unit.graph import choreographed

from counterpoint import App, Service
from counterpoint.authoring.registry import Registry
from counterpoint.graph.choreographies import part_of
from counterpoint.graph.event_graph import EventGraph, Role, event_graph
from counterpoint.graph.mentions import Mentions, read_mentions

SERVICES = [
    choreographed.orders,
    choreographed.payments,
    choreographed.inventory,
    choreographed.carrier,
]
BOTH = {"OrderConfirmed", "OrderRefused"}


def said(definition: Any) -> Mentions:
    workflow = definition in choreographed.orders.workflows.values()
    return read_mentions(definition.function, in_workflow=workflow)


def names(types: Any) -> set[str]:
    return {name.rpartition(".")[2] for name in types}


def graph() -> EventGraph:
    return event_graph(Registry(SERVICES, payload_bytes_max=1000))


def edges(of: EventGraph) -> set[str]:
    return {
        f"{edge.source.partition(':')[2]} {edge.link} {edge.target.partition(':')[2]}"
        for edge in of.edges
    }


# ---- what code publishes ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workflow", "published"),
    [
        (choreographed.says_directly, BOTH),
        (choreographed.says_names, BOTH),
        (choreographed.says_what_it_copies, BOTH),
        (choreographed.says_what_helpers_make, BOTH),
        (choreographed.says_what_untyped_helpers_make, {"OrderRefused"}),
        (choreographed.says_what_annotations_tell, BOTH),
        (choreographed.says_through_helpers, {"OrderConfirmed"}),
        (choreographed.says_through_aliases, BOTH),
        (choreographed.says_through_untyped_helpers, BOTH),
        (choreographed.says_through_methods, BOTH),
        (choreographed.says_in_loops, BOTH),
        (choreographed.says_in_blocks, BOTH),
        (choreographed.says_through_others, BOTH),
        (choreographed.says_through_annotations, BOTH),
        (choreographed.says_after_an_import, {"OrderRefused"}),
        (choreographed.calls_itself, BOTH),
        (choreographed.passes_on, {"OrderRefused"}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_published_events_are_found_in_source(workflow: Any, published: set[str]) -> None:
    found = said(workflow)

    assert names(found.publishes) == published
    assert not found.unclear


def test_what_the_source_does_not_tell_is_kept_as_source() -> None:
    found = said(choreographed.says_what_nobody_knows)

    assert not found.publishes
    assert set(found.unclear) == {"workflow.publish(hidden[order])", "workflow.publish(event)"}


def test_what_is_picked_from_collections_is_found() -> None:
    found = said(choreographed.says_what_it_picks)

    assert names(found.publishes) == BOTH
    assert len(found.unclear) == 1  # what hidden gives


def test_names_that_are_given_what_is_not_followed_are_not_known() -> None:
    found = said(choreographed.says_what_it_gave_up)

    assert names(found.publishes) == {"OrderConfirmed"}
    assert set(found.unclear) == {
        "workflow.publish(sixth)",
        "workflow.publish(seventh)",
        "workflow.publish(one)",
    }


def test_a_lambda_does_not_tell_what_it_is_called_with() -> None:
    found = said(choreographed.says_through_lambdas)

    assert names(found.publishes) == {"OrderRefused"}
    assert list(found.unclear) == ["workflow.publish(event)"]


def test_events_are_found_in_activities_of_both_kinds_and_in_compensations() -> None:
    activity = choreographed.payments.activities["payments.charge"]
    assert activity.undo is not None

    assert names(said(activity).publishes) == {"PaymentAuthorized"}
    assert names(said(activity.undo).publishes) == {"PaymentRefunded"}
    assert list(said(choreographed.decline).unclear) == ["activity.publish(event)"]


def test_an_activity_that_calls_another_one_says_what_that_says() -> None:
    found = said(choreographed.ask)

    assert names(found.publishes) == {"PaymentAuthorized"}
    assert list(found.starts) == ["orders.says_directly"]


def test_a_workflow_does_not_say_what_its_activities_say() -> None:
    found = said(choreographed.place)

    assert found == Mentions()


def test_code_without_source_says_nothing() -> None:
    assert read_mentions(len, in_workflow=False) == Mentions()
    assert (
        read_mentions(vars(make_dataclass("Empty", []))["__repr__"], in_workflow=False)
        == Mentions()
    )


# ---- what it waits for ------------------------------------------------------------------------


def test_awaited_events_are_found_in_source() -> None:
    assert names(said(choreographed.waits).waits) == {
        "StockReserved",
        "StockShort",
        "ParcelShipped",
    }
    assert names(said(choreographed.waits_for_one_of).waits) == {"StockReserved", "StockShort"}


def test_a_wait_that_the_source_does_not_tell_is_kept_as_source() -> None:
    found = said(choreographed.waits_for_what_nobody_knows)

    assert not found.waits
    assert list(found.unclear_waits) == ["workflow.event(hidden[order], key=order)"]


# ---- the graph --------------------------------------------------------------------------------


def test_reactions_lead_from_their_event_to_those_of_their_annotation() -> None:
    found = edges(graph())

    assert {
        "orders.OrderPlaced reacts payments.take_payment",
        "payments.take_payment emits payments.PaymentAuthorized",
        "payments.take_payment emits payments.PaymentRefused",
        "orders.OrderPlaced reacts orders.note",
    } <= found
    assert not [edge for edge in found if edge.startswith("orders.note")]


def test_sagas_activities_children_and_compensations_are_linked() -> None:
    assert {
        "inventory.StockReserved starts orders.place",
        "orders.place calls payments.charge",
        "orders.place calls orders.passes_on",
        "payments.charge emits payments.PaymentAuthorized",
        "payments.charge undone by payments.void",
        "payments.void emits payments.PaymentRefunded",
        "orders.follow_up starts orders.passes_on",
        "orders.ask starts orders.says_directly",
    } <= edges(graph())


def test_events_lead_to_workflows_that_wait_for_them() -> None:
    assert {
        "inventory.StockReserved awaited orders.waits",
        "carrier.ParcelShipped awaited orders.waits",
        "orders.OrderRefused awaited orders.passes_on",
    } <= edges(graph())


def test_emits_takes_the_place_of_what_the_source_tells() -> None:
    found = graph()

    assert "orders.says_what_it_declares emits orders.OrderConfirmed" in edges(found)
    assert "payments.decline emits payments.PaymentRefused" in edges(found)
    assert "workflow:orders.says_what_it_declares" not in found.unclear
    assert "activity:payments.decline" not in found.unclear


def test_code_that_has_to_do_with_no_event_is_left_out() -> None:
    found = graph()

    assert "activity:inventory.count" not in found.nodes
    assert "reaction:orders.note" in found.nodes


def test_an_activity_and_a_reaction_may_share_a_name() -> None:
    shop = Service("shop")

    @shop.activity(name="shop.same", emits=[choreographed.OrderPlaced])
    def one() -> None: ...

    @shop.on(choreographed.OrderPlaced, name="shop.same")
    def other(event: choreographed.OrderPlaced) -> None: ...

    found = event_graph(Registry([shop], payload_bytes_max=1000))

    assert [n.role for n in found.nodes.values()] == [Role.EVENT, Role.REACTION, Role.ACTIVITY]


# ---- the part of a choreography ---------------------------------------------------------------


def choreography_graph(services: list[Service]) -> EventGraph:
    app = App("shop", services=services, store="memory:")
    return part_of(choreographed.fulfilment, event_graph(app.registry))


def test_the_part_of_a_choreography_has_its_side_branches_and_nothing_unrelated() -> None:
    found = choreography_graph(SERVICES)

    assert "reaction:orders.note" in found.nodes
    assert "event:orders.OrderConfirmed" not in found.nodes
    assert "workflow:orders.says_directly" not in found.nodes


def test_external_events_for_which_the_flow_waits_belong_to_it() -> None:
    found = choreography_graph(SERVICES)

    assert "event:carrier.ParcelShipped" in found.nodes
    assert found.nodes["event:carrier.ParcelShipped"].external


def test_what_follows_from_an_end_belongs_to_it_only_where_it_leads_to_another_end() -> None:
    found = choreography_graph(SERVICES)

    assert "saga:orders.place" in found.nodes  # its activity's compensation emits PaymentRefunded
    assert "workflow:orders.passes_on" not in found.nodes
