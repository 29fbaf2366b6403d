"""Draws events and what follows from them as a PlantUML diagram of services."""

from counterpoint.graph.event_graph import Role
from counterpoint.graph.event_picture import Box, Mark, Picture
from counterpoint.graph.plantuml_text import escaped

_SHAPES = {
    Role.EVENT: "storage",
    Role.REACTION: "rectangle",
    Role.WORKFLOW: "component",
    Role.SAGA: "component",
    Role.ACTIVITY: "rectangle",
    Role.COMPENSATION: "rectangle",
}
_COLOURS = {
    Role.EVENT: "#LightYellow",
    Role.WORKFLOW: "#LightCyan",
    Role.SAGA: "#LightCyan",
    Role.ACTIVITY: "#White",
    Role.COMPENSATION: "#White",
    Role.REACTION: "#LightBlue",
}
_MARKED = {
    Mark.STARTS: "#Gold;line.bold",
    Mark.COMPLETES: "#LightGreen;line:Green;line.bold",
    Mark.FAILS: "#MistyRose;line:Red;line.dashed",
}
_OUTSIDE = ";line.dotted"


def events_plantuml(picture: Picture) -> str:
    """Return the text of a diagram of events."""
    lines = ["@startuml", f"title {escaped(*picture.title)}", "left to right direction"]
    for group in picture.groups:
        lines.append(f'package "{escaped(group.name)}" as {group.key} {{')
        lines += [f"  {_box(box)}" for box in group.boxes]
        lines.append("}")
    if picture.starts:
        lines.append("circle start")
        lines += [f"start --> {start}" for start in picture.starts]
    for arrow in picture.arrows:
        line = "..>" if arrow.command else "-->"
        words = f" : {escaped(arrow.label)}" if arrow.label else ""
        lines.append(f"{arrow.source} {line} {arrow.target}{words}")
    return "\n".join([*lines, "@enduml"]) + "\n"


def _box(box: Box) -> str:
    style = _MARKED.get(box.mark, _COLOURS[box.role])
    style += _OUTSIDE if box.external and box.mark is Mark.NONE else ""
    return f'{_SHAPES[box.role]} "{escaped(*box.lines)}" as {box.key} {style}'
