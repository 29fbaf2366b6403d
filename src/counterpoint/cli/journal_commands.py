"""`counterpoint journal` and its subcommands: `journal ID` is short for `journal show ID`."""

from typing import Any

import typer
from typer.core import TyperGroup

from counterpoint.cli.completion import complete_ids
from counterpoint.cli.failures import EPILOG
from counterpoint.cli.journal import journal as show
from counterpoint.cli.journal_export import export
from counterpoint.cli.journal_import import import_

HELP = """Write the records of an execution's journal; export and import whole executions.

`counterpoint journal ID` is short for `counterpoint journal show ID`. An execution that is called
like a subcommand needs the long form.

Example: counterpoint journal order-7 --app shop:app
"""


class _JournalGroup(TyperGroup):
    """Takes a first word that is no subcommand for what `show` is given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["show", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        found = super().shell_complete(ctx, incomplete)
        kind = type(found[0]) if found else None
        if kind is None or incomplete.startswith("-"):
            return found
        of_show: Any = self.commands["show"].make_context("show", [], ctx, resilient_parsing=True)
        return [*found, *(kind(name) for name in complete_ids(of_show, incomplete))]


commands = typer.Typer(
    cls=_JournalGroup, help=HELP, epilog=EPILOG, no_args_is_help=True, rich_markup_mode="markdown"
)
commands.command("show", epilog=EPILOG)(show)
commands.command("export", epilog=EPILOG)(export)
commands.command("import", epilog=EPILOG)(import_)
