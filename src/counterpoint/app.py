"""The composition root: services, a store and settings make an app. Only this names adapters."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from counterpoint.authoring.choreography import Choreography
from counterpoint.authoring.registry import Registry
from counterpoint.authoring.service import Service
from counterpoint.codecs.json import JsonCodec
from counterpoint.errors import DefinitionError, NodeStoppedError
from counterpoint.graph.choreographies import check_choreographies
from counterpoint.model.settings import Settings
from counterpoint.ports.clock import Clock
from counterpoint.ports.codec import Codec
from counterpoint.ports.store import Store
from counterpoint.runtime.access import Access, ClientAccess, NodeAccess
from counterpoint.runtime.client import Client, refuse_in_workflow
from counterpoint.runtime.clock import SystemClock
from counterpoint.runtime.health import Health, health_of
from counterpoint.runtime.log import logger
from counterpoint.runtime.node import Node
from counterpoint.stores.locks import UNKNOWN_PROCESS, hosting_pid
from counterpoint.stores.memory import MemoryStore
from counterpoint.stores.postgres import PostgresStore
from counterpoint.stores.sqlite import SqliteStore

MEMORY = "memory:"


class App(Client):
    """Services, composed and hosted.

        app = App("shop", services=[orders, payments, inventory])

        async with app:                      # this process is now a node
            receipt = await app.run(place_order, order, id=f"order-{order.id}")

    With `hosts=["payments"]` this process knows all definitions and, as a node, hosts those of the
    named services only: other nodes host the rest.

    Settings are keyword arguments, or `COUNTERPOINT_*` variables, or defaults; see `Settings`.

    Raises:
        DefinitionError: the services do not fit together, a choreography cannot work with them,
            `hosts` names what is none of them, or a setting is wrong.
    """

    def __init__(
        self,
        name: str,
        *,
        services: Sequence[Service],
        choreographies: Sequence[Choreography] = (),
        store: str | Store | None = None,
        hosts: Sequence[str] | None = None,
        clock: Clock | None = None,
        **settings: Any,
    ) -> None:
        if not name:
            raise DefinitionError("an app needs a name")
        self.name = name
        if isinstance(store, str):
            settings["store"] = store
        if hosts is not None:
            _check_hosts(hosts)
            settings["hosts"] = tuple(hosts)
        self.settings = Settings.load(settings)
        self.registry = Registry(services, payload_bytes_max=self.settings.payload_bytes_max)
        self.choreographies: dict[str, Choreography] = check_choreographies(
            choreographies, self.registry
        )
        """By name."""
        self._hosts: tuple[str, ...] = ()
        if services:  # else it is a client of a store, and hosts nothing
            self.hosts = self.settings.hosts
        self.store: str | Store = self.settings.store if store is None else store
        if isinstance(self.store, str) and self.store != MEMORY:
            store_from_url(self.store)  # refused here rather than when the app is entered
        self.clock: Clock | None = clock
        self.codec: Codec = JsonCodec()
        self._node: Node | None = None
        self._given_memory: MemoryStore | None = None

    def __repr__(self) -> str:
        return f"<app {self.name}>"

    async def __aenter__(self) -> Self:
        """Become the node of the store.

        Raises:
            StoreLockedError: another process is; use `app.client()`.
            StoreError: the store cannot be opened.
        """
        if self._node is not None:
            raise NodeStoppedError(f"the app {self.name!r} is running already")
        store = self._open_store()
        self._warn_of_unhosted(store)
        node = Node(
            self.registry.hosted_by(self._hosts),
            store,
            self.clock or SystemClock(),
            self.codec,
            self.settings,
            self.name,
        )
        await node.start()
        self._node = node
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop: take no more work, let activities finish, leave the rest to the next start."""
        await self.stop()

    async def stop(self, within: timedelta | None = None) -> None:
        """Stop being a node; activities get *within* (default: `stop_within`) to finish."""
        node = self._node
        if node is None:
            return
        try:
            await node.stop(None if within is None else within.total_seconds())
        finally:
            self._node = None

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Client]:
        """Reach the store without hosting it: start, find, wait, signal, cancel.

        async with app.client() as client:
            await client.start(place_order, order, id="order-1")
        """
        store = self._open_store()
        if self._node is not None and self._node.store is store:
            yield _StoreClient(NodeAccess(self._node))  # one object is one connection
            return
        await store.open(node=False)
        access = ClientAccess(
            self.registry,
            store,
            self.clock or SystemClock(),
            self.codec,
            self.settings.poll_interval,
        )
        try:
            yield _StoreClient(access)
        finally:
            await store.close()

    async def idle(self, timeout: float | timedelta | None = None) -> None:
        """Wait until nothing runs, is ready to run, or waits for a retry; for tests and scripts.

        Timers and waits for signals do not count. Calls of this node's executions that other nodes
        look after do, also those that wait for a node that hosts them.

        Raises:
            TimeoutError: something still runs after *timeout* (seconds or a timedelta).
        """
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        try:
            async with asyncio.timeout(seconds):
                await self.node.idle()
        except TimeoutError:
            health = self.health()
            raise TimeoutError(
                f"the node was not idle within {seconds:g} s: {health.running} attempts run, "
                f"{health.waiting} wait for their turn"
            ) from None

    def health(self) -> Health:
        """Return how this node is: whether it takes work, what runs, what waits, what blocks it.

        It can be called from any thread: while code blocks the event loop, no other can ask.
        """
        return health_of(self.node)

    def hosted_by(self) -> int | None:
        """Return the id of the process that hosts the store now; None where none does.

        It is 0 where a node may run and its process is not known.
        """
        if self._node is not None:
            return os.getpid()
        store = self._open_store()
        return hosting_pid(store.path) if isinstance(store, SqliteStore) else UNKNOWN_PROCESS

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the services that this process hosts when the app is entered.

        Raises:
            DefinitionError: when it is set: the app has no such service.
        """
        return self._hosts or tuple(self.registry.services)

    @hosts.setter
    def hosts(self, names: Sequence[str]) -> None:
        names = tuple(dict.fromkeys(names))
        self.registry.hosted_by(names)
        self._hosts = names

    @property
    def node(self) -> Node:
        """The running node.

        Raises:
            NodeStoppedError: the app is not running here.
        """
        if self._node is None:
            raise NodeStoppedError(
                f"the app {self.name!r} is not running here: use `async with app:` to host it, or "
                "`async with app.client() as client:` to reach the process that does"
            )
        return self._node

    def _access(self) -> Access:
        refuse_in_workflow()
        return NodeAccess(self.node)

    def _warn_of_unhosted(self, store: Store) -> None:
        """Say what will wait for a node that cannot come as long as this one is there."""
        if store.features.many_nodes:
            return
        rest = [name for name in self.registry.services if name not in self.hosts]
        if rest:
            logger.warning(
                "%s hosts only %s, on a store that one node hosts at a time: what needs %s waits "
                "until a node that hosts it runs in its place; use a postgresql:// store to run "
                "both at once",
                self.name,
                ", ".join(self.hosts),
                ", ".join(rest),
            )

    def _open_store(self) -> Store:
        if not isinstance(self.store, str):
            return self.store
        if self.store == MEMORY:
            if self._given_memory is None:
                self._given_memory = MemoryStore()
            return self._given_memory
        return store_from_url(self.store)


class _StoreClient(Client):
    def __init__(self, access: Access) -> None:
        self._given = access

    def _access(self) -> Access:
        refuse_in_workflow()
        return self._given


def _check_hosts(hosts: object) -> None:
    if isinstance(hosts, str) or not isinstance(hosts, Sequence) or not hosts:
        raise DefinitionError(
            f"hosts={hosts!r} is no list of the services that this process hosts: "
            'hosts=["payments"]; leave it out to host all, use `app.client()` to host none'
        )


def store_from_url(url: str) -> Store:
    """Return the store behind a URL such as `sqlite:///shop.db`.

    Raises:
        DefinitionError: nothing here understands the URL.
    """
    scheme, separator, path = url.partition("://")
    if scheme == "sqlite" and separator and path.startswith("/") and len(path) > 1:
        return SqliteStore(unquote(path[1:]))
    if scheme in ("postgresql", "postgres") and separator:
        return PostgresStore(url)
    if url.startswith(("postgres:", "postgresql:")):
        raise DefinitionError(
            "the URL of a PostgreSQL store begins with postgresql:// and two slashes: write "
            "postgresql://user@host/database"
        )
    guess = f"; did you mean sqlite:///{url}" if url.endswith(".db") and not separator else ""
    raise DefinitionError(
        f"{url!r} is not a store: use sqlite:///relative.db, sqlite:////absolute.db, "
        "postgresql://user@host/database or memory:" + guess
    )
