"""The story of one execution, as `show` and `demo` print it."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from counterpoint.cli.output import clean, one_line, status_text, value_words
from counterpoint.cli.raised import where
from counterpoint.cli.times import absolute, both, due, duration, relative
from counterpoint.model.states import Status
from counterpoint.runtime.client import PostedRequest
from counterpoint.runtime.describing import is_deadline
from counterpoint.runtime.description import AttemptDescription, CallDescription, Description

_ATTEMPTS_MAX = 5
_UNREAD_MAX = 5
_STATES = {
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("✗", "magenta"),
    "being cancelled": ("…", "magenta"),
    "stuck": ("!", "bold red"),
    "waiting for a retry": ("…", "yellow"),
    "running": ("…", "cyan"),
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known beside the journal."""

    at: datetime
    """The moment of telling."""
    posted: Sequence[PostedRequest] = ()
    app: str | None = None
    """MODULE:APP, if one was named."""
    version: int | None = None
    """The version of the workflow in the app; 0 if the app does not have it."""
    activities: Collection[str] | None = None
    run_command: str | None = None
    """What starts a node, where no node hosts the store."""
    verbose: bool = False
    """Tell all attempts, and where errors were raised in full."""


def story(description: Description, around: Surroundings) -> Iterator[RenderableType]:
    """Yield the parts of an execution's story, top first."""
    yield _title(description)
    yield from _warnings(description, around)
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    for name, value in _facts(description, around.at):
        facts.add_row(name, value)
    yield facts
    if description.calls:
        tree = Tree(Text("calls", "bold"), guide_style="dim")
        for call in description.calls:
            tree.add(_call(call, around))
        yield tree
    waits = list(_waits(description, around))
    if waits:
        tree = Tree(Text("waits for", "bold"), guide_style="dim")
        for wait in waits:
            tree.add(Text(wait))
        yield tree
    yield from _unread(description)
    if around.verbose:
        yield from _tracebacks(description)


def _title(d: Description) -> Text:
    version = f" v{d.version}" if d.version > 1 else ""
    run = f", run {d.run}" if d.run > 1 else ""
    about = f"  {clean(d.workflow)}{version} ({d.kind}{run})  "
    return Text.assemble((clean(d.id), "bold"), about, status_text(d.status))


def _warnings(d: Description, around: Surroundings) -> Iterator[Text]:
    if d.incident is not None and d.incident_at is not None:
        yield Text(f"INCIDENT {both(d.incident_at, around.at)}: {clean(d.incident)}", "bold red")
        yield Text(f"when its cause is gone: counterpoint retry {clean(d.id)}", "red")
    if d.cancel_requested_at is not None and d.status.live:
        by = f" by {clean(d.cancel_requested_by)}" if d.cancel_requested_by else ""
        why = f": {one_line(d.cancel_reason)}" if d.cancel_reason else ""
        when = both(d.cancel_requested_at, around.at)
        yield Text(f"cancellation requested{by}, {when}{why}", "magenta")
    if around.version is not None and around.version < d.version:
        what = f"no service of {around.app} has {clean(d.workflow)}"
        if around.version:
            what = f"it needs version {d.version}, and {around.app} has version {around.version}"
        yield Text(f"{what}: a node of that app leaves this execution alone", "yellow")
    if around.run_command is not None and (d.status.live or around.posted):
        nothing = "no node hosts this store: nothing moves until one runs"
        yield Text(f"{nothing} ({around.run_command})", "yellow")


def _facts(d: Description, at: datetime) -> Iterator[tuple[str, Text]]:
    yield _fact("started", both(d.created_at, at))
    if d.finished_at is not None:
        took = duration(d.finished_at - d.created_at)
        yield _fact("ended", f"{both(d.finished_at, at)}, after {took}")
    if d.correlation_id != d.id:
        yield _fact("flow", clean(d.correlation_id))
    yield _fact("arguments", value_words(d.arguments))
    if d.status is Status.COMPLETED:
        yield _fact("result", value_words(d.result))
    if d.error is not None:
        words = error_words(d.error_type, d.error)
        yield _fact("error", clean(words + where(d.traceback)), "red")
    records = "1 record" if d.records == 1 else f"{d.records} records"
    yield _fact("journal", f"{records}, the last {both(d.updated_at, at)}")


def error_words(kind: str | None, message: str | None) -> str:
    """Return an error as `type: message`, with what is known of it."""
    return ": ".join(word for word in (kind, message) if word)


def _fact(name: str, value: str, style: str = "") -> tuple[str, Text]:
    return name, Text(value, style)


# ---- calls ------------------------------------------------------------------------------------


def _call(call: CallDescription, around: Surroundings) -> Text:
    state = call.state
    if call.compensation is not None:  # its own outcome; that of its compensation stands below
        state = "completed" if call.error is None else "failed"
    mark, style = _STATES.get(state, ("·", ""))
    lines = Text.assemble(f"{call.call} {clean(call.name)} ", (f"{mark} {state}", style))
    lines.append(_pace(call.scheduled_at, call.settled_at, call.attempts, around.at))
    lines.append_text(_attempts(call.failed_attempts, call.error, call.traceback, around))
    if call.outcome_unknown:
        lines.append("\nits outcome is unknown: it may have happened", "yellow")
    if call.next_attempt_at is not None and call.compensation is None:
        lines.append(_next(call.attempts, call.next_attempt_at, around.at))
    if around.activities is not None and call.name not in around.activities:
        lines.append(f"\nno service of {around.app} has {clean(call.name)}", "yellow")
    if call.heartbeat is not None:
        lines.append(f"\nlast heartbeat {value_words(call.heartbeat, 100)}")
    lines.append(f"\nkey {call.idempotency_key}", "dim")
    if call.compensation is not None:
        lines.append_text(_undoing(call, around))
    return lines


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


# ---- waits ------------------------------------------------------------------------------------


def _waits(d: Description, around: Surroundings) -> Iterator[str]:
    at = around.at
    for request in around.posted:
        what = request.kind
        if "name" in request.detail:
            what = f"{what} {clean(str(request.detail['name']))!r}"
        yield f"a node to take a {what}, posted {both(request.at, at)}"
    if not d.status.live:
        return
    if d.incident is not None:
        yield "a person, because of the incident"
    for call in d.calls:
        yield from _call_waits(call, around)
    for name in d.awaited_signals:
        yield f"the signal {clean(name)!r}"
    for moment in d.timers:
        what = "the deadline" if is_deadline(moment, d.deadline_at) else "a timer"
        yield f"{what}, {due(moment, at)} ({absolute(moment, at)})"


def _call_waits(call: CallDescription, around: Surroundings) -> Iterator[str]:
    at = around.at
    undoing = call.compensation is not None and call.compensated_at is None
    name = f"{clean(call.compensation if undoing and call.compensation else call.name)}"
    attempts = call.compensation_attempts if undoing else call.attempts
    what = f"{name} (call {call.call})"
    moment = call.next_attempt_at
    if call.state == "stuck":
        yield f"a person to retry {what}"
    elif moment is not None:
        yield f"attempt {attempts + 1} of {what} {due(moment, at)} ({absolute(moment, at)})"
    elif call.state in {"running", "being cancelled", "being undone"}:
        ended = "" if around.run_command is None else " when its node ended"
        yield f"attempt {attempts} of {what}, under way{ended}"


# ---- at the end -------------------------------------------------------------------------------


def _unread(d: Description) -> Iterator[Text]:
    nobody = "nobody waits for it" if d.status.live else "nobody waited for it"
    counts = Counter(d.unread_signals)
    for name, count in sorted(counts.items())[:_UNREAD_MAX]:
        times = f", {count} times" if count > 1 else ""
        yield Text(f"unread signal {clean(name)!r}{times} ({nobody})", "yellow")
    if len(counts) > _UNREAD_MAX:
        yield Text(f"and {len(counts) - _UNREAD_MAX} more", "yellow")


def _tracebacks(d: Description) -> Iterator[Text]:
    found = [(f"call {call.call}, {clean(call.name)}", call.traceback) for call in d.calls]
    for what, traceback in [*found, ("the execution", d.traceback)]:
        if traceback:
            title = (f"where the error of {what} was raised", "bold")
            yield Text.assemble(title, f"\n{clean(traceback.rstrip())}")
