"""What an expression may stand for, as sets: events that are made, objects that names lead to.

It is kept coarser than in `values`, and loses less: every value that a name is given anywhere in a
function is one that it may have.
"""

import inspect
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from counterpoint.authoring.event import Contract, Event
from counterpoint.graph.names import attribute, is_a
from counterpoint.graph.values import Known, Value


@dataclass(frozen=True, slots=True)
class Made:
    """An object of this class that the code makes or is given."""

    kind: type


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """A Python object that the code reaches by name."""

    thing: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)


@dataclass(frozen=True, slots=True)
class Several:
    """A collection, or what a generator gives."""

    of: "Things"


@dataclass(frozen=True, slots=True)
class Anything:
    """The source alone does not tell."""


Thing: TypeAlias = Made | Named | Several | Anything
Things: TypeAlias = frozenset[Thing]

NOTHING: Things = frozenset()
ANYTHING: Things = frozenset({Anything()})
_COLLECTIONS = (list, tuple, set, frozenset)


def contract_behind(kind: object) -> Contract | None:
    """Return the contract that a class itself has; None for any other object."""
    if not (isinstance(kind, type) and issubclass(kind, Event)):
        return None
    found = vars(kind).get("__counterpoint_contract__")
    return found if isinstance(found, Contract) else None


def union(several: Iterable[Things]) -> Things:
    """Return all of several sets."""
    return frozenset(thing for things in several for thing in things)


def unclear(things: Things) -> bool:
    """Whether it may be something of which nothing is known."""
    return any(
        isinstance(thing, Anything) or (isinstance(thing, Several) and unclear(thing.of))
        for thing in things
    )


def better(things: Things, annotated: Things) -> Things:
    """Return what is known of a value, from its annotation where the code does not tell."""
    return annotated if unclear(things) and annotated and not unclear(annotated) else things


def elements(things: Things) -> Things:
    """Return what an element of any of these collections may be."""
    return union(map(_elements_of, things))


def _elements_of(thing: Thing) -> Things:
    if isinstance(thing, Several):
        return thing.of
    collection: Any = thing.thing if isinstance(thing, Named) else None
    if is_a(dict, collection):
        collection = tuple(collection.values())
    members: Any = collection if type(collection) in _COLLECTIONS else ()
    return frozenset(Named(member) for member in members) or ANYTHING  # more may be put in later


def of_hint(hint: Any) -> Things:
    """Return what a value with that annotation may be; None is left out."""
    hint = getattr(hint, "__value__", hint)  # an alias made by the `type` statement
    if hint is None or hint is types.NoneType:
        return NOTHING
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return union(map(of_hint, arguments))
    if origin is typing.Annotated:
        return of_hint(arguments[0])
    if isinstance(origin, type) and arguments and issubclass(origin, typing.Iterable):
        return frozenset({Several(union(of_hint(a) for a in arguments if a is not ...))})
    return frozenset({Made(hint)}) if contract_behind(hint) is not None else ANYTHING


def hinted(things: Things) -> Things:
    """Return what a value may be whose annotation names one of these."""
    return union(of_hint(one.thing) if isinstance(one, Named) else ANYTHING for one in things)


def known(value: Value) -> Things:
    """Return what `values` knows of a name as a set."""
    if not isinstance(value, Known):
        return ANYTHING
    return frozenset(Named(one) for one in value.objects)


def attribute_of(thing: Thing, name: str) -> Things:
    """Return an attribute of a thing, without running any code of the user's."""
    if isinstance(thing, Named):
        return known(attribute(Known((thing.thing,)), name))
    found = inspect.getattr_static(thing.kind, name, None) if isinstance(thing, Made) else None
    if isinstance(found, types.FunctionType):
        return frozenset({Named(types.MethodType(found, thing))})
    return ANYTHING


def event_class(thing: Thing) -> type[Event] | None:
    """Return the class of an event, or the class that a thing itself is, if it has a contract."""
    kind: Any = None
    if isinstance(thing, Made):
        kind = thing.kind
    elif isinstance(thing, Named):
        kind = thing.thing if isinstance(thing.thing, type) else type(thing.thing)
    return None if contract_behind(kind) is None else kind


def events(things: Things) -> tuple[dict[str, type[Event]], bool]:
    """Return the classes of the events among these by type, and whether there may be others."""
    found: dict[str, type[Event]] = {}
    others = False
    for thing in things:
        kind = event_class(thing)
        contract = contract_behind(kind)
        is_class = isinstance(thing, Named) and isinstance(thing.thing, type)
        if kind is not None and contract is not None and not is_class:
            found[contract.type] = kind
        elif isinstance(thing, Several):
            inner, unclear_too = events(thing.of)
            found |= inner
            others = others or unclear_too
        elif not (isinstance(thing, Named) and thing.thing is None):
            others = True
    return dict(sorted(found.items())), others
