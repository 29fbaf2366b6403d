"""`counterpoint draw`: a workflow's code, a choreography, or all events of an app, as a diagram."""

import contextlib
import io
import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from counterpoint.authoring.choreography import Choreography
from counterpoint.authoring.registry import AnyWorkflow
from counterpoint.cli.arguments import find_workflow
from counterpoint.cli.completion import complete_workflows
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.options import AppOption, JsonOption
from counterpoint.cli.output import hint, say_json
from counterpoint.cli.target import Target, required, resolve
from counterpoint.graph.choreographies import part_of
from counterpoint.graph.event_data import choreography_data, events_data
from counterpoint.graph.event_graph import event_graph
from counterpoint.graph.event_mermaid import events_mermaid
from counterpoint.graph.event_picture import Picture, choreography_picture, events_picture
from counterpoint.graph.event_plantuml import events_plantuml
from counterpoint.graph.flow import Flow
from counterpoint.graph.flow_mermaid import flow_mermaid
from counterpoint.graph.flow_plantuml import flow_plantuml
from counterpoint.graph.reading import read_workflow


class DiagramFormat(StrEnum):
    """The languages of diagrams."""

    MERMAID = "mermaid"
    PLANTUML = "plantuml"


_DRAWERS: dict[DiagramFormat, Callable[[Flow], str]] = {
    DiagramFormat.MERMAID: flow_mermaid,
    DiagramFormat.PLANTUML: flow_plantuml,
}
_EVENT_DRAWERS: dict[DiagramFormat, Callable[[Picture], str]] = {
    DiagramFormat.MERMAID: events_mermaid,
    DiagramFormat.PLANTUML: events_plantuml,
}


def complete_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the app's choreographies, and the recorded names of its workflows."""
    workflows = complete_workflows(ctx, incomplete)
    choreographies: list[str] = []
    swallowed = io.StringIO()
    with (
        contextlib.suppress(Exception),
        contextlib.redirect_stdout(swallowed),
        contextlib.redirect_stderr(swallowed),
    ):
        choreographies = list(resolve(ctx.params.get("app"), None).app.choreographies)
    return [*sorted(name for name in choreographies if name.startswith(incomplete)), *workflows]


_NameArgument: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        show_default=False,
        help="A choreography, or a workflow, such as orders.place_order; the last part of a "
        "workflow's name does where it is clear.",
        autocompletion=complete_names,
    ),
]
_EventsOption: TypeAlias = Annotated[
    bool,
    typer.Option("--events", help="Draw all events of the app, and what follows from them."),
]
_FormatOption: TypeAlias = Annotated[
    DiagramFormat | None,
    typer.Option(
        "--format", help="The language of the diagram; default: mermaid.", show_default=False
    ),
]
_OutputOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        dir_okay=False,
        help="Write it to this file instead of stdout.",
    ),
]


def draw(
    name: _NameArgument = None,
    events: _EventsOption = False,
    form: _FormatOption = None,
    output: _OutputOption = None,
    as_json: JsonOption = False,
    app: AppOption = None,
) -> None:
    """Draw what the code of a workflow can do, a choreography, or all events of an app.

    A workflow: its calls, branches, loops, and what is undone. A choreography: the events from its
    start to its ends, and the code that reacts to them and emits them. It is read from definitions
    and source; no code of the app's runs but its imports. What the source alone does not tell is
    drawn as a note. A diagram of what happened in one execution: show --format.

    Example: counterpoint draw orders.place_order --app shop:app -o place_order.mmd

    Example: counterpoint draw --events --app shop:app --format plantuml
    """
    if form is not None and as_json:
        raise CommandError("--format writes a diagram: pass it without --json")
    target = required(app, None)
    language = form or DiagramFormat.MERMAID
    if events:
        if name is not None:
            raise CommandError(
                f"--events draws all events of the app: pass it without a name, or draw {name!r} "
                "without --events"
            )
        _write(_events(target, None if as_json else language), output)
        return
    found = _find(target, name)
    if isinstance(found, Choreography):
        _write(_choreography(target, found, None if as_json else language), output)
    elif as_json:
        raise CommandError("--json is for --events and choreographies: draw a workflow without it")
    else:
        _write(_DRAWERS[language](read_workflow(found)), output)


def _events(target: Target, form: DiagramFormat | None) -> str | dict[str, Any]:
    app = target.app
    if not app.registry.contracts:
        raise CommandError(
            f"{target.name} has no events: declare them with @service.event(key=...)"
        )
    graph = event_graph(app.registry)
    if form is None:
        return events_data(graph, app.name, app.choreographies.values())
    return _EVENT_DRAWERS[form](events_picture(graph, app.name))


def _choreography(
    target: Target, choreography: Choreography, form: DiagramFormat | None
) -> str | dict[str, Any]:
    graph = part_of(choreography, event_graph(target.app.registry))
    if form is None:
        return choreography_data(graph, choreography)
    return _EVENT_DRAWERS[form](choreography_picture(graph, choreography))


def _write(drawn: str | dict[str, Any], output: Path | None) -> None:
    if output is None:
        if isinstance(drawn, str):
            print(drawn, end="", flush=True)
        else:
            say_json(drawn)
        return
    text = drawn if isinstance(drawn, str) else json.dumps(drawn, ensure_ascii=False) + "\n"
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {error.strerror}") from error
    hint(f"written to {output}", "dim")


def _find(target: Target, name: str | None) -> AnyWorkflow | Choreography:
    """Return what has a name; the error for an unknown one lists those that exist."""
    app = target.app
    if name is None:
        raise CommandError(f"name what to draw, or pass --events: {target.name} {_known(target)}")
    if name in app.choreographies:
        return app.choreographies[name]
    try:
        return find_workflow(target, name)
    except CommandError as error:
        if error.code is not Exit.NOT_FOUND:
            raise
        either = "workflow or choreography" if app.choreographies else "workflow"
        raise CommandError(
            f"{target.name} has no {either} {name!r}; it {_known(target)}", Exit.NOT_FOUND
        ) from error


def _known(target: Target) -> str:
    workflows = ", ".join(sorted(target.app.registry.workflows))
    choreographies = ", ".join(sorted(target.app.choreographies))
    if not choreographies:
        return f"has {workflows or 'none'}"
    known = f"has the choreographies {choreographies}"
    return f"{known}, and the workflows {workflows}" if workflows else known
