"""A flow as `counterpoint flow` prints it: a tree of what led to what."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

from rich.console import RenderableType
from rich.text import Text
from rich.tree import Tree

from counterpoint.cli.output import clean, one_line, status_text
from counterpoint.cli.story_calls import CALL_STATES
from counterpoint.cli.times import absolute, both, due, duration, relative
from counterpoint.graph.sequence import elapsed
from counterpoint.runtime.description import AttemptDescription, CallDescription
from counterpoint.runtime.flow import Flow, FlowEvent, FlowExecution, FlowReaction, FlowStep

_WORDS = {
    "executions": "execution",
    "calls": "call",
    "compensations": "compensation",
    "events": "event",
    "reactions": "reaction",
    "retries": "retry",
    "dead_letters": "dead letter",
    "waiting": "waiting",
    "incidents": "incident",
}
_REACTIONS = {
    "waiting": ("…", "yellow"),
    "running": ("…", "cyan"),
    "retrying": ("…", "yellow"),
    "completed": ("✓", "green"),
    "dead": ("✗", "bold red"),
    "discarded": ("·", "magenta"),
}


def flow_lines(flow: Flow, at: datetime) -> Iterator[RenderableType]:
    """Yield the parts of a flow's story, top first; *at* is now."""
    yield _title(flow, at)
    yield Text(_counts(flow), "dim")
    tree = Tree(Text(""), guide_style="dim", hide_root=True)
    branches: list[_Branch] = []
    for depth, step in flow.outline():
        del branches[depth:]
        parent = branches[-1].place(step) if branches else tree
        branches.append(_Branch(parent, step, flow.started_at, at))
    yield tree


def _title(flow: Flow, at: datetime) -> Text:
    text = Text.assemble((clean(flow.id), "bold"), f"  began {both(flow.started_at, at)}, ")
    if flow.ended_at is None:
        return text.append("goes on", "cyan")
    return text.append(f"took {duration(flow.ended_at - flow.started_at)}")


def _counts(flow: Flow) -> str:
    return ", ".join(_count(name, n) for name, n in flow.counts().items() if n) or "nothing"


def _count(name: str, count: int) -> str:
    return f"{count} {_WORDS[name] if count == 1 else name.replace('_', ' ')}"


class _Branch:
    """A step in the tree, and its calls: what they led to stands under them."""

    def __init__(self, parent: Tree, step: FlowStep, start: datetime, at: datetime) -> None:
        self._start = start
        self._at = at
        self._calls: dict[int, Tree] = {}
        match step:
            case FlowEvent():
                self._tree = parent.add(self._event(step))
            case FlowReaction():
                self._tree = parent.add(self._reaction(step))
            case FlowExecution():
                self._tree = parent.add(self._execution(step))
                for call in step.description.calls:
                    self._calls[call.call] = self._tree.add(self._call(call))

    def place(self, step: FlowStep) -> Tree:
        """Return under what a step stands that this one led to."""
        call = step.call if isinstance(step, FlowEvent) else None
        if isinstance(step, FlowExecution):
            call = step.description.parent_call
        return self._tree if call is None else self._calls.get(abs(call), self._tree)

    def _event(self, event: FlowEvent) -> Text:
        text = Text.assemble((clean(event.type), "bold blue"), f" of {clean(event.key)}")
        text.append(f"  {elapsed((event.at - self._start).total_seconds())}", "dim")
        if event.call is not None and event.call < 0:
            text.append(", published by the compensation", "dim")
        return text

    def _reaction(self, reaction: FlowReaction) -> Text:
        mark, style = _REACTIONS.get(reaction.status, ("·", ""))
        words = "a dead letter" if reaction.status == "dead" else reaction.status
        text = Text.assemble(f"{clean(reaction.name)} ", (f"{mark} {words}", style))
        text.append(_took(reaction.created_at, reaction.finished_at))
        if reaction.attempts > 1:
            text.append(f", {reaction.attempts} attempts")
        if reaction.replay:
            text.append(f", replay {reaction.replay}")
        text.append_text(_failed(reaction.failed_attempts))
        if reaction.next_attempt_at is not None:
            text.append(self._next(reaction.attempts, reaction.next_attempt_at))
        elif reaction.waits_for is not None:
            text.append(f"\nwaits for {one_line(reaction.waits_for)}", "yellow")
        return text

    def _execution(self, execution: FlowExecution) -> Text:
        d = execution.description
        run = f", run {d.run}" if d.run > 1 else ""
        text = Text.assemble(f"{clean(d.workflow)} ", (clean(d.id), "bold"), f"{run} ")
        text.append_text(status_text(d.status)).append(_took(d.created_at, d.finished_at))
        if d.error is not None:
            text.append(f"\n{one_line(f'{d.error_type}: {d.error}')}", "red")
        for incident in d.incidents:
            since = relative(incident.at, self._at)
            text.append(f"\nincident {since}: {one_line(incident.message)}", "bold red")
        for received in execution.received:
            when = elapsed((received.at - self._start).total_seconds())
            text.append(f"\ngot {clean(received.type)} {clean(received.id)}  {when}", "blue")
        waits = [f"the event {one.type} of {one.key}" for one in execution.awaits]
        known = [one for one in d.waits_for if not one.startswith(("attempt ", "a person: "))]
        for words in dict.fromkeys([*known, *waits]):
            text.append(f"\nwaits for {one_line(words)}", "cyan")
        return text

    def _call(self, call: CallDescription) -> Text:
        state = call.state
        if call.compensation is not None:  # its own outcome; that of its compensation follows
            state = "completed" if call.error is None else "failed"
        mark, style = CALL_STATES.get(state, ("·", ""))
        text = Text.assemble(f"{call.call} {clean(call.name)} ", (f"{mark} {state}", style))
        text.append(_took(call.scheduled_at, call.settled_at))
        if call.attempts > 1:
            text.append(f", {call.attempts} attempts")
        failed = [one for one in call.failed_attempts if one.error != call.error or one.lost]
        text.append_text(_failed(call.failed_attempts if call.error is None else failed))
        if call.error is not None:
            text.append(f"\n{one_line(call.error)}", "red")
        if call.outcome_unknown:
            text.append("\nits outcome is unknown: it may have happened", "yellow")
        if call.next_attempt_at is not None and call.compensation is None:
            text.append(self._next(call.attempts, call.next_attempt_at))
        if call.stays is not None:
            text.append(f"\nit stays: {one_line(call.stays)}", "yellow")
        if call.compensation is not None:
            self._undoing(text, call, call.compensation)
        return text

    def _undoing(self, text: Text, call: CallDescription, name: str) -> None:
        done = "undone by" if call.compensated_at is not None else "being undone by"
        text.append(f"\n↶ {done} {clean(name)}", "yellow")
        text.append(_took(call.compensation_scheduled_at, call.compensated_at))
        if call.compensation_attempts > 1:
            text.append(f", {call.compensation_attempts} attempts")
        text.append_text(_failed(call.compensation_failed_attempts))
        if call.next_attempt_at is not None:
            text.append(self._next(call.compensation_attempts, call.next_attempt_at))

    def _next(self, attempts: int, moment: datetime) -> str:
        return f"\nattempt {attempts + 1} {due(moment, self._at)} ({absolute(moment, self._at)})"


def _took(begun: datetime | None, ended: datetime | None) -> str:
    return "" if begun is None or ended is None else f" in {duration(ended - begun)}"


def _failed(attempts: Sequence[AttemptDescription]) -> Text:
    """Return a line for all attempts in a row that failed alike."""
    text = Text()
    for words, alike in groupby(attempts, key=_failure):
        numbers = [one.attempt for one in alike]
        many = f"attempt {numbers[0]}"
        if len(numbers) > 1:
            many = f"attempts {numbers[0]} to {numbers[-1]}"
        text.append(f"\n{many} {one_line(words)}", "yellow")
    return text


def _failure(attempt: AttemptDescription) -> str:
    return "lost: its node ended" if attempt.lost else f"failed: {attempt.error}"
