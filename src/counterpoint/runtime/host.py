"""What the parts of a node need of the whole, so that none of them has to know the node itself."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from counterpoint.authoring.registry import Registry
from counterpoint.model.records import EventAwaited
from counterpoint.model.rows import MailRow
from counterpoint.model.settings import Settings
from counterpoint.ports.clock import Clock
from counterpoint.ports.codec import Codec
from counterpoint.ports.store import Store
from counterpoint.runtime.activities import Activities
from counterpoint.runtime.committer import Committer
from counterpoint.runtime.due import DueScan
from counterpoint.runtime.mail import EventMail
from counterpoint.runtime.resident import Finished, Resident
from counterpoint.runtime.results import Results
from counterpoint.runtime.turns import Turns


class EventDesk(Protocol):
    """What a node does about events, as its other parts ask for it."""

    def awaited(
        self, resident: Resident, record: EventAwaited, after: int | None = None
    ) -> None: ...
    async def take(self, row: MailRow, mail: EventMail) -> str | None: ...


class Host(Protocol):
    """The node, as seen by the parts that it is made of; `Node` says what each does."""

    registry: Registry
    store: Store
    clock: Clock
    codec: Codec
    settings: Settings
    residents: dict[str, Resident]
    starting: dict[str, asyncio.Future[None]]
    committer: Committer
    activities: Activities
    due: DueScan
    dice: random.Random
    fault: BaseException | None
    stopping: bool
    rehearse: bool
    turns: Turns

    @property
    def messaging(self) -> "EventDesk": ...
    @property
    def unhosted(self) -> set[str]: ...
    @property
    def results(self) -> Results: ...
    def push(self, handle: Callable[..., None], *args: Any) -> None: ...
    def spawn(self, errand: Coroutine[Any, Any, Any]) -> None: ...
    def call_threadsafe(self, callback: Callable[..., object], *args: Any) -> None: ...
    def check_idle(self) -> None: ...
    def store_failed(self, error: BaseException) -> None: ...
    def adopt(self, resident: Resident) -> None: ...
    def room(self) -> int: ...
    def settle(self, resident: Resident) -> None: ...
    def evict(self, resident: Resident) -> None: ...
    def reload(self, resident: Resident) -> None: ...
    def finish(self, resident: Resident, finished: Finished) -> None: ...
    def set_alarm(self, resident: Resident, at: int) -> None: ...
    def read_again(self, mail: MailRow) -> None: ...
    def check_accepting(self) -> None: ...
    def arrived(self, resident: Resident) -> None: ...
    async def load(
        self, execution_id: str, then: Callable[[Resident], None] | None = None
    ) -> Resident | None: ...
    async def next_key(self) -> int: ...


Loaded = asyncio.Future[Resident | None]
"""Set when an execution that was read from the store is in memory, or cannot be."""
