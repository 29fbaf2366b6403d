"""Stories as Mermaid and as PlantUML."""

from collections.abc import Callable

import pytest

from counterpoint.graph.sequence import (
    Arrow,
    Chapter,
    Happening,
    Message,
    Participant,
    Remark,
    Repeated,
    Story,
)
from counterpoint.graph.sequence_mermaid import sequence_mermaid
from counterpoint.graph.sequence_plantuml import sequence_plantuml

HOSTILE = "a;b#c</b>\nend\n@enduml %%{init} \\t**"


def tale(text: str) -> Story:
    ask = Message("outside", "code", Arrow.ASK, ("start", text))
    fails = Message("p1", "code", Arrow.FAILURE, (text,))
    return Story(
        (
            Participant("outside", ("outside",), person=True),
            Participant("code", ("shop.place", "order-7")),
            Participant("p1", ("pay",)),
        ),
        (
            Happening(0.0, ask, ""),
            Happening(0.0, Remark("code", (text,), urgent=True), ""),
            Repeated("5 times alike", (Happening(1.5, fails, ""),)),
            Happening(1.5, Chapter(text), ""),
        ),
    )


def test_a_story_as_mermaid() -> None:
    assert sequence_mermaid(tale("x")) == (
        """\
sequenceDiagram
  actor outside as outside
  participant code as shop.place<br/>order-7
  participant p1 as pay
  Note left of outside: +0.000 s
  outside->>code: start<br/>x
  Note over code: ⚠ x
  Note left of outside: +1.500 s
  loop 5 times alike
    p1--xcode: x
  end
  Note over outside,p1: x
"""
    )


def test_a_story_as_plantuml() -> None:
    assert sequence_plantuml(tale("x")) == (
        """\
@startuml
actor "outside" as outside
participant "shop.place\\norder-7" as code
participant "pay" as p1
note left of outside #White: +0.000 s
outside -> code : start\\nx
note over code #Tomato: x
note left of outside #White: +1.500 s
loop 5 times alike
  p1 -[#red]->x code : x
end
== x ==
@enduml
"""
    )


@pytest.mark.parametrize("draw", [sequence_mermaid, sequence_plantuml])
def test_text_of_users_changes_no_diagram(draw: Callable[[Story], str]) -> None:
    text = draw(tale(HOSTILE))

    assert text.count("\n") == draw(tale("x")).count("\n")
    assert [sign for sign in ("</b>", "%%{", "a;b", "\nend\n@") if sign in text] == []
