"""Puts a tree in shape: drops what does not matter, and finds what happens at the same time."""

from collections.abc import Sequence
from dataclasses import replace

from counterpoint.graph.flow import (
    Arm,
    Body,
    Branch,
    End,
    Helper,
    Join,
    Lane,
    Loop,
    Node,
    Note,
    Parallel,
    Spawn,
    Step,
    Try,
    Way,
    Within,
    parts,
)


def happens(body: Body) -> bool:
    """Whether anything of the process is in a body, at any depth."""
    return any(
        isinstance(node, Step | Note | Spawn | Join)
        or (isinstance(node, End) and node.way is Way.AGAIN)
        or any(map(happens, parts(node)))
        for node in body
    )


def ends_inside(body: Body, *ways: Way) -> bool:
    """Whether a body is left in one of these ways; loops and helpers keep what is theirs."""
    return any(_ends(node, ways) for node in body)


def _ends(node: Node, ways: Sequence[Way]) -> bool:
    match node:
        case End(way=way):
            return way in ways
        case Loop():
            ways = [way for way in ways if way not in (Way.BREAK, Way.CONTINUE)]
        case Helper(block=False):
            ways = [way for way in ways if way is not Way.RETURN]
        case _:
            pass
    return any(_ends(inner, ways) for body in parts(node) for inner in body)


def goes_on(body: Body) -> bool:
    """Whether what follows a body can be reached through it."""
    return all(_goes_on(node) for node in body)


def _goes_on(node: Node) -> bool:
    match node:
        case End():
            return False
        case Branch(arms=arms):
            return any(goes_on(arm.body) for arm in arms)
        case Loop(body=body, endless=endless):
            return not endless or ends_inside(body, Way.BREAK)
        case Parallel(lanes=lanes):
            return all(goes_on(lane.body) for lane in lanes)
        case Try(body=body, handlers=handlers, otherwise=otherwise, final=final):
            through = goes_on(body) and goes_on(otherwise)
            return goes_on(final) and (through or any(goes_on(arm.body) for arm in handlers))
        case Within(body=body):
            return goes_on(body)
        case Helper(body=body, block=block):
            return goes_on(body) or (not block and ends_inside(body, Way.RETURN))
        case _:
            return True


def reached(body: Sequence[Node]) -> Body:
    """Return a body without what comes after its end."""
    kept: list[Node] = []
    for node in body:
        kept.append(node)
        if not _goes_on(node):
            break
    return tuple(kept)


# ---- what matters -----------------------------------------------------------------------------


def pruned(body: Body) -> Body:
    """Return a body without branches, loops and helpers in which nothing of the process is."""
    return tuple(kept for node in body for kept in _pruned(node))


def _pruned(node: Node) -> Body:
    match node:
        case Branch():
            arms = tuple(Arm(arm.label, pruned(arm.body)) for arm in node.arms)
            return (replace(node, arms=arms),) if any(arm.body for arm in arms) else ()
        case Loop():
            body, otherwise = pruned(node.body), pruned(node.otherwise)
            if not happens(body) and not ends_inside(body, Way.RETURN, Way.RAISE):
                return otherwise
            return (replace(node, body=body, otherwise=otherwise),)
        case Try():
            return _pruned_try(node)
        case Parallel():
            return _pruned_parallel(node)
        case Within():
            body = pruned(node.body)
            return (replace(node, body=body),) if happens(body) else body
        case Helper():
            return _pruned_helper(node)
        case Spawn():
            return (replace(node, body=pruned(node.body)),)
        case _:
            return (node,)


def _pruned_helper(node: Helper) -> Body:
    body = pruned(node.body)
    if not happens(body):
        return body if node.block else ()
    last = body[-1]
    if not node.block and isinstance(last, End) and last.way is Way.RETURN:
        body = body[:-1]  # it ends here anyway
    return (replace(node, body=body),)


def _pruned_parallel(node: Parallel) -> Body:
    lanes = [Lane(pruned(lane.body), lane.each) for lane in node.lanes]
    kept = tuple(lane for lane in lanes if lane.body)
    if len(kept) == 1 and not kept[0].each:
        return kept[0].body
    return (replace(node, lanes=kept),) if kept else ()


def _pruned_try(node: Try) -> Body:
    body, otherwise, final = pruned(node.body), pruned(node.otherwise), pruned(node.final)
    handlers = tuple(Arm(arm.label, pruned(arm.body)) for arm in node.handlers)
    if not handlers and not final:
        return (*body, *otherwise)
    if not happens(body) and not any(arm.body for arm in handlers):
        return (*body, *otherwise, *final)
    return (Try(body, handlers, otherwise, final),)


# ---- tasks ------------------------------------------------------------------------------------


def joined(body: Sequence[Node]) -> Body:
    """Return a body in which tasks that are begun and awaited in it are lanes side by side."""
    out: list[Node] = []
    pending = list(body)
    while pending:
        node = pending.pop(0)
        if not isinstance(node, Join):
            out.append(node)
            continue
        waits = [node]
        while pending and isinstance(pending[0], Join):
            waits.append(_join(pending.pop(0), node))
        names = {wait.task for wait in waits}
        begun = [
            number for number, one in enumerate(out) if isinstance(one, Spawn) and one.task in names
        ]
        known = {one.task for one in out if isinstance(one, Spawn)}
        if begun:
            out[begun[0] :] = _side_by_side(out[begun[0] :], names, node.until)
        out += [wait for wait in waits if wait.task not in known]
    return tuple(out)


def _join(node: Node, default: Join) -> Join:
    return node if isinstance(node, Join) else default


def grouped(body: Sequence[Node]) -> Body:
    """Return the block of a `TaskGroup`, which waits at its end for all that was begun in it."""
    together = joined(body)
    first = next((n for n, one in enumerate(together) if isinstance(one, Spawn)), None)
    if first is None:
        return together
    names = {one.task for one in together if isinstance(one, Spawn)}
    return (*together[:first], *_side_by_side(together[first:], names, "all"))


def _side_by_side(nodes: Sequence[Node], names: set[str], until: str) -> list[Node]:
    """Return nodes, of which the first is a task, as lanes; later tasks begin where they do."""
    lanes: list[Lane] = []
    rest = list(nodes)
    while rest and isinstance(rest[0], Spawn) and rest[0].task in names:
        task = rest.pop(0)
        if isinstance(task, Spawn):
            lanes.append(Lane(task.body, task.each))
    if not rest:
        return [Parallel(tuple(lanes), until)]
    later = next(
        (n for n, one in enumerate(rest) if isinstance(one, Spawn) and one.task in names), None
    )
    beside = rest
    if later is not None:
        beside = [*rest[:later], *_side_by_side(rest[later:], names, until)]
    if happens(tuple(beside)):
        lanes.append(Lane(tuple(beside)))
    return [Parallel(tuple(lanes), until)]
