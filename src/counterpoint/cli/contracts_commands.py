"""`counterpoint contracts` and its subcommands."""

import typer

from counterpoint.cli.contracts_list import list_contracts, show
from counterpoint.cli.contracts_reset import reset
from counterpoint.cli.failures import EPILOG

HELP = """Show the contracts of events, and forget one in development.

Example: counterpoint contracts list --app shop:app
"""

commands = typer.Typer(help=HELP, epilog=EPILOG, no_args_is_help=True, rich_markup_mode="markdown")
commands.command("list", epilog=EPILOG)(list_contracts)
commands.command("show", epilog=EPILOG)(show)
commands.command("reset", epilog=EPILOG)(reset)
