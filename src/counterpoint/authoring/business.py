"""Business errors: outcomes that users define, with facts, that cross the journal intact."""

import inspect
import itertools
import typing
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, dataclass_transform
from weakref import WeakValueDictionary

from pydantic import ValidationError

from counterpoint.authoring.signature import Codec, describe_errors, object_codec
from counterpoint.errors import ArgumentsError, CounterpointError

_defined: "WeakValueDictionary[int, type[BusinessError]]" = WeakValueDictionary()
_count = itertools.count()


@dataclass_transform(kw_only_default=True)
class BusinessError(CounterpointError):
    """A business outcome that is not a success: never retried, typed, with facts.

    Subclasses declare their facts as annotated fields and take them by keyword:

        class PaymentDeclined(BusinessError):
            reason: str

        raise PaymentDeclined(reason="over the limit")

    Raised in an activity, it reaches the workflow as the same type with the same facts, live as on
    replay.

    Raises:
        ArgumentsError: the facts do not fit the fields.
    """

    recorded_name: ClassVar[str | None] = None
    _codec: ClassVar[Codec | None] = None
    _names: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, *, name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.recorded_name = name
        cls._codec = None
        _defined[next(_count)] = cls

    def __init__(self, **facts: Any) -> None:
        codec = self._facts_codec()
        for field in self._names:
            if field not in facts and hasattr(type(self), field):
                facts[field] = getattr(type(self), field)
        unknown = facts.keys() - self._names
        if unknown:
            raise ArgumentsError(
                f"{type(self).__name__} has no field {', '.join(sorted(unknown))}; "
                f"its fields are {', '.join(sorted(self._names)) or 'none'}",
                fields=sorted(unknown),
            )
        try:
            payload = codec.encode(facts)
            valid: Mapping[str, Any] = codec.decode(payload)
        except ValidationError as error:
            raise ArgumentsError(
                f"{type(self).__name__} does not accept these facts: {describe_errors(error)}"
            ) from error
        self.take_facts(payload, valid)

    def take_facts(self, payload: bytes, facts: Mapping[str, Any]) -> None:
        """Set the facts and their recorded form; for the engine."""
        self.payload = payload
        self.facts = dict(facts)
        self.__dict__.update(facts)
        self.args = (", ".join(f"{k}={v!r}" for k, v in facts.items()) or type(self).__name__,)

    @classmethod
    def _facts_codec(cls) -> Codec:
        if cls._codec is None:
            hints = {
                name: hint
                for name, hint in typing.get_type_hints(cls, include_extras=True).items()
                if typing.get_origin(hint) is not ClassVar
            }
            cls._names = frozenset(hints)
            cls._codec = object_codec(hints, f"the facts of {cls.__name__}")
        return cls._codec

    @classmethod
    def from_payload(cls, payload: bytes) -> "BusinessError":
        """Return the error that was recorded as *payload*.

        Raises:
            ArgumentsError, ValidationError: the facts no longer fit the fields.
        """
        error = cls.__new__(cls)
        error.take_facts(payload, cls._facts_codec().decode(payload))
        return error


def business_name(error: BusinessError, service: str) -> str:
    """Return the recorded name of a business error that *service* raised, or passes on."""
    passed_on: str | None = error.__dict__.get("recorded_as")
    return passed_on or type(error).recorded_name or f"{service}.{type(error).__name__}"


def business_type(name: str, near: Callable[..., Any]) -> type[BusinessError] | None:
    """Return the class behind a recorded name, or None.

    Looked for first in the module of *near*, the function that raised it or its caller, then among
    all subclasses, the one defined last first.
    """
    short = name.rsplit(".", 1)[-1]
    found = inspect.unwrap(near).__globals__.get(short) if hasattr(near, "__globals__") else None
    if isinstance(found, type) and issubclass(found, BusinessError):
        return found
    fits = [
        c for _, c in sorted(_defined.items()) if name == c.recorded_name or short == c.__name__
    ]
    return fits[-1] if fits else None
