"""`counterpoint subscriptions` and its subcommands: alone it is `subscriptions list`."""

from typing import Any

import typer
from typer.core import TyperGroup

from counterpoint.cli.failures import EPILOG
from counterpoint.cli.subscriptions_delete import delete
from counterpoint.cli.subscriptions_list import list_subscriptions

HELP = """List how far reactions have come in the log; delete the subscription of a removed one.

`counterpoint subscriptions` is short for `counterpoint subscriptions list`.

Example: counterpoint subscriptions --app shop:app
"""


class _ListGroup(TyperGroup):
    """Without a subcommand it is `list`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        is_option = bool(args) and args[0].startswith("-")
        if not args or (is_option and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


commands = typer.Typer(cls=_ListGroup, help=HELP, epilog=EPILOG, rich_markup_mode="markdown")
commands.command("list", epilog=EPILOG)(list_subscriptions)
commands.command("delete", epilog=EPILOG)(delete)
