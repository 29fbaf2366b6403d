"""What `@service.activity(...)`, `@service.workflow(...)` and `@service.on(...)` return, typed."""

import inspect
from collections.abc import Callable, Container, Coroutine
from datetime import timedelta
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, TypeVarTuple, Unpack, overload

from counterpoint.authoring.activity import Activity
from counterpoint.authoring.event import Contract, Event, declare
from counterpoint.authoring.functions import name_of
from counterpoint.authoring.reaction import OnDead, Reaction, Start
from counterpoint.authoring.started_by import StartedBy
from counterpoint.authoring.transactional import Elsewhere, Executes, TransactionalActivity
from counterpoint.authoring.transactions import transaction_of
from counterpoint.authoring.workflow import Workflow
from counterpoint.errors import DefinitionError
from counterpoint.model.cluster import Limit
from counterpoint.model.policies import OnUnknown, Rate, Retry

P = ParamSpec("P")
R = TypeVar("R")
X = TypeVar("X")
E = TypeVar("E", bound=Event)
T = TypeVar("T", bound=Executes)
Ts = TypeVarTuple("Ts")


class ActivityDecorator:
    """`@service.activity(...)`, typed for `async def` and for `def`."""

    def __init__(
        self,
        service: str,
        declared: dict[str, Activity[..., Any]],
        name: str | None,
        retry: Retry,
        timeout: timedelta | None,
        concurrency: int | None,
        at_most_once: bool,
        on_unknown: OnUnknown,
        emits: tuple[type[Event], ...] | None,
        *,
        rate: Rate | None = None,
        service_limits: tuple[Limit, ...] = (),
        taken: Container[str] = (),
    ) -> None:
        self.service = service
        self.declared = declared
        self.taken = taken
        self.emits = emits
        self.name = name
        self.retry = retry
        self.timeout = timeout
        self.concurrency = concurrency
        self.rate = rate
        self.service_limits = service_limits
        self.at_most_once = at_most_once
        self.on_unknown: OnUnknown = on_unknown

    @overload
    def __call__(
        self, function: Callable[Concatenate[Elsewhere, P], Coroutine[Any, Any, R]], /
    ) -> Activity[Concatenate[Any, P], R]: ...

    @overload
    def __call__(
        self, function: Callable[Concatenate[T, P], Coroutine[Any, Any, R]], /
    ) -> TransactionalActivity[T, P, R]: ...

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Activity[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> Activity[P, R]: ...

    def __call__(self, function: Callable[..., Any], /) -> Any:
        activity: Activity[..., Any] = _activity_class(function)(
            self.service,
            function,
            name=self.name,
            retry=self.retry,
            timeout=self.timeout,
            concurrency=self.concurrency,
            at_most_once=self.at_most_once,
            on_unknown=self.on_unknown,
            emits=self.emits,
            rate=self.rate,
            service_limits=self.service_limits,
        )
        if activity.name in self.declared:
            raise DefinitionError(f"two activities are called {activity.name}; pass name= to one")
        if activity.name in self.taken:
            raise DefinitionError(
                f"{activity.name} is declared twice: a service has an activity or a stub of a name"
            )
        self.declared[activity.name] = activity
        return activity


def _activity_class(function: Callable[..., Any]) -> type[Activity[..., Any]]:
    """Return the class that says how a function is called."""
    if inspect.isfunction(function) and transaction_of(function, name_of(function)) is not None:
        return TransactionalActivity
    return Activity


class WorkflowDecorator:
    """`@service.workflow(...)` and `@service.saga(...)`.

    Parameters are typed by position, as `app.start` takes them. Keyword-only ones have no position:
    a function that has some is accepted with its result typed and its arguments unchecked.
    """

    def __init__(
        self,
        service: str,
        declared: dict[str, Workflow[Any, Unpack[tuple[Any, ...]]]],
        name: str | None,
        version: int,
        deadline: timedelta | None,
        *,
        saga: bool,
        on: StartedBy | None,
        emits: tuple[type[Event], ...] | None,
        service_limits: tuple[Limit, ...] = (),
    ) -> None:
        self.service = service
        self.declared = declared
        self.on = on
        self.emits = emits
        self.name = name
        self.version = version
        self.deadline = deadline
        self.saga = saga
        self.service_limits = service_limits

    @overload
    def __call__(
        self, function: Callable[[Unpack[Ts]], Coroutine[Any, Any, R]], /
    ) -> Workflow[R, Unpack[Ts]]: ...

    @overload
    def __call__(
        self, function: Callable[..., Coroutine[Any, Any, R]], /
    ) -> Workflow[R, Unpack[tuple[Any, ...]]]: ...

    def __call__(
        self, function: Callable[..., Coroutine[Any, Any, R]], /
    ) -> Workflow[R, Unpack[tuple[Any, ...]]]:
        workflow: Workflow[R, Unpack[tuple[Any, ...]]] = Workflow(
            self.service,
            function,
            name=self.name,
            version=self.version,
            saga=self.saga,
            deadline=self.deadline,
            on=self.on,
            emits=self.emits,
            service_limits=self.service_limits,
        )
        if workflow.name in self.declared:
            raise DefinitionError(f"two workflows are called {workflow.name}; pass name= to one")
        self.declared[workflow.name] = workflow
        return workflow


class ReactionDecorator(Generic[E]):
    """`@service.on(...)`, typed for `async def` and for `def`."""

    def __init__(
        self,
        service: str,
        declared: dict[str, Reaction[Any, Any]],
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
        self.service = service
        self.declared = declared
        self.event = event
        self.name = name
        self.retry = retry
        self.timeout = timeout
        self.lane = lane
        self.on_dead: OnDead = on_dead
        self.start: Start = start
        self.concurrency = concurrency

    @overload
    def __call__(self, function: Callable[[E], Coroutine[Any, Any, X]], /) -> Reaction[E, X]: ...

    @overload
    def __call__(self, function: Callable[[E, T], Coroutine[Any, Any, X]], /) -> Reaction[E, X]: ...

    @overload
    def __call__(self, function: Callable[[T, E], Coroutine[Any, Any, X]], /) -> Reaction[E, X]: ...

    @overload
    def __call__(self, function: Callable[[E], X], /) -> Reaction[E, X]: ...

    def __call__(self, function: Callable[..., Any], /) -> Reaction[E, Any]:
        reaction: Reaction[E, Any] = Reaction(
            self.service,
            function,
            self.event,
            name=self.name,
            retry=self.retry,
            timeout=self.timeout,
            lane=self.lane,
            on_dead=self.on_dead,
            start=self.start,
            concurrency=self.concurrency,
        )
        if reaction.name in self.declared:
            raise DefinitionError(f"two reactions are called {reaction.name}; pass name= to one")
        self.declared[reaction.name] = reaction
        return reaction


class EventDecorator:
    """`@service.event(...)`: gives a class its contract and returns it."""

    def __init__(
        self,
        service: str,
        declared: dict[str, Contract],
        *,
        key: str,
        version: int,
        external: bool,
        name: str | None,
    ) -> None:
        self.service = service
        self.declared = declared
        self.key = key
        self.version = version
        self.external = external
        self.name = name

    def __call__(self, event_class: type[E], /) -> type[E]:
        _check_event_class(event_class)
        contract = Contract(
            self.service,
            event_class,
            key=self.key,
            version=self.version,
            external=self.external,
            name=self.name,
        )
        if contract.type in self.declared:
            raise DefinitionError(f"two events are called {contract.type}; pass name= to one")
        declare(contract)
        self.declared[contract.type] = contract
        return event_class


def _check_event_class(event_class: object) -> None:
    if not (isinstance(event_class, type) and issubclass(event_class, Event)):
        raise DefinitionError(
            f"{event_class!r} is no class that inherits from Event: class {name_of(event_class)}"
            "(Event)"
        )
    if event_class is Event:
        raise DefinitionError("Event itself is no event: declare a class that inherits from it")
