"""The public surface: sorted lists that are complete, and names that say what they are for."""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

import pytest

import counterpoint

PUBLIC = ["counterpoint", "counterpoint.activity", "counterpoint.errors", "counterpoint.workflow"]
LISTED = ["counterpoint", "counterpoint.activity", "counterpoint.workflow"]


def names_of(module: ModuleType) -> list[str]:
    """Return what a user would find in a module: no modules, nothing that begins with `_`."""
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    )


@pytest.mark.parametrize("name", LISTED)
def test_the_list_of_public_names_is_sorted_and_complete(name: str) -> None:
    module = importlib.import_module(name)

    assert module.__all__ == sorted(module.__all__)
    assert set(module.__all__) == set(names_of(module))


def test_every_module_that_lists_names_has_them() -> None:
    for info in pkgutil.walk_packages(counterpoint.__path__, "counterpoint."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        listed = getattr(module, "__all__", [])
        missing = [name for name in listed if not hasattr(module, name)]
        assert not missing, info.name
        assert len(set(listed)) == len(listed), info.name


def public_objects() -> list[Any]:
    return [
        pytest.param(getattr(module, name), id=f"{module.__name__}.{name}")
        for module in map(importlib.import_module, PUBLIC)
        for name in names_of(module)
        if getattr(getattr(module, name), "__module__", "").startswith("counterpoint")
    ]


@pytest.mark.parametrize("thing", public_objects())
def test_everything_public_says_what_it_is_for(thing: Any) -> None:
    text = inspect.getdoc(thing)

    assert text
    assert text != inspect.getdoc(object)
    if inspect.isclass(thing) and not issubclass(thing, Exception):
        for name, member in vars(thing).items():
            if inspect.isfunction(member) and not name.startswith("_"):
                assert inspect.getdoc(member), f"{thing.__name__}.{name}"


def test_errors_of_the_package_are_public_or_below_a_public_one() -> None:
    import counterpoint.errors as errors

    public = tuple(
        getattr(counterpoint, n) for n in counterpoint.__all__ if n.endswith(("Error", "Failed"))
    )
    for name in names_of(errors):
        error = getattr(errors, name)
        if inspect.isclass(error) and issubclass(error, errors.CounterpointError):
            assert issubclass(error, public), name
