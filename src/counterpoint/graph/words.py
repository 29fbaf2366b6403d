"""What the nodes of a flow are called in a drawing, whatever its format."""

from typing import assert_never

from counterpoint.graph.flow import End, Flow, Join, Kind, Spawn, Step, Way


def step_words(step: Step) -> list[str]:
    """Return the lines of a step's label."""
    match step.kind:
        case Kind.ACTIVITY:
            first = step.name
        case Kind.CHILD:
            first = f"child: {step.name}"
        case Kind.SIGNAL:
            first = f"wait for the signal {step.name}"
        case Kind.EVENT:
            first = f"wait for the event {step.name}"
        case Kind.SLEEP:
            first = f"sleep {step.name}"
        case Kind.PUBLISH:
            first = f"publish {step.name}"
        case Kind.PIVOT:
            first = "pivot: past this nothing is undone"
        case Kind.COMPENSATE_WITH:
            first = f"to be undone with {step.name}"
        case Kind.PATCHED:
            first = f"patched {step.name}"
        case _:
            assert_never(step.kind)
    return [first, step.detail] if step.detail else [first]


def end_words(end: End) -> str:
    """Return the label of an end of the whole workflow."""
    match end.way:
        case Way.RETURN:
            return f"ends: {end.text}" if end.text else "ends"
        case Way.RAISE:
            return f"raises {end.text}" if end.text else "raises the error again"
        case Way.AGAIN:
            return f"begins again: {end.text}"
        case Way.BREAK | Way.CONTINUE:
            return end.way.value
        case _:
            assert_never(end.way)


def spawn_words(spawn: Spawn) -> str:
    """Return the label of a task that begins."""
    each = f" {spawn.each}" if spawn.each else ""
    return f"{spawn.task} begins{each}, the code goes on beside it"


def join_words(join: Join) -> str:
    """Return the label of a wait for a task."""
    return f"wait for {join.task}" + ("" if join.until == "all" else f" ({join.until})")


def title_words(flow: Flow) -> list[str]:
    """Return the lines of a flow's own label."""
    lines = [f"{flow.name}({flow.parameters})", flow.kind]
    if flow.deadline:
        lines[1] += f", within {flow.deadline}"
    return lines
