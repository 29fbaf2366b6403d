"""Events: immutable facts, each under a contract with an owner, a version and a key."""

import inspect
import json
from collections.abc import Callable
from enum import Enum
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from counterpoint.authoring.schemas import canonical_schema
from counterpoint.authoring.signature import Codec, arguments_error, describe_errors, recorded_name
from counterpoint.errors import (
    ArgumentsError,
    DefinitionError,
    InvalidEventError,
    PayloadError,
    PayloadTooLargeError,
    UnknownVersionError,
)

E = TypeVar("E", bound="Event")
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
U = TypeVar("U", bound=Upcaster)

KEY_CHARS_MAX = 200
KEY_TYPES = (str, int, UUID, Enum)
_KEY_WORDS = "str, int, UUID or an Enum"


class Event(BaseModel):
    """An immutable fact that a service publishes; a contract by `@service.event`.

        @orders.event(key="order_id")
        class OrderPlaced(Event):
            \"\"\"A customer placed an order.\"\"\"
            order_id: str
            total: Decimal

    It is a Pydantic model: its fields are validated where it is made, and again where it arrives.
    Fields that a reader does not know are ignored, so that a contract can grow.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        ser_json_inf_nan="strings",
        ser_json_bytes="base64",
        val_json_bytes="base64",
    )
    __counterpoint_contract__: ClassVar["Contract | None"] = None

    @classmethod
    def upcaster(cls, version: int) -> Callable[[U], U]:
        """Declare how data of an older version becomes that of the next one.

        Upcasters are chained; each takes and returns plain JSON values and must not fail:

            @PaymentAuthorized.upcaster(1)       # from version 1 to version 2
            def add_currency(data: dict[str, Any]) -> dict[str, Any]:
                return {**data, "currency": "EUR"}

        Raises:
            DefinitionError: the class has no contract, or no such older version.
        """
        contract = contract_of(cls)

        def declare(function: U) -> U:
            contract.add_upcaster(version, function)
            return function

        return declare


class Contract:
    """What a type of event promises: its owner, version, key and schema."""

    def __init__(
        self,
        service: str,
        event_class: type[Event],
        *,
        key: str,
        version: int,
        external: bool,
        name: str | None,
    ) -> None:
        self.service = service
        self.event_class = event_class
        self.type = recorded_name("an event", name or f"{service}.{event_class.__name__}")
        self.version = version
        self.external = external
        """It is published by somebody outside: nothing here has to emit it."""
        self.key_field = key
        self.description = inspect.cleandoc(event_class.__doc__ or "")
        self.upcasters: dict[int, Upcaster] = {}
        self._codec: Codec | None = None
        self._schema: str | None = None
        self._check(key, version)

    def __repr__(self) -> str:
        return f"<event {self.type} version {self.version}>"

    def _check(self, key: object, version: object) -> None:
        if type(version) is not int or version < 1:
            raise DefinitionError(f"{self.type}: version= is a whole number, at least 1")
        names = list(self.event_class.model_fields)
        if key not in names:
            fields = ", ".join(names) or "none"
            raise DefinitionError(
                f"{self.type}: key={key!r} is none of its fields ({fields}); the key says which "
                "events have to stay in order"
            )

    # ---- declaring ----------------------------------------------------------------------------

    def add_upcaster(self, version: int, function: Upcaster) -> None:
        """Keep what turns data of *version* into that of the next one.

        Raises:
            DefinitionError: there is one already, or the version is not an older one.
        """
        name = f"@{self.event_class.__name__}.upcaster({version!r})"
        if type(version) is not int:
            raise DefinitionError(f"{self.type}: {name}: the older version is a whole number")
        if inspect.iscoroutinefunction(function):
            raise DefinitionError(
                f"{self.type}: {name} is `async def`: an upcaster only computes, declare it with "
                "`def`"
            )
        if version in self.upcasters:
            raise DefinitionError(f"{self.type} has an upcaster from version {version} already")
        if not 1 <= version < self.version:
            raise DefinitionError(
                f"{self.type} has the version {self.version}: an upcaster is from an older one, "
                f"not from {version}"
            )
        self.upcasters[version] = function

    def resolve(self) -> None:
        """Build codec and schema now.

        Raises:
            DefinitionError: a type is unknown to Pydantic, the key is of a type that cannot be one,
                or an upcaster is missing between two others.
        """
        self.codec  # noqa: B018 - built on first use
        annotation = self.event_class.model_fields[self.key_field].annotation
        if not _is_key(annotation):
            raise DefinitionError(
                f"{self.type}: the key {self.key_field!r} is {_KEY_WORDS}, not {annotation!r}"
            )
        oldest = min(self.upcasters, default=self.version)
        missing = [v for v in range(oldest, self.version) if v not in self.upcasters]
        if missing:
            raise DefinitionError(
                f"{self.type} has an upcaster from version {oldest} and none from version "
                f"{missing[0]}: declare @{self.event_class.__name__}.upcaster({missing[0]})"
            )
        self.schema  # noqa: B018

    @property
    def codec(self) -> Codec:
        """Between events and their JSON."""
        if self._codec is None:
            try:
                self.event_class.model_rebuild()
            except Exception as error:
                first = str(error).split("\n", 1)[0]
                raise DefinitionError(
                    f"{self.type}: {first} (in the module {self.event_class.__module__})"
                ) from error
            self._codec = Codec(self.event_class, f"the event {self.type}")
        return self._codec

    @property
    def schema(self) -> str:
        """The JSON Schema of the data on the wire, as canonical text."""
        if self._schema is None:
            try:
                schema = self.event_class.model_json_schema(mode="serialization")
            except Exception as error:
                raise DefinitionError(f"{self.type} has no JSON Schema: {error}") from error
            self._schema = canonical_schema(schema)
        return self._schema

    # ---- using --------------------------------------------------------------------------------

    def encode(self, event: Event) -> bytes:
        """Return an event's data as JSON.

        Raises:
            ArgumentsError: it does not fit its own fields (it was made by `model_construct`).
            PayloadError: a value cannot be written.
        """
        try:
            return self.codec.encode(event)
        except ValidationError as error:
            raise arguments_error(self.type, error) from error
        except PayloadError:
            try:
                self.event_class.model_validate(vars(event))
            except ValidationError as error:
                raise arguments_error(self.type, error) from error
            raise

    def decode(self, data: bytes, version: int) -> Any:
        """Return the event that data of a version means today.

        Raises:
            UnknownVersionError: the version is newer than this one.
            InvalidEventError: the data does not validate; names the fields.
        """
        if version != self.version:
            data = self._upcast(data, version)
        try:
            return self.codec.decode(data)
        except ValidationError as error:
            fields = sorted({str(e["loc"][0]) for e in error.errors() if e["loc"]})
            raise InvalidEventError(
                f"{self.type} version {version}: {describe_errors(error)}", fields=fields
            ) from error

    def _upcast(self, data: bytes, version: int) -> bytes:
        if version > self.version:
            raise UnknownVersionError(self.type, version, self.version)
        try:
            value: Any = json.loads(data)
        except ValueError as error:
            raise InvalidEventError(f"{self.type} version {version}: no JSON: {error}") from error
        for step in range(version, self.version):
            value = self._upcast_once(value, version, step)
        try:
            return json.dumps(value).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidEventError(
                f"{self.type} version {version}: the upcasters made of it what is no JSON: {error}"
            ) from error

    def _upcast_once(self, value: Any, version: int, step: int) -> Any:
        upcaster = self.upcasters.get(step)
        if upcaster is None:
            raise InvalidEventError(
                f"{self.type} version {version}: there is no upcaster from version {step}; "
                f"declare @{self.event_class.__name__}.upcaster({step})"
            )
        try:
            return upcaster(value)
        except Exception as error:
            raise InvalidEventError(
                f"{self.type}: the upcaster from version {step} raised "
                f"{type(error).__name__}: {error}"
            ) from error

    def key_of(self, event: Event) -> str:
        """Return the key of an event as text.

        Raises:
            ArgumentsError: it is empty, too long, or cannot be written as UTF-8.
        """
        value = getattr(event, self.key_field)
        return check_key(self.type, self.key_field, key_text(value))


def contract_of(event_class: object) -> Contract:
    """Return the contract of an event class.

    Raises:
        DefinitionError: it has none.
    """
    contract = getattr(event_class, "__dict__", {}).get("__counterpoint_contract__")
    if isinstance(contract, Contract):
        return contract
    if isinstance(event_class, type) and issubclass(event_class, Event):
        name = getattr(event_class, "__name__", event_class)
        raise DefinitionError(f"{name} has no contract: declare it with @service.event(key=...)")
    raise DefinitionError(
        f"{event_class!r} is not an event: a class that inherits from Event, declared with "
        "@service.event(key=...)"
    )


def declare(contract: Contract) -> None:
    """Make *contract* that of its class.

    Raises:
        DefinitionError: the class has one already.
    """
    cls = contract.event_class
    other = cls.__dict__.get("__counterpoint_contract__")
    if isinstance(other, Contract):
        raise DefinitionError(
            f"{cls.__name__} belongs to {other.service} already, as {other.type}: an event has one "
            "owner"
        )
    cls.__counterpoint_contract__ = contract


def key_text(value: object) -> str:
    """Return the text of a key: `str` of it, or of what a member of an enumeration stands for."""
    return str(value.value) if isinstance(value, Enum) else str(value)


def check_key(event_type: str, field: str, key: str) -> str:
    """Return *key*, or refuse it.

    Raises:
        ArgumentsError: it is empty, too long, or cannot be written as UTF-8.
    """
    wrong = None
    if not key:
        wrong = "is empty"
    elif len(key) > KEY_CHARS_MAX:
        wrong = f"has {len(key)} characters, at most {KEY_CHARS_MAX} are allowed"
    else:
        try:
            key.encode()
        except UnicodeEncodeError:
            wrong = "cannot be written as UTF-8"
    if wrong is not None:
        raise ArgumentsError(f"{event_type}: the key {field} {wrong}", fields=[field])
    return key


def check_is_event(event: object) -> Contract:
    """Return the contract of an event that is about to be published.

    Raises:
        DefinitionError: it is no event.
    """
    if isinstance(event, type):
        raise DefinitionError(f"publish takes an event, not the class: {event.__name__}(...)")
    return contract_of(type(event))


def event_data(contract: Contract, event: Event, limit: int) -> tuple[str, bytes]:
    """Return the key and the data of an event that is about to be published.

    Raises:
        ArgumentsError: it has no usable key, or does not fit its own fields.
        PayloadError: it cannot be written, or is too large.
    """
    key = contract.key_of(event)
    data = contract.encode(event)
    if len(data) > limit:
        raise PayloadTooLargeError(
            f"the event {contract.type}", size_bytes=len(data), limit_bytes=limit
        )
    return key, data


def _is_key(annotation: Any) -> bool:
    while hasattr(annotation, "__supertype__"):
        annotation = annotation.__supertype__
    if get_origin(annotation) is Literal:
        # Pydantic does not read a member of an enumeration in a Literal back from JSON.
        return all(isinstance(v, str | int) and _is_key(type(v)) for v in get_args(annotation))
    return (
        isinstance(annotation, type)
        and issubclass(annotation, KEY_TYPES)
        and not issubclass(annotation, bool)
    )
