"""Stubs: activities of a service whose code lives in another repository, by name and types only."""

import inspect
from collections.abc import Awaitable, Callable, Container, Coroutine
from typing import Any, ClassVar, NoReturn, ParamSpec, TypeVar, overload

from counterpoint.authoring.activity import Activity
from counterpoint.authoring.call import Call
from counterpoint.errors import DefinitionError, NotInWorkflowError
from counterpoint.kernel.loop import WorkflowLoop, running_loop
from counterpoint.model.policies import Retry

P = ParamSpec("P")
R = TypeVar("R")


class Stub(Activity[P, R]):
    """An activity that other nodes have the code of; made by `@service.stub`.

    A workflow calls it like any activity, and the call goes to a node that hosts the
    implementation. Retries, timeout and limits are those of the implementation.
    """

    is_stub: ClassVar[bool] = True

    def __init__(
        self,
        service: str,
        function: Callable[P, Awaitable[R]] | Callable[P, R],
        *,
        name: str | None,
    ) -> None:
        super().__init__(
            service, function, name=name, retry=Retry(), timeout=None, concurrency=None
        )
        if self.transaction is not None:
            raise DefinitionError(
                f"{self.name} is a stub, which has what workflows pass: leave out "
                f"{self.transaction.name}"
            )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        if type(running_loop()) is not WorkflowLoop:
            self._refuse()
        return Call(self, args, kwargs, inspect.currentframe())

    def __repr__(self) -> str:
        return f"<stub {self.name}>"

    def direct(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Coroutine[Any, Any, R]:  # noqa: ARG002
        """Refuse: there is no code here that could run."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotInWorkflowError(
            f"{self.name} is a stub: its code is elsewhere, and only a workflow can call it, "
            "because the call travels to a node that has the code"
        )


class StubDecorator:
    """`@service.stub(...)`, typed for `async def` and for `def`."""

    def __init__(
        self,
        service: str,
        declared: dict[str, Stub[..., Any]],
        taken: Container[str],
        name: str | None,
    ) -> None:
        self.service = service
        self.declared = declared
        self.taken = taken
        self.name = name

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Stub[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> Stub[P, R]: ...

    def __call__(self, function: Callable[P, Awaitable[R]] | Callable[P, R], /) -> Stub[P, R]:
        stub: Stub[P, R] = Stub(self.service, function, name=self.name)
        if stub.name in self.taken or stub.name in self.declared:
            raise DefinitionError(
                f"{stub.name} is declared twice: a service has an activity or a stub of a name"
            )
        self.declared[stub.name] = stub
        return stub
