"""Options and arguments of the commands about events, dead letters and subscriptions."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, TypeAlias

import typer

from counterpoint.cli.completion import (
    complete_dead_letters,
    complete_subscriptions,
    complete_types,
)
from counterpoint.cli.failures import CommandError, Exit

TypeOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--type",
        metavar="TYPE",
        help="Only events of a type, such as orders.OrderPlaced; `list` takes its last part too.",
        autocompletion=complete_types,
    ),
]
TypeArgument: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="TYPE",
        show_default=False,
        help="The type, such as orders.OrderPlaced; its last part does where it is clear.",
        autocompletion=complete_types,
    ),
]
KeyOption: TypeAlias = Annotated[
    str | None, typer.Option("--key", metavar="KEY", help="Only events of this key.")
]
CorrelationOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--correlation", metavar="ID", help="Only events of this flow, by its id."),
]
EventsSinceOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="WHEN",
        help="Only those recorded since: 30m, 2h, 7d ago, or an ISO date or time in UTC.",
    ),
]
ReactionOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--reaction",
        metavar="NAME",
        help="Only those of a reaction, or of a workflow that events start; the last part of its "
        "name does where it is clear.",
        autocompletion=complete_subscriptions,
    ),
]
CauseOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--cause",
        metavar="ERROR",
        help="Only those with this cause: the error, as `deadletters groups` has it; "
        "its last part does where it is clear.",
    ),
]
DeadLetterArgument: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        show_default=False,
        help="The id of the dead letter, as `deadletters list` has it.",
        autocompletion=complete_dead_letters,
    ),
]
OptionalDeadLetterArgument: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        metavar="ID",
        show_default=False,
        help="The id of the dead letter; without it, --reaction chooses many.",
        autocompletion=complete_dead_letters,
    ),
]
SubscriptionArgument: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        show_default=False,
        help="The reaction, or the workflow that events start, by its full name.",
        autocompletion=complete_subscriptions,
    ),
]
DoItOption: TypeAlias = Annotated[
    bool, typer.Option("--yes", help="Do it; without, only say what would happen.")
]


def find_type(known: Iterable[str], name: str, where: str) -> str:
    """Return the type of a recorded name, or of its last part where that is clear.

    Raises:
        CommandError: there is none in *where*, or several.
    """
    return find_name(known, name, f"{where} has no event {name!r}")


def find_name(known: Iterable[str], name: str, problem: str) -> str:
    """Return *name* where it is known, or the one known name that ends with it after a dot.

    Raises:
        CommandError: there is none, which is the *problem*, or there are several.
    """
    names = list(dict.fromkeys(known))
    if name in names:
        return name
    matches = [one for one in names if one.endswith(f".{name}")]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise CommandError(f"{name!r} may be {' or '.join(matches)}: write the full name")
    close = get_close_matches(name, names, n=1)
    advice = (
        f"did you mean {close[0]}?" if close else f"it has {', '.join(sorted(names)) or 'none'}"
    )
    raise CommandError(f"{problem}: {advice}", Exit.NOT_FOUND)
