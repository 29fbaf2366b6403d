"""The calls of an execution as `show` tells them, how they are undone, and what they wait for."""

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.text import Text
from rich.tree import Tree

from counterpoint.cli.output import clean, one_line, value_words
from counterpoint.cli.raised import where
from counterpoint.cli.story_surroundings import UNDER_WAY, Surroundings
from counterpoint.cli.times import absolute, both, due, duration, relative
from counterpoint.model.states import Cause, Status
from counterpoint.runtime.describing import is_deadline
from counterpoint.runtime.description import AttemptDescription, CallDescription, Description

_ATTEMPTS_MAX = 5
_UNSETTLED = ("running", "being cancelled", "waiting for a retry", "stuck", "being undone")
CALL_STATES = {
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("✗", "magenta"),
    "being cancelled": ("…", "magenta"),
    "stuck": ("!", "bold red"),
    "waiting for a retry": ("…", "yellow"),
    "waiting for a node": ("…", "yellow"),
    "running": ("…", "cyan"),
    "registered": ("↶", "dim"),
}


def calls_tree(d: Description, around: Surroundings) -> Iterator[Tree]:
    """Yield the calls in their order, if there are any."""
    if d.calls:
        tree = Tree(Text("calls", "bold"), guide_style="dim")
        for call in d.calls:
            tree.add(_call(call, around))
        yield tree


def _call(call: CallDescription, around: Surroundings) -> Text:
    state = _state(call, around)
    mark, style = CALL_STATES.get(state, ("·", ""))
    lines = Text.assemble(f"{call.call} {clean(call.name)} ", (f"{mark} {state}", style))
    lines.append(_pace(call.scheduled_at, call.settled_at, call.attempts, around.at))
    lines.append_text(_attempts(call.failed_attempts, call.error, call.traceback, around))
    if call.outcome_unknown:
        lines.append("\nits outcome is unknown: it may have happened", "yellow")
    if call.next_attempt_at is not None and call.compensation is None:
        lines.append(_next(call.attempts, call.next_attempt_at, around.at))
    if call.child is not None:
        lines.append(_child(call, around))
    elif around.activities is not None and call.name not in around.activities:
        lines.append(f"\nno service of {around.app} has {clean(call.name)}", "yellow")
    if call.heartbeat is not None:
        lines.append(f"\nlast heartbeat {value_words(call.heartbeat, 100)}")
    if call.stays is not None:
        lines.append(f"\nit stays: {one_line(call.stays)}", "yellow")
    if call.child is None and call.state != "registered":
        lines.append(f"\nkey {call.idempotency_key}", "dim")
    if call.compensation is not None:
        lines.append_text(_undoing(call, around))
    return lines


def _state(call: CallDescription, around: Surroundings) -> str:
    """Return how a call itself stands; that of its compensation stands below it."""
    if call.compensation is not None:
        return "completed" if call.error is None else "failed"
    if call.state == "running" and call.name in around.unhosted:
        return "waiting for a node"
    return call.state


def _attempts(
    failed: Sequence[AttemptDescription],
    error: str | None,
    traceback: str | None,
    around: Surroundings,
    indent: str = "",
) -> Text:
    """Return a line for each attempt that failed or was lost, the newest error last."""
    text = Text()
    earlier = list(failed)
    newest = error
    if newest is not None and any(attempt.error == newest for attempt in earlier):
        if earlier[-1].error == newest:
            earlier.pop()
        else:
            newest = None  # it stands in its place among the others
    shown = earlier if around.verbose else earlier[:_ATTEMPTS_MAX]
    for attempt in shown:
        words = "lost (its node ended)" if attempt.lost else f"failed: {attempt.error}"
        text.append(f"\n{indent}attempt {attempt.attempt} {one_line(words)}", "yellow")
    if len(shown) < len(earlier):
        text.append(f"\n{indent}and {len(earlier) - len(shown)} more", "yellow")
    if newest is not None:
        text.append(f"\n{indent}{one_line(newest + where(traceback))}", "red")
    return text


def _undoing(call: CallDescription, around: Surroundings) -> Text:
    text = Text()
    at = around.at
    style = "bold red" if call.state == "stuck" else "yellow"
    done = "undone by" if call.compensated_at is not None else "being undone by"
    text.append(f"\n↶ {done} {clean(call.compensation or '')}", style)
    pace = _pace(
        call.compensation_scheduled_at, call.compensated_at, call.compensation_attempts, at
    )
    text.append(pace)
    failed, error = call.compensation_failed_attempts, call.compensation_error
    text.append_text(_attempts(failed, error, None, around, indent="  "))
    if call.next_attempt_at is not None:
        text.append(_next(call.compensation_attempts, call.next_attempt_at, at, indent="  "))
    text.append(f"\n  key {call.compensation_key}", "dim")
    return text


def _pace(begun: datetime | None, ended: datetime | None, attempts: int, at: datetime) -> str:
    words = ""
    if begun is not None and ended is not None:
        words = f" in {duration(ended - begun)}"
    elif begun is not None:
        words = f", called {relative(begun, at)}"
    if attempts > 1 or (attempts and ended is None):
        words += ", 1 attempt" if attempts == 1 else f", {attempts} attempts"
    return words


def _next(attempts: int, moment: datetime, at: datetime, indent: str = "") -> str:
    return f"\n{indent}attempt {attempts + 1} {due(moment, at)} ({absolute(moment, at)})"


# ---- undoing ----------------------------------------------------------------------------------


def undoing_tree(d: Description) -> Iterator[Tree]:
    """Yield what of a saga is undone, what is left, in order, and what stays and why."""
    names = {call.call: call for call in d.calls}
    lines = [f"{_named(names[n])}: undone" for n in sorted(d.undone, reverse=True)]
    for number in d.to_undo:
        call = names[number]
        now = call.compensation is not None or call.state == "being undone"
        lines.append(f"{_named(call)}: {'being undone' if now else 'left to undo'}")
    compensates = d.kind == "saga" and (d.undone or d.to_undo)
    for number in d.stay if compensates else ():
        why = names[number].stays or "nothing undoes it"
        lines.append(f"{_named(names[number])}: stays, {clean(why)}")
    if lines:
        tree = Tree(Text("undoing", "bold"), guide_style="dim")
        for line in lines:
            tree.add(Text(line))
        yield tree


def left_tree(d: Description) -> Iterator[Tree]:
    """Yield what a terminated execution left, if anything."""
    lines = left_words(d)
    if lines:
        tree = Tree(Text("left by the termination, for a person to look after", "bold yellow"))
        for line in lines:
            tree.add(Text(line, "yellow"))
        yield tree


def left_words(d: Description) -> list[str]:
    """Return a line for each call that a terminated execution left, newest first."""
    calls = {call.call: call for call in d.calls}
    lines: list[str] = []
    for number in d.left:
        call = calls[number]
        if call.child is not None:
            child = clean(call.child)
            shown = f"counterpoint show {shlex.quote(child)}"
            lines.append(f"{_named(call)}: the child {child}, {_child_end(call)}: {shown}")
            continue
        fate = "it happened" if call.state == "completed" else "it may have happened"
        if call.compensation is not None:
            fate += f", and {clean(call.compensation)} may have undone it"
        lines.append(f"{_named(call)}: {fate} (key {call.idempotency_key})")
    return lines


def _child_end(call: CallDescription) -> str:
    return "terminated with it" if call.child_status is None else call.child_status


def _named(call: CallDescription) -> str:
    return f"{call.call} {clean(call.name)}"


# ---- waits ------------------------------------------------------------------------------------


def waits(d: Description, around: Surroundings) -> Iterator[str]:
    """Yield everything that has to happen before the execution goes on."""
    at = around.at
    for request in around.posted:
        what = request.kind
        if "name" in request.detail:
            what = f"{what} {clean(str(request.detail['name']))!r}"
        yield f"a node to take a {what}, posted {both(request.at, at)}"
    if not d.status.live:
        return
    if d.begins_at is not None:
        yield f"its beginning {relative(d.begins_at, at)} ({absolute(d.begins_at, at)})"
    if d.incidents:
        many = len(d.incidents) > 1
        yield f"a person, because of the {f'{len(d.incidents)} incidents' if many else 'incident'}"
    unknown = {one.call for one in d.incidents if one.cause == Cause.UNKNOWN_OUTCOME}
    for call in d.calls:
        yield from _call_waits(call, around, asks=call.call in unknown)
    for name in d.awaited_signals:
        yield f"the signal {clean(name)!r}"
    for event in d.awaited_events:
        yield f"the event {clean(event.type)} of {clean(event.key)!r}"
    for moment in d.timers:
        what = "the deadline" if is_deadline(moment, d.deadline_at) else "a timer"
        yield f"{what}, {due(moment, at)} ({absolute(moment, at)})"


def _call_waits(call: CallDescription, around: Surroundings, *, asks: bool) -> Iterator[str]:
    at = around.at
    undoing = call.compensation is not None and call.compensated_at is None
    name = f"{clean(call.compensation if undoing and call.compensation else call.name)}"
    attempts = call.compensation_attempts if undoing else call.attempts
    what = f"{name} (call {call.call})"
    moment = call.next_attempt_at
    if call.child is not None and call.compensation is None:
        if call.state in _UNSETTLED:
            yield _child_waits(call, around)
    elif call.state == "stuck":
        yield f"a person to {'say what became of' if asks else 'retry'} {what}"
    elif moment is not None:
        yield f"attempt {attempts + 1} of {what} {due(moment, at)} ({absolute(moment, at)})"
    elif name in around.unhosted and call.state in UNDER_WAY:
        yield f"a node that hosts {what}: no living node does"
    elif call.state in UNDER_WAY:
        ended = "" if around.run_command is None else " when its node ended"
        since = "" if call.attempt_at is None else f", since {both(call.attempt_at, at)}"
        yield f"attempt {attempts} of {what}, under way{ended}{since}"


def _child(call: CallDescription, around: Surroundings) -> str:
    child = call.child or ""
    status = around.children.get(child)
    end = call.child_status if status is None else status.value
    return f"\nchild {clean(child)}" + ("" if end is None else f": {end}")


def _child_waits(call: CallDescription, around: Surroundings) -> str:
    child = call.child or ""
    what = "undo itself" if call.state == "being undone" else "end"
    words = f"the child {clean(child)} (call {call.call}) to {what}"
    if around.children.get(child) is Status.INCIDENT:
        words += f", which is an incident: counterpoint show {shlex.quote(clean(child))}"
        words += around.options
    return words
