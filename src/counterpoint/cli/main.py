"""The `counterpoint` command: its commands, and how errors end them."""

import io
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from counterpoint.cli.cancel import cancel
from counterpoint.cli.contracts_commands import commands as contracts
from counterpoint.cli.deadletters_commands import commands as deadletters
from counterpoint.cli.debug import debug
from counterpoint.cli.demo import demo
from counterpoint.cli.doctor import doctor
from counterpoint.cli.drain import drain
from counterpoint.cli.draw import draw
from counterpoint.cli.events_commands import commands as events
from counterpoint.cli.failures import EPILOG, CommandError, Exit, exit_code
from counterpoint.cli.flow import flow
from counterpoint.cli.journal_commands import commands as journal
from counterpoint.cli.list import list_executions
from counterpoint.cli.nodes import nodes
from counterpoint.cli.output import hint, one_line
from counterpoint.cli.replay import replay
from counterpoint.cli.reset import reset
from counterpoint.cli.resolve import resolve
from counterpoint.cli.retry import retry
from counterpoint.cli.run import run as run_command
from counterpoint.cli.show import show
from counterpoint.cli.signal import signal
from counterpoint.cli.start import start
from counterpoint.cli.subscriptions_commands import commands as subscriptions
from counterpoint.cli.terminate import terminate
from counterpoint.errors import ContractError, CounterpointError


class _Group(TyperGroup):
    """Turns errors into a line on stderr and an exit code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands = {name: self.commands[name] for name in _COMMANDS}

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (CounterpointError, CommandError) as error:
            lines = isinstance(error, ContractError)  # it says how schemas differ, line by line
            hint(f"error: {str(error) if lines else one_line(str(error))}", "red")
            raise typer.Exit(exit_code(error)) from error
        except KeyboardInterrupt:
            hint("interrupted")
            raise typer.Exit(Exit.INTERRUPTED) from None


cli = typer.Typer(
    cls=_Group,
    name="counterpoint",
    help="Durable workflows and sagas: host an app, start executions, see what they do.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
_COMMANDS: dict[str, typer.Typer | Callable[..., None]] = {
    "run": run_command,
    "start": start,
    "list": list_executions,
    "show": show,
    "flow": flow,
    "journal": journal,
    "signal": signal,
    "cancel": cancel,
    "retry": retry,
    "resolve": resolve,
    "terminate": terminate,
    "reset": reset,
    "events": events,
    "deadletters": deadletters,
    "subscriptions": subscriptions,
    "contracts": contracts,
    "nodes": nodes,
    "drain": drain,
    "doctor": doctor,
    "replay": replay,
    "debug": debug,
    "draw": draw,
    "demo": demo,
}
for _name, _command in _COMMANDS.items():
    if isinstance(_command, typer.Typer):
        cli.add_typer(_command, name=_name)
    else:
        cli.command(_name, epilog=EPILOG)(_command)


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"counterpoint {version('counterpoint')}")
        raise typer.Exit


@cli.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_say_version, help="Write the version and exit."
        ),
    ] = False,
) -> None:
    """Durable workflows and sagas: host an app, start executions, see what they do."""


def run() -> None:
    """Run the command with the arguments of this process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character that it lacks is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        cli(prog_name="counterpoint")
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(Exit.FAILED) from None
