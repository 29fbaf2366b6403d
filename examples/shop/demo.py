"""Runs the shop, kills its node in the middle, starts it again and balances the books.

`python -m examples.shop.demo [--orders N] [--keep DIR]`; exit code 0 only if the books balance,
every acknowledged start has ended, and no recorded step was made again.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.shop.app import FILES, STORE, make_app, open_shop
from examples.shop.books import check
from examples.shop.catalog import load_orders
from examples.shop.drive import Drive, NodeFailedError
from examples.shop.evidence import compare, describe_all
from examples.shop.report import choose, print_crash, print_report, tree_of

DEFAULT_FOLDER = Path("var/shop")
LOG_WIDTH = 120


async def demonstrate(directory: Path, count: int, console: Console) -> bool:
    """Run the demo in an empty folder; return whether everything is as promised."""
    os.environ["SHOP_DIR"] = str(directory)
    open_shop()
    orders = load_orders()[:count]
    progress = _progress(console) if console.is_terminal else None
    with progress or nullcontext():
        async with make_app(directory).client() as client:
            show = _bars(progress, len(orders)) if progress else lambda *_: None
            drive = Drive(client, directory, orders, console.print, show)
            evidence = await drive.run()
            told = await describe_all(client)
            chosen = choose(told, evidence.interrupted)
            journal = await client.execution(chosen.id).journal()
    verdict = check(directory)
    aftermath = compare(evidence, directory)
    console.print()
    print_report(console, drive, verdict, told)
    print_crash(console, evidence, aftermath)
    console.print("[bold]One saga's journal[/]")
    console.print(tree_of(chosen.id, journal))
    console.print()
    _print_next(console, directory, chosen.id)
    unended = drive.unfinished
    if unended:
        console.print(
            f"[bold red]{len(unended)} acknowledged orders did not end[/]: {unended[:10]}"
        )
    return verdict.balanced and not unended and not aftermath.repeated


def main() -> int:
    """Run the demo that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m examples.shop.demo", description=__doc__)
    parser.add_argument("--orders", type=int, default=830, metavar="N", help="the first N orders")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help=f"leave the files there, not in {DEFAULT_FOLDER}"
    )
    given = parser.parse_args()
    if given.orders < 2:
        parser.error("--orders is at least 2: the node is killed between them")
    directory: Path = given.keep or DEFAULT_FOLDER
    if given.keep and directory.is_dir() and any(directory.iterdir()):
        parser.error(f"{directory} is not empty: name a new folder")
    directory.mkdir(parents=True, exist_ok=True)
    _clear(directory)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else LOG_WIDTH)
    try:
        good = asyncio.run(demonstrate(directory, given.orders, console))
    except NodeFailedError as error:
        console.print(f"[bold red]the demo failed[/]: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0 if good else 1


def _clear(directory: Path) -> None:
    """Delete what an earlier demo left in its folder."""
    for name in (*(f"{file.service}.db" for file in FILES), STORE, "node.log"):
        for suffix in ("", "-wal", "-shm", ".lock"):
            (directory / f"{name}{suffix}").unlink(missing_ok=True)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:>10}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def _bars(progress: Progress, count: int) -> Callable[[int, int], None]:
    submitted = progress.add_task("submitted", total=count)
    ended = progress.add_task("ended", total=count)

    def show(acknowledged: int, finished: int) -> None:
        progress.update(submitted, completed=acknowledged)
        progress.update(ended, completed=finished)

    return show


def _print_next(console: Console, directory: Path, execution_id: str) -> None:
    store = directory / STORE
    table = Table.grid(padding=(0, 2))
    for what, where in (
        ("the saga", "examples/shop/process.py"),
        ("the rules of the shop", "examples/shop/README.md"),
        ("this order", f".venv/bin/counterpoint show {execution_id} --store {store}"),
        ("all orders", f".venv/bin/counterpoint list --store {store}"),
        ("the books again", f".venv/bin/python -m examples.shop.books {directory}"),
        ("many kills at random moments", "make crash N=20"),
    ):
        table.add_row(f"  {what}", where)
    console.print("[bold]Where to look next[/]")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
