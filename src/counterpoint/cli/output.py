"""Where commands write: results to stdout, all else to stderr; plain unless it is a terminal."""

import json
import os
import sys
from typing import Any, TextIO

import msgspec
from rich.console import Console, RenderableType
from rich.text import Text

from counterpoint.model.states import Status

PIPED_COLUMNS = 1000
"""What is piped is wrapped by nobody, so that lines can be searched."""
STYLES: dict[Status, str] = {
    Status.RUNNING: "cyan",
    Status.COMPENSATING: "yellow",
    Status.INCIDENT: "bold red",
    Status.COMPLETED: "green",
    Status.FAILED: "red",
    Status.COMPENSATED: "yellow",
    Status.CANCELLED: "magenta",
    Status.TERMINATED: "magenta",
    Status.CONTINUED: "dim",
}


def out() -> Console:
    """Return the console of results."""
    return console(sys.stdout)


def err() -> Console:
    """Return the console of everything else: errors, hints, progress."""
    return console(sys.stderr)


def console(file: TextIO) -> Console:
    """Return a console that takes text as it is; colours only for a terminal and no NO_COLOR."""
    width = None if file.isatty() or os.environ.get("COLUMNS") else PIPED_COLUMNS
    return Console(file=file, width=width, highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """Write a line of the result, above a status line if there is one."""
    print(clean(text), flush=True)


def hint(text: str, style: str = "yellow") -> None:
    """Write a line beside the result, to stderr."""
    err().print(Text(clean(text), style), soft_wrap=True)


def show_parts(file: Console, *parts: RenderableType) -> None:
    """Write tables, trees and texts, without the blanks that fill their last columns."""
    for part in parts:
        with file.capture() as captured:
            if isinstance(part, Text) and part.no_wrap:  # its lines are left to the terminal
                file.print(part, soft_wrap=True)
            else:
                file.print(part)
        lines = captured.get().split("\n")
        file.file.write("\n".join(line.rstrip(" ") for line in lines))
    file.file.flush()


def say_json(value: Any) -> None:
    """Write a value as one line of JSON; times are ISO 8601 in UTC."""
    plain = msgspec.to_builtins(value)
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(plain, ensure_ascii=not unicode), flush=True)


def clean(text: str) -> str:
    """Return *text* with what would steer a terminal made visible; line ends and tabs stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    """Return *text* without line ends, for a list or an error."""
    return " ".join(clean(text).split("\n")).strip()


def shorten(text: str, most: int) -> str:
    """Return *text* with at most *most* characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def value_words(value: Any, most: int = 200) -> str:
    """Return a recorded value as short JSON on one line."""
    return shorten(clean(json.dumps(value, ensure_ascii=False)), most)


def status_text(status: Status) -> Text:
    """Return a status in its colour."""
    return Text(status.value, STYLES[status])
