"""The clients: they ask until they are answered, and remember what they were told."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from counterpoint.errors import (
    ExecutionNotFoundError,
    ExecutionRefusedError,
    NodeStoppedError,
    StoreError,
)
from counterpoint.runtime.access import Access, ClientAccess
from counterpoint.runtime.client import Client
from counterpoint.testing.simulation.dice import Dice
from counterpoint.testing.simulation.disk import Connection
from counterpoint.testing.simulation.ledger import LedgerStore
from counterpoint.testing.simulation.life import POLL, Life

T = TypeVar("T")
GONE = (NodeStoppedError, StoreError)
"""What a client hears when nobody is there: it asks again."""
REFUSED = (ExecutionRefusedError, ExecutionNotFoundError)
PATIENCE_SECONDS = 600.0
"""How long a client waits for one answer; a node that is alive answers sooner."""


class Outside(Client):
    """A client in a process of its own."""

    def __init__(self, access: Access) -> None:
        self._given = access

    def _access(self) -> Access:
        return self._given


@dataclass(frozen=True)
class Acknowledged:
    """What a client was told to be durable."""

    what: str
    """`start`, `publish`, or an act such as `signal`."""
    id: str
    """Of the execution or the event."""
    detail: Any = None


@dataclass
class Clients:
    """Everybody who asks the node for something."""

    life: Life
    dice: Dice
    ledger: LedgerStore
    note: Callable[[str], None]
    acknowledged: list[Acknowledged] = field(default_factory=list[Acknowledged])
    findings: list[str] = field(default_factory=list[str])
    later: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    """Requests that are sent a second time."""

    async def ask(self, what: str, request: Callable[[Client], Awaitable[T]]) -> T:
        """Send a request until it is answered, and perhaps once more; return the first answer."""
        dice = self.dice
        if dice.strikes("late_request"):
            await asyncio.sleep(dice.seconds(dice.faults.late))
        while True:
            try:
                answer = await self._send(what, request)
            except GONE:
                await asyncio.sleep(0.1 + dice.random.random())
                continue
            if not dice.strikes("lost_answer"):
                break
            await asyncio.sleep(dice.seconds(dice.faults.late))
        if dice.strikes("repeated_request"):
            again = asyncio.get_running_loop().create_task(self._again(what, request))
            self.later.add(again)
            again.add_done_callback(self.later.discard)
        return answer

    def remember(self, what: str, its_id: str, detail: Any = None) -> None:
        """Note what was acknowledged."""
        self.note(f"acknowledged: {what} {its_id}")
        self.acknowledged.append(Acknowledged(what, its_id, detail))

    async def _send(self, what: str, request: Callable[[Client], Awaitable[T]]) -> T:
        life = self.life
        births = life.births
        sent: asyncio.Task[T] = asyncio.get_running_loop().create_task(
            _awaited(request, self._client())
        )
        await asyncio.wait([sent], timeout=PATIENCE_SECONDS)
        if not sent.done():
            sent.cancel()
            if births == life.births and not life.dead:
                self.findings.append(f"P10: a node that is alive does not answer: {what}")
            raise NodeStoppedError("injected: the client has lost its patience")
        if sent.cancelled():
            raise NodeStoppedError("injected: the process died")
        return sent.result()

    async def _again(self, what: str, request: Callable[[Client], Awaitable[Any]]) -> None:
        await asyncio.sleep(self.dice.seconds(self.dice.faults.late))
        try:
            await self._send(what, request)
        except (*GONE, *REFUSED):
            return

    def _client(self) -> Client:
        app = self.life.app
        if not self.dice.strikes("outside"):
            return app
        store = Connection(self.ledger, self.dice)
        clock = self.life.clock
        poll = max(POLL, timedelta(seconds=1))
        return Outside(ClientAccess(app.registry, store, clock, app.codec, poll))


async def _awaited(request: Callable[[Client], Awaitable[T]], client: Client) -> T:
    return await request(client)
