"""What the clients of a scenario do, and what its check looks at."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar, TypeVarTuple, Unpack

import msgspec

from counterpoint.authoring.event import Event, contract_of
from counterpoint.authoring.workflow import Workflow
from counterpoint.kernel.replay import fold
from counterpoint.model.records import Failure
from counterpoint.model.states import Status
from counterpoint.runtime.handle import Execution
from counterpoint.testing.simulation.clients import REFUSED
from counterpoint.testing.simulation.stage import Stage

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class Simulation:
    """What a scenario does things with; made by `simulate`, one for each seed.

    Whatever is acknowledged here is remembered, and looked for at the end of the run.
    """

    def __init__(self, stage: Stage) -> None:
        self.app = stage.app
        self.seed = stage.seed
        self.random = Random(stage.dice.random.getrandbits(64))  # noqa: S311 - for scenarios
        """For what a scenario leaves to chance."""
        self._life = stage.life
        self._ledger = stage.ledger
        self._clients = stage.clients
        self._ids = 0

    # ---- what clients do ----------------------------------------------------------------------

    async def start(
        self,
        workflow: Workflow[R, Unpack[Ts]],
        *args: Unpack[Ts],
        id: str | None = None,
        delay: float | timedelta | None = None,
        correlation_id: str | None = None,
    ) -> str:
        """Start an execution, trying again until that is acknowledged; return its id."""
        its_id = id or self._next_id(workflow.name)
        await self._clients.ask(
            f"start {its_id}",
            lambda client: client.start(
                workflow, *args, id=its_id, delay=delay, correlation_id=correlation_id
            ),
        )
        self._clients.remember("start", its_id)
        return its_id

    async def publish(
        self, event: Event, *, id: str | None = None, correlation_id: str | None = None
    ) -> str:
        """Publish an event, trying again until that is acknowledged; return its id."""
        contract = contract_of(type(event))
        its_id = id or self._next_id(contract.type)
        await self._clients.ask(
            f"publish {its_id}",
            lambda client: client.publish(event, id=its_id, correlation_id=correlation_id),
        )
        self._clients.remember("publish", its_id, contract.service)
        return its_id

    async def signal(self, id: str, name: str, value: Any = None) -> bool:
        """Signal an execution; say whether it was taken, or refused as unknown or ended.

        A client that gets no answer asks again, so that a signal may come more than once.
        """
        return await self._act("signal", id, lambda one: one.signal(name, value))

    async def cancel(self, id: str) -> bool:
        """Cancel an execution; say whether that was taken, or refused."""
        return await self._act("cancel", id, lambda one: one.cancel(actor="a client"))

    async def terminate(self, id: str) -> bool:
        """Terminate an execution; say whether that was taken, or refused."""
        return await self._act("terminate", id, lambda one: one.terminate(actor="a client"))

    async def ended(self, id: str) -> Status:
        """Wait until an execution has ended; return how."""
        while True:
            row = self._ledger.newest(id)
            if row is not None and not row.status.live and row.status is not Status.CONTINUED:
                return row.status
            await asyncio.sleep(1)

    async def sleep(self, duration: float | timedelta) -> None:
        """Let virtual time pass (seconds or a timedelta)."""
        seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
        await asyncio.sleep(seconds)

    def crash(self) -> None:
        """Let the node die now; it starts again by itself."""
        self._life.kill()

    # ---- what a check looks at ----------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """What the clock of the node shows (UTC)."""
        return self._life.clock.time

    def status(self, id: str) -> Status | None:
        """Return how an execution stands, or None if there is none."""
        row = self._ledger.newest(id)
        return None if row is None else row.status

    def error(self, id: str) -> Failure | None:
        """Return the error with which an execution ended, or None."""
        row = self._ledger.newest(id)
        return None if row is None else fold(self._ledger.records(row.key)).error

    def result(self, id: str) -> Any:
        """Return what an execution returned, as plain JSON values; None if it has not."""
        row = self._ledger.newest(id)
        result = None if row is None else fold(self._ledger.records(row.key)).result
        return None if result is None else msgspec.json.decode(result)

    @property
    def statuses(self) -> dict[str, Status]:
        """How each execution stands, by id."""
        return {row.id: row.status for row in self._ledger.newest_rows()}

    def published(self, type: type[Event]) -> list[Event]:
        """Return the events of a type that are in the log, oldest first."""
        contract = contract_of(type)
        decode, codec = contract.decode, self.app.codec
        return [
            decode(codec.decode(row.data), row.version)
            for row in self._ledger.log()
            if row.type == contract.type
        ]

    # ---- inside -------------------------------------------------------------------------------

    def _next_id(self, what: str) -> str:
        self._ids += 1
        return f"{what}-{self._ids}"

    async def _act(
        self, act: str, id: str, what: Callable[[Execution[Any]], Awaitable[Any]]
    ) -> bool:
        try:
            await self._clients.ask(f"{act} {id}", lambda client: what(client.execution(id)))
        except REFUSED:
            return False
        self._clients.remember(act, id)
        return True
