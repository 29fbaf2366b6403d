"""`counterpoint resolve`: a person who has looked states what became of a call."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeAlias

import typer

from counterpoint.cli.batch import (
    IDS_SHOWN,
    RATE,
    Act,
    Batch,
    Count,
    ManyOption,
    RateOption,
    Refusal,
    Report,
    Task,
    YesOption,
    act_on_each,
    choose,
    find_many,
)
from counterpoint.cli.completion import complete_calls
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.options import (
    ActorOption,
    AppOption,
    JsonOption,
    OptionalIdArgument,
    ReasonOption,
    StoreOption,
)
from counterpoint.cli.output import hint, say, say_json
from counterpoint.cli.posting import current_user, describe, no_node, taken
from counterpoint.cli.resolve_answer import (
    ONE_OF,
    Answer,
    being_undone,
    check_activity,
    check_fits,
    read_answer,
    send,
)
from counterpoint.cli.resolve_file import Line, read_lines
from counterpoint.cli.target import Target, open_client
from counterpoint.cli.target import resolve as resolve_target
from counterpoint.cli.where import SinceOption, UntilOption, Where, WhereOption
from counterpoint.errors import ExecutionNotFoundError, StoreCorruptError
from counterpoint.model.states import Status
from counterpoint.runtime.client import Client
from counterpoint.runtime.description import CallDescription, Description
from counterpoint.runtime.handle import Execution

ANSWERS_SHOWN = 50
_OPEN = ("running", "being cancelled", "waiting for a retry", "stuck", "being undone")

CallArgument: TypeAlias = Annotated[
    int | None,
    typer.Argument(
        metavar="CALL",
        show_default=False,
        help="The number of the call, as `show` has it.",
        autocompletion=complete_calls,
    ),
]
ResultOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--result",
        metavar="JSON",
        help="It happened, and this is what it returned; text that cannot be JSON stands for "
        "itself.",
    ),
]
ErrorOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--error",
        metavar="TYPE[:MESSAGE]",
        help="It did not happen, and the workflow gets this error: a business error of the app, "
        "such as payments.PaymentDeclined, or any other, such as 'TimeoutError:no answer'.",
    ),
]
FactsOption: TypeAlias = Annotated[
    str | None, typer.Option("--facts", metavar="JSON", help="The facts of a business error.")
]
DoneOption: TypeAlias = Annotated[
    bool,
    typer.Option("--done", help="It happened and returned nothing, or: the call is undone."),
]
NotDoneOption: TypeAlias = Annotated[
    bool, typer.Option("--not-done", help="It did not happen: try it again, under the same key.")
]
CallOfOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--call-of",
        metavar="ACTIVITY",
        help="With --where or --from: the call of this activity that needs a person, instead of a "
        "number. With --from, for lines without a call.",
    ),
]
FromOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="An answer for each of many: CSV with a header, or JSON Lines; columns id, call (its "
        "number, or the name of its activity), outcome (done, not-done), result, error, "
        "facts, reason. `-` is stdin.",
    ),
]

SkipRefusedOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--skip-refused",
        help="With --from: leave out the answers that would be refused; without, none is sent.",
    ),
]


def resolve(
    execution_id: OptionalIdArgument = None,
    call: CallArgument = None,
    result: ResultOption = None,
    error: ErrorOption = None,
    facts: FactsOption = None,
    done: DoneOption = False,
    not_done: NotDoneOption = False,
    call_of: CallOfOption = None,
    answers: FromOption = None,
    skip_refused: SkipRefusedOption = False,
    where: WhereOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    yes: YesOption = False,
    rate: RateOption = None,
    limit: ManyOption = None,
    actor: ActorOption = None,
    reason: ReasonOption = None,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """State what became of a call, or of its undoing, that is unknown or stuck.

    For a person who has looked, in the provider's console say. Exactly one of --result, --error,
    --done and --not-done says what was found. With --where all that match get the same answer; with
    --from each gets the answer that a file has for it: the command says which, and acts with --yes.

    Example: counterpoint resolve order-7 2 --result '{"receipt": "r-17"}' --app shop:app
    """
    target = resolve_target(app, store)
    answered = any((result is not None, error is not None, facts is not None, done, not_done))
    only = answers is not None and not answered
    answer = None if only else read_answer(result, error, facts, done=done, not_done=not_done)
    if call_of is not None:
        check_activity(target, call_of)
    speaker = Speaker(target, answer, actor or current_user(), reason)
    if answers is not None:
        if execution_id is not None or where or since or until or limit is not None:
            raise CommandError("--from names the executions: leave ID, --where and --limit out")
        lines = read_lines(answers, needs_call=call_of is None)
        pace = RATE if rate is None else rate
        batch = Batch(Where(), yes, pace, None, as_json, "call", ANSWERS_SHOWN, skip_refused)
        asyncio.run(_from_file(speaker, batch, lines, call_of))
        return
    if skip_refused:
        raise CommandError("--skip-refused is for --from")
    chosen = choose(
        *(execution_id, where, since, until), yes=yes, rate=rate, limit=limit, as_json=as_json
    )
    if isinstance(chosen, Batch):
        asyncio.run(_many(speaker, replace(chosen, shown_max=ANSWERS_SHOWN), call_of))
    elif call_of is not None:
        raise CommandError("--call-of is for --where and --from: of one ID, name the CALL")
    else:
        asyncio.run(_one(speaker, chosen, call, as_json=as_json))


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who says it, of which app, and what where a file does not say otherwise."""

    target: Target
    answer: Answer | None
    actor: str | None
    reason: str | None

    @property
    def said(self) -> Answer:
        """What the command line says.

        Raises:
            CommandError: nothing.
        """
        if self.answer is None:
            raise CommandError(f"{ONE_OF}, there or in an outcome column")
        return self.answer

    def act(self, call: CallDescription, answer: Answer, reason: str | None) -> Act:
        """Return the act of saying it about one call."""

        async def say_it(execution: Execution[Any]) -> None:
            why = self.reason if reason is None else reason
            await send(self.target, execution, call, answer, actor=self.actor, reason=why)

        return say_it


async def _one(speaker: Speaker, execution_id: str, number: int | None, *, as_json: bool) -> None:
    answer = speaker.said
    async with open_client(speaker.target) as client:
        call = _call(await describe(client, execution_id), number)
        before = await _resolutions(client, execution_id)
        await speaker.act(call, answer, None)(client.execution(execution_id))
        by_node = await taken(client, execution_id)
        if by_node and await _resolutions(client, execution_id) == before:
            raise CommandError(
                f"{execution_id}: the node did not take the answer: the call has settled in the "
                "meantime, or the result does not fit; the node's log says which",
                Exit.FAILED,
            )
    if as_json:
        say_json({"id": execution_id, "taken": by_node})
    else:
        what = f"the undoing of call {call.call}" if being_undone(call) else f"call {call.call}"
        say(f"{execution_id}: {what}, {call.name}, {answer.words}")
    if not by_node:
        hint(no_node(speaker.target))


async def _many(speaker: Speaker, batch: Batch, call_of: str | None) -> None:
    async with open_client(speaker.target) as client:
        ids, report = await find_many(client, batch, (Status.INCIDENT,))
        lines = [Line(0, execution_id, call_of, None, None) for execution_id in ids]
        tasks = await _plans(client, speaker, lines, report)
        await act_on_each(client, speaker.target, batch, "resolve", tasks, report)


async def _from_file(
    speaker: Speaker, batch: Batch, lines: Sequence[Line], call_of: str | None
) -> None:
    async with open_client(speaker.target) as client:
        ids = [line.id for line in lines[:IDS_SHOWN]]
        report = Report(dry_run=not batch.yes, matched=len(lines), ids=ids)
        lines = [line if line.call is not None else replace(line, call=call_of) for line in lines]
        tasks = await _plans(client, speaker, lines, report)
        await act_on_each(client, speaker.target, batch, "resolve", tasks, report)


async def _plans(
    client: Client, speaker: Speaker, lines: Sequence[Line], report: Report
) -> list[Task]:
    """Return what is going to be said; *report* gets what is refused, and counts the others."""
    tasks: list[Task] = []
    counts: Counter[tuple[str, Status]] = Counter()
    answered: set[tuple[str, int]] = set()
    for line in lines:
        answer = line.answer or speaker.said
        try:
            found = await describe(client, line.id)
            call = _chosen(found, line.call)
            check_fits(speaker.target, line.id, call, answer)
            if (line.id, call.call) in answered:
                raise CommandError(f"call {call.call} is answered in an earlier line already")
        except (CommandError, ExecutionNotFoundError, StoreCorruptError) as error:
            report.refused.append(Refusal(line.id, str(error).removeprefix(f"{line.id}: ")))
            continue
        answered.add((line.id, call.call))
        label = f"{line.id}: call {call.call}, {call.name}, {answer.words}"
        tasks.append(Task(line.id, speaker.act(call, answer, line.reason), label))
        counts[found.workflow, found.status] += 1
    report.counts = [Count(*kind, count) for kind, count in counts.most_common()]
    return tasks


def _chosen(description: Description, call: int | str | None) -> CallDescription:
    if isinstance(call, int):
        return _open_call(description, call)
    return _waiting(description, call)


def _open_call(description: Description, number: int) -> CallDescription:
    """Return the call of that number, whose outcome a person may state.

    Raises:
        CommandError: there is none, it has settled, or an attempt of it is under way.
    """
    call = _call(description, number)
    stuck = any(incident.call == number for incident in description.incidents)
    why = None
    if description.finished_at is not None:
        why = f"it is {description.status}"
    elif call.state not in _OPEN:
        why = f"call {number} has settled: it is {call.state}"
    elif call.child is not None and not being_undone(call):
        why = f"call {number} is the child {call.child}: resolve or end that"
    elif call.attempt_at is not None and not stuck:
        why = f"an attempt of call {number} is under way: wait for its end"
    if why is not None:
        raise CommandError(why, Exit.FAILED)
    return call


def _call(description: Description, number: int | None) -> CallDescription:
    """Return the call of that number.

    Raises:
        CommandError: there is none, or none is named; lists those that are open.
    """
    for call in description.calls:
        if call.call == number:
            return call
    unsettled = [call for call in description.calls if call.state in _OPEN]
    known = ", ".join(f"{call.call} ({call.name})" for call in unsettled)
    open_words = f"open: {known}" if known else "none is open"
    if number is None:
        raise CommandError(f"{description.id}: name the CALL to resolve; {open_words}")
    raise CommandError(f"{description.id}: it has no call {number}; {open_words}", Exit.FAILED)


def _waiting(description: Description, call_of: str | None) -> CallDescription:
    """Return the only call that needs a person, of an activity where one is named.

    Raises:
        CommandError: there is none, or more than one.
    """
    numbers = {incident.call for incident in description.incidents}
    waiting = [call for call in description.calls if call.call in numbers]
    if call_of is not None:
        waiting = [call for call in waiting if _is_of(call, call_of)]
    if len(waiting) == 1:
        return waiting[0]
    of = "" if call_of is None else f" of {call_of}"
    if not waiting:
        raise CommandError(f"{description.id}: no call{of} needs a person")
    listed = ", ".join(f"{call.call} ({call.name})" for call in waiting)
    raise CommandError(
        f"{description.id}: several calls{of} need a person: {listed}; answer each by its number, "
        "with ID CALL or in the call column of --from"
    )


def _is_of(call: CallDescription, name: str) -> bool:
    names = [call.name, call.compensation or call.name]
    return any(name in (full, full.rpartition(".")[2]) for full in names)


async def _resolutions(client: Client, execution_id: str) -> int:
    entries = await client.execution(execution_id).journal()
    return sum(entry.type == "resolved" for entry in entries)
