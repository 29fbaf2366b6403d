"""Flows as Mermaid and as PlantUML: small ones to the letter, all of them in structure."""

import re

import pytest
from tests.unit.graph import drawn

from counterpoint.authoring.workflow import Workflow
from counterpoint.graph.flow import Arm, Branch, End, Flow, Kind, Loop, Step, Way
from counterpoint.graph.flow_mermaid import flow_mermaid
from counterpoint.graph.flow_plantuml import flow_plantuml
from counterpoint.graph.reading import read_workflow

WORKFLOWS = [one for one in vars(drawn).values() if isinstance(one, Workflow)]
HOSTILE = 'a"b;c#d</b>%%{init}`x` **y**\n@enduml\n[[z]] |$w \\t'


def test_a_saga_as_mermaid() -> None:
    assert flow_mermaid(read_workflow(drawn.straight)) == (
        """\
flowchart TD
  n1(["shop.straight(order)<br/>saga, within 300 s"])
  n2["shop.create"]
  n3["pay.charge"]
  n4["shop.notify"]
  n5(["ends: order"]):::ended
  subgraph s6["if it fails or is cancelled: undone, newest first"]
    direction TB
    n7["pay.refund<br/>undoes pay.charge"]
    n8["shop.discard<br/>undoes shop.create"]
  end
  n9["has no compensation and stays:<br/>shop.notify"]:::stays
  n1 --> n2
  n2 --> n3
  n3 --> n4
  n4 --> n5
  n7 --> n8
  n5 ~~~ s6
  n5 ~~~ n9
  classDef ended stroke-width: 3px
  classDef stays stroke-dasharray: 1 4
"""
    )


def test_a_saga_as_plantuml() -> None:
    assert flow_plantuml(read_workflow(drawn.straight)) == (
        """\
@startuml
title shop.straight(order)\\nsaga, within 300 s
start
:shop.create;
:pay.charge;
:shop.notify;
:ends: order;
stop
partition "if it fails or is cancelled: undone, newest first" {
  start
  #MistyRose:pay.refund\\nundoes pay.charge;
  #MistyRose:shop.discard\\nundoes shop.create;
  end
}
start
#WhiteSmoke:has no compensation and stays:\\nshop.notify;
detach
@enduml
"""
    )


def test_a_handler_is_reached_from_the_whole_block() -> None:
    text = flow_mermaid(read_workflow(drawn.guards))

    assert '  s2 -.->|"TimeoutError"| n6' in text
    assert '  s2 -.->|"in any case"| n8' in text


def test_break_leaves_a_loop_and_continue_goes_to_its_head() -> None:
    lines = flow_mermaid(read_workflow(drawn.loops)).splitlines()

    assert '  n2{{"for page in order"}}' in lines
    assert '  n3 -->|"yes"| n2' in lines  # continue
    assert '  n5{{"repeat"}}' in lines
    assert '  n7 -->|"no"| n10' in lines  # the condition
    assert '  n9 -->|"yes"| n10' in lines  # break
    assert not any(line.endswith("ends") for line in lines), "nothing follows an endless loop"


def test_the_end_of_a_helper_is_not_the_end_of_the_workflow() -> None:
    mermaid = flow_mermaid(read_workflow(drawn.follows))
    plantuml = flow_plantuml(read_workflow(drawn.follows))

    assert mermaid.count(":::ended") == plantuml.count("stop") == 1


def test_early_returns_of_a_helper_become_branches_in_plantuml() -> None:
    text = flow_plantuml(read_workflow(drawn.follows))

    assert text.startswith(
        """\
@startuml
title shop.follows(order)\\nworkflow
start
partition "pays()" {
  if (not order) then (yes)
  else (no)
    :pay.charge;
    :shop.notify;
  endif
}
"""
    )


def test_a_break_among_many_arms_is_drawn_with_branches_of_two() -> None:
    arms = (Arm("a", (End(Way.BREAK),)), Arm("b", ()), Arm("any other", ()))
    step = Step(Kind.SLEEP, "1 s")
    flow = Flow("w", "workflow", "", "", (Loop("for ever", (step, Branch("x", arms)), (), True),))

    text = flow_plantuml(flow)

    assert "switch" not in text
    assert "if (x: a) then (yes)\n    break\n  else (no)\n    if (x: b) then (yes)" in text


def test_the_else_of_a_loop_is_passed_over_by_break() -> None:
    text = flow_plantuml(read_workflow(drawn.jumps))

    assert (
        """\
endwhile (over)
if (left by break) then (no)
  :pay.charge;
else (yes)
endif
"""
        in text
    )


def test_of_a_saga_past_its_pivot_nothing_is_undone() -> None:
    text = flow_mermaid(read_workflow(drawn.steers))
    labels = re.findall(r'\["(.*)"\]', text)

    assert (
        "if it fails or is cancelled and the pivot was not passed: undone, newest first" in labels
    )
    assert labels[-5:] == [
        "pay.refund<br/>undoes pay.charge<br/>each time that it was called",
        "pay.refund<br/>undoes pay.charge<br/>if it was called",
        "shop.discard<br/>undoes shop.create",
        "shop.notify<br/>registered by compensate_with",
        "has no compensation and stays:<br/>shop.child<br/>shop.create (past the pivot)",
    ]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda one: one.name)
def test_every_edge_of_mermaid_leads_to_a_node_and_blocks_are_closed(
    workflow: Workflow[object, *tuple[object, ...]],
) -> None:
    text = flow_mermaid(read_workflow(workflow))
    nodes = set(re.findall(r"^ +(?:subgraph )?([ns]\d+)[\[({>]", text, re.MULTILINE))
    edges = re.findall(r"^  (\w+) -(?:-|\.-)>(?:\|.*\|)? ?(\w+)$", text, re.MULTILINE)

    assert {name for edge in edges for name in edge} <= nodes
    assert text.count("subgraph") == len(re.findall(r"^ +end$", text, re.MULTILINE))
    reached = {target for _, target in edges}
    ends = set(re.findall(r"^ +(n\d+).*:::ended", text, re.MULTILINE))
    assert ends <= reached


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda one: one.name)
def test_every_block_of_plantuml_is_closed(
    workflow: Workflow[object, *tuple[object, ...]],
) -> None:
    words = [line.strip() for line in flow_plantuml(read_workflow(workflow)).splitlines()]

    for opening, closing in (
        ("if (", "endif"),
        ("while (", "endwhile"),
        ("switch (", "endswitch"),
        ("partition ", "}"),
    ):
        opened = sum(word.startswith(opening) for word in words)
        assert opened == sum(word.startswith(closing) for word in words), opening
    assert words.count("fork") == sum(word.startswith("end fork") for word in words)


def test_text_of_users_changes_no_diagram() -> None:
    arms = (Arm(HOSTILE, (Step(Kind.ACTIVITY, HOSTILE, HOSTILE),)), Arm("no", ()))
    plain_arms = (Arm("x", (Step(Kind.ACTIVITY, "x", "x"),)), Arm("no", ()))
    hostile = Flow(HOSTILE, "saga", HOSTILE, HOSTILE, (Branch(HOSTILE, arms),))
    plain = Flow("x", "saga", "x", "x", (Branch("x", plain_arms),))

    for draw, signs in ((flow_mermaid, ()), (flow_plantuml, ("[[z", "n@enduml"))):
        assert draw(hostile).count("\n") == draw(plain).count("\n")
        assert [one for one in ("</b>", "%%{", "`", "**", *signs) if one in draw(hostile)] == []
