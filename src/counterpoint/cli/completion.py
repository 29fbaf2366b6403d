"""What the shell offers when Tab is pressed: workflows, ids, awaited signals, stuck calls, events,
nodes.

A completion never speaks and never fails: where the app or the store cannot be read, it offers
nothing. The app's own output while it is imported is swallowed.
"""

import asyncio
import contextlib
import io
from collections.abc import Callable

import typer

from counterpoint.cli.target import Target, open_client, resolve

OFFERS_MAX = 50


def complete_workflows(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the recorded names of the app's workflows."""
    names = _quietly(lambda: list(_target(ctx).app.registry.workflows))
    return sorted(name for name in names if name.startswith(incomplete))


def complete_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the ids of the newest executions."""
    return _quietly(lambda: asyncio.run(_ids(_target(ctx), incomplete)))


def complete_signals(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the signals that the execution waits for."""
    execution_id = str(ctx.params.get("execution_id"))
    names = _quietly(lambda: asyncio.run(_signals(_target(ctx), execution_id)))
    return [name for name in names if name.startswith(incomplete)]


def complete_calls(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the calls of the execution that a person may resolve."""
    execution_id = str(ctx.params.get("execution_id"))
    numbers = _quietly(lambda: asyncio.run(_calls(_target(ctx), execution_id)))
    return [number for number in numbers if number.startswith(incomplete)]


def complete_types(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the types of events that the app declares or that were published."""
    names = _quietly(lambda: asyncio.run(_types(_target(ctx))))
    return [name for name in names if name.startswith(incomplete)]


def complete_dead_letters(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the ids of dead letters."""
    return _quietly(lambda: asyncio.run(_dead_letters(_target(ctx), incomplete)))


def complete_subscriptions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the names of what has subscriptions: reactions, and workflows that events start."""
    names = _quietly(lambda: asyncio.run(_subscriptions(_target(ctx))))
    return [name for name in names if name.startswith(incomplete)]


def complete_nodes(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the numbers and names of the nodes that are alive."""
    words = _quietly(lambda: asyncio.run(_nodes(_target(ctx))))
    return [word for word in words if word.startswith(incomplete)]


async def _types(target: Target) -> list[str]:
    async with open_client(target) as client:
        return list(dict.fromkeys(one.type for one in await client.contracts()))


async def _dead_letters(target: Target, incomplete: str) -> list[str]:
    ids: list[str] = []
    async with open_client(target) as client:
        async for letter in client.dead_letters():
            if letter.id.startswith(incomplete):
                ids.append(letter.id)
            if len(ids) == OFFERS_MAX:
                break
    return ids


async def _subscriptions(target: Target) -> list[str]:
    async with open_client(target) as client:
        return sorted({one.name for one in await client.subscriptions()})


async def _nodes(target: Target) -> list[str]:
    async with open_client(target) as client:
        return [
            word for node in await client.nodes() for word in (str(node.incarnation), node.name)
        ]


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


async def _calls(target: Target, execution_id: str) -> list[str]:
    async with open_client(target) as client:
        description = await client.execution(execution_id).describe()
        numbers = [incident.call for incident in description.incidents]
        return [str(number) for number in numbers if number is not None]


def _target(ctx: typer.Context) -> Target:
    return resolve(ctx.params.get("app"), ctx.params.get("store"))


def _quietly(read: Callable[[], list[str]]) -> list[str]:
    offers: list[str] = []
    swallowed = io.StringIO()
    with (
        contextlib.suppress(Exception),
        contextlib.redirect_stdout(swallowed),
        contextlib.redirect_stderr(swallowed),
    ):
        offers = read()
    return offers
