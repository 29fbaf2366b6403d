"""`counterpoint subscriptions list`: how far reactions have come in the log."""

import asyncio

import msgspec
from rich.table import Table

from counterpoint.cli.options import AppOption, JsonOption, StoreOption
from counterpoint.cli.output import clean, hint, out, say, say_json, show_parts
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.runtime.subscribers import SubscriptionInfo


def list_subscriptions(
    app: AppOption = None, store: StoreOption = None, as_json: JsonOption = False
) -> None:
    """List the subscriptions: how far each has come, and what is dead, parked or not reached yet.

    With --app it says which of them the app no longer has. With --json each subscription is one
    line of JSON (JSON Lines).

    Example: counterpoint subscriptions --app shop:app
    """
    target = resolve(app, store)

    async def find() -> list[SubscriptionInfo]:
        async with open_client(target) as client:
            return await client.subscriptions()

    found = asyncio.run(find())
    if as_json:
        for one in found:
            plain = msgspec.to_builtins(one)
            say_json(plain if target.name is not None else {**plain, "removed": None})
        return
    if not found:
        say("no subscriptions")
        return
    show_parts(out(), _table(target, found))
    removed = list(dict.fromkeys(one.name for one in found if one.removed))
    if target.name is not None:
        for name in removed:
            command = f"counterpoint subscriptions delete {name}{target.options}"
            hint(f"{name} is not in {target.name}: its events wait for it; or {command}")


def _table(target: Target, found: list[SubscriptionInfo]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", overflow="fold")
    table.add_column("event", overflow="fold")
    table.add_column("lane", overflow="fold")
    for name in ("position", "behind", "dead", "parked"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for one in found:
        notes = [] if one.replay is None else [f"replay {one.replay} up to {one.until}"]
        if one.removed and target.name is not None:
            notes.append("removed")
        table.add_row(
            clean(one.name),
            clean(one.event),
            clean(one.lane),
            f"{one.position:,}",
            f"{one.behind:,}",
            f"{one.dead:,}",
            f"{one.parked:,}",
            ", ".join(notes),
        )
    return table
