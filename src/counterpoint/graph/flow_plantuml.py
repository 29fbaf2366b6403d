"""Draws a flow as a PlantUML activity diagram."""

from typing import assert_never

from counterpoint.graph.flow import (
    Arm,
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
from counterpoint.graph.plantuml_text import escaped
from counterpoint.graph.shape import ends_inside, goes_on
from counterpoint.graph.structure import without_jumps
from counterpoint.graph.undo import UndoPlan, undo_plan
from counterpoint.graph.words import (
    end_words,
    join_words,
    spawn_words,
    step_words,
    title_words,
)

_COLOURS = {
    Kind.ACTIVITY: "",
    Kind.CHILD: "#LightCyan",
    Kind.PUBLISH: "#LightGreen",
    Kind.PIVOT: "#Orange",
}
_WAITING = "#LightBlue"
_UNCLEAR = "#LightYellow"


def flow_plantuml(flow: Flow) -> str:
    """Return the text of an activity diagram of what a workflow's code can do."""
    return _Activity().text(flow)


class _Activity:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth = 0
        self._helpers = 0

    def text(self, flow: Flow) -> str:
        self._add("@startuml")
        self._add(f"title {escaped(*title_words(flow))}")
        self._add("start")
        self._draw(flow.body)
        if goes_on(flow.body):
            self._add("stop")
        plan = undo_plan(flow)
        if plan is not None:
            self._undo(plan)
        self._add("@enduml")
        return "\n".join(self._lines) + "\n"

    def _add(self, line: str) -> None:
        self._lines.append("  " * self._depth + line)

    def _action(self, label: str, colour: str = "") -> None:
        self._add(f"{colour}:{label};")

    def _inside(self, body: Body) -> None:
        self._depth += 1
        self._draw(body)
        self._depth -= 1

    def _boxed(self, title: str, body: Body) -> None:
        self._add(f'partition "{escaped(title)}" {{')
        self._inside(body)
        self._add("}")

    def _draw(self, body: Body) -> None:
        for node in body:
            self._node(node)

    def _node(self, node: Node) -> None:
        if isinstance(node, Leaf):
            self._leaf(node)
        else:
            self._inner(node)

    def _leaf(self, node: Leaf) -> None:
        match node:
            case Step():
                self._action(escaped(*step_words(node)), _COLOURS.get(node.kind, _WAITING))
            case Note():
                self._action(escaped("not known:", node.text), _UNCLEAR)
            case Join():
                self._action(escaped(join_words(node)), _WAITING)
            case End():
                self._end(node)
            case _:
                assert_never(node)

    def _inner(self, node: Inner) -> None:
        match node:
            case Branch():
                self._branch(node)
            case Loop():
                self._loop(node)
            case Parallel():
                self._parallel(node)
            case Spawn():
                self._boxed(spawn_words(node), node.body)
            case Try():
                self._try(node)
            case Within():
                self._boxed(f"{node.limit}, else TimeoutError", node.body)
            case Helper():
                self._helper(node)
            case _:
                assert_never(node)

    def _end(self, node: End) -> None:
        """Draw an end; one that would be a jump says so and leads nowhere."""
        if node.way is Way.BREAK:
            self._add("break")
        elif node.way is Way.CONTINUE:
            self._action("the next turn of the loop")
            self._add("detach")
        elif node.way is Way.RETURN and self._helpers:
            self._action("the end of the function")
            self._add("detach")
        else:
            self._action(escaped(end_words(node)))
            self._add("end" if node.way is Way.RAISE else "stop")

    def _branch(self, node: Branch) -> None:
        if len(node.arms) > 2 and ends_inside((node,), Way.BREAK):
            node = _two_by_two(node)  # a `break` is not understood in a switch
        if len(node.arms) != 2:
            self._add(f"switch ({escaped(node.subject)})")
            for arm in node.arms:
                self._add(f"case ({escaped(arm.label)})")
                self._inside(arm.body)
            self._add("endswitch")
            return
        first, second = node.arms
        self._add(f"if ({escaped(node.subject)}) then ({escaped(first.label)})")
        self._inside(first.body)
        self._add(f"else ({escaped(second.label)})")
        self._inside(second.body)
        self._add("endif")

    def _loop(self, node: Loop) -> None:
        self._add(f"while ({escaped(node.header)}) is (next)")
        self._inside(without_jumps(node.body, Way.CONTINUE))
        self._add(f"endwhile ({'never' if node.endless else 'over'})")
        if node.endless and not ends_inside(node.body, Way.BREAK):
            self._add("detach")
        if node.otherwise and ends_inside(node.body, Way.BREAK):
            self._branch(Branch("left by break", (Arm("no", node.otherwise), Arm("yes", ()))))
        else:
            self._draw(node.otherwise)

    def _parallel(self, node: Parallel) -> None:
        if len(node.lanes) == 1:
            (lane,) = node.lanes
            self._boxed(f"at the same time {lane.each}, until {node.until}", lane.body)
            return
        for number, lane in enumerate(node.lanes):
            self._add("fork again" if number else "fork")
            if lane.each:
                self._boxed(f"at the same time {lane.each}", lane.body)
            else:
                self._inside(lane.body)
        self._add("end fork" if node.until == "all" else f"end fork {{{escaped(node.until)}}}")

    def _try(self, node: Try) -> None:
        if node.handlers:
            self._handled(node)
        elif node.body:
            self._boxed("try", node.body)
            self._draw(node.otherwise)
        if node.final:
            self._boxed("finally, in any case", node.final)

    def _handled(self, node: Try) -> None:
        """Draw the body before its handlers, or as one of them where nothing comes after it."""
        passes = goes_on((*node.body, *node.otherwise))
        if node.body and passes:
            self._boxed("try", node.body)
        self._add("switch (what was raised)")
        self._add("case (nothing)")
        if passes:
            self._inside(node.otherwise)
        else:
            self._depth += 1
            self._boxed("try", node.body)
            self._draw(node.otherwise)
            self._depth -= 1
        for handler in node.handlers:
            self._add(f"case ({escaped(handler.label)})")
            self._inside(handler.body)
        self._add("endswitch")

    def _helper(self, node: Helper) -> None:
        if node.block:
            self._boxed(f"{node.name}()", node.body)
            return
        self._helpers += 1
        self._boxed(f"{node.name}()", without_jumps(node.body, Way.RETURN))
        self._helpers -= 1

    def _undo(self, plan: UndoPlan) -> None:
        if plan.undone:
            self._add(f'partition "{escaped(plan.title)}" {{')
            self._depth += 1
            self._add("start")
            for one in plan.undone:
                self._action(escaped(one.undo, one.what, one.when), "#MistyRose")
            self._add("end")
            self._depth -= 1
            self._add("}")
        if plan.stays:
            label = escaped("has no compensation and stays:", *plan.stays)
            self._add("start")
            self._action(label, "#WhiteSmoke")
            self._add("detach")


def _two_by_two(node: Branch) -> Branch:
    """Return a branch of many arms as branches of two, one in the other."""
    first, *rest = node.arms
    if len(rest) == 1:
        return Branch(f"{node.subject}: {first.label}", (_yes(first), Arm("no", rest[0].body)))
    inner = _two_by_two(Branch(node.subject, tuple(rest)))
    return Branch(f"{node.subject}: {first.label}", (_yes(first), Arm("no", (inner,))))


def _yes(arm: Arm) -> Arm:
    return Arm("yes", arm.body)
