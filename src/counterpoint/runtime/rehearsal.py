"""Recorded executions against today's code: `counterpoint.replay` and `counterpoint replay`.

A rehearsal runs the code of an execution on its recorded inputs, and compares. It needs no store,
calls nothing and writes nothing. Executions that have ended are rehearsed like those that go on:
what happened once will happen again, with the next order.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec

from counterpoint.authoring.failures import safe_str
from counterpoint.authoring.registry import Registry, WorkflowProgram
from counterpoint.errors import PayloadError
from counterpoint.kernel.execution import Execution
from counterpoint.kernel.loop import running_loop
from counterpoint.kernel.review import OtherArguments, Review
from counterpoint.model.states import Status
from counterpoint.runtime.description import plain
from counterpoint.runtime.exports import Export, decode_export, read_lines

_TASK_SWITCH: dict[str, Callable[[asyncio.AbstractEventLoop, asyncio.Task[Any]], None]] = {
    name: vars(asyncio.tasks)[name] for name in ("_enter_task", "_leave_task")
}
# Documented for authors of event loops, though they begin with `_`.
SHOWN_MAX = 20
"""Executions that `str()` of a report names."""
VALUE_CHARS_MAX = 120


class Deployed(Protocol):
    """What has the code of today: an app."""

    registry: Registry


class Verdict(StrEnum):
    """What became of a recorded execution on today's code."""

    AGREES = "agrees"
    """The code decides what is recorded."""
    DIVERGES = "diverges"
    """It decides something else: the execution would become an incident."""
    UNREADABLE = "unreadable-value"
    """A recorded value does not fit the types of today: it would become an incident, too."""
    UNKNOWN_WORKFLOW = "unknown-workflow"
    """The app does not have the workflow: the execution would wait in the store."""
    NEWER_VERSION = "newer-version"
    """A newer version of the workflow has advanced it: it would wait in the store."""
    DAMAGED = "damaged"
    """Its records cannot be applied, whatever the code is."""

    @property
    def words(self) -> str:
        """The verdict for people."""
        return self.value.replace("-", " ")


@dataclass(frozen=True, slots=True)
class ArgumentDifference:
    """A call that today's code makes with other arguments; it goes on with the recorded result."""

    call: int
    name: str
    recorded: Any
    """As plain JSON values."""
    found: Any
    """The same of what the code gives it."""
    line: str | None
    """`file:line` of the code that makes the call."""

    def __str__(self) -> str:
        recorded, found = (_short(value) for value in (self.recorded, self.found))
        return f"call {self.call} of {self.name} had {recorded}, has {found}{_at(self.line)}"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One recorded execution on today's code."""

    id: str
    run: int
    workflow: str
    version: int
    """The version of the workflow that recorded it."""
    status: Status
    records: int
    verdict: Verdict
    """`agrees`, or what is wrong."""
    expected: str | None = None
    """What is recorded, where the code differs."""
    found: str | None = None
    """What the code does instead."""
    line: str | None = None
    """`file:line` of the code that differs."""
    problem: str | None = None
    """In words, where there is no such line."""
    arguments: tuple[ArgumentDifference, ...] = ()
    """Calls with other arguments, as far as the code was followed."""

    def __str__(self) -> str:
        run = f" (run {self.run})" if self.run > 1 else ""
        text = f"{self.id}{run}, {self.workflow}, {self.status}: {self.verdict.words}"
        if self.expected is not None:
            text += f": recorded is {self.expected}, the code does {self.found}{_at(self.line)}"
        elif self.problem is not None:
            text += f": {self.problem}"
        return "\n".join([text, *(f"  {one}" for one in self.arguments)])


@dataclass(slots=True)
class ReplayReport:
    """What `replay` found; true as a condition if `ok`."""

    rehearsals: list[Rehearsal] = field(default_factory=list)
    """Of each execution, in the order in which they were given."""
    counts: Counter[Verdict] = field(default_factory=Counter)
    """How many executions have which verdict."""
    other_arguments: int = 0
    """Executions with calls whose arguments differ."""
    records: int = 0
    """How many records all of them have."""

    @property
    def total(self) -> int:
        """How many executions were replayed."""
        return self.counts.total()

    @property
    def ok(self) -> bool:
        """Whether the code agrees with every journal; arguments that differ do not count."""
        return self.total == self.counts[Verdict.AGREES]

    @property
    def findings(self) -> list[Rehearsal]:
        """What does not agree, or has calls with other arguments."""
        return [one for one in self.rehearsals if one.verdict != Verdict.AGREES or one.arguments]

    def add(self, rehearsal: Rehearsal, *, keep: bool = True) -> None:
        """Count an execution; one that is not kept is not among the `rehearsals`."""
        self.counts[rehearsal.verdict] += 1
        self.other_arguments += bool(rehearsal.arguments)
        self.records += rehearsal.records
        if keep:
            self.rehearsals.append(rehearsal)

    def summary(self) -> str:
        """Return the totals in one line."""
        if not self.total:
            return "no executions"
        noun = "execution" if self.total == 1 else "executions"
        counts = [f"{self.counts[verdict]:,} {words}" for verdict, words in _WORDS.items()]
        shown = [
            words for words, verdict in zip(counts, _WORDS, strict=True) if self.counts[verdict]
        ]
        if self.other_arguments:
            shown.append(f"{self.other_arguments:,} with other arguments")
        return f"{self.total:,} {noun}: {', '.join(shown)}"

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        findings = self.findings
        lines = [self.summary(), *map(str, findings[:SHOWN_MAX])]
        if len(findings) > SHOWN_MAX:
            lines.append(f"… and {len(findings) - SHOWN_MAX:,} more")
        return "\n".join(lines)


_WORDS = {
    Verdict.AGREES: "agree",
    Verdict.DIVERGES: "diverge",
    Verdict.UNREADABLE: "with an unreadable value",
    Verdict.UNKNOWN_WORKFLOW: "of an unknown workflow",
    Verdict.NEWER_VERSION: "of a newer version",
    Verdict.DAMAGED: "damaged",
}
Journal: TypeAlias = Export | Mapping[str, Any] | Path | str | bytes


def replay(app: Deployed, journals: Iterable[Journal] = ()) -> ReplayReport:
    """Run today's code of *app* on recorded journals, and report where it differs.

    *journals* are what `counterpoint journal export` writes: paths of such files, their lines, or
    what `json.loads` makes of a line; an open file is an iterable of lines. Nothing is called or
    written, and no store is needed. In CI, with the journals of production beside the tests:

        def test_todays_code_agrees_with_what_production_recorded():
            report = counterpoint.replay(app, Path("tests/journals").glob("*.jsonl"))

            assert report.ok, str(report)
            assert report.total > 0

    The report has one `Rehearsal` for each execution: whether it agrees, what was recorded and
    what the code does instead, on which line, and the calls with other arguments (which are no
    failure: results come from the journal).

    Raises:
        PayloadError: a journal cannot be read; names the file and the line.
    """
    report = ReplayReport()
    for export in _exports(journals):
        report.add(rehearse(app.registry, export))
    return report


def rehearse(registry: Registry, export: Export) -> Rehearsal:
    """Run today's code on one recorded execution."""
    program = registry.program(export.name)
    if program is None:
        problem = f"no service of this app has {export.name}"
        return _rehearsal(export, Verdict.UNKNOWN_WORKFLOW, problem=problem)
    if program.version < export.version:
        problem = f"version {export.version} has advanced it, this app has {program.version}"
        return _rehearsal(export, Verdict.NEWER_VERSION, problem=problem)
    review = Review()
    try:
        divergence = run_recorded(program, export, review).divergence
    except Exception as error:  # noqa: BLE001 - records that were damaged can be anything
        problem = f"its records cannot be applied ({type(error).__name__}: {safe_str(error)})"
        return _rehearsal(export, Verdict.DAMAGED, problem=problem)
    arguments = tuple(_difference(one) for one in review.differences)
    if divergence is None:
        return _rehearsal(export, Verdict.AGREES, arguments=arguments)
    return _rehearsal(
        export,
        Verdict.DIVERGES if review.unreadable is None else Verdict.UNREADABLE,
        expected=divergence.expected,
        found=divergence.found,
        line=divergence.line,
        arguments=arguments,
    )


def run_recorded(program: WorkflowProgram, export: Export, review: Review) -> Execution:
    """Run the code on the recorded inputs; return the execution, evicted."""
    execution = Execution(export.id, export.run, program, review)
    with _outside_tasks():
        try:
            execution.replay(export.records)
        finally:
            execution.evict()
    return execution


@contextmanager
def _outside_tasks() -> Generator[None, None, None]:
    """Leave the surrounding task for a while: a thread has one current task for all its loops."""
    loop = running_loop()
    task = None if loop is None else asyncio.current_task(loop)
    if loop is None or task is None:
        yield
        return
    _TASK_SWITCH["_leave_task"](loop, task)
    try:
        yield
    finally:
        _TASK_SWITCH["_enter_task"](loop, task)


def _exports(journals: Iterable[Journal]) -> Generator[Export, None, None]:
    given: Iterable[Journal] = [journals] if isinstance(journals, (Path, str, bytes)) else journals
    for number, journal in enumerate(given, 1):
        if isinstance(journal, Path):
            for line in read_lines(journal):
                yield line.export()
        elif isinstance(journal, Export):
            yield journal
        elif not isinstance(journal, (str, bytes)):
            yield _decode(msgspec.json.encode(journal), number)
        elif not journal.isspace():
            yield _decode(journal, number)


def _decode(line: str | bytes, number: int) -> Export:
    try:
        return decode_export(line)
    except PayloadError as error:
        hint = "" if line.lstrip()[:1] in ("{", b"{") else "; give the path of a file as a Path"
        raise PayloadError(f"journal {number}: {error}{hint}") from error


def _rehearsal(export: Export, verdict: Verdict, **more: Any) -> Rehearsal:
    return Rehearsal(
        export.id,
        export.run,
        export.name,
        export.version,
        export.status,
        len(export.records),
        verdict,
        **more,
    )


def _difference(one: OtherArguments) -> ArgumentDifference:
    return ArgumentDifference(one.call, one.name, plain(one.recorded), plain(one.found), one.line)


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_CHARS_MAX else text[: VALUE_CHARS_MAX - 1] + "…"


def _at(line: str | None) -> str:
    return f" ({line})" if line else ""
