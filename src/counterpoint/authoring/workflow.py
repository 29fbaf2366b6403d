"""Workflows and sagas, as data."""

import inspect
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Generic, TypeVar, TypeVarTuple, Unpack

from counterpoint.authoring.activity import name_of
from counterpoint.authoring.signature import Signature, recorded_name
from counterpoint.errors import DefinitionError, NotInWorkflowError

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


class Workflow(Generic[R, Unpack[Ts]]):
    """A durable `async def`; made by `@service.workflow` or `@service.saga`.

    It is started by an app, never called:

        execution = await app.start(place_order, order, id=f"order-{order.id}")
    """

    def __init__(
        self,
        service: str,
        function: Callable[[Unpack[Ts]], Coroutine[Any, Any, R]],
        *,
        name: str | None,
        version: int,
        saga: bool,
        deadline: timedelta | None,
    ) -> None:
        self.function = function
        self.service = service
        self.name = recorded_name("a workflow", name or f"{service}.{name_of(function)}")
        self.version = version
        self.saga = saga
        self.deadline = deadline
        if not inspect.iscoroutinefunction(function):
            raise DefinitionError(f"{self.name}: a workflow is declared with `async def`")
        if version < 1:
            raise DefinitionError(f"{self.name}: version= is at least 1")
        if deadline is not None and deadline <= timedelta(0):
            raise DefinitionError(f"{self.name}: deadline= is a positive timedelta")
        self.signature = Signature(function, self.name)
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

    def __call__(self, *_: Unpack[Ts]) -> None:
        # Not NoReturn: type checkers would silently skip what follows `await place_order(...)`.
        raise NotInWorkflowError(
            f"{self.name} is a workflow: it is not called but started, with "
            f"`await app.run({self.function.__name__}, ...)` or `app.start`"
        )

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"

    @property
    def kind(self) -> str:
        """`saga` or `workflow`."""
        return "saga" if self.saga else "workflow"

    def resolve(self) -> None:
        """Build all codecs now.

        Raises:
            DefinitionError: a type cannot be resolved.
        """
        self.signature.resolve()
