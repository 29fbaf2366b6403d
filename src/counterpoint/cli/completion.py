"""What the shell offers when Tab is pressed: workflow names, ids, signals that are waited for.

A completion never speaks and never fails: where the app or the store cannot be read, it offers
nothing. The app's own output while it is imported is swallowed.
"""

import asyncio
import contextlib
import io
from collections.abc import Iterator

import typer

from counterpoint.cli.target import Target, open_client, resolve

OFFERS_MAX = 50


def complete_workflows(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the recorded names of the app's workflows."""
    with _silence():
        names = _target(ctx).app.registry.workflows
        return sorted(name for name in names if name.startswith(incomplete))
    return []


def complete_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the ids of the newest executions."""
    with _silence():
        return asyncio.run(_ids(_target(ctx), incomplete))
    return []


def complete_signals(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the signals that the execution waits for."""
    with _silence():
        names = asyncio.run(_signals(_target(ctx), str(ctx.params["execution_id"])))
        return [name for name in names if name.startswith(incomplete)]
    return []


async def _ids(target: Target, incomplete: str) -> list[str]:
    ids: list[str] = []
    async with open_client(target) as client:
        async for summary in client.executions():
            if summary.id.startswith(incomplete):
                ids.append(summary.id)
            if len(ids) == OFFERS_MAX:
                break
    return ids


async def _signals(target: Target, execution_id: str) -> list[str]:
    async with open_client(target) as client:
        description = await client.execution(execution_id).describe()
        return list(description.awaited_signals)


def _target(ctx: typer.Context) -> Target:
    return resolve(ctx.params.get("app"), ctx.params.get("store"))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    swallowed = io.StringIO()
    with (
        contextlib.suppress(Exception),
        contextlib.redirect_stdout(swallowed),
        contextlib.redirect_stderr(swallowed),
    ):
        yield
