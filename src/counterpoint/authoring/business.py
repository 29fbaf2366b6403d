"""Business errors: outcomes that users define, with facts, that cross the journal intact."""

import functools
import inspect
import itertools
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform
from weakref import WeakValueDictionary

from pydantic import ValidationError

from counterpoint.authoring.signature import Codec, arguments_error, object_codec, recorded_name
from counterpoint.errors import ArgumentsError, CounterpointError, DefinitionError

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
    _names: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls, *, name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.recorded_name = None if name is None else recorded_name("a business error", name)
        cls._codec = None
        business_type.cache_clear()
        taken = [field for field in inspect.get_annotations(cls) if field in _TAKEN]
        if taken:
            raise DefinitionError(
                f"{cls.__name__}: errors have an attribute {taken[0]!r} of their own; "
                "choose another name for the field"
            )
        _defined[next(_count)] = cls

    def __init__(self, *positional: Any, **facts: Any) -> None:
        if positional:
            fields = ", ".join(f"{name}=..." for name in self._fields()) or "no fields declared"
            raise ArgumentsError(
                f"{type(self).__name__} takes its facts by keyword ({fields}), "
                f"not {positional[0]!r}"
            )
        codec = self._facts_codec()
        facts = {**self._defaults, **facts}
        unknown = facts.keys() - set(self._names)
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
            raise arguments_error(type(self).__name__, error, "facts") from error
        self.take_facts(payload, valid)

    @classmethod
    def _fields(cls) -> tuple[str, ...]:
        cls._facts_codec()
        return cls._names

    def recorded_facts(self) -> bytes:
        """Return the facts as they are recorded; for the engine.

        A subclass with an `__init__` of its own need not call this one: its fields are read from
        its attributes.

        Raises:
            AttributeError, ArgumentsError: a field was not set, or its value does not fit.
        """
        if "payload" not in self.__dict__:
            BusinessError.__init__(self, **{name: getattr(self, name) for name in self._fields()})
        payload: bytes = self.__dict__["payload"]
        return payload

    def take_facts(self, payload: bytes, facts: Mapping[str, Any]) -> None:
        """Set the facts and their recorded form; for the engine."""
        facts = {**self._defaults, **facts}
        own = {field: facts[field] for field in self._names}
        # Not by assignment: a subclass that is a frozen dataclass refuses that.
        self.__dict__.update({"payload": payload, "facts": own, **own})
        if TYPE_CHECKING:
            self.payload = payload
            self.facts = own
        words = ", ".join(f"{field}={value!r}" for field, value in own.items())
        object.__setattr__(self, "args", (words or type(self).__name__,))

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        """Copy and pickle by the recorded facts: an error's own way passes `args` by position."""
        return type(self).from_payload, (self.payload,), self.__dict__

    @classmethod
    def _facts_codec(cls) -> Codec:
        if cls._codec is None:
            try:
                declared = typing.get_type_hints(cls, include_extras=True)
            except NameError as error:
                raise DefinitionError(
                    f"{cls.__name__}: the annotation names {error.name!r}, which is not defined "
                    f"in the module {cls.__module__}"
                ) from error
            hints = {n: h for n, h in declared.items() if typing.get_origin(h) is not ClassVar}
            cls._names = tuple(hints)
            cls._defaults = {n: getattr(cls, n) for n in hints if hasattr(cls, n)}
            cls._codec = object_codec(hints, f"the facts of {cls.__name__}", cls._defaults)
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


_TAKEN = frozenset(dir(BusinessError)) | {"payload", "facts"}


def business_name(error: BusinessError, service: str) -> str:
    """Return the recorded name of a business error that *service* raised, or passes on."""
    passed_on: str | None = error.__dict__.get("recorded_as")
    return passed_on or type(error).recorded_name or f"{service}.{type(error).__name__}"


@functools.lru_cache(maxsize=1_000)
def business_type(name: str, near: Callable[..., Any]) -> type[BusinessError] | None:
    """Return the class behind a recorded name, or None.

    A class that was given this name with `name=` comes first, then the one that *near*, the
    function that raised it or its caller, sees under it. Of several others, the one is taken whose
    module is nearest to the function's, and of those the one defined last.
    """
    short = name.rsplit(".", 1)[-1]
    classes = [c for _, c in sorted(_defined.items(), reverse=True)]
    named = [c for c in classes if c.recorded_name == name]
    if named:
        return named[0]
    function: Any = inspect.unwrap(near)
    found = getattr(function, "__globals__", {}).get(short)
    if isinstance(found, type) and issubclass(found, BusinessError) and not found.recorded_name:
        return found
    fits = [c for c in classes if c.__name__ == short and c.recorded_name is None]
    home = str(getattr(function, "__module__", "")).split(".")
    return max(fits, key=lambda c: _shared(home, c.__module__.split(".")), default=None)


def _shared(one: list[str], other: list[str]) -> int:
    """Return how many packages two modules have in common."""
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(1 for _ in same)
