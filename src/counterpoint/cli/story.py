"""The story of one execution, as `show` and `demo` print it."""

from collections import Counter
from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from counterpoint.cli.output import clean, one_line, status_text, value_words
from counterpoint.cli.raised import where
from counterpoint.cli.story_calls import calls_tree, left_tree, undoing_tree, waits
from counterpoint.cli.story_incidents import incidents
from counterpoint.cli.story_surroundings import Surroundings
from counterpoint.cli.times import both, duration, relative
from counterpoint.model.states import Status
from counterpoint.runtime.description import CauseDescription, Description, JournalEntry

__all__ = ["Surroundings", "error_words", "story"]

_UNREAD_MAX = 5
_ACTS = {
    "retry-requested": "a retry",
    "resolved": "the outcome",
    "reset": "this run, from a reset",
    "terminate-requested": "the end at once",
    "cancel-requested": "a cancellation",
    "cancel-refused": "a cancellation (refused: past the pivot)",
}


def story(description: Description, around: Surroundings) -> Iterator[RenderableType]:
    """Yield the parts of an execution's story, top first."""
    yield _title(description)
    yield from _warnings(description, around)
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    for name, value in _facts(description, around):
        facts.add_row(name, value)
    yield facts
    yield from calls_tree(description, around)
    yield from undoing_tree(description)
    yield from left_tree(description)
    waited = list(waits(description, around))
    if waited:
        tree = Tree(Text("waits for", "bold"), guide_style="dim")
        for wait in waited:
            tree.add(Text(wait))
        yield tree
    yield from _acts(around)
    yield from _unread(description)
    if around.verbose:
        yield from _tracebacks(description)


def _title(d: Description) -> Text:
    version = f" v{d.version}" if d.version > 1 else ""
    run = f", run {d.run}" if d.run > 1 else ""
    about = f"  {clean(d.workflow)}{version} ({d.kind}{run})  "
    return Text.assemble((clean(d.id), "bold"), about, status_text(d.status))


def _warnings(d: Description, around: Surroundings) -> Iterator[Text]:
    yield from incidents(d, around)
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


def _facts(d: Description, around: Surroundings) -> Iterator[tuple[str, Text]]:
    at = around.at
    yield _fact("started", both(d.created_at, at))
    if d.finished_at is not None:
        took = duration(d.finished_at - d.created_at)
        yield _fact("ended", f"{both(d.finished_at, at)}, after {took}")
    if d.correlation_id != d.id:
        yield _fact("flow", clean(d.correlation_id))
    if d.caused_by is not None:
        yield _fact("begun by", _cause(d.caused_by))
    if d.parent is not None:
        yield _fact("parent", f"{clean(d.parent)} (call {d.parent_call})")
    if around.earlier:
        yield _fact("earlier", _earlier(d, around))
    if d.attributes:
        pairs = (f"{clean(name)}={clean(value)}" for name, value in sorted(d.attributes.items()))
        yield _fact("attributes", ", ".join(pairs))
    if d.pivot_passed:
        yield _fact("pivot", "passed: nothing is undone any more")
    yield _fact("arguments", value_words(d.arguments))
    if d.status is Status.COMPLETED:
        yield _fact("result", value_words(d.result))
    if d.error is not None:
        words = error_words(d.error_type, d.error)
        yield _fact("error", clean(words + where(d.traceback)), "red")
    records = "1 record" if d.records == 1 else f"{d.records} records"
    yield _fact("journal", f"{records}, the last {both(d.updated_at, at)}")


def _cause(cause: CauseDescription) -> str:
    if cause.event_type is None:
        return f"an activity of {clean(cause.id)}"
    return f"the event {clean(cause.event_type)} ({clean(cause.source)}/{clean(cause.id)})"


def _earlier(d: Description, around: Surroundings) -> str:
    words = [
        f"run {one.run} {one.status.value} {relative(one.finished_at or one.created_at, around.at)}"
        for one in around.earlier
    ]
    more = d.run - 1 - len(words)
    return ", ".join(words) + (f", and {more} more" if more else "")


def error_words(kind: str | None, message: str | None) -> str:
    """Return an error as `type: message`, with what is known of it."""
    return ": ".join(word for word in (kind, message) if word)


def _fact(name: str, value: str, style: str = "") -> tuple[str, Text]:
    return name, Text(value, style)


# ---- at the end -------------------------------------------------------------------------------


def _acts(around: Surroundings) -> Iterator[Tree]:
    """Yield what people asked for, oldest first."""
    if not around.acts:
        return
    tree = Tree(Text("asked for", "bold"), guide_style="dim")
    for entry in around.acts:
        what = _ACTS.get(entry.type, entry.type)
        step = entry.data.get("step")
        if isinstance(step, int):
            what += f" of {'the undoing of ' if step < 0 else ''}call {abs(step)}"
        outcome = around.outcomes.get(entry.seq)
        if outcome is not None:
            what += f" ({_outcome_words(outcome)})"
        if entry.type == "reset":
            what += f" of run {entry.data['run']} to record {entry.data['seq']}"
        by, why = entry.data.get("actor"), entry.data.get("reason")
        words = what + (f" by {clean(str(by))}" if by else "")
        words += "" if entry.at is None else f", {both(entry.at, around.at)}"
        tree.add(Text(words + (f": {one_line(str(why))}" if why else "")))
    yield tree


def _outcome_words(outcome: JournalEntry) -> str:
    """Return what a person stated, as `resolve` takes it."""
    data = outcome.data
    if outcome.type == "attempt-failed":
        return "not done"
    if outcome.type == "compensated" or (outcome.type == "completed" and data["result"] is None):
        return "done"
    if outcome.type == "completed":
        return f"returned {value_words(data['result'])}"
    error = error_words(data["error"]["type"], data["error"]["message"])
    return f"failed with {one_line(error)}"


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
