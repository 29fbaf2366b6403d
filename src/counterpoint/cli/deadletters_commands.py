"""`counterpoint deadletters` and its subcommands."""

import typer

from counterpoint.cli.deadletters_discard import discard
from counterpoint.cli.deadletters_list import groups, list_dead_letters
from counterpoint.cli.deadletters_redrive import redrive
from counterpoint.cli.deadletters_show import show
from counterpoint.cli.failures import EPILOG

HELP = """Find dead letters, which are events that a reaction gave up on; redrive and discard them.

Example: counterpoint deadletters groups --app shop:app
"""

commands = typer.Typer(help=HELP, epilog=EPILOG, no_args_is_help=True, rich_markup_mode="markdown")
commands.command("list", epilog=EPILOG)(list_dead_letters)
commands.command("groups", epilog=EPILOG)(groups)
commands.command("show", epilog=EPILOG)(show)
commands.command("redrive", epilog=EPILOG)(redrive)
commands.command("discard", epilog=EPILOG)(discard)
