"""`counterpoint draw`: what the code of a workflow can do, as a diagram."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from counterpoint.authoring.registry import AnyWorkflow
from counterpoint.cli.arguments import find_workflow
from counterpoint.cli.completion import complete_workflows
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.options import AppOption
from counterpoint.cli.output import hint
from counterpoint.cli.target import Target, required
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


def draw(
    workflow: Annotated[
        str,
        typer.Argument(
            metavar="WORKFLOW",
            show_default=False,
            help="The workflow, such as orders.place_order; its last part does where it is clear.",
            autocompletion=complete_workflows,
        ),
    ],
    form: Annotated[
        DiagramFormat, typer.Option("--format", help="The language of the diagram.")
    ] = DiagramFormat.MERMAID,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            dir_okay=False,
            help="Write it to this file instead of stdout.",
        ),
    ] = None,
    app: AppOption = None,
) -> None:
    """Draw what the code of a workflow can do: its calls, branches, loops, and what is undone.

    The diagram is read from the source; no code of the workflow runs. What the source alone does
    not tell is drawn as a note. A diagram of what happened in one execution: show --format.

    Example: counterpoint draw orders.place_order --app shop:app -o place_order.mmd
    """
    found = _find(required(app, None), workflow)
    text = _DRAWERS[form](read_workflow(found))
    if output is None:
        print(text, end="", flush=True)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {error.strerror}") from error
    hint(f"written to {output}", "dim")


def _find(target: Target, name: str) -> AnyWorkflow:
    """Return the workflow of a name; the error for an unknown one lists those that exist."""
    try:
        return find_workflow(target, name)
    except CommandError as error:
        if error.code is not Exit.NOT_FOUND:
            raise
        known = ", ".join(sorted(target.app.registry.workflows)) or "none"
        raise CommandError(
            f"{target.name} has no workflow {name!r}; it has {known}", Exit.NOT_FOUND
        ) from error
