"""Draws a story as a PlantUML sequence diagram."""

from typing import assert_never

from counterpoint.graph.plantuml_text import escaped
from counterpoint.graph.sequence import (
    Arrow,
    Chapter,
    Happening,
    Message,
    Remark,
    Repeated,
    Story,
    elapsed,
)

_ARROWS = {
    Arrow.ASK: "->",
    Arrow.ANSWER: "-->",
    Arrow.FAILURE: "-[#red]->x",
    Arrow.EVENT: "-[#RoyalBlue]->>",
    Arrow.DONE: "-[#Gray]>>",
    Arrow.FAILED: "-[#red]>x",
    Arrow.UNDO: "-[#DarkOrange]>",
}


def sequence_plantuml(story: Story) -> str:
    """Return the text of a sequence diagram of what happened in an execution."""
    return _Diagram().text(story)


class _Diagram:
    def __init__(self) -> None:
        self._lines = ["@startuml"]
        self._depth = 0
        self._moment = ""
        self._first = ""

    def text(self, story: Story) -> str:
        for one in story.participants:
            kind = "actor" if one.person else "participant"
            self._add(f'{kind} "{escaped(*one.lines)}" as {one.key}')
        self._first = story.participants[0].key
        for item in story.items:
            if isinstance(item, Repeated):
                self._tell_moment(item.first[0].seconds)
                self._add(f"loop {escaped(item.title)}")
                self._depth += 1
                for happening in item.first:
                    self._happening(happening)
                self._depth -= 1
                self._add("end")
            else:
                self._happening(item)
        return "\n".join([*self._lines, "@enduml"]) + "\n"

    def _add(self, line: str) -> None:
        self._lines.append("  " * self._depth + line)

    def _tell_moment(self, seconds: float) -> None:
        moment = elapsed(seconds)
        if moment != self._moment:
            self._moment = moment
            self._add(f"note left of {self._first} #White: {escaped(moment)}")

    def _happening(self, happening: Happening) -> None:
        self._tell_moment(happening.seconds)
        match happening.what:
            case Message(source=source, target=target, arrow=arrow, lines=words):
                self._add(f"{source} {_ARROWS[arrow]} {target} : {escaped(*words)}")
            case Remark(over=over, lines=words, urgent=urgent):
                colour = " #Tomato" if urgent else ""
                self._add(f"note over {over}{colour}: {escaped(*words)}")
            case Chapter(title=title):
                self._add(f"== {escaped(title)} ==")
            case _:
                assert_never(happening.what)
