"""`counterpoint subscriptions delete`: deletes the subscription of a removed reaction."""

import asyncio

import typer

from counterpoint.cli.event_options import DoItOption, SubscriptionArgument
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.options import (
    ActorOption,
    AppOption,
    JsonOption,
    ReasonOption,
    StoreOption,
)
from counterpoint.cli.output import hint, say, say_json
from counterpoint.cli.posting import current_user, no_node, taken
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.runtime.client import Client
from counterpoint.runtime.subscribers import SubscriptionInfo


def delete(
    name: SubscriptionArgument,
    yes: DoItOption = False,
    actor: ActorOption = None,
    reason: ReasonOption = None,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete the subscription of a reaction that no app has any more.

    Its dead letters go with it, and what it has not taken is not kept for it. It says how much that
    is, and acts with --yes. A node whose app has the reaction refuses.

    Example: counterpoint subscriptions delete search.index --yes --app shop:app
    """
    who = (actor or current_user(), reason)
    asyncio.run(_delete(resolve(app, store), name, who, yes=yes, as_json=as_json))


async def _delete(
    target: Target,
    name: str,
    who: tuple[str | None, str | None],
    *,
    yes: bool,
    as_json: bool,
) -> None:
    by_node = refused = False
    async with open_client(target) as client:
        found = await _find(client, name)
        if found.removed and yes:
            await client.unsubscribe(name, actor=who[0], reason=who[1])
            by_node = await taken(client, name)
            refused = by_node and any(one.name == name for one in await client.subscriptions())
        elif not found.removed:
            raise CommandError(
                f"{target.name} has {name}, which would subscribe again: take it out of the app "
                "first",
                Exit.FAILED,
            )
    if as_json:
        facts = {"dead": found.dead, "behind": found.behind, "parked": found.parked}
        say_json({"name": name, **facts, "dry_run": not yes, "taken": by_node})
    else:
        lost = (
            f"{found.dead:,} dead letters, {found.parked:,} parked and {found.behind:,} new events"
        )
        say(
            f"{name}: the request to delete it is sent"
            if yes
            else f"this would delete {name} with {lost}"
        )
    if not yes:
        hint("nothing was done: pass --yes to do it")
    elif refused:
        hint("the node did not delete it: its log says why")
        raise typer.Exit(Exit.FAILED)
    elif not by_node:
        hint(no_node(target))


async def _find(client: Client, name: str) -> SubscriptionInfo:
    """Return a subscription, which is no replay.

    Raises:
        CommandError: there is none.
    """
    all_of_them = await client.subscriptions()
    found = [one for one in all_of_them if one.name == name]
    if not found:
        known = ", ".join(dict.fromkeys(one.name for one in all_of_them)) or "none"
        raise CommandError(f"there is no subscription {name!r}: there are {known}", Exit.NOT_FOUND)
    return next((one for one in found if one.replay is None), found[0])
