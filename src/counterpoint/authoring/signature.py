"""A function's parameters and result as codecs between Python values and recorded JSON.

Arguments are recorded as a JSON object by parameter name, defaults included, so that a later
change of order or of defaults does not change what was recorded. Types are resolved when they are
first needed, at the latest when the app is built, so that they may be declared further down in the
module.
"""

import inspect
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, NotRequired

import msgspec
from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError
from typing_extensions import TypedDict

from counterpoint.errors import ArgumentsError, DefinitionError, PayloadError
from counterpoint.model.ids import check_name
from counterpoint.model.records import Payload

_CONFIG = ConfigDict(
    arbitrary_types_allowed=False,
    ser_json_inf_nan="strings",
    ser_json_bytes="base64",
    val_json_bytes="base64",
)
_TypedDict: Any = TypedDict
_REPLACED = "\ufffd".encode()
_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def recorded_name(what: str, name: str) -> str:
    """Return the name under which a definition is recorded.

    Raises:
        DefinitionError: it is no text, cannot be written as UTF-8, or is too long.
    """
    refused = check_name(what, name)
    if refused is not None:
        raise DefinitionError(f"{refused}; pass another with name=")
    return str.__str__(name)


class Codec:
    """Encodes and decodes values of one declared type."""

    __slots__ = ("_plain", "_read", "_validate", "_write", "what")

    def __init__(self, hint: Any, what: str) -> None:
        self.what = what
        try:
            adapter = _adapter(hint)
        except Exception as error:
            raise DefinitionError(
                f"{what}: Pydantic cannot validate {hint!r} ({_first_line(error)}). "
                "Use a type that it knows: builtins, dataclasses, TypedDicts, Pydantic models"
            ) from error
        self._write = adapter.serializer.to_json
        self._plain = adapter.serializer.to_python
        self._read = adapter.validator.validate_json
        self._validate = adapter.validator.validate_python

    def encode(self, value: Any) -> bytes:
        """Return *value* as JSON.

        Raises:
            ValidationError: it is not of the declared type and cannot be made so.
            PayloadError: it is, and cannot be written.
        """
        try:
            body: bytes = self._write(value, warnings="error", by_alias=True)
            return self._checked(body, value) if _REPLACED in body else body
        except (PydanticSerializationError, ValueError, RecursionError):
            pass
        valid = self._validate(value)
        try:
            return self._checked(self._write(valid, warnings="error", by_alias=True), valid)
        except (PydanticSerializationError, ValueError, RecursionError) as error:
            raise PayloadError(f"{self.what} cannot be recorded: {error}") from error

    def _checked(self, body: bytes, value: Any) -> bytes:
        # Pydantic writes keys of dicts that are not UTF-8 with U+FFFD in them: another key.
        if _REPLACED in body and _holds_surrogates(self._plain(value)):
            raise PayloadError(f"{self.what} cannot be recorded: a key in it is not UTF-8")
        return body

    def decode(self, payload: Payload | bytes) -> Any:
        """Return the value that *payload* records.

        Raises:
            ValidationError: it is not of the declared type.
        """
        return self._read(bytes(payload))


class Signature:
    """The parameters and the result of one function, in recorded form."""

    def __init__(
        self, function: Callable[..., Any], name: str, *, given: str | None = None
    ) -> None:
        """*given* names a parameter that is no argument: whoever runs the function gives it."""
        self.function = function
        self.name = name
        declared = inspect.signature(function)
        kept = [p for p in declared.parameters.values() if p.name != given]
        self.signature = declared if given is None else declared.replace(parameters=kept)
        self.parameters = self.signature.parameters
        self._codecs: tuple[Codec, Codec] | None = None
        self.names = tuple(self.parameters)
        self.positional = sum(
            p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for p in self.parameters.values()
        )
        self.defaults = {
            p.name: p.default for p in self.parameters.values() if p.default is not p.empty
        }
        for parameter in self.parameters.values():
            if parameter.kind not in _KINDS:
                raise DefinitionError(
                    f"{name}: the parameter {parameter} has no name to record it under; "
                    "use named parameters, and a list or dict for any number of values"
                )
            if parameter.annotation is parameter.empty:
                raise DefinitionError(
                    f"{name}: the parameter {parameter.name!r} needs a type annotation, "
                    "it tells how the value is recorded and validated"
                )

    def hints(self) -> dict[str, Any]:
        """Return the resolved annotations.

        Raises:
            DefinitionError: a name in them is not defined.
        """
        try:
            return typing.get_type_hints(self.function, include_extras=True)
        except NameError as error:
            raise DefinitionError(
                f"{self.name}: the annotation names {error.name!r}, which is not defined "
                f"in the module {self.function.__module__}"
            ) from error

    def resolve(self) -> tuple[Codec, Codec]:
        """Build the codecs of arguments and result now; repeated calls cost nothing.

        Raises:
            DefinitionError: a type is unknown to Pydantic or cannot be resolved.
        """
        if self._codecs is None:
            hints = self.hints()
            fields = {name: hints[name] for name in self.names}
            self._codecs = (
                object_codec(fields, f"the arguments of {self.name}", self.defaults),
                Codec(hints.get("return", Any), f"the result of {self.name}"),
            )
        return self._codecs

    @property
    def arguments(self) -> Codec:
        """The codec of the arguments, a JSON object by name."""
        return (self._codecs or self.resolve())[0]

    @property
    def result(self) -> Codec:
        """The codec of the result."""
        return (self._codecs or self.resolve())[1]

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments by name, defaults included, in the order of the parameters.

        Raises:
            TypeError: as a call of the function would.
        """
        if not kwargs and len(args) == len(self.names) == self.positional:
            return dict(zip(self.names, args, strict=True))
        if len(args) <= self.positional and len(args) + len(kwargs) == len(self.names):
            rest = self.names[len(args) :]
            if all(name in kwargs for name in rest):
                bound = dict(zip(self.names, args, strict=False))
                for name in rest:
                    bound[name] = kwargs[name]
                return bound
        try:
            named = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}") from None
        given = named.arguments
        return {n: given[n] if n in given else self.defaults[n] for n in self.names}

    def encode_arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Payload:
        """Bind and encode a call's arguments.

        Raises:
            TypeError: they do not bind.
            ArgumentsError: a value is not of its parameter's type; names the fields.
            PayloadError: a value cannot be written.
        """
        bound = self.bind(args, kwargs)
        try:
            return msgspec.Raw(self.arguments.encode(bound))
        except ValidationError as error:
            raise arguments_error(self.name, error) from error

    def decode_arguments(self, payload: Payload) -> dict[str, Any]:
        """Decode recorded arguments, by name.

        Raises:
            ArgumentsError: they do not fit the parameters (any more); names the fields.
        """
        try:
            decoded: dict[str, Any] = self.arguments.decode(payload)
        except ValidationError as error:
            raise arguments_error(self.name, error) from error
        return decoded

    def encode_result(self, value: Any) -> Payload:
        """Encode what the function returned.

        Raises:
            PayloadError: it is not of the declared type or cannot be written.
        """
        try:
            return msgspec.Raw(self.result.encode(value))
        except ValidationError as error:
            raise PayloadError(
                f"{self.name} returned {_shorten(value)}, which is not what its annotation says: "
                f"{describe_errors(error)}"
            ) from error


def object_codec(fields: Mapping[str, Any], what: str, optional: Collection[str] = ()) -> Codec:
    """Return the codec of a JSON object with these fields; unknown fields are ignored.

    Those in *optional* may be missing in what was recorded before they were declared.
    """
    make: Callable[[str, dict[str, Any]], Any] = _TypedDict
    typed = make(
        "Arguments", {n: NotRequired[h] if n in optional else h for n, h in fields.items()}
    )
    typed.__pydantic_config__ = _CONFIG
    return Codec(typed, what)


def arguments_error(name: str, error: ValidationError, what: str = "arguments") -> ArgumentsError:
    """Return a validation error as the error that a caller sees, naming the fields."""
    fields = [".".join(str(part) for part in e["loc"]) for e in error.errors(include_url=False)]
    return ArgumentsError(
        f"{name} does not accept these {what}: {describe_errors(error)}", fields=fields
    )


def describe_errors(error: ValidationError) -> str:
    """Return what Pydantic found, one clause a field, without its page links."""
    clauses: list[str] = []
    for e in error.errors(include_url=False, include_context=False)[:5]:
        where = ".".join(str(part) for part in e["loc"])
        got = f" (got {_shorten(e['input'])})" if e["type"] != "missing" else ""
        clauses.append(f"{where}: {e['msg']}{got}" if where else f"{e['msg']}{got}")
    more = error.error_count() - len(clauses)
    return "; ".join(clauses) + (f"; and {more} more" if more > 0 else "")


def _adapter(hint: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint, config=_CONFIG)
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        return TypeAdapter(hint)


def _holds_surrogates(value: Any) -> bool:
    parts: Any = value
    if isinstance(value, str):
        return any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, Mapping):
        return any(_holds_surrogates(k) or _holds_surrogates(v) for k, v in parts.items())
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(_holds_surrogates, parts))
    return False


def _shorten(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a user's repr may raise anything
        text = f"a {type(value).__name__} whose repr fails"
    return text if len(text) <= 100 else text[:97] + "..."


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
