"""`counterpoint nodes`: who hosts a store, how much each owns, and how far the services are."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from counterpoint.cli.options import AppOption, JsonOption, StoreOption
from counterpoint.cli.output import clean, hint, out, say, say_json, show_parts
from counterpoint.cli.target import Target, existing_store, open_client, resolve
from counterpoint.cli.times import now, relative
from counterpoint.model.cluster import ALL_SLOTS
from counterpoint.runtime.doctor import unhosted_words
from counterpoint.runtime.lags import SubscriptionLag
from counterpoint.runtime.nodes import NodeInfo, NodeState
from counterpoint.runtime.unhosted import UnhostedWork

STYLES: dict[NodeState, str] = {
    NodeState.ALIVE: "green",
    NodeState.DRAINING: "yellow",
    NodeState.LATE: "bold red",
    NodeState.STOPPED: "dim",
    NodeState.LOST: "red",
}
Found = tuple[list[NodeInfo], list[SubscriptionLag], list[UnhostedWork]]


def nodes(
    all_of_them: Annotated[
        bool, typer.Option("--all", help="Also those that stopped, or were lost.")
    ] = False,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the nodes that host a store, and how far its subscriptions are.

    For each node: whether it is alive, its process, what it hosts, how many live executions, calls
    of other nodes and slots of keys it owns. For each subscription: how many events it has not come
    to, and how old the oldest is. It warns of work that waits because no node hosts what it needs.

    Example: counterpoint nodes --store postgresql://localhost/shop
    """
    target = resolve(app, store)
    found, lags, unhosted = asyncio.run(_find(target, all_of_them=all_of_them))
    if as_json:
        say_json({"nodes": found, "subscriptions": lags, "unhosted": unhosted})
        return
    if found:
        show_parts(out(), _nodes(found, now()))
    if not any(node.alive for node in found):
        say(f"no node hosts this store: {target.run_command} starts one")
    if many := [node for node in found if node.incarnation and node.alive]:
        show_parts(out(), Text(), _services(many, {lag.service for lag in lags}))
    if lags:
        show_parts(out(), Text(), _lags(lags, now()))
    if (where := getattr(existing_store(target), "where", None)) is not None:
        say(f"\nstore: {where}")
    for one in unhosted:
        hint(unhosted_words(one))


async def _find(target: Target, *, all_of_them: bool) -> Found:
    async with open_client(target) as client:
        return (
            await client.nodes(all_of_them=all_of_them),
            await client.lags(),
            await client.unhosted(),
        )


def _nodes(found: Sequence[NodeInfo], at: datetime) -> Table:
    many = any(node.incarnation for node in found)
    table = Table(box=None, pad_edge=False, header_style="bold")
    if many:
        table.add_column("node", justify="right", no_wrap=True)
    table.add_column("name", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("process", overflow="fold")
    table.add_column("hosts", overflow="fold")
    for name in ("executions", "calls", "slots") if many else ("executions",):
        table.add_column(name, justify="right", no_wrap=True)
    if many:
        table.add_column("started", no_wrap=True)
        table.add_column("seen", no_wrap=True)
    for node in found:
        owned = [f"{node.executions:,}"]
        if many:
            owned += [f"{node.calls:,}", f"{sum(node.slots.values()):,}"]
            owned += [_ago(node.started_at, at), _ago(node.ended_at or node.seen_at, at)]
        table.add_row(
            *([str(node.incarnation)] if many else []),
            clean(node.name),
            Text(node.state, STYLES[node.state]),
            clean(node.place) if node.pid else "",
            clean(", ".join(node.services)),
            *owned,
        )
    return table


def _services(found: Sequence[NodeInfo], reacting: Collection[str]) -> Table:
    """Return which nodes host each service, and how many of its slots each has if it reacts."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("service", overflow="fold")
    table.add_column("nodes", overflow="fold")
    table.add_column("slots", overflow="fold")
    for service in sorted({service for node in found for service in node.services}):
        counts = {
            node.incarnation: node.slots.get(service, 0)
            for node in found
            if service in node.services
        }
        shares = [f"{count} of node {number}" for number, count in counts.items() if count]
        left = len(ALL_SLOTS) - sum(counts.values())
        if left and service in reacting:
            shares.append(f"{left} of nobody")
        table.add_row(
            clean(service), ", ".join(str(number) for number in counts), ", ".join(shares)
        )
    return table


def _lags(lags: Sequence[SubscriptionLag], at: datetime) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("subscription", overflow="fold")
    for name in ("position", "behind"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("oldest", no_wrap=True)
    for lag in lags:
        replay = "" if lag.replay is None else f" (replay {lag.replay})"
        table.add_row(
            clean(lag.name) + replay,
            f"{lag.position:,}",
            f"{lag.behind:,}",
            _ago(lag.since, at),
        )
    return table


def _ago(moment: datetime | None, at: datetime) -> str:
    return "" if moment is None else relative(moment, at)
