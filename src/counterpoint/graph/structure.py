"""Rewrites early ends as nested branches, for formats that have no jumps.

`if a: return` followed by the rest is the same as `if a: … else: the rest`; a `return` or a
`continue` that stands last is no jump at all.
"""

from dataclasses import replace

from counterpoint.graph.flow import Arm, Body, Branch, End, Node, Way
from counterpoint.graph.shape import ends_inside, goes_on


def without_jumps(body: Body, way: Way) -> Body:
    """Return a body in which ends of that way stand last and are dropped, as far as branches allow.

    The rest of a body is moved into the one arm that goes on; where several do, it stays, and the
    end remains.
    """
    for number, node in enumerate(body):
        rest = body[number + 1 :]
        if isinstance(node, Branch) and ends_inside((node,), way):
            return (*body[:number], *_nested(node, rest, way))
    last = body[-1] if body else None
    return body[:-1] if isinstance(last, End) and last.way is way else body


def _nested(node: Branch, rest: Body, way: Way) -> tuple[Node, ...]:
    through = [arm for arm in node.arms if goes_on(arm.body)]
    if rest and len(through) > 1:
        return (node, *without_jumps(rest, way))
    arms = tuple(
        Arm(arm.label, without_jumps((*arm.body, *rest) if arm in through else arm.body, way))
        for arm in node.arms
    )
    return (replace(node, arms=arms),)
