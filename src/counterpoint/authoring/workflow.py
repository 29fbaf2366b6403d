"""Workflows and sagas, as data."""

import inspect
from collections.abc import Callable, Coroutine, Generator
from datetime import timedelta
from typing import Any, Generic, NoReturn, TypeVar, TypeVarTuple, Unpack, overload

from counterpoint.authoring.activity import DEFAULT_TIMEOUT
from counterpoint.authoring.call import Call, await_call, encode_call, execution_of
from counterpoint.authoring.compensation import Compensation, check_reserved
from counterpoint.authoring.event import Contract, Event
from counterpoint.authoring.functions import name_of
from counterpoint.authoring.reaction import accepts
from counterpoint.authoring.signature import Signature, recorded_name
from counterpoint.authoring.started_by import StartedBy
from counterpoint.errors import DefinitionError, NotInWorkflowError
from counterpoint.kernel.loop import WorkflowLoop, running_loop
from counterpoint.model.cluster import Limit
from counterpoint.model.policies import Retry

Ts = TypeVarTuple("Ts")
R_co = TypeVar("R_co", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])


class Workflow(Generic[R_co, Unpack[Ts]]):
    """A durable `async def`; made by `@service.workflow` or `@service.saga`.

    It is started by an app, or called by another workflow, whose child it becomes:

        execution = await app.start(place_order, order, id=f"order-{order.id}")
    """

    def __init__(
        self,
        service: str,
        function: Callable[[Unpack[Ts]], Coroutine[Any, Any, R_co]],
        *,
        name: str | None,
        version: int,
        saga: bool,
        deadline: timedelta | None,
        on: StartedBy | None = None,
        emits: tuple[type[Event], ...] | None = None,
        service_limits: tuple[Limit, ...] = (),
    ) -> None:
        self.function = function
        self.on = on
        """What starts it besides people and programs."""
        self.emits = emits
        """The events that it may publish; None for any."""
        self.service = service
        self.name = recorded_name("a workflow", name or f"{service}.{name_of(function)}")
        self.version = version
        self.saga = saga
        self.deadline = deadline
        self.service_limits = service_limits
        """Those of its service, which hold for what undoes it."""
        if not inspect.iscoroutinefunction(function):
            raise DefinitionError(f"{self.name}: a workflow is declared with `async def`")
        if version < 1:
            raise DefinitionError(f"{self.name}: version= is at least 1")
        if deadline is not None and deadline <= timedelta(0):
            raise DefinitionError(f"{self.name}: deadline= is a positive timedelta")
        self.signature = Signature(function, self.name)
        self.undo: Compensation | None = None
        required = [
            p.name
            for p in self.signature.parameters.values()
            if p.kind is p.KEYWORD_ONLY and p.default is p.empty
        ]
        if required:
            raise DefinitionError(
                f"{self.name}: app.start passes a workflow's arguments by position, so "
                f"{', '.join(required)} could never be given; take the * out of its parameters"
            )

    def __call__(self, *args: Unpack[Ts]) -> Call[R_co]:
        if type(running_loop()) is not WorkflowLoop:
            self._refuse()
        return Call(Child(self, None), args, {}, inspect.currentframe())

    def _refuse(self) -> NoReturn:
        raise NotInWorkflowError(
            f"{self.name} is a workflow: outside another one it is not called but started, with "
            f"`await app.run({self.function.__name__}, ...)` or `app.start`"
        )

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"

    @property
    def kind(self) -> str:
        """`saga` or `workflow`."""
        return "saga" if self.saga else "workflow"

    @overload
    def compensation(self, function: F, /) -> F: ...

    @overload
    def compensation(
        self,
        /,
        *,
        retry: Retry | None = None,
        timeout: timedelta | None = DEFAULT_TIMEOUT,
        name: str | None = None,
    ) -> Callable[[F], F]: ...

    def compensation(
        self,
        function: F | None = None,
        /,
        *,
        retry: Retry | None = None,
        timeout: timedelta | None = DEFAULT_TIMEOUT,
        name: str | None = None,
    ) -> F | Callable[[F], F]:
        """Declare how a call of this workflow, as a child, is undone when its parent fails.

        It takes the place of undoing the child's own steps; parameters are bound by name as those
        of an activity's compensation are: the workflow's own, `result` and `error`.

        Raises:
            DefinitionError: see `Activity.compensation`.
        """

        def declare(decorated: F) -> F:
            if self.undo is not None:
                raise DefinitionError(f"{self.name} already has a compensation: {self.undo.name}")
            check_reserved(self.name, self.signature)
            self.undo = Compensation(self, decorated, name=name, retry=retry, timeout=timeout)
            return decorated

        return declare if function is None else declare(function)

    def resolve(self) -> None:
        """Build all codecs now.

        Raises:
            DefinitionError: a type cannot be resolved, or a compensation's does not fit.
        """
        self.signature.resolve()
        if self.on is not None:
            self._check_takes_event(self.on.contract)
        if self.undo is not None:
            self.undo.resolve()

    def _check_takes_event(self, contract: Contract) -> None:
        hints = self.signature.hints()
        parameters = list(self.signature.parameters.values())
        required = [p.name for p in parameters if p.default is p.empty]
        first = parameters[0].name if parameters else None
        if (
            first is None
            or required not in ([], [first])
            or not accepts(hints[first], contract.event_class)
        ):
            event = contract.event_class.__name__
            raise DefinitionError(
                f"{self.name} is started by {event}: it takes the event, and nothing else without "
                f"a default: async def {name_of(self.function)}(event: {event})"
            )


class Child(Generic[R_co]):
    """A workflow as another one calls it, with the id that was chosen for the child."""

    def __init__(self, workflow: "Workflow[R_co, Unpack[tuple[Any, ...]]]", id: str | None) -> None:
        self.workflow = workflow
        self.name = workflow.name
        self.id = id

    def call_inside(
        self, owner: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Generator[Any, Any, R_co]:
        """Make a call in the workflow that *owner* runs, and return what waits for its outcome."""
        execution = execution_of(owner)
        workflow = self.workflow
        arguments = encode_call(execution, workflow.signature, self.name, args, kwargs)
        workflow.signature.decode_arguments(arguments)  # or its start would wait for ever
        number, future = execution.calls.schedule_child(
            self.name, arguments, saga=workflow.saga, given_id=self.id
        )
        return await_call(execution, number, future, self.name, workflow.signature)

    def direct(self, *_: object) -> Coroutine[Any, Any, R_co]:
        """Refuse: a call that was made in a workflow is awaited there."""
        raise NotInWorkflowError(f"the call of {self.name} is awaited outside its workflow")
