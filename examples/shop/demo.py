"""Runs the same orders in each form of the process, with a kill in each, and compares the books.

`python -m examples.shop.demo [--orders N] [--keep DIR]`; exit code 0 only if all books balance,
every acknowledged order has ended, alike in each form, and no recorded step was made again.
"""

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.shop import books
from examples.shop.app import STORE, execution_id, open_shop
from examples.shop.catalog import Order, load_orders
from examples.shop.drive import Drive, NodeFailedError
from examples.shop.evidence import compare
from examples.shop.figures import read_figures
from examples.shop.forms import FORMS, MIXED, Form
from examples.shop.mix.books import violations as violations_of_the_mix
from examples.shop.report import Run, differences, print_report, print_verdict

DEFAULT_FOLDER = Path("var/shop")
DIAGRAMS = "diagrams"
LOG_WIDTH = 120


async def demonstrate(directory: Path, count: int, console: Console) -> bool:
    """Run the demo in an empty folder; return whether everything is as promised."""
    orders = load_orders()[:count]
    runs: list[Run] = []
    for form in FORMS:
        runs.append(await run_form(form, directory / form.name, orders, console))
        console.print()
    different = differences(runs)
    print_report(console, runs)
    print_verdict(console, runs, different)
    *pure, mixed = runs
    for shown, ending in ((pure, "undone"), ([mixed], "confirmed")):
        order = choose(shown, orders, ending)
        for run in shown:
            await show_flow(console, run, execution_id(order), directory / DIAGRAMS)
    _print_next(console, directory)
    return not different and all(run.good for run in runs)


async def run_form(form: Form, directory: Path, orders: list[Order], console: Console) -> Run:
    """Run orders through a node that is killed in the middle; return what became of them."""
    console.print(f"[bold]{form.name}[/]")
    os.environ["SHOP_DIR"] = str(directory)
    open_shop()
    progress = _progress(console) if console.is_terminal else None
    with progress or nullcontext():
        async with form.make_app(directory).client() as client:
            show = _bars(progress, len(orders)) if progress else lambda *_: None
            drive = Drive(form, client, directory, orders, _indented(console), show)
            evidence = await drive.run()
    verdict = books.check(directory)
    more = violations_of_the_mix(directory) if form is MIXED else []
    return Run(
        form=form,
        directory=directory,
        verdict=verdict,
        violations=[*verdict.violations, *more],
        figures=read_figures(form, directory, drive.seconds),
        evidence=evidence,
        aftermath=compare(evidence, directory),
        unfinished=drive.unfinished,
    )


def choose(runs: Sequence[Run], orders: Sequence[Order], ending: str) -> Order:
    """Return an order that is worth a look: with that ending, of two lines, hit by the crash."""

    def interest(order: Order) -> tuple[bool, bool, int]:
        return (
            all(run.verdict.outcomes.get(order.id) == ending for run in runs),
            len(order.lines) == 2,
            sum(execution_id(order) in run.evidence.interrupted for run in runs),
        )

    return max(orders, key=interest)


async def show_flow(console: Console, run: Run, flow_id: str, diagrams: Path) -> None:
    """Print what became of one order, and draw it, as `counterpoint flow` does."""
    console.print(f"[bold]One flow, {run.form.name}[/]")
    sys.stdout.flush()
    store = str(run.directory / STORE)
    await _counterpoint("flow", flow_id, "--store", store)
    for language, suffix in (("plantuml", "puml"), ("mermaid", "mmd")):
        with _drawing(diagrams / f"{run.form.name}.{suffix}") as file:
            await _counterpoint("flow", flow_id, "--store", store, "--format", language, to=file)
    console.print()


async def _counterpoint(*arguments: str, to: TextIO | None = None) -> None:
    command = (sys.executable, "-m", "counterpoint", *arguments)
    if await (await asyncio.create_subprocess_exec(*command, stdout=to)).wait() != 0:
        raise NodeFailedError(f"{' '.join(command)} failed")


def _drawing(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8")


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
    _prepare(directory)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else LOG_WIDTH)
    try:
        good = asyncio.run(demonstrate(directory, given.orders, console))
    except NodeFailedError as error:
        console.print(f"[bold red]the demo failed[/]: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0 if good else 1


def _prepare(directory: Path) -> None:
    """Delete what an earlier demo left in its folder."""
    for name in (*(form.name for form in FORMS), DIAGRAMS):
        shutil.rmtree(directory / name, ignore_errors=True)
    (directory / DIAGRAMS).mkdir(parents=True)


def _indented(console: Console) -> Callable[[str], None]:
    return lambda line: console.print(f"  {line}")


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


def _print_next(console: Console, directory: Path) -> None:
    table = Table.grid(padding=(0, 2))
    for what, where in (
        ("the saga", "examples/shop/process.py"),
        ("the choreography", "examples/shop/choreography.py"),
        ("the mix", "examples/shop/mix"),
        ("the rules of the shop", "examples/shop/README.md"),
        ("the sequence diagrams of these flows", str(directory / DIAGRAMS)),
        ("all sagas", f".venv/bin/counterpoint list --store {directory / 'orchestrated' / STORE}"),
        ("the books again", f".venv/bin/python -m examples.shop.books {directory / 'mixed'}"),
        ("many kills at random moments", "make crash N=20"),
    ):
        table.add_row(f"  {what}", where)
    console.print("[bold]Where to look next[/]")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
