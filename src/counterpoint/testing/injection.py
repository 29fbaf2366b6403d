"""What happens to the attempts of an app under test: recorded, failed, delayed, held, replaced.

The app's registry is copied, and the functions in the copy are wrapped; the services that a user
declared are not touched, so that several harnesses can use them.

An attempt that waits for the harness is *parked*: the app counts as idle although it runs.
"""

import asyncio
import difflib
import functools
import inspect
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from counterpoint.authoring.activity import Activity
from counterpoint.authoring.attempt import RunningAttempt, current_attempt, info
from counterpoint.authoring.reaction import Reaction
from counterpoint.authoring.registry import Registry
from counterpoint.errors import DefinitionError
from counterpoint.runtime.attempt import Attempt
from counterpoint.testing.clock import VirtualClock, microseconds
from counterpoint.testing.works import Work, copied_registry

Target: TypeAlias = str | Activity[..., Any] | Reaction[Any, Any] | Callable[..., Any]
"""An activity, a compensation or a reaction: its recorded name, or what was declared."""


@dataclass(frozen=True, slots=True)
class AttemptCall:
    """One attempt that began: what was called with which arguments."""

    name: str
    """The recorded name, `service.function`."""
    arguments: dict[str, Any]
    """By name; of a compensation with `result` and `error`, where it takes them; of a reaction the
    event."""
    attempt: int
    idempotency_key: str
    execution_id: str
    at: datetime


class Abandoned(BaseException):
    """Ends a thread that waits for a harness which is over."""


class _Parking:
    """One attempt that waits for the harness, in a task or in a thread."""

    def __init__(self) -> None:
        self.waiting = True
        self._abandoned = False
        self._event = threading.Event()
        self._future: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        self._future = asyncio.get_running_loop().create_future()
        await self._future

    def wait_in_thread(self) -> None:
        self._event.wait()
        if self._abandoned:
            raise Abandoned

    def release(self, *, abandon: bool = False) -> None:
        self.waiting = False
        self._abandoned = abandon
        self._event.set()
        if self._future is not None and not self._future.done() and not abandon:
            self._future.set_result(None)


class Hold:
    """Attempts that hang: made by `harness.hang`; `release` lets them go on."""

    def __init__(self, times: int | None) -> None:
        self.left = times
        self.parkings: list[_Parking] = []

    @property
    def waiting(self) -> int:
        """How many attempts hang now."""
        return sum(parking.waiting for parking in self.parkings)

    def release(self) -> None:
        """Let those that hang run now, and hang no more."""
        self.left = 0
        for parking in self.parkings:
            parking.release()


@dataclass(slots=True)
class _Delay:
    by: timedelta
    left: int | None


@dataclass(slots=True)
class _Failure:
    error: BaseException | type[BaseException]
    after: bool
    left: int | None

    def fresh(self) -> BaseException:
        """Return the error without the traceback of an earlier attempt."""
        error = self.error if isinstance(self.error, BaseException) else self.error()
        return error.with_traceback(None)


_Rule: TypeAlias = Hold | _Delay | _Failure


@dataclass(slots=True)
class Injection:
    """The rules of one harness, by recorded name; the oldest rule that is not used up applies."""

    clock: VirtualClock
    calls: list[AttemptCall] = field(default_factory=list[AttemptCall])
    _rules: dict[str, deque[_Rule]] = field(default_factory=dict[str, deque[_Rule]])
    _works: dict[str, Work] = field(default_factory=dict[str, Work])
    _originals: dict[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])
    _functions: dict[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])
    _parked: dict[RunningAttempt | None, _Parking] = field(
        default_factory=dict[RunningAttempt | None, _Parking]
    )

    # ---- what the harness does ----------------------------------------------------------------

    def instrument(self, registry: Registry) -> Registry:
        """Return a copy of *registry* whose functions follow the rules."""
        copied, works = copied_registry(registry)
        self._works.clear()
        self._originals.clear()
        for work in works:
            self._add(work)
        return copied

    def name_of(self, target: Target) -> str:
        """Return the recorded name of what a test means.

        Raises:
            DefinitionError: the app has no such work; names what is near.
        """
        if isinstance(target, Activity | Reaction):
            name = target.name
        elif isinstance(target, str):
            name = target
        else:
            found = [
                name
                for name, original in self._originals.items()
                if target in (original, getattr(original, "__wrapped__", None))
            ]
            name = found[0] if found else getattr(target, "__qualname__", repr(target))
        if name not in self._works:
            near = difflib.get_close_matches(name, self._works) or sorted(self._works)
            raise DefinitionError(
                f"the app has no activity, compensation or reaction {name!r}; "
                f"it has {', '.join(near)}"
            )
        return name

    def add_failure(
        self,
        name: str,
        error: BaseException | type[BaseException],
        *,
        after: bool,
        times: int | None,
    ) -> None:
        """Raise *error* in the next attempts."""
        self._add_rule(name, _Failure(error, after, times))

    def add_delay(self, name: str, by: timedelta, times: int | None) -> None:
        """Let the next attempts wait in virtual time before they run."""
        self._add_rule(name, _Delay(by, times))

    def add_hold(self, name: str, times: int | None) -> Hold:
        """Let the next attempts hang."""
        hold = Hold(times)
        self._add_rule(name, hold)
        return hold

    def replace(self, name: str, function: Callable[..., Any]) -> None:
        """Run *function* instead."""
        self._functions[name] = function
        self._install(name)

    def restore(self, name: str | None) -> None:
        """Take back every rule and replacement of one name, or of all."""
        for each in list(self._works) if name is None else [name]:
            self._rules.pop(each, None)
            if self._functions.pop(each, None) is not None:
                self._install(each)

    def is_parked(self, attempt: Attempt) -> bool:
        """Whether an attempt waits for the harness, and for nothing else."""
        parking = self._parked.get(attempt)
        if parking is None or not parking.waiting or attempt.timed_out or attempt.reported:
            return False
        if attempt.thread is not None:
            return True  # nothing can cancel it
        return attempt.task is not None and not attempt.task.cancelling()

    def abandon(self) -> None:
        """Let go of everything that still waits: the app has stopped."""
        for parking in list(self._parked.values()):  # threads that are let go take theirs out
            parking.release(abandon=True)
        self._parked.clear()

    async def sleep(self, duration: timedelta) -> None:
        """Wait in virtual time, in an attempt."""
        parking = _Parking()
        self._park(parking)
        self._set_alarm(parking, duration)
        try:
            await parking.wait()
        finally:
            self._unpark(parking)

    # ---- inside -------------------------------------------------------------------------------

    def _add(self, work: Work) -> None:
        self._works[work.name] = work
        self._originals[work.name] = work.function
        self._install(work.name)

    def _add_rule(self, name: str, rule: _Rule) -> None:
        self._rules.setdefault(name, deque()).append(rule)

    def _install(self, name: str) -> None:
        """Give a copied definition the function that runs now, wrapped."""
        work = self._works[name]
        original = self._originals[name]
        function = self._functions.get(name, original)
        is_async = inspect.iscoroutinefunction(original) or inspect.iscoroutinefunction(function)
        work.is_async = is_async
        work.function = (
            self._wrap_async(name, original, function)
            if is_async
            else self._wrap(name, original, function)
        )

    def _wrap_async(
        self, name: str, original: Callable[..., Any], function: Callable[..., Any]
    ) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(original)
        async def attempted(**arguments: Any) -> Any:
            rule = self._enter(name, arguments)
            if isinstance(rule, Hold):
                parking = _Parking()
                rule.parkings.append(parking)
                self._park(parking)
                try:
                    await parking.wait()
                finally:
                    self._unpark(parking)
            elif isinstance(rule, _Delay):
                await self.sleep(rule.by)
            elif isinstance(rule, _Failure) and not rule.after:
                raise rule.fresh()
            value = function(**arguments)
            if inspect.isawaitable(value):
                value = await value
            if isinstance(rule, _Failure):
                raise rule.fresh()
            return value

        return attempted

    def _wrap(
        self, name: str, original: Callable[..., Any], function: Callable[..., Any]
    ) -> Callable[..., Any]:
        @functools.wraps(original)
        def attempted(**arguments: Any) -> Any:
            rule = self._enter(name, arguments)
            if isinstance(rule, Hold | _Delay):
                parking = _Parking()
                if isinstance(rule, Hold):
                    rule.parkings.append(parking)
                else:
                    self._set_alarm(parking, rule.by)
                self._park(parking)  # last: the harness goes on when it sees it
                try:
                    parking.wait_in_thread()
                finally:
                    self._unpark(parking)
            elif isinstance(rule, _Failure) and not rule.after:
                raise rule.fresh()
            value = function(**arguments)
            if isinstance(rule, _Failure):
                raise rule.fresh()
            return value

        return attempted

    def _enter(self, name: str, arguments: dict[str, Any]) -> _Rule | None:
        facts = info()
        self.calls.append(
            AttemptCall(
                name,
                arguments,
                facts.attempt,
                facts.idempotency_key,
                facts.execution_id,
                self.clock.time,
            )
        )
        rules = self._rules.get(name)
        while rules:
            rule = rules[0]
            if rule.left is None:
                return rule
            if rule.left > 0:
                rule.left -= 1
                return rule
            rules.popleft()
        return None

    def _park(self, parking: _Parking) -> None:
        self._parked[current_attempt.get()] = parking

    def _unpark(self, parking: _Parking) -> None:
        parking.waiting = False
        self._parked.pop(current_attempt.get(), None)

    def _set_alarm(self, parking: _Parking, duration: timedelta) -> None:
        at = self.clock.now() + microseconds(duration)
        self.clock.call_at(at, parking.release)
