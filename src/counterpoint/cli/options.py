"""Options and arguments that several commands share."""

from typing import Annotated, TypeAlias

import typer

from counterpoint.cli.completion import complete_ids

AppOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="MODULE:APP",
        envvar="COUNTERPOINT_APP",
        help="The app, such as shop:app; the current directory is searched first.",
    ),
]
StoreOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="The store, as a URL such as sqlite:///shop.db or the path of the file; "
        "default: the app's store, or COUNTERPOINT_STORE, or counterpoint.db.",
    ),
]
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Write JSON with stable keys instead of text.")
]
IdArgument: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        show_default=False,
        help="The id of the execution.",
        autocompletion=complete_ids,
    ),
]
OptionalIdArgument: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        metavar="ID",
        show_default=False,
        help="The id of the execution; without it, --where chooses many.",
        autocompletion=complete_ids,
    ),
]
ActorOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--actor", metavar="NAME", help="Who asks, for the journal; default: the current user."
    ),
]
ReasonOption: TypeAlias = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the journal.")
]
