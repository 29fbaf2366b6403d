"""Draws a story as a Mermaid sequence diagram."""

from typing import assert_never

from counterpoint.graph.mermaid_text import message
from counterpoint.graph.sequence import (
    CODE,
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
    Arrow.ASK: "->>",
    Arrow.ANSWER: "-->>",
    Arrow.FAILURE: "--x",
    Arrow.EVENT: "--)",
    Arrow.DONE: "-)",
    Arrow.FAILED: "-x",
    Arrow.UNDO: "->>",
}
_SHADES = {Arrow.FAILED: "rgba(230, 60, 40, 0.15)", Arrow.UNDO: "rgba(255, 150, 0, 0.2)"}
"""Arrows have no colours here; what lies behind them has."""


def sequence_mermaid(story: Story) -> str:
    """Return the text of a sequence diagram of what happened in an execution."""
    return _Diagram().text(story)


class _Diagram:
    def __init__(self) -> None:
        self._lines = ["sequenceDiagram"]
        self._depth = 1
        self._moment = ""
        self._ends = (CODE, CODE)

    def text(self, story: Story) -> str:
        for one in story.participants:
            kind = "actor" if one.person else "participant"
            self._add(f"{kind} {one.key} as {message(*one.lines)}")
        self._ends = (story.participants[0].key, story.participants[-1].key)
        for item in story.items:
            if isinstance(item, Repeated):
                self._tell_moment(item.first[0].seconds)
                self._add(f"loop {message(item.title)}")
                self._depth += 1
                for happening in item.first:
                    self._happening(happening)
                self._depth -= 1
                self._add("end")
            else:
                self._happening(item)
        return "\n".join(self._lines) + "\n"

    def _add(self, line: str) -> None:
        self._lines.append("  " * self._depth + line)

    def _tell_moment(self, seconds: float) -> None:
        moment = elapsed(seconds)
        if moment != self._moment:
            self._moment = moment
            self._add(f"Note left of {self._ends[0]}: {message(moment)}")

    def _happening(self, happening: Happening) -> None:
        self._tell_moment(happening.seconds)
        match happening.what:
            case Message(source=source, target=target, arrow=arrow, lines=words):
                shade = _SHADES.get(arrow)
                if shade is not None:
                    self._add(f"rect {shade}")
                self._add(f"{source}{_ARROWS[arrow]}{target}: {message(*words)}")
                if shade is not None:
                    self._add("end")
            case Remark(over=over, lines=words, urgent=urgent):
                mark = ("⚠ ",) if urgent else ()
                first, *rest = words
                self._add(f"Note over {over}: {message(''.join((*mark, first)), *rest)}")
            case Chapter(title=title):
                first, last = self._ends
                self._add(f"Note over {first},{last}: {message(title)}")
            case _:
                assert_never(happening.what)
