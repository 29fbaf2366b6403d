"""`counterpoint doctor`: what is wrong with a store, its nodes and its work, and what to do."""

import asyncio
from typing import Annotated

import typer
from rich.padding import Padding
from rich.text import Text

from counterpoint.cli.failures import Exit
from counterpoint.cli.options import AppOption, JsonOption, StoreOption
from counterpoint.cli.output import clean, err, out, say, say_json, show_parts
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.errors import StoreError
from counterpoint.model.findings import Fact, Finding, Severity
from counterpoint.runtime.doctor import Diagnosis

STYLES: dict[Severity, str] = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "yellow",
    Severity.NOTE: "dim",
}


def doctor(
    strict: Annotated[
        bool, typer.Option("--strict", help="Warnings end it with exit code 1, too.")
    ] = False,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for what is wrong with a store, its nodes and its work; each finding says what to do.

    It changes nothing. Errors, which stand still until somebody acts, end it with exit code 1;
    warnings do so with --strict; a store that cannot be opened ends it with 4. With --app it also
    compares what the app declares with what is in the store.

    Example: counterpoint doctor --strict --app shop:app
    """
    target = resolve(app, store)
    code, found = asyncio.run(_examine(target))
    if as_json:
        say_json(found)
    else:
        _show(found)
    severities = {finding.severity for finding in found.findings}
    if code is Exit.OK and (
        Severity.ERROR in severities or (strict and Severity.WARNING in severities)
    ):
        code = Exit.FAILED
    if code is not Exit.OK:
        raise typer.Exit(code)


async def _examine(target: Target) -> tuple[Exit, Diagnosis]:
    try:
        async with open_client(target) as client:
            return Exit.OK, await client.doctor()
    except StoreError as error:
        finding = Finding(
            Severity.ERROR,
            "store",
            f"it cannot be opened or read: {error}",
            "the store",
            "mend that first: nothing else could be looked at",
        )
        return Exit.STORE, Diagnosis(healthy=False, facts={}, findings=[finding])


def _show(found: Diagnosis) -> None:
    width = max((len(_label(name)) for name in found.facts), default=0)
    for name, value in found.facts.items():
        say(f"{_label(name):{width}}  {_fact(name, value)}")
    console = out()
    for finding in found.findings:
        head = Text(f"{finding.severity}: ", STYLES[finding.severity])
        head.append(clean(f"{finding.where}: {finding.what}"), "default")
        show_parts(console, Text(), head, Padding(Text(clean(f"→ {finding.advice}")), (0, 0, 0, 2)))
    if found.healthy:
        show_parts(err() if not found.facts else console, Text(), Text("healthy", "green"))


def _label(name: str) -> str:
    return name.removesuffix("_bytes").replace("_", " ")


def _fact(name: str, value: Fact) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if name.endswith("_bytes"):
            return _bytes(value)
        case int():
            return f"{value:,}"
        case None:
            return "unknown"
        case _:
            return clean(str(value))


def _bytes(count: int) -> str:
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if count >= 1024**power:
            return f"{count / 1024**power:,.1f} {unit}"
    return f"{count} B"
