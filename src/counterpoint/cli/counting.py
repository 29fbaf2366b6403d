"""How far a long command is: a bar on a terminal, elsewhere a line now and then."""

import contextlib
import sys
from collections.abc import Callable, Generator
from typing import TypeAlias

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from counterpoint.cli.output import err, hint

LINE_EVERY = 1_000
Advance: TypeAlias = Callable[[], None]


@contextlib.contextmanager
def counting(total: int, *, bar: bool = True) -> Generator[Advance, None, None]:
    """Say on stderr how many of *total* are done; what is yielded counts one.

    Without *bar* a terminal gets nothing: what is counted is written to it.
    """
    console = err()
    if not console.is_terminal:
        yield _lines(total)
        return
    if not bar and sys.stdout.isatty():
        yield lambda: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, redirect_stdout=False
    ) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.update(task, advance=1)


def _lines(total: int) -> Advance:
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if done % LINE_EVERY == 0:
            hint(f"{done:,} of {total:,}", "dim")

    return advance
