"""`counterpoint contracts reset`: forgets in development what was published of a type."""

import asyncio

import msgspec

from counterpoint.cli.event_options import TypeArgument, find_type
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.options import (
    ActorOption,
    AppOption,
    JsonOption,
    ReasonOption,
    StoreOption,
)
from counterpoint.cli.output import say, say_json
from counterpoint.cli.posting import current_user
from counterpoint.cli.target import Target, check_there, existing_store, resolve, store_words
from counterpoint.cli.times import now
from counterpoint.errors import StoreLockedError
from counterpoint.model.ids import generate_id
from counterpoint.model.messages import ActRow, Messages
from counterpoint.model.rows import Commit

KIND = "reset-contract"


def reset(
    type: TypeArgument,
    actor: ActorOption = None,
    reason: ReasonOption = None,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget the contract under which events of a type were published, for use in development.

    A node that starts then takes what its app declares for the contract. Events in the log stay as
    they are: those that do not fit it become dead letters where they are delivered again. It works
    only while no node runs on the store.

    Example: counterpoint contracts reset orders.OrderPlaced --app shop:app
    """
    target = resolve(app, store)
    name, versions = asyncio.run(_reset(target, type, actor or current_user(), reason))
    if as_json:
        say_json({"type": name, "versions": versions})
    else:
        words = "1 version is" if versions == 1 else f"{versions} versions are"
        say(f"{name}: {words} forgotten")


async def _reset(
    target: Target, type: str, actor: str | None, reason: str | None
) -> tuple[str, int]:
    """Forget a type; return its full name, and how many versions of it there were."""
    store, codec = existing_store(target), target.app.codec
    await check_there(store)
    try:
        await store.open(node=True)
    except StoreLockedError as error:
        who = f"process {error.pid}" if error.pid else "another process"
        raise CommandError(
            f"a node runs on {store_words(target.app)} ({who}), which knows its contracts by "
            "heart: stop it first",
            Exit.STORE,
        ) from error
    try:
        known = [row.type for row in await store.contracts()]
        name = find_type(known, type, "what was published")
        versions = await store.forget_contract(name)
        at = round(now().timestamp() * 1e6)
        detail = codec.encode(msgspec.json.encode({"versions": versions}))
        act = ActRow(at, KIND, name, None, generate_id(), actor, reason, codec.tag, detail)
        await store.commit(Commit(messages=Messages(acts=[act])))
    finally:
        await store.close()
    return name, versions
