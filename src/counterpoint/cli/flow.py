"""`counterpoint flow`: everything with one correlation id, across services and styles."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from counterpoint.cli.completion import complete_ids
from counterpoint.cli.draw import DiagramFormat
from counterpoint.cli.failures import CommandError
from counterpoint.cli.flow_lines import flow_lines
from counterpoint.cli.options import AppOption, JsonOption, StoreOption
from counterpoint.cli.output import hint, out, say_json, show_parts
from counterpoint.cli.posting import stored_start
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.cli.times import now
from counterpoint.errors import ExecutionNotFoundError
from counterpoint.graph.sequence import Story
from counterpoint.graph.sequence_mermaid import sequence_mermaid
from counterpoint.graph.sequence_plantuml import sequence_plantuml
from counterpoint.runtime.client import Client
from counterpoint.runtime.flow import Flow
from counterpoint.runtime.flow_story import story_of

_DRAWERS: dict[DiagramFormat, Callable[[Story], str]] = {
    DiagramFormat.MERMAID: sequence_mermaid,
    DiagramFormat.PLANTUML: sequence_plantuml,
}
_MERMAID_CHARACTERS_MAX = 50_000
_PLANTUML_LINES_MAX = 100


def flow(
    flow_id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            show_default=False,
            help="The correlation id, or the id of an execution, reaction or event of the flow.",
            autocompletion=complete_ids,
        ),
    ],
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    form: Annotated[
        DiagramFormat | None,
        typer.Option(
            "--format", help="Write a sequence diagram of what happened, in this language, instead."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            dir_okay=False,
            help="Write the diagram to this file instead of stdout.",
        ),
    ] = None,
) -> None:
    """Show everything with one correlation id: what led to what, retries, compensations.

    Executions, their calls, events and reactions of all services are one tree, each under what
    caused it. The store alone is read: the app's code is not needed.

    With --format it writes a sequence diagram: a lifeline for each service, commands as solid
    arrows, events as dashed ones.

    Example: counterpoint flow order-7 --app shop:app --format plantuml -o order-7.puml
    """
    if form is not None and as_json:
        raise CommandError("--format writes a diagram: pass it without --json")
    if form is None and output is not None:
        raise CommandError("--output is for a diagram: pass --format, too")
    found = asyncio.run(_read(resolve(app, store), flow_id))
    if form is not None:
        _write(_DRAWERS[form](story_of(found)), form, output)
    elif as_json:
        say_json(found.to_json())
    else:
        show_parts(out(), *flow_lines(found, now()))


async def _read(target: Target, flow_id: str) -> Flow:
    async with open_client(target) as client:
        try:
            return await client.flow(flow_id)
        except ExecutionNotFoundError as error:
            await _explain(client, error)
            raise


async def _explain(client: Client, error: ExecutionNotFoundError) -> None:
    if await stored_start(client, error.execution_id) is not None:
        error.args = (
            f"{error.execution_id} is not started yet: its start is stored, and no node has "
            "taken it",
        )


def _write(text: str, form: DiagramFormat, output: Path | None) -> None:
    if output is None:
        print(text, end="", flush=True)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{output} cannot be written: {error.strerror}") from error
        hint(f"written to {output}", "dim")
    if form is DiagramFormat.MERMAID and len(text) > _MERMAID_CHARACTERS_MAX:
        hint(f"Mermaid draws it where maxTextSize is set to {len(text)} or more", "dim")
    if form is DiagramFormat.PLANTUML and text.count("\n") > _PLANTUML_LINES_MAX:
        hint("PlantUML cuts pictures at 4096 pixels, unless they are SVG: plantuml -tsvg", "dim")
