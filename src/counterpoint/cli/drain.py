"""`counterpoint drain`: asks a node to hand over and stop, and waits until it has."""

import asyncio
import contextlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Annotated

import typer
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from counterpoint.cli.completion import complete_nodes
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.options import AppOption, JsonOption, StoreOption
from counterpoint.cli.output import clean, err, hint, say, say_json
from counterpoint.cli.target import Target, open_client, resolve
from counterpoint.runtime.client import Client
from counterpoint.runtime.nodes import NodeInfo, NodeState, find_nodes, node_words

POLL_SECONDS = (0.1, 1.0)
"""How long to wait before looking again: at first, and at most; a look counts what nodes own."""
Say = Callable[[str], None]


def drain(
    node: Annotated[
        str,
        typer.Argument(
            metavar="NODE",
            show_default=False,
            help="The node's number, its name, or host:pid, as `counterpoint nodes` shows them.",
            autocompletion=complete_nodes,
        ),
    ],
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Ask only; do not wait until it has stopped.")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            min=0,
            metavar="SECONDS",
            show_default=False,
            help="Wait at most so long; the node goes on handing over.",
        ),
    ] = None,
    app: AppOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a node to hand over what it owns, and to stop; wait until it has.

    It takes no more work, lets activities finish for its `stop_within`, and leaves the rest to the
    nodes that host it too. Its `counterpoint run` ends with exit code 0. SIGTERM does the same. A
    store that one node hosts has nobody to hand over to: stop its process.

    Example: counterpoint drain 7 --store postgresql://localhost/shop
    """
    if no_wait and timeout is not None:
        raise CommandError("--no-wait and --timeout exclude each other")
    asyncio.run(_drain(resolve(app, store), node, timeout, wait=not no_wait, as_json=as_json))


async def _drain(
    target: Target, wanted: str, timeout: float | None, *, wait: bool, as_json: bool
) -> None:
    async with open_client(target) as client:
        asked = await client.drain((await _find(client, wanted)).incarnation)
        await _warn(client, asked)
        after = asked
        if wait:
            with _progress(show=not as_json) as tell:
                after = await _stopped(client, asked, timeout, tell)
        lost = after.state is NodeState.LOST
    if as_json:
        say_json({"asked": True, "stopped": after.state is NodeState.STOPPED, "node": after})
    elif lost or after.state is NodeState.STOPPED:
        say(f"{after.label} was declared lost" if lost else f"{after.label} has stopped")
    else:
        say(f"{after.label} is asked to hand over and stop")
    if lost:
        hint("it did not hand over by itself: the other nodes take over what it owned")
        raise typer.Exit(Exit.FAILED)
    if wait and after.alive:
        hint(f"it has not stopped within {timeout:g} s; it goes on: {_left(after)}")
        raise typer.Exit(Exit.TIMEOUT)


async def _warn(client: Client, asked: NodeInfo) -> None:
    """Say what no other node hosts."""
    others = [node for node in await client.nodes() if node.incarnation != asked.incarnation]
    taken = {service for node in others for service in node.services}
    if alone := [service for service in asked.services if service not in taken]:
        hint(f"no other node hosts {', '.join(alone)}: work for it waits until one does")


async def _find(client: Client, wanted: str) -> NodeInfo:
    """Return the living node that is meant.

    Raises:
        CommandError: there is none, or there are several.
    """
    living = await client.nodes()
    if all(not node.incarnation for node in living):
        return await client.drain(wanted)  # which says why it cannot
    found = find_nodes(living, wanted)
    if len(found) > 1:
        raise CommandError(f"{wanted!r} may be {node_words(found)}: name its number")
    if not found:
        ended = find_nodes(await client.nodes(all_of_them=True), wanted)
        what = (
            f"{wanted!r} is not alive: {', '.join(f'{n.label} is {n.state}' for n in ended[-3:])}"
            if ended
            else f"no node is called {wanted!r}"
        )
        raise CommandError(f"{what}; there are {node_words(living) or 'none'}", Exit.NOT_FOUND)
    return found[0]


async def _stopped(client: Client, asked: NodeInfo, timeout: float | None, tell: Say) -> NodeInfo:
    """Return the node once it may not commit any more, or as it is after *timeout*."""
    last = asked
    pause, longest = POLL_SECONDS
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            while last.alive:
                tell(f"{last.label} hands over: {_left(last)}")
                await asyncio.sleep(pause)
                pause = min(2 * pause, longest)
                last = _same(asked, await client.nodes(all_of_them=True))
    return last


def _same(asked: NodeInfo, found: Sequence[NodeInfo]) -> NodeInfo:
    """Return the node as it stands now; one that nobody remembers has ended."""
    ended = replace(asked, state=NodeState.STOPPED, alive=False)
    return next((node for node in found if node.incarnation == asked.incarnation), ended)


@contextlib.contextmanager
def _progress(*, show: bool) -> Generator[Say, None, None]:
    """Yield what shows how far it is: a line that changes on a terminal, elsewhere new lines."""
    console = err()
    if not show:
        yield lambda _text: None
    elif console.is_terminal:
        spinner = Spinner("dots")
        with Live(spinner, console=console, transient=True):
            yield lambda text: spinner.update(text=Text(clean(text)))
    else:
        said: list[str] = []

        def tell(text: str) -> None:
            if said[-1:] != [text]:
                said[:] = [text]
                hint(text, "dim")

        yield tell


def _left(node: NodeInfo) -> str:
    owned = (
        (node.executions, "execution"),
        (sum(node.slots.values()), "slot"),
        (node.calls, "call"),
    )
    words = [f"{count:,} {noun}{'s' * (count != 1)}" for count, noun in owned if count]
    return f"it owns {', '.join(words) or 'nothing'}"
