"""Finds what a command works on: the app behind MODULE:APP, the store behind a URL, or both."""

import importlib
import os
import re
import shlex
import sys
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from urllib.parse import quote

from counterpoint.app import App, store_from_url
from counterpoint.cli.failures import CommandError, Exit
from counterpoint.cli.output import hint
from counterpoint.errors import DefinitionError
from counterpoint.ports.store import Store
from counterpoint.runtime.client import Client

_PASSWORD = re.compile(r"(?<=://)([^/?#:@]*):.*(?=@)")
_PASSWORD_OPTION = re.compile(r"(?<=[?&])password=[^&#]*&?")


@dataclass(frozen=True, slots=True)
class Target:
    """The app of a command; without `name` it has no services and reaches a store only."""

    app: App
    name: str | None
    """MODULE:APP as it was given."""
    store: str | None = None
    """The store as it was given."""

    @property
    def options(self) -> str:
        """What another command needs to reach the same, behind its arguments."""
        words = ""
        if self.name is not None and self.name != os.environ.get("COUNTERPOINT_APP"):
            words += f" --app {shlex.quote(self.name)}"
        if self.store is not None:
            words += f" --store {shlex.quote(without_password(self.store))}"
        return words

    @property
    def run_command(self) -> str:
        """What starts a node for it."""
        return f"counterpoint run {self.name or 'MODULE:APP'}"

    def hosts(self, workflow: str) -> bool | None:
        """Whether the app has the workflow; None if no app was named."""
        return None if self.name is None else workflow in self.app.registry.workflows


def resolve(app: str | None, store: str | None) -> Target:
    """Return what `--app` and `--store` name; `--store` wins over the app's own store.

    Raises:
        CommandError, DefinitionError: one of them cannot be used.
    """
    if app is None:
        url = None if store is None else store_url(store)
        return Target(App("counterpoint", services=[], store=url), None, store)
    loaded = load_app(app)
    if store is not None:
        loaded.store = store_url(store)
    else:
        _warn_of_the_variable(app, loaded)
    return Target(loaded, app, store)


def _warn_of_the_variable(name: str, app: App) -> None:
    """Say which store counts where the environment names another one than the app's code."""
    wanted = os.environ.get("COUNTERPOINT_STORE")
    if wanted is not None and app.store != wanted:
        hint(
            f"{name} names its own store, {store_words(app)}, which wins over COUNTERPOINT_STORE "
            f"({without_password(wanted)}): leave store= out of the app, or pass --store"
        )


def required(app: str | None, store: str | None) -> Target:
    """Return the same for a command that needs the app's code.

    Raises:
        CommandError, DefinitionError: no app is named, or it cannot be used.
    """
    if app is None:
        raise CommandError(
            "no app is named: pass --app MODULE:APP, such as shop:app, or set COUNTERPOINT_APP"
        )
    return resolve(app, store)


def load_app(name: str) -> App:
    """Import the module of MODULE:APP and return its app.

    Raises:
        CommandError: the name is malformed, the import fails, or it is no app.
    """
    module_name, separator, path = name.partition(":")
    if not (separator and module_name and path):
        raise CommandError(f"{name!r} is not MODULE:APP: write it like shop:app")
    module = _import(module_name)
    found: object = module
    for part in path.split("."):
        found = getattr(found, part, None)
    if isinstance(found, App):
        return found
    apps = [key for key, value in vars(module).items() if isinstance(value, App)]
    hint = f"; it has {', '.join(f'{module_name}:{key}' for key in apps)}" if apps else ""
    if found is None:
        raise CommandError(f"the module {module_name} has no {path!r}{hint}")
    raise CommandError(f"{name} is a {type(found).__name__}, not an App{hint}")


def _import(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise CommandError(
                f"there is no module {error.name!r} in {here} or on sys.path: "
                "run the command in the directory of your code"
            ) from error
        raise _failed(name, error) from error
    except (Exception, SystemExit) as error:  # whatever a user's module raises
        raise _failed(name, error) from error


def _failed(name: str, error: BaseException) -> CommandError:
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and "importlib" not in frame.filename
    ]
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError):
        where = f" ({error.filename}, line {error.lineno})"
        return CommandError(f"importing {name} failed: SyntaxError: {error.msg}{where}")
    return CommandError(f"importing {name} failed: {type(error).__name__}: {error}{where}")


def store_url(text: str) -> str:
    """Return *text* as a store's URL; what has no scheme is the path of a SQLite file."""
    if "://" in text or text == "memory:" or text.startswith(("postgres:", "postgresql:")):
        return text
    return "sqlite:///" + quote(text, safe="/:\\")


def store_words(app: App) -> str:
    """Return where an app's store is, for people; without its password."""
    if isinstance(app.store, str):
        return without_password(app.store)
    path = getattr(app.store, "path", None)
    return type(app.store).__name__ if path is None else f"sqlite:///{path}"


def without_password(url: str) -> str:
    """Return a URL of a store as it may be shown."""
    return _PASSWORD_OPTION.sub("", _PASSWORD.sub(r"\1", url))


def existing_store(target: Target) -> Store:
    """Return the store, not opened yet.

    Raises:
        CommandError: there is no such file, or the store lives in a node's memory.
    """
    store = target.app.store
    if store == "memory:":
        raise CommandError(
            "memory: is a store inside one process, which no command can reach: "
            "give the app a file, such as store='sqlite:///shop.db'"
        )
    try:
        found = store_from_url(store) if isinstance(store, str) else store
    except DefinitionError as error:
        raise CommandError(str(error)) from error
    path = getattr(found, "path", None)
    if isinstance(path, Path) and not path.exists():
        where = "" if path.is_absolute() else f" in {os.getcwd()}"  # noqa: PTH109 - same
        raise CommandError(
            f"there is no store {path}{where}: name the right one with --store or --app, "
            f"or make it by running a node ({target.run_command})",
            Exit.STORE,
        )
    return found


async def check_there(store: Store) -> None:
    """Make sure that a store on a server is there; it is not created.

    Raises:
        StoreError: it is not, or it cannot be reached.
    """
    check: Callable[[], Awaitable[None]] | None = getattr(store, "check_there", None)
    if check is not None:
        await check()


@asynccontextmanager
async def open_client(target: Target) -> AsyncGenerator[Client, None]:
    """Open the store beside its node; one that does not exist is not created.

    Raises:
        CommandError: there is no such file, or the store lives in the node's memory.
        StoreError: it cannot be opened.
    """
    await check_there(existing_store(target))
    async with target.app.client() as client:
        yield client
