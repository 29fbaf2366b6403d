"""Draws events and what follows from them as a Mermaid flowchart.

As in flowcharts of workflows, all edges come after all subgraphs.
"""

from counterpoint.graph.event_graph import Role
from counterpoint.graph.event_picture import Box, Mark, Picture
from counterpoint.graph.mermaid_text import label

_SHAPES = {
    Role.EVENT: ('(["', '"])'),
    Role.WORKFLOW: ('[["', '"]]'),
    Role.SAGA: ('[["', '"]]'),
}
_CODE = ('["', '"]')
_TITLE = "title"
_STYLES = {
    "starts": "stroke-width: 3px",
    "completes": "stroke-width: 3px, stroke: #2a7d2a",
    "fails": "stroke-width: 3px, stroke: #c0392b, stroke-dasharray: 6 3",
    "outside": "stroke-dasharray: 2 3",
}


def events_mermaid(picture: Picture) -> str:
    """Return the text of a flowchart of events."""
    lines = ["flowchart LR"]
    if picture.starts:
        lines.append(f'  {_TITLE}{{{{"{label(*picture.title)}"}}}}')
    for group in picture.groups:
        lines.append(f'  subgraph {group.key}["{label(group.name)}"]')
        lines += [f"    {_box(box)}" for box in group.boxes]
        lines.append("  end")
    lines += [f"  {_TITLE} --> {start}" for start in picture.starts]
    for arrow in picture.arrows:
        line = "-.->" if arrow.command else "-->"
        words = f'|"{label(arrow.label)}"|' if arrow.label else ""
        lines.append(f"  {arrow.source} {line}{words} {arrow.target}")
    used = {_style(box) for group in picture.groups for box in group.boxes}
    lines += [f"  classDef {name} {style}" for name, style in _STYLES.items() if name in used]
    return "\n".join(lines) + "\n"


def _box(box: Box) -> str:
    before, after = _SHAPES.get(box.role, _CODE)
    style = _style(box)
    return f"{box.key}{before}{label(*box.lines)}{after}" + (f":::{style}" if style else "")


def _style(box: Box) -> str:
    if box.mark is Mark.NONE:
        return "outside" if box.external else ""
    return box.mark.value
