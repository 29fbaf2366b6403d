"""Activities as data: units of work of a service, recorded and retried in workflows."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator
from datetime import timedelta
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar, overload

from counterpoint.authoring.call import Call, await_call, encode_call, execution_of
from counterpoint.authoring.compensation import Compensation, check_reserved
from counterpoint.authoring.event import Event
from counterpoint.authoring.functions import check_function, check_limits, limit_of, name_of
from counterpoint.authoring.signature import Signature, recorded_name
from counterpoint.authoring.transactions import TransactionParameter, transaction_of
from counterpoint.errors import DefinitionError
from counterpoint.model.cluster import Limit
from counterpoint.model.policies import OnUnknown, Rate, Retry, StepPolicy
from counterpoint.model.times import microseconds

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_TIMEOUT = timedelta(minutes=5)


class Activity(Generic[P, R]):
    """One unit of work of a service; made by `@service.activity`.

    In a workflow a call is recorded and retried; anywhere else it is an ordinary call:

        authorization = await authorize(order.id, order.total)
    """

    is_stub: ClassVar[bool] = False
    """Its code is elsewhere: `authoring.stub`."""

    def __init__(
        self,
        service: str,
        function: Callable[P, Awaitable[R]] | Callable[P, R],
        *,
        name: str | None,
        retry: Retry,
        timeout: timedelta | None,
        concurrency: int | None,
        at_most_once: bool = False,
        on_unknown: OnUnknown = "incident",
        emits: tuple[type[Event], ...] | None = None,
        rate: Rate | None = None,
        service_limits: tuple[Limit, ...] = (),
    ) -> None:
        self.function = function
        self.emits = emits
        """The events that it may publish; None for any."""
        self.service = service
        self.name = recorded_name("an activity", name or f"{service}.{name_of(function)}")
        check_limits(self.name, retry, timeout, concurrency)
        if on_unknown not in ("incident", "fail"):
            raise DefinitionError(f'{self.name}: on_unknown= is "incident" or "fail"')
        if on_unknown == "fail" and not at_most_once:
            raise DefinitionError(f"{self.name}: on_unknown= is for at_most_once=True")
        self.retry = retry
        self.policy = StepPolicy(retry, at_most_once, on_unknown)
        self.timeout = timeout
        self.timeout_us = None if timeout is None else microseconds(timeout)
        self.concurrency = concurrency
        own = limit_of(self.name, concurrency, rate)
        self.service_limits = service_limits
        """Those of its service, which hold for what undoes it, too."""
        self.limits = service_limits if own is None else (own, *service_limits)
        self.is_async = check_function(function, self.name)
        self.transaction: TransactionParameter | None = transaction_of(
            function, self.name, first=True
        )
        """The parameter that is written together with the result, if it has one."""
        given = None if self.transaction is None else self.transaction.name
        self.signature = Signature(function, self.name, given=given)
        self.undo: Compensation | None = None
        check_reserved(self.name, self.signature)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> "Call[R]":
        return Call(self, args, kwargs, inspect.currentframe())

    def __repr__(self) -> str:
        return f"<activity {self.name}>"

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
        """Declare how a call of this activity is undone when its saga fails.

        Parameters are bound by name: any of the activity's own, `result` (None where the outcome is
        unknown) and `error` (the call's error, None where it completed). It is retried until it
        succeeds; `max_attempts` of its policy is its patience, after which a person is asked too.

            @authorize.compensation
            async def void(order_id: str, result: Authorization | None) -> None: ...

        Raises:
            DefinitionError: an unknown name, another type than the activity's, a `result` that
                cannot be None, or a second compensation; the message shows the right signature.
        """

        def declare(decorated: F) -> F:
            if self.undo is not None:
                raise DefinitionError(f"{self.name} already has a compensation: {self.undo.name}")
            if self.is_stub and (retry is not None or timeout is not DEFAULT_TIMEOUT):
                raise DefinitionError(
                    f"{self.name} is a stub: retry= and timeout= stand where the code of its "
                    "compensation does"
                )
            self.undo = Compensation(self, decorated, name=name, retry=retry, timeout=timeout)
            return decorated

        return declare if function is None else declare(function)

    def resolve(self) -> None:
        """Build all codecs now.

        Raises:
            DefinitionError: a type cannot be resolved, or a compensation's does not fit.
        """
        self.signature.resolve()
        if self.undo is not None:
            self.undo.resolve()

    def direct(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Coroutine[Any, Any, R]:
        """Return the function's own coroutine: nothing is recorded, nothing retried."""
        function: Any = self.function
        if self.is_async:
            coroutine: Coroutine[Any, Any, R] = function(*args, **kwargs)
            return coroutine
        return asyncio.to_thread(function, *args, **kwargs)

    def call_inside(
        self, owner: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Generator[Any, Any, R]:
        """Make a call in the workflow that *owner* runs, and return what waits for its outcome."""
        execution = execution_of(owner)
        arguments = encode_call(execution, self.signature, self.name, args, kwargs)
        number, future = execution.calls.schedule(self.name, arguments)
        return await_call(execution, number, future, self.name, self.signature)
