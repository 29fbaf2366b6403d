"""`counterpoint show`: what happened to an execution, what it waits for, what is retried when."""

import asyncio
from typing import Annotated, TypeAlias

import typer

from counterpoint.cli.options import AppOption, IdArgument, JsonOption, StoreOption
from counterpoint.cli.output import out, say_json, show_parts
from counterpoint.cli.posting import describe, posted_requests
from counterpoint.cli.story import Surroundings, story
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.cli.times import now
from counterpoint.runtime.description import Description

VerboseOption: TypeAlias = Annotated[
    bool, typer.Option("--verbose", help="Show all failed attempts, and full tracebacks.")
]


def show(
    execution_id: IdArgument,
    app: AppOption = None,
    store: StoreOption = None,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what happened to an execution, what it waits for, and what is retried when.

    It reads the journal alone: the app's code is not needed, but with --app the command also says
    which of the execution's workflow and activities the app does not have.

    Example: counterpoint show order-7 --app shop:app
    """
    asyncio.run(_show(resolve(app, store), execution_id, verbose=verbose, as_json=as_json))


async def _show(target: Target, execution_id: str, *, verbose: bool, as_json: bool) -> None:
    async with open_client(target) as client:
        hosted_by = target.app.hosted_by()
        description = await describe(client, execution_id)
        posted = await posted_requests(client, execution_id)
    if as_json:
        known = target.hosts(description.workflow)
        plain = description.to_json()
        say_json({**plain, "posted": posted, "workflow_known": known, "hosted_by": hosted_by})
        return
    activities = None if target.name is None else target.app.registry.activities.keys()
    around = Surroundings(
        now(),
        posted,
        target.name,
        _version(target, description),
        activities,
        target.run_command if hosted_by is None else None,
        verbose,
    )
    show_parts(out(), *story(description, around))


def _version(target: Target, description: Description) -> int | None:
    if target.name is None:
        return None
    workflow = target.app.registry.workflows.get(description.workflow)
    return 0 if workflow is None else workflow.version
