"""Services: named participants that own activities, workflows, events and reactions."""

import re
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar, TypeVarTuple, Unpack, overload

from counterpoint.authoring.activity import DEFAULT_TIMEOUT, Activity
from counterpoint.authoring.decorators import (
    ActivityDecorator,
    EventDecorator,
    ReactionDecorator,
    WorkflowDecorator,
)
from counterpoint.authoring.event import Contract, Event, contract_of
from counterpoint.authoring.functions import limit_of
from counterpoint.authoring.reaction import OnDead, Reaction, Start
from counterpoint.authoring.started_by import EventId, started_by
from counterpoint.authoring.stub import Stub, StubDecorator
from counterpoint.authoring.transactional import Elsewhere, Executes, TransactionalActivity
from counterpoint.authoring.workflow import Workflow
from counterpoint.errors import DefinitionError
from counterpoint.model.ids import check_name
from counterpoint.model.policies import OnUnknown, Rate, Retry

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E", bound=Event)
T = TypeVar("T", bound=Executes)
Ts = TypeVarTuple("Ts")
Code = Callable[[Unpack[Ts]], Coroutine[Any, Any, R]]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


class Service:
    """A bounded context: a name under which what it owns is recorded.

    Services stand alone and are composed by an `App`:

        payments = Service("payments")

        @payments.activity
        async def authorize(order_id: str, amount: Decimal) -> Authorization: ...

    `concurrency` and `rate` bound the attempts of all its activities together, compensations
    included, on all nodes: how many run at once, and how many begin in a time.

    Raises:
        DefinitionError: the name is not a short word of letters, digits, `_` and `-`, or a limit
            makes no sense.
    """

    def __init__(
        self, name: str, *, concurrency: int | None = None, rate: Rate | None = None
    ) -> None:
        if check_name("a service", name) is not None or not _NAME.fullmatch(name):
            raise DefinitionError(
                f"{name!r} is not a service name: a letter, then letters, digits, '_' or '-', "
                "64 characters at most"
            )
        self.name = name
        limit = limit_of(name, concurrency, rate)
        self._limits = () if limit is None else (limit,)
        self.activities: dict[str, Activity[..., Any]] = {}
        self.stubs: dict[str, Stub[..., Any]] = {}
        self.workflows: dict[str, Workflow[Any, Unpack[tuple[Any, ...]]]] = {}
        self.contracts: dict[str, Contract] = {}
        self.reactions: dict[str, Reaction[Any, Any]] = {}

    def __repr__(self) -> str:
        return f"<service {self.name}>"

    # ---- activities ---------------------------------------------------------------------------

    @overload
    def activity(
        self, function: Callable[Concatenate[Elsewhere, P], Coroutine[Any, Any, R]], /
    ) -> Activity[Concatenate[Any, P], R]: ...

    @overload
    def activity(
        self, function: Callable[Concatenate[T, P], Coroutine[Any, Any, R]], /
    ) -> TransactionalActivity[T, P, R]: ...

    @overload
    def activity(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Activity[P, R]: ...

    @overload
    def activity(self, function: Callable[P, R], /) -> Activity[P, R]: ...

    @overload
    def activity(
        self,
        /,
        *,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: timedelta | None = DEFAULT_TIMEOUT,
        concurrency: int | None = None,
        rate: Rate | None = None,
        at_most_once: bool = False,
        on_unknown: OnUnknown = "incident",
        emits: Sequence[type[Event]] | None = None,
    ) -> ActivityDecorator: ...

    def activity(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: timedelta | None = DEFAULT_TIMEOUT,
        concurrency: int | None = None,
        rate: Rate | None = None,
        at_most_once: bool = False,
        on_unknown: OnUnknown = "incident",
        emits: Sequence[type[Event]] | None = None,
    ) -> Any:
        """Declare an activity: a function that does I/O, is retried, and whose result is recorded.

        `timeout` bounds one attempt (5 minutes; None has to be written to have no limit),
        `concurrency` how many attempts of it run at once and `rate` how many begin in a time, on
        all nodes. A `def` runs in a thread.

        With `at_most_once` it is called again only after it has said `NotDone`. Any other failure
        but a `BusinessError` leaves its outcome unknown: an incident asks a person, who answers
        with `resolve`; with `on_unknown="fail"` the workflow gets `ActivityFailed` instead.

        `emits` names the events that it may publish (`activity.publish`); without it, any.

        If its first parameter is a `counterpoint.Transaction`, what it writes in it is committed
        together with its result; a workflow calls it without that parameter.

        Raises:
            DefinitionError: a parameter has no annotation or name, or a limit makes no sense.
        """
        decorate = ActivityDecorator(
            self.name,
            self.activities,
            name,
            retry or Retry(),
            timeout,
            concurrency,
            at_most_once,
            on_unknown,
            _declared(f"an activity of {self.name}", emits),
            rate=rate,
            service_limits=self._limits,
            taken=self.stubs,
        )
        return decorate if function is None else decorate(function)

    @overload
    def stub(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Stub[P, R]: ...

    @overload
    def stub(self, function: Callable[P, R], /) -> Stub[P, R]: ...

    @overload
    def stub(self, /, *, name: str | None = None) -> StubDecorator: ...

    def stub(
        self, function: Callable[..., Any] | None = None, /, *, name: str | None = None
    ) -> Any:
        """Declare an activity of this service whose code is in another repository.

        The name and the types are those of the implementation; the body is never run. In a workflow
        it is called as the activity is, and a node that hosts the service does it. What undoes it
        is declared on it as on the implementation, also without a body:

            payments = Service("payments")

            @payments.stub
            async def authorize(order_id: str, amount: Decimal) -> Authorization: ...

            @authorize.compensation
            async def void(order_id: str, result: Authorization | None) -> None: ...

        Raises:
            DefinitionError: a parameter has no annotation or name, or the service has an activity
                of that name.
        """
        decorate = StubDecorator(self.name, self.stubs, self.activities, name)
        return decorate if function is None else decorate(function)

    # ---- workflows ----------------------------------------------------------------------------

    @overload
    def workflow(
        self, function: Callable[[Unpack[Ts]], Coroutine[Any, Any, R]], /
    ) -> Workflow[R, Unpack[Ts]]: ...

    @overload
    def workflow(
        self, function: Callable[..., Coroutine[Any, Any, R]], /
    ) -> Workflow[R, Unpack[tuple[Any, ...]]]: ...

    @overload
    def workflow(
        self,
        /,
        *,
        name: str | None = None,
        version: int = 1,
        deadline: timedelta | None = None,
        on: type[Event] | None = None,
        id: EventId | None = None,
        start: Start = "now",
        emits: Sequence[type[Event]] | None = None,
    ) -> WorkflowDecorator: ...

    def workflow(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        version: int = 1,
        deadline: timedelta | None = None,
        on: type[Event] | None = None,
        id: EventId | None = None,
        start: Start = "now",
        emits: Sequence[type[Event]] | None = None,
    ) -> Any:
        """Declare a workflow: a deterministic `async def` that decides what happens next.

        `deadline` raises `DeadlineExceeded` in it when that much time has passed since its start.
        `on`, `id`, `start` and `emits` are those of `saga`.

        Raises:
            DefinitionError: it is not `async def`, or a parameter has no annotation or name.
        """
        decorate = WorkflowDecorator(
            self.name,
            self.workflows,
            name,
            version,
            deadline,
            saga=False,
            on=started_by(on, id, start),
            emits=_declared(f"a workflow of {self.name}", emits),
            service_limits=self._limits,
        )
        return decorate if function is None else decorate(function)

    @overload
    def saga(
        self, function: Callable[[Unpack[Ts]], Coroutine[Any, Any, R]], /
    ) -> Workflow[R, Unpack[Ts]]: ...

    @overload
    def saga(
        self, function: Callable[..., Coroutine[Any, Any, R]], /
    ) -> Workflow[R, Unpack[tuple[Any, ...]]]: ...

    @overload
    def saga(
        self,
        /,
        *,
        name: str | None = None,
        version: int = 1,
        deadline: timedelta | None = None,
        on: type[Event] | None = None,
        id: EventId | None = None,
        start: Start = "now",
        emits: Sequence[type[Event]] | None = None,
    ) -> WorkflowDecorator: ...

    def saga(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        version: int = 1,
        deadline: timedelta | None = None,
        on: type[Event] | None = None,
        id: EventId | None = None,
        start: Start = "now",
        emits: Sequence[type[Event]] | None = None,
    ) -> Any:
        """Declare a saga: a workflow whose completed activities are undone when it fails.

        Compensations run newest first, once every call has settled; they are never dropped.

        With `on` it starts once for each event of that type, which is its argument; its id is
        `<saga>:<source>/<event id>` unless *id* makes another one of the event. `start` says where
        in the log it begins when it is first deployed, with what comes "now" or at the
        "beginning". `emits` names the events that it may publish (`workflow.publish`); without it,
        any.

        Raises:
            DefinitionError: it is not `async def`, or a parameter has no annotation or name.
        """
        decorate = WorkflowDecorator(
            self.name,
            self.workflows,
            name,
            version,
            deadline,
            saga=True,
            on=started_by(on, id, start),
            emits=_declared(f"a saga of {self.name}", emits),
            service_limits=self._limits,
        )
        return decorate if function is None else decorate(function)

    # ---- events -------------------------------------------------------------------------------

    def event(
        self,
        *,
        key: str,
        version: int = 1,
        external: bool = False,
        name: str | None = None,
    ) -> EventDecorator:
        """Declare an event of this service: a class that inherits from `Event`.

        `key` names the field whose value says which events have to stay in order: text, a whole
        number, a UUID or a member of an enumeration. A published version never changes: raise
        `version` and declare an upcaster. An `external` event is published by somebody outside.

            @orders.event(key="order_id")
            class OrderPlaced(Event):
                order_id: str

        Raises:
            DefinitionError: the class has an owner already, or the key or version cannot be one.
        """
        return EventDecorator(
            self.name, self.contracts, key=key, version=version, external=external, name=name
        )

    def on(
        self,
        event: type[E],
        /,
        *,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: timedelta | None = DEFAULT_TIMEOUT,
        lane: str = "",
        on_dead: OnDead = "park",
        start: Start = "now",
        concurrency: int | None = None,
    ) -> ReactionDecorator[E]:
        """Declare a reaction: what this service does when it hears of an event.

        It returns the events that follow; they and its success are recorded together, once for
        each event. Events of one key reach a service in order, one at a time, over all its
        reactions of a `lane`. A failing one is retried and blocks only its key; then the event is
        a dead letter, behind which later ones wait, unless `on_dead="skip"` lets them pass. `start`
        says where in the log it begins when it is first deployed.

            @payments.on(OrderPlaced)
            async def take_payment(event: OrderPlaced) -> PaymentAuthorized | PaymentRefused: ...

        Raises:
            DefinitionError: the event has no contract, the function takes something else, or its
                return annotation does not say which events follow.
        """
        contract_of(event)
        return ReactionDecorator(
            self.name,
            self.reactions,
            event,
            name=name,
            retry=retry or Retry(),
            timeout=timeout,
            lane=lane,
            on_dead=on_dead,
            start=start,
            concurrency=concurrency,
        )


def _declared(what: str, emits: Sequence[type[Event]] | None) -> tuple[type[Event], ...] | None:
    if emits is None:
        return None
    _check_is_list(what, emits)
    for event in emits:
        contract_of(event)
    return tuple(emits)


def _check_is_list(what: str, emits: object) -> None:
    if isinstance(emits, str) or not isinstance(emits, Sequence):
        raise DefinitionError(f"emits= of {what} takes a list of events, not {emits!r}")
