"""Services: named participants that own activities and workflows."""

import re
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar, TypeVarTuple, Unpack, overload

from counterpoint.authoring.activity import DEFAULT_TIMEOUT, Activity
from counterpoint.authoring.workflow import Workflow
from counterpoint.errors import DefinitionError
from counterpoint.model.ids import check_name
from counterpoint.model.policies import OnUnknown, Retry

P = ParamSpec("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")
Code = Callable[[Unpack[Ts]], Coroutine[Any, Any, R]]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


class Service:
    """A bounded context: a name under which activities and workflows are recorded.

    Services stand alone and are composed by an `App`:

        payments = Service("payments")

        @payments.activity
        async def authorize(order_id: str, amount: Decimal) -> Authorization: ...

    Raises:
        DefinitionError: the name is not a short word of letters, digits, `_` and `-`.
    """

    def __init__(self, name: str) -> None:
        if check_name("a service", name) is not None or not _NAME.fullmatch(name):
            raise DefinitionError(
                f"{name!r} is not a service name: a letter, then letters, digits, '_' or '-', "
                "64 characters at most"
            )
        self.name = name
        self.activities: dict[str, Activity[..., Any]] = {}
        self.workflows: dict[str, Workflow[Any, Unpack[tuple[Any, ...]]]] = {}

    def __repr__(self) -> str:
        return f"<service {self.name}>"

    # ---- activities ---------------------------------------------------------------------------

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
        at_most_once: bool = False,
        on_unknown: OnUnknown = "incident",
    ) -> "_ActivityDecorator": ...

    def activity(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: timedelta | None = DEFAULT_TIMEOUT,
        concurrency: int | None = None,
        at_most_once: bool = False,
        on_unknown: OnUnknown = "incident",
    ) -> Any:
        """Declare an activity: a function that does I/O, is retried, and whose result is recorded.

        `timeout` bounds one attempt (5 minutes; None has to be written to have no limit) and
        `concurrency` how many attempts of it run at once on a node. A `def` runs in a thread.

        With `at_most_once` it is called again only after it has said `NotDone`. Any other failure
        but a `BusinessError` leaves its outcome unknown: an incident asks a person, who answers
        with `resolve`; with `on_unknown="fail"` the workflow gets `ActivityFailed` instead.

        Raises:
            DefinitionError: a parameter has no annotation or name, or a limit makes no sense.
        """
        decorate = _ActivityDecorator(
            self, name, retry or Retry(), timeout, concurrency, at_most_once, on_unknown
        )
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
    ) -> "_WorkflowDecorator": ...

    def workflow(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        version: int = 1,
        deadline: timedelta | None = None,
    ) -> Any:
        """Declare a workflow: a deterministic `async def` that decides what happens next.

        `deadline` raises `DeadlineExceeded` in it when that much time has passed since its start.

        Raises:
            DefinitionError: it is not `async def`, or a parameter has no annotation or name.
        """
        decorate = _WorkflowDecorator(self, name, version, deadline, saga=False)
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
    ) -> "_WorkflowDecorator": ...

    def saga(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        version: int = 1,
        deadline: timedelta | None = None,
    ) -> Any:
        """Declare a saga: a workflow whose completed activities are undone when it fails.

        Compensations run newest first, once every call has settled; they are never dropped.

        Raises:
            DefinitionError: it is not `async def`, or a parameter has no annotation or name.
        """
        decorate = _WorkflowDecorator(self, name, version, deadline, saga=True)
        return decorate if function is None else decorate(function)


class _ActivityDecorator:
    """`@service.activity(...)`, typed for `async def` and for `def`."""

    def __init__(
        self,
        service: Service,
        name: str | None,
        retry: Retry,
        timeout: timedelta | None,
        concurrency: int | None,
        at_most_once: bool,
        on_unknown: OnUnknown,
    ) -> None:
        self.service = service
        self.name = name
        self.retry = retry
        self.timeout = timeout
        self.concurrency = concurrency
        self.at_most_once = at_most_once
        self.on_unknown: OnUnknown = on_unknown

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Activity[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> Activity[P, R]: ...

    def __call__(self, function: Callable[P, Awaitable[R]] | Callable[P, R], /) -> Activity[P, R]:
        activity: Activity[P, R] = Activity(
            self.service.name,
            function,
            name=self.name,
            retry=self.retry,
            timeout=self.timeout,
            concurrency=self.concurrency,
            at_most_once=self.at_most_once,
            on_unknown=self.on_unknown,
        )
        if activity.name in self.service.activities:
            raise DefinitionError(f"two activities are called {activity.name}; pass name= to one")
        self.service.activities[activity.name] = activity
        return activity


class _WorkflowDecorator:
    """`@service.workflow(...)` and `@service.saga(...)`.

    Parameters are typed by position, as `app.start` takes them. Keyword-only ones have no position:
    a function that has some is accepted with its result typed and its arguments unchecked.
    """

    def __init__(
        self,
        service: Service,
        name: str | None,
        version: int,
        deadline: timedelta | None,
        *,
        saga: bool,
    ) -> None:
        self.service = service
        self.name = name
        self.version = version
        self.deadline = deadline
        self.saga = saga

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
            self.service.name,
            function,
            name=self.name,
            version=self.version,
            saga=self.saga,
            deadline=self.deadline,
        )
        if workflow.name in self.service.workflows:
            raise DefinitionError(f"two workflows are called {workflow.name}; pass name= to one")
        self.service.workflows[workflow.name] = workflow
        return workflow
