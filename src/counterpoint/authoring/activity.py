"""Activities and their compensations, as data, and the calls that workflow code makes."""

import asyncio
import inspect
import types
import typing
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Generator
from datetime import timedelta
from typing import Any, Generic, ParamSpec, TypeVar, overload

from pydantic import TypeAdapter, ValidationError

from counterpoint.authoring.failures import call_error
from counterpoint.authoring.signature import Codec, Signature, object_codec, recorded_name
from counterpoint.errors import DefinitionError, NotInWorkflowError, PayloadTooLargeError
from counterpoint.kernel.execution import Execution
from counterpoint.kernel.loop import WorkflowLoop, running_loop
from counterpoint.kernel.settled import MISSING
from counterpoint.model.policies import Retry
from counterpoint.model.records import CallFailed, Payload
from counterpoint.model.times import microseconds

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_TIMEOUT = timedelta(minutes=5)
RESERVED = ("result", "error")


class Activity(Generic[P, R]):
    """One unit of work of a service; made by `@service.activity`.

    In a workflow a call is recorded and retried; anywhere else it is an ordinary call:

        authorization = await authorize(order.id, order.total)
    """

    def __init__(
        self,
        service: str,
        function: Callable[P, Awaitable[R]] | Callable[P, R],
        *,
        name: str | None,
        retry: Retry,
        timeout: timedelta | None,
        concurrency: int | None,
    ) -> None:
        self.function = function
        self.service = service
        self.name = recorded_name("an activity", name or f"{service}.{name_of(function)}")
        check_limits(self.name, retry, timeout, concurrency)
        self.retry = retry
        self.timeout = timeout
        self.timeout_us = None if timeout is None else microseconds(timeout)
        self.concurrency = concurrency
        self.is_async = check_function(function, self.name)
        self.signature = Signature(function, self.name)
        self.undo: Compensation | None = None
        for reserved in RESERVED:
            if reserved in self.signature.parameters:
                raise DefinitionError(
                    f"{self.name}: a parameter cannot be called {reserved!r}, "
                    "its compensation gets one by that name; choose another"
                )

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


class Compensation:
    """How calls of one activity are undone; made by `@activity.compensation`."""

    def __init__(
        self,
        activity: Activity[Any, Any],
        function: Callable[..., Any],
        *,
        name: str | None,
        retry: Retry | None,
        timeout: timedelta | None,
    ) -> None:
        self.activity = activity
        self.function = function
        self.service = activity.service
        name = name or f"{activity.service}.{name_of(function)}"
        self.name = recorded_name("a compensation", name)
        self.retry = retry or Retry()
        check_limits(self.name, self.retry, timeout, None)
        self.timeout = timeout
        self.timeout_us = None if timeout is None else microseconds(timeout)
        self.concurrency: int | None = None
        self.is_async = check_function(function, self.name)
        self.signature = Signature(function, self.name)
        self._codecs: tuple[Codec, Codec | None] | None = None
        self._defaults: dict[str, Any] = {}
        own = activity.signature.parameters
        unknown = [n for n in self.signature.names if n not in own and n not in RESERVED]
        if unknown:
            raise DefinitionError(
                f"{self.name} undoes {activity.name}, which has no {', '.join(unknown)}; "
                f"its signature can be: {self.right_signature()}"
            )
        try:
            for declared in (function, activity.function):
                typing.get_type_hints(declared)
        except NameError:
            return  # declared further down; the app checks again when it is built
        self.resolve()

    def right_signature(self) -> str:
        """Return the widest signature that a compensation of the activity can have."""
        own = [str(p.replace(default=p.empty)) for p in self.activity.signature.parameters.values()]
        hint = self.activity.signature.signature.return_annotation
        text = inspect.formatannotation(hint) if hint is not inspect.Signature.empty else "Any"
        result = text if "None" in text else f"{text} | None"
        return f"({', '.join([*own, f'result: {result}', 'error: Exception | None'])})"

    def resolve(self) -> None:
        """Check the types against the activity's and build the codecs.

        Raises:
            DefinitionError: a type differs, or `result` cannot be None.
        """
        if self._codecs is not None:
            return
        hints = self.signature.hints()
        own = self.activity.signature.hints()
        for name in self.signature.names:
            if name not in RESERVED and hints[name] != own[name]:
                raise DefinitionError(
                    f"{self.name}: {name!r} has another type than in {self.activity.name}; "
                    f"its signature can be: {self.right_signature()}"
                )
        result: Codec | None = None
        if "result" in hints:
            self._check_result(hints["result"], own.get("return", Any))
            result = Codec(hints["result"], f"the result of {self.activity.name}")
        fields = {n: hints[n] for n in self.signature.names if n not in RESERVED}
        self._defaults = {n: d for n, d in self.activity.signature.defaults.items() if n in fields}
        own_codec = object_codec(fields, f"the arguments of {self.name}", self._defaults)
        self._codecs = own_codec, result

    @property
    def codecs(self) -> tuple[Codec, Codec | None]:
        """The codecs of the activity's own arguments and of its result."""
        if self._codecs is None:
            self.resolve()
            return self.codecs
        return self._codecs

    def _check_result(self, hint: Any, returned: Any) -> None:
        try:
            TypeAdapter(hint).validate_python(None)
        except ValidationError:
            raise DefinitionError(
                f"{self.name}: `result` is None when nobody knows whether {self.activity.name} "
                f"happened, so its type must allow that: {self.right_signature()}"
            ) from None
        if Any not in (hint, returned) and _without_none(hint) != _without_none(returned):
            raise DefinitionError(
                f"{self.name}: `result` has another type than {self.activity.name} returns; "
                f"its signature can be: {self.right_signature()}"
            )

    def bind(
        self, arguments: Payload, result: Payload | None, error: Exception | None
    ) -> dict[str, Any]:
        """Return the keyword arguments for one call to undo, decoded from what it recorded.

        Raises:
            ValidationError: recorded values no longer fit the types.
        """
        own, of_result = self.codecs
        bound: dict[str, Any] = {**self._defaults, **own.decode(arguments)}
        if of_result is not None:
            bound["result"] = None if result is None else of_result.decode(result)
        if "error" in self.signature.parameters:
            bound["error"] = error
        return bound


class Call(Coroutine[Any, Any, R_co]):
    """A call of an activity that has not been awaited yet.

    It is a coroutine everywhere. In a workflow it hashes by the order of making, so that a set of
    calls iterates alike on replay, and it is numbered when it first runs.
    """

    __slots__ = ("_activity", "_args", "_generator", "_kwargs", "_made_at", "_number")

    def __init__(
        self,
        activity: Activity[Any, R_co],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: types.FrameType | None,
    ) -> None:
        self._activity = activity
        self._args = args
        self._kwargs = kwargs
        self._generator: Generator[Any, Any, R_co] | None = None
        loop = running_loop()
        self._number = loop.next_number() if type(loop) is WorkflowLoop else 0
        maker = frame.f_back if frame is not None else None
        self._made_at = (maker.f_code.co_filename, maker.f_lineno) if maker is not None else ("", 0)

    def __hash__(self) -> int:
        return self._number or id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __await__(self) -> Generator[Any, Any, R_co]:
        if self._generator is not None:
            raise RuntimeError(f"cannot reuse an already awaited call of {self._activity.name}")
        loop = running_loop()
        self._generator = _never()  # if what follows raises, it has been awaited all the same
        if type(loop) is WorkflowLoop:
            self._generator = _call_in_workflow(
                loop.execution, self._activity, self._args, self._kwargs
            )
        else:
            self._generator = self._activity.direct(self._args, self._kwargs).__await__()
        return self._generator

    def send(self, value: Any) -> Any:
        return (self._generator or self.__await__()).send(value)

    @overload
    def throw(
        self, typ: type[BaseException], val: object = None, tb: types.TracebackType | None = None, /
    ) -> Any: ...

    @overload
    def throw(
        self, typ: BaseException, val: None = None, tb: types.TracebackType | None = None, /
    ) -> Any: ...

    def throw(self, typ: Any, val: Any = None, _tb: types.TracebackType | None = None, /) -> Any:
        error = typ if isinstance(typ, BaseException) else typ(*([] if val is None else [val]))
        if self._generator is None:
            self._generator = _never()
        return self._generator.throw(error)

    def close(self) -> None:
        if self._generator is None:
            self._generator = _never()
        self._generator.close()

    def __del__(self) -> None:
        if self._generator is None and not _evicting():
            file, line = self._made_at
            name = self._activity.name
            warnings.warn_explicit(
                f"the call of {name} was never awaited, so nothing happened: write `await`",
                RuntimeWarning,
                file,
                line,
            )

    def __repr__(self) -> str:
        return f"<call of {self._activity.name}>"


def _evicting() -> bool:
    loop = running_loop()
    return type(loop) is WorkflowLoop and loop.is_closed()


def _never() -> Generator[Any, Any, Any]:
    """The generator of a call that ended before it began."""
    yield


def _call_in_workflow(
    owner: object, activity: Activity[Any, R], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Generator[Any, Any, R]:
    if not isinstance(owner, Execution):
        raise NotInWorkflowError("this event loop runs no execution")
    signature = activity.signature
    arguments = signature.encode_arguments(args, kwargs)
    limit = owner.program.payload_bytes_max
    if len(bytes(arguments)) > limit:
        raise PayloadTooLargeError(
            f"the arguments of {activity.name}",
            size_bytes=len(bytes(arguments)),
            limit_bytes=limit,
        )
    number, future = owner.schedule(activity.name, arguments)
    try:
        settled = yield from future
    except BaseException:
        if future.cancelled():
            owner.abandon(number)
        raise
    if isinstance(settled, CallFailed):
        try:
            error = call_error(settled, activity.name, activity.function)
        except Exception as unreadable:  # noqa: BLE001 - whatever a user's type raises
            owner.unreadable(f"the recorded error of call {number}", unreadable, number)
            yield from owner.loop.new_future()
            raise AssertionError("a halted workflow went on") from None
        raise error
    value = settled.value
    if value is MISSING:
        try:
            value = signature.result.decode(settled.result)
        except Exception as unreadable:  # noqa: BLE001 - whatever a user's type raises
            owner.unreadable(f"the recorded result of call {number}", unreadable, number)
            yield from owner.loop.new_future()
    decoded: R = value
    return decoded


def name_of(function: Any) -> str:
    """Return a function's name, or what stands for it in an error about what is no function."""
    return str(getattr(function, "__name__", type(function).__name__))


def check_function(function: Callable[..., Any], name: str) -> bool:
    """Return whether *function* is `async def`; refuse what is neither that nor `def`."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise DefinitionError(f"{name} is a generator: return a value, do not yield several")
    if not inspect.isfunction(function):
        raise DefinitionError(f"{name} is not a function declared with `def` or `async def`")
    return inspect.iscoroutinefunction(function)


def check_limits(name: str, retry: Any, timeout: Any, concurrency: int | None) -> None:
    """Refuse limits that are of another type, or would never let anything run."""
    if not isinstance(retry, Retry):
        raise DefinitionError(f"{name}: retry= takes a Retry, not {retry!r}: Retry(max_attempts=3)")
    if timeout is not None and not isinstance(timeout, timedelta):
        raise DefinitionError(f"{name}: timeout={timeout!r} is no timedelta: timedelta(seconds=5)")
    if timeout is not None and timeout <= timedelta(0):
        raise DefinitionError(f"{name}: timeout= is a positive timedelta, or None for no limit")
    if concurrency is not None and concurrency < 1:
        raise DefinitionError(f"{name}: concurrency= is at least 1")


def _without_none(hint: Any) -> Any:
    """Return a type hint with None taken out of its union."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint
    rest = [a for a in typing.get_args(hint) if a is not type(None)]
    return typing.Union[tuple(rest)] if rest else None  # noqa: UP007 - built at run time
