"""The line at the bottom of a terminal that says what a node is doing, and its log above it."""

import contextlib
import logging
import sys
import time
from collections.abc import Generator

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from counterpoint.app import App
from counterpoint.cli.output import clean, err
from counterpoint.errors import NodeStoppedError


class ConsoleHandler(logging.Handler):
    """Logs to a console, above the status line if there is one."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        try:
            style = "red" if record.levelno >= logging.ERROR else ""
            self.console.print(Text(clean(self.format(record)), style), soft_wrap=True)
        except Exception:  # noqa: BLE001 - as every handler of the standard library
            self.handleError(record)


def log_to_stderr(console: Console, level: str) -> None:
    """Log with times in UTC, unless the app has configured logging itself."""
    form = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    form.converter = time.gmtime
    handler = ConsoleHandler(console)
    handler.setFormatter(form)
    logging.basicConfig(level=level, handlers=[handler])


@contextlib.contextmanager
def progress(app: App) -> Generator[Console, None, None]:
    """Show what the node does at the bottom of a terminal; elsewhere show nothing."""
    console = err()
    if not console.is_terminal:
        yield console
        return
    spinner = Spinner("dots")

    def line() -> Spinner:
        spinner.update(text=Text(status_line(app), overflow="ellipsis", no_wrap=True))
        return spinner

    with Live(
        get_renderable=line,
        console=console,
        transient=True,
        refresh_per_second=8,
        redirect_stdout=sys.stdout.isatty(),
    ):
        yield console


def status_line(app: App) -> str:
    """Return what the node of *app* does, in one line."""
    try:
        health = app.health()
    except NodeStoppedError:
        return f"{app.name}: not running"
    words = f"{app.name}: {health.running} running, {health.waiting} waiting for their turn"
    words += f", {health.resident} in memory, {health.commits} commits"
    return "; ".join([words, *health.problems])
