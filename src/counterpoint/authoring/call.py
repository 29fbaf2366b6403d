"""Calls that workflow code makes: awaitable once, numbered when they first run."""

import types
import warnings
from collections.abc import Coroutine, Generator
from typing import Any, Protocol, TypeVar, overload

from counterpoint.authoring.failures import call_error
from counterpoint.authoring.signature import Signature
from counterpoint.errors import NotInWorkflowError, PayloadTooLargeError
from counterpoint.kernel.execution import Execution
from counterpoint.kernel.loop import Future, WorkflowLoop, running_loop
from counterpoint.kernel.settled import MISSING, Completed, Settled
from counterpoint.model.records import ChildFailed, Payload

R_co = TypeVar("R_co", covariant=True)


class Callee(Protocol[R_co]):
    """What can be called: an activity, or a workflow as a child."""

    @property
    def name(self) -> str:
        """The recorded name."""
        ...

    def call_inside(
        self, owner: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Generator[Any, Any, R_co]:
        """Make a call in the workflow that *owner* runs, and return what waits for its outcome."""
        ...

    def direct(self, args: tuple[Any, ...], kwargs: dict[str, Any], /) -> Coroutine[Any, Any, R_co]:
        """Return the coroutine of a call anywhere else."""
        ...


class Call(Coroutine[Any, Any, R_co]):
    """A call of an activity or of a workflow that has not been awaited yet.

    It is a coroutine everywhere. In a workflow it hashes by the order of making, so that a set of
    calls iterates alike on replay, and it is numbered when it first runs.
    """

    __slots__ = ("_args", "_callee", "_generator", "_kwargs", "_made_at", "_number")

    def __init__(
        self,
        callee: Callee[R_co],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: types.FrameType | None,
    ) -> None:
        self._callee = callee
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
            raise RuntimeError(f"cannot reuse an already awaited call of {self._callee.name}")
        loop = running_loop()
        self._generator = _never()  # if what follows raises, it has been awaited all the same
        if type(loop) is WorkflowLoop:
            self._generator = self._callee.call_inside(loop.execution, self._args, self._kwargs)
        else:
            self._generator = self._callee.direct(self._args, self._kwargs).__await__()
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
            name = self._callee.name
            warnings.warn_explicit(
                f"the call of {name} was never awaited, so nothing happened: write `await`",
                RuntimeWarning,
                file,
                line,
            )

    def __repr__(self) -> str:
        return f"<call of {self._callee.name}>"


def _evicting() -> bool:
    loop = running_loop()
    return type(loop) is WorkflowLoop and loop.is_closed()


def _never() -> Generator[Any, Any, Any]:
    """The generator of a call that ended before it began."""
    yield


def execution_of(owner: object) -> Execution:
    """Return the execution whose code makes a call.

    Raises:
        NotInWorkflowError: it is no execution.
    """
    if not isinstance(owner, Execution):
        raise NotInWorkflowError("this event loop runs no execution")
    return owner


def encode_call(
    owner: Execution,
    signature: Signature,
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Payload:
    """Return the arguments of a call as they are recorded.

    Raises:
        ArgumentsError, PayloadError: they do not fit the parameters, or are too large.
    """
    arguments = signature.encode_arguments(args, kwargs)
    limit = owner.program.payload_bytes_max
    if len(bytes(arguments)) > limit:
        raise PayloadTooLargeError(
            f"the arguments of {name}", size_bytes=len(bytes(arguments)), limit_bytes=limit
        )
    return arguments


def await_call(
    owner: Execution,
    number: int,
    future: Future[Settled],
    name: str,
    signature: Signature,
) -> Generator[Any, Any, Any]:
    """Wait for a call's outcome; return its value or raise its error, as they were recorded."""
    try:
        settled = yield from future
    except BaseException:
        if future.cancelled():
            owner.calls.abandon(number)
        raise
    if not isinstance(settled, Completed):
        try:
            called = name
            if isinstance(settled, ChildFailed):
                called = owner.calls.child_ids.get(number, name)
            error = call_error(settled, called, signature.function)
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
    return value
