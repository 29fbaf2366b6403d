"""`counterpoint contracts list` and `show`: what events promise, and what was published."""

import asyncio
import json
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from counterpoint.cli.event_options import TypeArgument, find_type
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.options import AppOption, JsonOption, StoreOption
from counterpoint.cli.output import clean, out, say, say_json, show_parts
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.cli.times import both, now, relative
from counterpoint.runtime.event_log import ContractInfo


def list_contracts(
    app: AppOption = None, store: StoreOption = None, as_json: JsonOption = False
) -> None:
    """List the contracts that were published and, with --app, those that the app declares.

    With --json each version is one line of JSON (JSON Lines), with its schema.

    Example: counterpoint contracts list --app shop:app
    """
    target = resolve(app, store)
    found = asyncio.run(_contracts(target))
    if as_json:
        for contract in found:
            say_json(contract)
    elif found:
        show_parts(out(), _table(found, now(), declared=target.name is not None))
    else:
        say("no contracts")


def show(
    type: TypeArgument,
    version: Annotated[
        int | None,
        typer.Option(
            "--version",
            min=1,
            metavar="N",
            show_default=False,
            help="The version; default: the newest.",
        ),
    ] = None,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a contract: its owner, key, versions and JSON Schema.

    Example: counterpoint contracts show orders.OrderPlaced --app shop:app
    """
    target = resolve(app, store)
    contracts = asyncio.run(_contracts(target))
    name = find_type([one.type for one in contracts], type, target.name or "the store")
    versions = {one.version: one for one in contracts if one.type == name}
    found = versions.get(max(versions) if version is None else version)
    if found is None:
        known = ", ".join(map(str, versions))
        raise CommandError(f"{name} has no version {version}: it has {known}", Exit.NOT_FOUND)
    if as_json:
        say_json(found)
        return
    for line in _lines(found, list(versions), now(), declared=target.name is not None):
        say(line)


async def _contracts(target: Target) -> list[ContractInfo]:
    async with open_client(target) as client:
        return await client.contracts()


def _table(found: list[ContractInfo], at: datetime, *, declared: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("type", overflow="fold")
    table.add_column("version", justify="right", no_wrap=True)
    table.add_column("key", overflow="fold")
    table.add_column("published", no_wrap=True)
    if declared:
        table.add_column("declared", no_wrap=True)
    for one in found:
        published = "no" if one.published_at is None else relative(one.published_at, at)
        says = ["yes" if one.declared else "no"] if declared else []
        table.add_row(clean(one.type), str(one.version), clean(one.key), published, *says)
    return table


def _lines(found: ContractInfo, versions: list[int], at: datetime, *, declared: bool) -> list[str]:
    published = "not yet" if found.published_at is None else f"first {both(found.published_at, at)}"
    others = [str(version) for version in versions if version != found.version]
    lines = [
        f"{found.type} version {found.version}, of {found.service}",
        *found.description.split("\n"),
        f"key        {found.key}",
        f"published  {published}",
    ]
    if declared:
        outside = ", as published from outside" if found.external else ""
        lines.append(f"declared   {f'yes{outside}' if found.declared else 'no'}")
    if others:
        lines.append(f"versions   also {', '.join(others)}")
    lines += ["schema", *json.dumps(found.schema, indent=2, ensure_ascii=False).split("\n")]
    return [line for line in lines if line]
