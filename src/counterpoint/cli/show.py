"""`counterpoint show`: what happened to an execution, what it waits for, what is retried when."""

import asyncio
from collections.abc import Callable
from typing import Annotated, TypeAlias

import typer

from counterpoint.cli.draw import DiagramFormat
from counterpoint.cli.failures import CommandError
from counterpoint.cli.options import AppOption, IdArgument, JsonOption, StoreOption
from counterpoint.cli.output import out, say_json, show_parts
from counterpoint.cli.posting import describe, posted_requests
from counterpoint.cli.story import Surroundings, story
from counterpoint.cli.story_surroundings import (
    earlier_runs,
    open_children,
    operator_acts,
    unhosted_calls,
)
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.cli.times import now
from counterpoint.graph.sequence import Story
from counterpoint.graph.sequence_mermaid import sequence_mermaid
from counterpoint.graph.sequence_plantuml import sequence_plantuml
from counterpoint.graph.telling import story as tell
from counterpoint.runtime.description import Description

VerboseOption: TypeAlias = Annotated[
    bool, typer.Option("--verbose", help="Show all failed attempts, and full tracebacks.")
]
FormatOption: TypeAlias = Annotated[
    DiagramFormat | None,
    typer.Option(
        "--format", help="Write a sequence diagram of what happened, in this language, instead."
    ),
]
_DRAWERS: dict[DiagramFormat, Callable[[Story], str]] = {
    DiagramFormat.MERMAID: sequence_mermaid,
    DiagramFormat.PLANTUML: sequence_plantuml,
}


def show(
    execution_id: IdArgument,
    app: AppOption = None,
    store: StoreOption = None,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
    form: FormatOption = None,
) -> None:
    """Show what happened to an execution, what it waits for, and what is retried when.

    It reads the journal alone: the app's code is not needed, but with --app the command also says
    which of the execution's workflow and activities the app does not have.

    With --format it writes a sequence diagram: messages between the workflow and the services.

    Example: counterpoint show order-7 --app shop:app
    """
    if form is not None and (as_json or verbose):
        raise CommandError("--format writes a diagram: pass it without --json and --verbose")
    if form is not None:
        asyncio.run(_draw(resolve(app, store), execution_id, form))
        return
    asyncio.run(_show(resolve(app, store), execution_id, verbose=verbose, as_json=as_json))


async def _show(target: Target, execution_id: str, *, verbose: bool, as_json: bool) -> None:
    async with open_client(target) as client:
        hosted_by = target.app.hosted_by()
        description = await describe(client, execution_id)
        posted = await posted_requests(client, execution_id)
        earlier = await earlier_runs(client, description)
        children = open_children(description)
        acts, outcomes = await operator_acts(client, description)
        unhosted = await unhosted_calls(client, description)
    if as_json:
        known = target.hosts(description.workflow)
        plain = description.to_json()
        beside = {"posted": posted, "workflow_known": known, "hosted_by": hosted_by}
        say_json({**plain, **beside, "earlier_runs": earlier, "open_children": children})
        return
    registry = target.app.registry
    activities = None if target.name is None else {*registry.activities, *registry.stubs}
    around = Surroundings(
        now(),
        posted,
        target.name,
        _version(target, description),
        activities,
        target.run_command if hosted_by is None else None,
        verbose,
        children,
        earlier,
        acts,
        outcomes,
        unhosted,
        target.options,
    )
    show_parts(out(), *story(description, around))


async def _draw(target: Target, execution_id: str, form: DiagramFormat) -> None:
    async with open_client(target) as client:
        await describe(client, execution_id)  # the clearer error where there is none
        entries = await client.execution(execution_id).journal()
    print(_DRAWERS[form](tell(execution_id, entries)), end="", flush=True)


def _version(target: Target, description: Description) -> int | None:
    if target.name is None:
        return None
    workflow = target.app.registry.workflows.get(description.workflow)
    return 0 if workflow is None else workflow.version
