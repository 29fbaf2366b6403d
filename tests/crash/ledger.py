"""What the reactions and activities of a round did, in a file of their own.

The file is only appended to, one line for each thing that happened, and each line with one write:
what was written before a SIGKILL is there after it, whole. The judge compares it with the store.
"""

import itertools
import json
import os
import threading
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from zlib import crc32

from counterpoint import Event, activity
from counterpoint.activity import AttemptInfo
from counterpoint.authoring.event import contract_of

T = TypeVar("T")
Line = dict[str, Any]
FILE = "ledger.jsonl"
_tokens = itertools.count()
_lives = itertools.count()


class LifeIsOverError(RuntimeError):
    """The process that this attempt was in is dead, as far as the proof is concerned."""


class Ledger:
    """Appends to a ledger, and knows what is in it; one process at a time has attempts in it.

    A proof that lets its nodes die in one process closes the ledger of each before it looks at
    the files: an attempt that goes on in a thread writes and does nothing any more.
    """

    def __init__(self, directory: Path, seed: str) -> None:
        self.path = directory / FILE
        self.seed = seed
        self.life = f"{os.getpid()}/{next(_lives)}"
        self._lock = threading.Lock()
        self._file: int | None = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.effects: dict[str, Line] = {}
        """What was done, by idempotency key: whoever comes with a key again gets the first."""
        self.attempts: Counter[str] = Counter()
        self.reserved: Counter[str] = Counter()
        for line in read_ledger(directory):
            self._count(line)

    def write(self, do: str, **facts: Any) -> Line:
        """Append a line; raise `LifeIsOverError` once the ledger is closed."""
        if self._file is None:
            raise LifeIsOverError(self.seed)
        line = {"do": do, "at": time.monotonic_ns(), **facts}
        os.write(self._file, json.dumps(line).encode() + b"\n")
        return line

    def close(self) -> None:
        """Let nobody write any more."""
        with self._lock:
            file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def begin(self, call: AttemptInfo) -> tuple[str, int]:
        """Note that an attempt begins; return what it is called, and how many were before it."""
        key, event = call.idempotency_key, call.event
        token = f"{self.life}/{next(_tokens)}"
        facts: Line = {"name": call.activity, "key": key, "execution": call.execution_id}
        if event is not None:
            facts |= {"position": event.position, "event": event.id, "event_key": event.key}
        with self._lock:
            before = self.attempts[key]
            self._count(self.write("begin", token=token, life=self.life, **facts))
        return token, before

    def end(self, token: str, key: str, facts: Line) -> None:
        """Note how an attempt ended."""
        with self._lock:
            self.write("end", token=token, key=key, **facts)

    def effect(self, key: str, what: str, **facts: Any) -> Line:
        """Have an effect unless the key had one; return the facts of the first one."""
        with self._lock:
            return self._effect(key, what, **facts)

    def _effect(self, key: str, what: str, **facts: Any) -> Line:
        found = self.effects.get(key)
        if found is None:
            found = self.write("effect", key=key, what=what, **facts)
            self._count(found)
        return found

    def reserve(self, key: str, product: str, order: str, quantity: int, stock: int) -> bool:
        """Reserve a quantity if there is as much; return whether it is reserved."""
        with self._lock:  # orders of other keys reserve in other threads at the same time
            given = 0 if self.reserved[product] + quantity > stock else quantity
            done = self._effect(key, "reserve", order=order, product=product, quantity=given)
        return bool(done["quantity"])

    def chance(self, *parts: object) -> float:
        """Return a number in [0, 1) that depends on the seed and the parts alone."""
        return crc32("/".join(map(str, (self.seed, *parts))).encode()) / 2**32

    def _count(self, line: Line) -> None:
        if line["do"] == "begin":
            self.attempts[line["key"]] += 1
        elif line["do"] == "effect":
            self.effects[line["key"]] = line
            if line["what"] == "reserve":
                self.reserved[line["product"]] += line["quantity"]


class Attempt:
    """One attempt of a reaction or activity, as the ledger sees it: `with Attempt(ledger) as it`.

    What goes wrong in it depends on its idempotency key and on how many attempts were before it.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.info = activity.info()
        self.key = self.info.idempotency_key
        self.gives_events: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        self.token, self.before = self.ledger.begin(self.info)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        facts = {"error": kind.__name__} if kind is not None else {"gives": self.gives_events}
        self.ledger.end(self.token, self.key, facts)

    def dice(self, what: str) -> float:
        """Return a number in [0, 1) for one thing that may go wrong in this attempt."""
        return self.ledger.chance(self.key, self.before, what)

    def fate(self, what: str) -> float:
        """Return a number in [0, 1) for one thing that may go wrong in every attempt."""
        return self.ledger.chance(self.key, what)

    def effect(self, what: str, **facts: Any) -> Line:
        """Have an effect, once for the key of this attempt."""
        return self.ledger.effect(self.key, what, **facts)

    def gives(self, value: T) -> T:
        """Note which events this attempt returns, and return them."""
        events: list[Any] = list(value) if isinstance(value, (list, tuple)) else [value]
        for event in events:
            if event is not None:
                self._note(event)
        return value

    def publish(self, event: Event) -> None:
        """Publish an event with the result of this attempt."""
        self._note(event)
        activity.publish(event)

    def _note(self, event: Event) -> None:
        contract = contract_of(type(event))
        self.gives_events.append((contract.type, str(getattr(event, contract.key_field))))


def read_ledger(directory: Path) -> list[Line]:
    """Return the lines of a ledger, oldest first."""
    path = directory / FILE
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().splitlines()]
