"""The filters of dead letters, checked against what there is, so that a slip is no empty list.

A filter that is not given is None, and stays so.
"""

from counterpoint.cli.event_options import find_name
from counterpoint.cli.target import Target
from counterpoint.runtime.client import Client


async def find_reaction(client: Client, target: Target, name: str | None) -> str | None:
    """Return the full name of a reaction, or of a workflow that events start.

    Raises:
        CommandError: nothing with dead letters or a subscription has the name, or several have it.
    """
    if name is None:
        return None
    groups = await client.dead_letter_groups()
    known = [group.reaction for group in groups]
    if name in known:
        return name
    known += [one.name for one in await client.subscriptions()]
    return find_name(known, name, f"{_where(target)} has no reaction {name!r}")


async def find_cause(client: Client, target: Target, name: str | None) -> str | None:
    """Return the full name of an error that is the cause of dead letters.

    Where there are no dead letters no cause is wrong, and the name is returned as it is.

    Raises:
        CommandError: no dead letter has the cause, or several causes have the name.
    """
    if name is None:
        return None
    known = [group.cause for group in await client.dead_letter_groups()]
    if not known:
        return name
    return find_name(known, name, f"{_where(target)} has no dead letter with the cause {name!r}")


async def find_service(client: Client, target: Target, name: str | None) -> str | None:
    """Return the name of a service.

    Raises:
        CommandError: neither a subscription nor the app has it.
    """
    if name is None:
        return None
    known = [one.service for one in await client.subscriptions()]
    known += [service.name for service in target.app.registry.services.values()]
    return find_name(known, name, f"{_where(target)} has no service {name!r}")


def _where(target: Target) -> str:
    return target.name or "the store"
