"""Draws a flow as a Mermaid flowchart.

Nodes and subgraphs come first and all edges after them: an edge that stood within a subgraph would
pull nodes of others into it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, assert_never

from counterpoint.graph.flow import (
    Body,
    Branch,
    End,
    Flow,
    Helper,
    Inner,
    Join,
    Kind,
    Leaf,
    Loop,
    Node,
    Note,
    Parallel,
    Spawn,
    Step,
    Try,
    Way,
    Within,
)
from counterpoint.graph.mermaid_text import label
from counterpoint.graph.undo import UndoPlan, undo_plan
from counterpoint.graph.words import (
    end_words,
    join_words,
    spawn_words,
    step_words,
    title_words,
)

_SHAPES = {
    Kind.ACTIVITY: ('["', '"]'),
    Kind.CHILD: ('[["', '"]]'),
    Kind.PUBLISH: ('[/"', '"/]'),
    Kind.PIVOT: ('{{"', '"}}'),
}
_WAITING = ('(["', '"])')
_STYLES = (
    "classDef note stroke-dasharray: 4 3",
    "classDef ended stroke-width: 3px",
    "classDef stays stroke-dasharray: 1 4",
)


class _Exit(NamedTuple):
    """An edge that waits for its target."""

    source: str
    label: str = ""
    dotted: bool = False


@dataclass(slots=True)
class _LoopEnds:
    head: str
    breaks: list[_Exit] = field(default_factory=list)


def flow_mermaid(flow: Flow) -> str:
    """Return the text of a flowchart of what a workflow's code can do."""
    return _Flowchart().text(flow)


class _Flowchart:
    def __init__(self) -> None:
        self._nodes: list[str] = []
        self._edges: list[str] = []
        self._depth = 1
        self._count = 0
        self._last = ""
        self._loops: list[_LoopEnds] = []
        self._returns: list[list[_Exit]] = []
        self._catching = 0
        self._raises: list[str] = []

    def text(self, flow: Flow) -> str:
        start = self._box(('(["', '"])'), label(*title_words(flow)), [])
        exits = self._draw(flow.body, [_Exit(start)])
        if exits:
            self._box(_WAITING, "ends", exits, "ended")
        plan = undo_plan(flow)
        if plan is not None:
            self._undo(plan)
        styles = [f"  {style}" for style in _STYLES if f":::{style.split()[1]}" in self._used()]
        return "\n".join(["flowchart TD", *self._nodes, *self._edges, *styles]) + "\n"

    def _used(self) -> str:
        return "\n".join(self._nodes)

    # ---- pieces -------------------------------------------------------------------------------

    def _name(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def _line(self, text: str) -> None:
        self._nodes.append("  " * self._depth + text)

    def _box(
        self, shape: tuple[str, str], text: str, exits: Sequence[_Exit], style: str = ""
    ) -> str:
        """Add a node, its label escaped already, and the edges that lead to it."""
        name = self._name("n")
        suffix = f":::{style}" if style else ""
        self._line(f"{name}{shape[0]}{text}{shape[1]}{suffix}")
        self._connect(exits, name)
        self._last = name
        return name

    def _connect(self, exits: Sequence[_Exit], target: str) -> None:
        for source, text, dotted in dict.fromkeys(exits):
            arrow = "-.->" if dotted else "-->"
            words = f'|"{label(text)}"| ' if text else ""
            self._edges.append(f"  {source} {arrow}{words or ' '}{target}")

    def _open(self, title: str) -> str:
        name = self._name("s")
        self._line(f'subgraph {name}["{label(title)}"]')
        self._depth += 1
        return name

    def _close(self) -> None:
        self._depth -= 1
        self._line("end")

    # ---- nodes --------------------------------------------------------------------------------

    def _draw(self, body: Body, exits: list[_Exit]) -> list[_Exit]:
        for node in body:
            exits = self._node(node, exits)
        return exits

    def _node(self, node: Node, exits: list[_Exit]) -> list[_Exit]:
        return self._leaf(node, exits) if isinstance(node, Leaf) else self._inner(node, exits)

    def _leaf(self, node: Leaf, exits: list[_Exit]) -> list[_Exit]:
        match node:
            case Step():
                shape = _SHAPES.get(node.kind, _WAITING)
                return [_Exit(self._box(shape, label(*step_words(node)), exits))]
            case Note():
                return [
                    _Exit(self._box(('["', '"]'), label("not known:", node.text), exits, "note"))
                ]
            case Join():
                return [_Exit(self._box(_WAITING, label(join_words(node)), exits))]
            case End():
                return self._end(node, exits)
            case _:
                assert_never(node)

    def _inner(self, node: Inner, exits: list[_Exit]) -> list[_Exit]:
        match node:
            case Branch():
                return self._branch(node, exits)
            case Loop():
                return self._loop(node, exits)
            case Parallel():
                return self._parallel(node, exits)
            case Spawn():
                begin = self._box(('>"', '"]'), label(spawn_words(node)), exits)
                self._draw(node.body, [_Exit(begin, "beside", dotted=True)])
                return [_Exit(begin)]
            case Try():
                return self._try(node, exits)
            case Within():
                self._open(f"{node.limit}, else TimeoutError")
                exits = self._draw(node.body, exits)
                self._close()
                return exits
            case Helper():
                return self._helper(node, exits)
            case _:
                assert_never(node)

    def _end(self, node: End, exits: list[_Exit]) -> list[_Exit]:
        if node.way is Way.BREAK and self._loops:
            self._loops[-1].breaks += exits
        elif node.way is Way.CONTINUE and self._loops:
            self._connect(exits, self._loops[-1].head)
        elif node.way is Way.RETURN and self._returns:
            self._returns[-1] += exits
        else:
            name = self._box(_WAITING, label(end_words(node)), exits, "ended")
            if node.way is Way.RAISE and not self._catching:
                self._raises.append(name)
        return []

    def _branch(self, node: Branch, exits: list[_Exit]) -> list[_Exit]:
        name = self._box(('{"', '"}'), label(node.subject), exits)
        after: list[_Exit] = []
        for arm in node.arms:
            after += self._draw(arm.body, [_Exit(name, arm.label)])
        return after

    def _loop(self, node: Loop, exits: list[_Exit]) -> list[_Exit]:
        name = self._box(('{{"', '"}}'), label(node.header), exits)
        loop = _LoopEnds(name)
        self._loops.append(loop)
        self._connect(self._draw(node.body, [_Exit(name, "" if node.endless else "next")]), name)
        self._loops.pop()
        over = [] if node.endless else self._draw(node.otherwise, [_Exit(name, "over")])
        return [*over, *loop.breaks]

    def _parallel(self, node: Parallel, exits: list[_Exit]) -> list[_Exit]:
        fork = self._box(('[/"', '"\\]'), "at the same time", exits)
        ends: list[_Exit] = []
        for lane in node.lanes:
            ends += self._draw(lane.body, [_Exit(fork, lane.each)])
        if not ends:
            return []
        return [_Exit(self._box(('[\\"', '"/]'), label(f"wait for {node.until}"), ends))]

    def _try(self, node: Try, exits: list[_Exit]) -> list[_Exit]:
        name = self._open("try")
        self._catching += bool(node.handlers)
        if node.body:
            after = self._draw(node.body, exits)
        else:
            after = [_Exit(self._box(('["', '"]'), "code", exits))]
        self._catching -= bool(node.handlers)
        self._close()
        after = self._draw(node.otherwise, after)
        for handler in node.handlers:
            after += self._draw(handler.body, [_Exit(name, handler.label, dotted=True)])
        if node.final:
            self._open("finally")
            after = self._draw(node.final, [*after, _Exit(name, "in any case", dotted=True)])
            self._close()
        return after

    def _helper(self, node: Helper, exits: list[_Exit]) -> list[_Exit]:
        self._open(f"{node.name}()")
        if node.block:
            after = self._draw(node.body, exits)
            self._close()
            return after
        self._returns.append([])
        loops, self._loops = self._loops, []
        after = self._draw(node.body, exits)
        self._loops = loops
        self._close()
        return [*after, *self._returns.pop()]

    # ---- the part that undoes -----------------------------------------------------------------

    def _undo(self, plan: UndoPlan) -> None:
        """Draw below the flow what is undone, and what stays."""
        last = self._last
        if plan.undone:
            name = self._open(plan.title)
            self._line("direction TB")
            exits: list[_Exit] = []
            for one in plan.undone:
                text = label(one.undo, one.what, one.when)
                exits = [_Exit(self._box(('["', '"]'), text, exits))]
            self._close()
            self._connect([_Exit(source, dotted=True) for source in self._raises], name)
            self._edges.append(f"  {last} ~~~ {name}")
        if plan.stays:
            text = label("has no compensation and stays:", *plan.stays)
            stays = self._box(('["', '"]'), text, [], "stays")
            self._edges.append(f"  {last} ~~~ {stays}")
