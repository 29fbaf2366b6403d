"""`counterpoint events` and its subcommands."""

import typer

from counterpoint.cli.events_list import list_events
from counterpoint.cli.events_publish import publish
from counterpoint.cli.events_replay import replay
from counterpoint.cli.events_tail import tail
from counterpoint.cli.failures import EPILOG

HELP = """List, follow, replay and publish events.

Example: counterpoint events tail --app shop:app
"""

commands = typer.Typer(help=HELP, epilog=EPILOG, no_args_is_help=True, rich_markup_mode="markdown")
commands.command("list", epilog=EPILOG)(list_events)
commands.command("tail", epilog=EPILOG)(tail)
commands.command("replay", epilog=EPILOG)(replay)
commands.command("publish", epilog=EPILOG)(publish)
