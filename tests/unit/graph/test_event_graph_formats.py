"""Choreographies and event graphs as Mermaid, as PlantUML, and as data."""

from datetime import timedelta
from typing import Any

import pytest

from counterpoint import App, Choreography, Event, Service, workflow
from counterpoint.graph.choreographies import part_of
from counterpoint.graph.event_data import choreography_data, events_data
from counterpoint.graph.event_graph import event_graph
from counterpoint.graph.event_mermaid import events_mermaid
from counterpoint.graph.event_picture import (
    Picture,
    choreography_picture,
    duration_words,
    events_picture,
)
from counterpoint.graph.event_plantuml import events_plantuml

orders, payments = Service("orders"), Service("payments")
hidden: dict[str, Any] = {}


@orders.event(key="order")
class Placed(Event):
    order: str


@payments.event(key="order", version=3)
class Paid(Event):
    order: str


@payments.event(key="order")
class Refused(Event):
    order: str


@payments.event(key="order", external=True)
class Settled(Event):
    order: str


@payments.event(key="order", name='a "b" <i> #1;')
class Odd(Event):
    order: str


@payments.activity(emits=[Paid])
async def charge(order: str) -> None: ...


@payments.saga(on=Placed, emits=[Refused])
async def take(event: Placed) -> None:
    await charge(event.order)
    await workflow.event(Settled, key=event.order)


@orders.on(Paid)
async def note(event: Paid) -> None: ...


@orders.workflow
async def odd(order: str) -> None:
    await workflow.publish(hidden[order])


payment = Choreography(
    "payment", starts=Placed, completes=Paid, fails=[Refused], within=timedelta(minutes=1)
)
app = App("shop", services=[orders, payments], choreographies=[payment], store="memory:")
GRAPH = event_graph(app.registry)


def choreography() -> Picture:
    return choreography_picture(part_of(payment, GRAPH), payment)


def test_a_choreography_is_a_mermaid_flowchart_of_services() -> None:
    assert events_mermaid(choreography()) == (
        """\
flowchart LR
  title{{"payment<br/>choreography, within 1 min"}}
  subgraph s1["orders"]
    n1(["Placed<br/>starts"]):::starts
  end
  subgraph s2["payments"]
    n2[["take<br/>saga"]]
    n3(["Refused<br/>fails"]):::fails
    n4["charge<br/>activity"]
    n5(["Paid v3<br/>completes"]):::completes
    n6(["Settled<br/>from outside"]):::outside
  end
  title --> n1
  n1 -->|"starts"| n2
  n6 -->|"awaited by"| n2
  n2 --> n3
  n2 -.->|"calls"| n4
  n4 --> n5
  classDef starts stroke-width: 3px
  classDef completes stroke-width: 3px, stroke: #2a7d2a
  classDef fails stroke-width: 3px, stroke: #c0392b, stroke-dasharray: 6 3
  classDef outside stroke-dasharray: 2 3
"""
    )


def test_a_choreography_is_a_plantuml_diagram_of_services() -> None:
    assert events_plantuml(choreography()) == (
        """\
@startuml
title payment\\nchoreography, within 1 min
left to right direction
package "orders" as s1 {
  storage "Placed\\nstarts" as n1 #Gold;line.bold
}
package "payments" as s2 {
  component "take\\nsaga" as n2 #LightCyan
  storage "Refused\\nfails" as n3 #MistyRose;line:Red;line.dashed
  rectangle "charge\\nactivity" as n4 #White
  storage "Paid v3\\ncompletes" as n5 #LightGreen;line:Green;line.bold
  storage "Settled\\nfrom outside" as n6 #LightYellow;line.dotted
}
circle start
start --> n1
n1 --> n2 : starts
n6 --> n2 : awaited by
n2 --> n3
n2 ..> n4 : calls
n4 --> n5
@enduml
"""
    )


def test_the_events_of_an_app_have_no_marks_and_all_that_hear_of_them() -> None:
    text = events_mermaid(events_picture(GRAPH, app.name))

    assert "title" not in text
    assert ":::starts" not in text
    assert '["note"]' in text


def test_what_is_not_known_is_told_in_both_formats() -> None:
    picture = events_picture(GRAPH, app.name)

    assert "odd<br/>workflow<br/>not known: workflow.publish(hidden[order])" in (
        events_mermaid(picture)
    )
    assert "odd\\nworkflow\\nnot known: workflow.publish(hidden[order])" in (
        events_plantuml(picture)
    )


def test_names_cannot_break_a_diagram() -> None:
    picture = events_picture(GRAPH, 'sh"op;')

    assert '(["a #34;b#34; #60;i#62; #35;1#59;"])' in events_mermaid(picture)
    assert 'storage "a &#34;b&#34; &#60;i> &#35;1&#59;" as ' in events_plantuml(picture)
    assert "title sh&#34;op&#59;\\nevents\n" in events_plantuml(picture)


def test_a_choreography_as_data_has_its_declaration_nodes_and_edges() -> None:
    data = choreography_data(part_of(payment, GRAPH), payment)

    assert {key: data[key] for key in list(data)[:5]} == {
        "choreography": "payment",
        "starts": "orders.Placed",
        "completes": ["payments.Paid"],
        "fails": ["payments.Refused"],
        "within_seconds": 60.0,
    }
    assert data["nodes"][0] == {
        "id": "event:orders.Placed",
        "role": "event",
        "name": "orders.Placed",
        "service": "orders",
        "version": 1,
        "external": False,
        "not_known": [],
    }
    assert {
        "source": "saga:payments.take",
        "target": "activity:payments.charge",
        "link": "calls",
    } in data["edges"]


def test_the_events_of_an_app_as_data_have_its_choreographies() -> None:
    data = events_data(GRAPH, app.name, app.choreographies.values())
    unclear = [node for node in data["nodes"] if node["not_known"]]

    assert list(data) == ["app", "choreographies", "nodes", "edges"]
    assert [one["choreography"] for one in data["choreographies"]] == ["payment"]
    assert [(n["name"], n["not_known"]) for n in unclear] == [
        ("orders.odd", ["workflow.publish(hidden[order])"])
    ]


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(milliseconds=500), "0.5 s"),
        (timedelta(seconds=30), "30 s"),
        (timedelta(seconds=90), "1 min 30 s"),
        (timedelta(hours=36), "1 d 12 h"),
        (timedelta(days=1, seconds=1), "1 d 1 s"),
    ],
    ids=str,
)
def test_durations_are_told_in_their_units(duration: timedelta, words: str) -> None:
    assert duration_words(duration) == words
