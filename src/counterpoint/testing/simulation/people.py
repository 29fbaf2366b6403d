"""The people who answer what only people can answer, once nothing goes wrong any more."""

from dataclasses import dataclass, field
from typing import Any

from counterpoint.app import App
from counterpoint.errors import ExecutionRefusedError, NotDone
from counterpoint.model.ids import idempotency_key
from counterpoint.model.messages import DeadLetterRow
from counterpoint.runtime.description import CallDescription, Description
from counterpoint.runtime.handle import Execution
from counterpoint.testing.simulation.attempts import Attempts
from counterpoint.testing.simulation.ledger import LedgerStore

RETRIES_MAX = 4
"""How often they try one execution, or one dead letter, again."""
WHO = "a person"


@dataclass
class People:
    """They look at the world, and state what is true."""

    app: App
    ledger: LedgerStore
    attempts: Attempts
    tried: dict[str, int] = field(default_factory=dict[str, int])

    async def put_right(self) -> bool:
        """Do one thing for everything that waits for a person; say whether there was any."""
        done = False
        for row in self.ledger.newest_rows():
            if row.status.live:
                done |= await self._help(self.app.execution(row.id))
        for letter in self.ledger.letters_dead():
            done |= await self._redrive(letter)
        return done

    async def _help(self, execution: Execution[Any]) -> bool:
        known = await execution.describe()
        for incident in known.incidents:
            if incident.cause == "unknown-outcome" and incident.call is not None:
                await self._state(execution, known, known.calls[incident.call - 1])
                return True
        if not known.incidents or not self._again(known.id):
            return False
        try:
            await execution.retry(actor=WHO, reason="its cause is mended")
        except ExecutionRefusedError:
            return False
        return True

    async def _state(
        self, execution: Execution[Any], known: Description, call: CallDescription
    ) -> None:
        """State the outcome of a call: it has happened if an attempt of it ran to its end."""
        attempts = self.attempts
        key = idempotency_key(known.id, known.run, call.call)
        if call.state == "being undone" or call.compensation_key is not None:
            if key not in attempts.undid:
                attempts.undid.append(key)
            attempts.there[key] = False
            await execution.resolve(call.call, done=True, actor=WHO, reason="undone by hand")
        elif (effect := attempts.effects.get(key)) is not None:
            await execution.resolve(call.call, result=effect.value, actor=WHO, reason="seen")
        else:
            attempts.allowed[key] += 1
            attempts.there.pop(key, None)
            await execution.resolve(call.call, error=NotDone(), actor=WHO, reason="not seen")

    async def _redrive(self, letter: DeadLetterRow) -> bool:
        name = f"{letter.name} at {letter.position}"
        if not self._again(name):
            return False
        async for dead in self.app.dead_letters(reaction=letter.name, key=letter.event_key):
            await self.app.redrive(dead.id, actor=WHO, reason="its cause is mended")
            return True
        return False

    def _again(self, what: str) -> bool:
        self.tried[what] = self.tried.get(what, 0) + 1
        return self.tried[what] <= RETRIES_MAX
