"""`counterpoint list`: finds executions."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from counterpoint.cli.options import AppOption, JsonOption, StoreOption
from counterpoint.cli.output import clean, hint, out, say, say_json, show_parts, status_text
from counterpoint.cli.posting import posted_requests
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.cli.times import duration, now, relative
from counterpoint.cli.where import SinceOption, UntilOption, Where, WhereOption, parse_where
from counterpoint.errors import ExecutionNotFoundError, StoreCorruptError
from counterpoint.model.states import Status
from counterpoint.runtime.client import Client, ExecutionSummary


def list_executions(
    status: Annotated[
        Status | None,
        typer.Option(
            "--status",
            metavar="STATUS",
            show_default=False,
            help=f"Only those that stand so: {', '.join(Status)}.",
        ),
    ] = None,
    workflow: Annotated[
        str | None,
        typer.Option(
            "--workflow", metavar="NAME", help="Only those of a workflow, by its full name."
        ),
    ] = None,
    where: WhereOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, metavar="N", help="At most so many, the newest ones.")
    ] = 20,
    attributes: Annotated[
        bool, typer.Option("--attributes", help="Show the attributes that workflows have set.")
    ] = False,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List executions, newest first.

    With --json each execution is one line of JSON (JSON Lines).

    Example: counterpoint list --where status=failed --where error=timeout --since 2h
    """
    target = resolve(app, store)
    texts = [] if status is None else [f"status={status}"]
    texts += [] if workflow is None else [f"workflow={workflow}"]
    wanted = parse_where([*texts, *(where or ())], since, until)
    asyncio.run(_list(target, wanted, limit, attributes=attributes, as_json=as_json))


async def _list(
    target: Target, where: Where, limit: int, *, attributes: bool, as_json: bool
) -> None:
    async with open_client(target) as client:
        found: list[ExecutionSummary] = []
        more = False
        async for summary in where.find(client):
            more = len(found) == limit
            if more:
                break
            found.append(summary)
        said = [await _attributes(client, one) for one in found] if attributes else None
        if as_json:
            for place, summary in enumerate(found):
                plain: dict[str, Any] = msgspec.to_builtins(summary)
                say_json(plain if said is None else {**plain, "attributes": said[place]})
            return
        if found:
            show_parts(out(), _table(found, now(), said))
        else:
            say("no executions" if where == Where() else "no such executions")
        if more:
            hint(f"there are more: --limit {10 * limit} shows them", "dim")
        await _hint_starts(client, target)


async def _attributes(client: Client, summary: ExecutionSummary) -> dict[str, str]:
    """Return what the newest run of an execution says about itself."""
    try:
        return dict((await client.execution(summary.id).describe()).attributes)
    except ExecutionNotFoundError:  # it was forgotten in the meantime
        return {}
    except StoreCorruptError as error:
        hint(f"{summary.id}: {error}")
        return {}


async def _hint_starts(client: Client, target: Target) -> None:
    starts = sum(request.kind == "start" for request in await posted_requests(client))
    if starts:
        what = "1 start waits" if starts == 1 else f"{starts} starts wait"
        hint(f"{what} for a node ({target.run_command})")


def _table(found: list[ExecutionSummary], at: datetime, said: list[dict[str, str]] | None) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("id", overflow="fold")
    table.add_column("workflow", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("started", no_wrap=True)
    table.add_column("took", no_wrap=True)
    if said is not None:
        table.add_column("attributes", overflow="fold")
    for place, summary in enumerate(found):
        ended = summary.finished_at
        table.add_row(
            clean(summary.id),
            clean(summary.workflow),
            status_text(summary.status),
            relative(summary.created_at, at),
            "" if ended is None else duration(ended - summary.created_at),
            *([] if said is None else [_words(said[place])]),
        )
    return table


def _words(attributes: dict[str, str]) -> str:
    return ", ".join(f"{clean(name)}={clean(text)}" for name, text in sorted(attributes.items()))
