"""Finds parts of what is known, without running any code of the user's."""

import inspect
import sys
import types
from typing import Any

from counterpoint.graph.values import (
    UNKNOWN,
    Instance,
    Items,
    Known,
    Method,
    Unknown,
    Value,
    item,
)


def attribute(value: Value, name: str) -> Value:
    """Return an attribute of what is known, without running any code of the user's."""
    if isinstance(value, Instance):
        found = inspect.getattr_static(value.kind, name, None)
        is_method = isinstance(found, types.FunctionType)
        return Method(found, value) if is_method else attribute(Known((value.kind,)), name)
    if not isinstance(value, Known):
        return UNKNOWN
    try:
        return Known(tuple(_attribute_of(owner, name) for owner in value.objects))
    except AttributeError:
        return UNKNOWN


def _attribute_of(owner: object, name: str) -> object:
    got: Any = inspect.getattr_static(owner, name)
    if is_a(staticmethod, got):
        return got.__func__
    if is_a(classmethod, got):
        return types.MethodType(got.__func__, owner if isinstance(owner, type) else type(owner))
    if isinstance(got, types.FunctionType) and not isinstance(owner, types.ModuleType | type):
        return types.MethodType(got, owner)
    return got


def elements(value: Value) -> Items | None:
    """Return the elements of a known collection as values; None where it is not known."""
    if isinstance(value, Items):
        return value
    if isinstance(value, Known) and len(value.objects) == 1:
        return _elements_of(value.objects[0])
    return None


def _elements_of(collection: Any) -> Items | None:
    known = type(collection) in (tuple, list, set, frozenset, dict)
    return Items(tuple(as_value(one) for one in collection)) if known else None


def as_value(thing: Any) -> Value:
    """Return a Python object as a value; what is in a tuple can be told apart."""
    return Items(tuple(map(as_value, thing))) if is_a(tuple, thing) else Known((thing,))


def is_a(kind: type, thing: object) -> bool:
    """Whether a thing is of exactly that type: nothing of the user's runs when it is read."""
    return type(thing) is kind


def dictionary_items(collection: dict[Any, Any], part: str) -> Items:
    """Return what `keys()`, `values()` or `items()` of a dictionary gives."""
    if part == "keys":
        return Items(tuple(as_value(key) for key in collection))
    if part == "values":
        return Items(tuple(as_value(one) for one in collection.values()))
    return Items(tuple(Items((as_value(k), as_value(v))) for k, v in collection.items()))


def subscript(value: Value, index: object | None) -> Value | list[Value]:
    """Return the element at a constant index, or all elements where the index is not constant."""
    only: Any = value.objects[0] if isinstance(value, Known) and len(value.objects) == 1 else None
    if is_a(dict, only):
        mapping: dict[Any, Any] = only
        if index is None:
            return [as_value(one) for one in mapping.values()]
        return as_value(mapping[index]) if index in mapping else UNKNOWN
    known = elements(value)
    if known is None:
        return UNKNOWN
    if index is None:
        return list(known.values)
    return item(known, index) if isinstance(index, int) else UNKNOWN


def imported(name: str, attribute_name: str | None = None) -> Value:
    """Return a module that code imports where it is needed, if it has been imported already."""
    module = sys.modules.get(name)
    if module is None:
        return UNKNOWN
    if attribute_name is None:
        return Known((module,))
    found = vars(module).get(attribute_name, sys.modules.get(f"{name}.{attribute_name}", Unknown()))
    return found if isinstance(found, Unknown) else Known((found,))
