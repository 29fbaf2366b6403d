"""Compensations as data: how a call is undone, bound by name to what it was given and returned."""

import inspect
import types
import typing
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from counterpoint.authoring.functions import check_function, check_limits, name_of
from counterpoint.authoring.signature import Codec, Signature, object_codec, recorded_name
from counterpoint.authoring.transactions import TransactionParameter, transaction_of
from counterpoint.errors import DefinitionError
from counterpoint.model.cluster import Limit
from counterpoint.model.policies import Retry, StepPolicy
from counterpoint.model.records import Payload
from counterpoint.model.times import microseconds

RESERVED = ("result", "error")
"""Parameters of a compensation that are not the activity's own."""


class Undoable(Protocol):
    """What can be undone: an activity, or a workflow that others call."""

    service: str
    name: str
    signature: Signature
    service_limits: tuple[Limit, ...]

    @property
    def function(self) -> Callable[..., Any]:
        """What was decorated."""
        ...


class Compensation:
    """How calls of one activity or child workflow are undone; made by `@….compensation`."""

    def __init__(
        self,
        activity: Undoable,
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
        self.limits = activity.service_limits
        self.policy = StepPolicy(self.retry)
        self.is_async = check_function(function, self.name)
        self.transaction: TransactionParameter | None = transaction_of(function, self.name)
        given = None if self.transaction is None else self.transaction.name
        self.signature = Signature(function, self.name, given=given)
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


def check_reserved(name: str, signature: Signature) -> None:
    """Refuse a parameter whose name a compensation needs.

    Raises:
        DefinitionError: there is one.
    """
    for reserved in RESERVED:
        if reserved in signature.parameters:
            renamed = [
                str(p.replace(name=f"the_{p.name}", default=p.empty) if p.name == reserved else p)
                for p in signature.parameters.values()
            ]
            raise DefinitionError(
                f"{name}: a parameter cannot be called {reserved!r}, its compensation gets one by "
                f"that name; its signature can be: ({', '.join(renamed)})"
            )


def _without_none(hint: Any) -> Any:
    """Return a type hint with None taken out of its union."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint
    rest = [a for a in typing.get_args(hint) if a is not type(None)]
    return typing.Union[tuple(rest)] if rest else None  # noqa: UP007 - built at run time
