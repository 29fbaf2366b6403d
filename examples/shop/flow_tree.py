"""Draws what became of one order as a tree: what led to what, and when."""

from collections.abc import Iterator
from datetime import datetime

from counterpoint import CallDescription, Flow, FlowEvent, FlowExecution, FlowReaction
from rich.markup import escape
from rich.tree import Tree


def tree_of(flow: Flow) -> Tree:
    """Return a flow as a tree; times are milliseconds since it began."""
    tree = Tree(f"[bold]{escape(flow.id)}[/]")
    for root in flow.roots:
        _add(tree, root, flow.started_at)
    return tree


def _add(tree: Tree, step: FlowEvent | FlowReaction | FlowExecution, began: datetime) -> None:
    if isinstance(step, FlowEvent):
        branch = tree.add(f"{_at(step.at, began)}[yellow]{escape(step.type)}[/] is published")
    elif isinstance(step, FlowReaction):
        branch = tree.add(f"{_at(step.created_at, began)}{_reaction(step)}")
    else:
        branch = tree.add(_execution(step, began))
        for line in _calls(step, began):
            branch.add(line)
    for following in step.led_to:
        _add(branch, following, began)


def _reaction(step: FlowReaction) -> str:
    again = f" at attempt {step.attempts}" if step.attempts > 1 else ""
    return f"[cyan]{escape(step.name)}[/] {step.status}{again}"


def _execution(step: FlowExecution, began: datetime) -> str:
    told = step.description
    return f"{_at(told.created_at, began)}[bold cyan]{escape(told.workflow)}[/] {told.status.value}"


def _calls(step: FlowExecution, began: datetime) -> Iterator[str]:
    """Say what the calls came to, then what was undone, newest first."""
    calls = step.description.calls
    for call in calls:
        again = f" at attempt {call.attempts}" if call.attempts > 1 else ""
        yield (
            f"{_at(call.settled_at, began)}{call.call} [cyan]{escape(call.name)}[/] "
            f"{_state(call)}{again}"
        )
    for call in sorted(calls, key=lambda one: -one.call):
        if call.compensation is not None and call.compensated_at is not None:
            yield (
                f"{_at(call.compensated_at, began)}[cyan]{escape(call.compensation)}[/] "
                f"undoes {call.call}"
            )


def _state(call: CallDescription) -> str:
    if call.error is not None:
        return f"[red]failed[/] {escape(call.error)}"
    return "[green]completed[/]"


def _at(moment: datetime | None, began: datetime) -> str:
    if moment is None:
        return "         "
    return f"[dim]{(moment - began).total_seconds() * 1000:>5,.0f} ms[/] "
