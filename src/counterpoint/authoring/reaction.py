"""Reactions as data: a service's handlers for events, and the events that follow from them."""

import asyncio
import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from counterpoint.authoring.event import Contract, Event, contract_of
from counterpoint.authoring.functions import check_function, check_limits, limit_of, name_of
from counterpoint.authoring.signature import recorded_name
from counterpoint.authoring.transactions import TransactionParameter, transaction_of
from counterpoint.errors import DefinitionError, PayloadError
from counterpoint.model.cluster import Limit
from counterpoint.model.ids import check_name
from counterpoint.model.policies import Retry, StepPolicy
from counterpoint.model.times import microseconds

E = TypeVar("E", bound=Event)
X = TypeVar("X")

Start: TypeAlias = Literal["now", "beginning"]
"""Where in the log a subscription begins that the store has not seen before."""
OnDead: TypeAlias = Literal["park", "skip"]
"""Whether later events of the key wait behind a dead letter, or pass it."""

_SHAPES = (
    "a reaction returns the events that follow from it: annotate it with `-> A | B` (one of them), "
    "`-> A | None` (perhaps), `-> tuple[A, B]` (both), `-> list[A | B]` (any number) or `-> None`"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a reaction may return."""

    kind: Literal["one", "both", "many"]
    parts: tuple[tuple[type[Event], ...], ...]
    """The classes that may stand at each place; `one` and `many` have a single place."""
    optional: bool = False

    @property
    def classes(self) -> tuple[type[Event], ...]:
        """Every class once, in the order of the annotation."""
        return tuple(dict.fromkeys(cls for part in self.parts for cls in part))

    def events(self, name: str, value: Any) -> tuple[Event, ...]:
        """Return the events in what the reaction returned.

        Raises:
            PayloadError: it is not what the annotation says.
        """
        if value is None:
            if self.optional:
                return ()
            raise self._refusal(name, value)
        if self.kind == "one":
            found: tuple[Any, ...] = (value,)
        elif issubclass(type(value), list if self.kind == "many" else tuple):
            found = tuple(value)
        else:
            raise self._refusal(name, value)
        places = self.parts * len(found) if self.kind == "many" else self.parts
        if len(found) != len(places):
            raise self._refusal(name, value)
        for event, allowed in zip(found, places, strict=True):
            if type(event) not in allowed:
                raise self._refusal(name, value)
        return found

    def _refusal(self, name: str, value: Any) -> PayloadError:
        returned = type(value).__name__
        if issubclass(type(value), list | tuple):
            returned += " of " + (", ".join(type(one).__name__ for one in value) or "nothing")
        return PayloadError(
            f"{name} returned {returned}, and its annotation says {self}: return what is declared, "
            "or declare what is returned"
        )

    def __str__(self) -> str:
        parts = [" | ".join(cls.__name__ for cls in part) for part in self.parts]
        if self.kind == "both":
            return f"tuple[{', '.join(parts)}]" + (" | None" if self.optional else "")
        if self.kind == "many":
            return f"list[{parts[0]}]" + (" | None" if self.optional else "")
        return " | ".join([*filter(None, parts), *(["None"] if self.optional else [])])


class Reaction(Generic[E, X]):
    """A service's handler for one type of event; made by `@service.on`.

        @payments.on(OrderPlaced)
        async def take_payment(event: OrderPlaced) -> PaymentAuthorized | PaymentRefused: ...

    Called by hand it is an ordinary function: nothing is recorded or published.
    """

    def __init__(
        self,
        service: str,
        function: Callable[[E], Awaitable[X]] | Callable[[E], X],
        event: type[E],
        *,
        name: str | None,
        retry: Retry,
        timeout: timedelta | None,
        lane: str,
        on_dead: OnDead,
        start: Start,
        concurrency: int | None,
    ) -> None:
        self.function = function
        self.service = service
        self.name = recorded_name("a reaction", name or f"{service}.{name_of(function)}")
        check_limits(self.name, retry, timeout, concurrency)
        check_start(self.name, start)
        if on_dead not in ("park", "skip"):
            raise DefinitionError(f'{self.name}: on_dead= is "park" or "skip"')
        if (wrong := check_name("a lane", lane)) is not None:
            raise DefinitionError(f"{self.name}: {wrong}")
        self.event = event
        self.contract: Contract = contract_of(event)
        self.retry = retry
        self.policy = StepPolicy(retry)
        self.timeout = timeout
        self.timeout_us = None if timeout is None else microseconds(timeout)
        self.lane = lane
        self.on_dead: OnDead = on_dead
        self.start: Start = start
        self.concurrency = concurrency
        own = limit_of(self.name, concurrency, None)
        self.limits: tuple[Limit, ...] = () if own is None else (own,)
        self.is_async = check_function(function, self.name)
        self.transaction: TransactionParameter | None = transaction_of(function, self.name)
        """The parameter that is written together with the mark and the events, if it has one."""
        self.parameter = self._only_parameter()
        self._shape: Shape | None = None
        with suppress(NameError):  # it names what comes further down in the module: see `resolve`
            self._shape = self._read_shape()

    def __call__(self, event: E, transaction: Any = None) -> Coroutine[Any, Any, X]:
        function: Any = self.function
        if self.transaction is not None:
            given = {self.parameter: event, self.transaction.name: transaction}
            in_transaction: Coroutine[Any, Any, X] = function(**given)
            return in_transaction
        if self.is_async:
            coroutine: Coroutine[Any, Any, X] = function(event)
            return coroutine
        return asyncio.to_thread(function, event)

    def __repr__(self) -> str:
        return f"<reaction {self.name}>"

    @property
    def shape(self) -> Shape:
        """What it may return."""
        if self._shape is None:
            try:
                self._shape = self._read_shape()
            except NameError as error:
                raise DefinitionError(
                    f"{self.name}: the annotation names {error.name!r}, which is not defined in "
                    f"the module {self.function.__module__}"
                ) from error
        return self._shape

    @property
    def emits(self) -> tuple[type[Event], ...]:
        """The events that may follow from it."""
        return self.shape.classes

    def resolve(self) -> None:
        """Read the annotation now.

        Raises:
            DefinitionError: it names what is not defined, or what is no declared event.
        """
        self.shape  # noqa: B018 - read on first use

    def _only_parameter(self) -> str:
        parameters = [
            p
            for p in inspect.signature(self.function).parameters.values()
            if (p.default is p.empty or p.name == "event")
            and (self.transaction is None or p.name != self.transaction.name)
        ]
        if len(parameters) != 1 or parameters[0].kind not in (
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            inspect.Parameter.POSITIONAL_ONLY,
        ):
            raise DefinitionError(
                f"{self.name}: a reaction takes the event and nothing else: "
                f"({name_of(self.function)}(event: {self.event.__name__}))"
            )
        return parameters[0].name

    def _read_shape(self) -> Shape:
        hints = self._hints()
        expected = hints.get(self.parameter)
        if expected is not None and not accepts(expected, self.event):
            raise DefinitionError(
                f"{self.name} is declared on {self.event.__name__} and takes {expected!r}: "
                f"annotate {self.parameter}: {self.event.__name__}"
            )
        if "return" not in hints:
            raise DefinitionError(f"{self.name} has no return annotation; {_SHAPES}")
        shape = shape_of(hints["return"])
        if shape is None:
            raise DefinitionError(f"{self.name} returns {hints['return']!r}; {_SHAPES}")
        for cls in shape.classes:
            try:
                contract_of(cls)
            except DefinitionError as error:
                raise DefinitionError(f"{self.name} returns {cls.__name__}: {error}") from None
        return shape

    def _hints(self) -> dict[str, Any]:
        try:
            return typing.get_type_hints(self.function)
        except NameError:
            raise
        except Exception as error:  # whatever an annotation that is code raises
            raise DefinitionError(
                f"{self.name}: its annotations cannot be read: {type(error).__name__}: {error}"
            ) from error


def shape_of(hint: Any) -> Shape | None:
    """Return what an annotation means, or None where it means nothing here."""
    hint = getattr(hint, "__value__", hint)  # an alias made by the `type` statement
    if hint is None or hint is types.NoneType:
        return Shape("one", ((),), optional=True)
    members = list(typing.get_args(hint)) if _is_union(hint) else [hint]
    optional = types.NoneType in members
    members = [member for member in members if member is not types.NoneType]
    if len(members) == 1 and typing.get_origin(members[0]) in (tuple, list):
        return _collection(members[0], optional=optional)
    classes = _classes(members)
    return None if classes is None else Shape("one", (classes,), optional)


def check_start(name: str, start: object) -> None:
    """Refuse what says nothing about where a subscription begins.

    Raises:
        DefinitionError: it is neither "now" nor "beginning".
    """
    if start not in ("now", "beginning"):
        raise DefinitionError(f'{name}: start= is "now" or "beginning", not {start!r}')


def _collection(hint: Any, *, optional: bool) -> Shape | None:
    arguments = typing.get_args(hint)
    parts = [_classes(typing.get_args(a) if _is_union(a) else [a]) for a in arguments]
    known = tuple(part for part in parts if part is not None)
    is_list = typing.get_origin(hint) is list
    if not known or len(known) != len(parts) or (is_list and len(parts) != 1):
        return None
    return Shape("many" if is_list else "both", known, optional)


def _classes(members: typing.Sequence[Any]) -> tuple[type[Event], ...] | None:
    if members and all(isinstance(m, type) and issubclass(m, Event) for m in members):
        return tuple(members)
    return None


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def accepts(expected: Any, event: type[Event]) -> bool:
    """Whether a parameter with that annotation takes events of that class."""
    members = typing.get_args(expected) if _is_union(expected) else [expected]
    return any(
        member is Any or (isinstance(member, type) and issubclass(event, member))
        for member in members
    )
