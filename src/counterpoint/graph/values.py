"""What is known of the values of expressions, and of names, while source is read."""

import ast
import builtins
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from counterpoint.graph.flow import Arm, Body, Branch, Join, Lane


@dataclass(frozen=True, slots=True)
class Unknown:
    """The source alone does not tell."""

    done: bool = False
    """It was awaited, or needs not be: awaiting it does nothing that is not drawn."""


@dataclass(frozen=True, slots=True, eq=False)  # users' objects may refuse to be compared
class Known:
    """One of these Python objects, which the code reaches by name."""

    objects: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Local:
    """A function defined inside the one that is read."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scope: "Scope"


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """An object of this class that the code makes."""

    kind: type


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """A method of an object that the code makes."""

    function: Any
    """A `FunctionType`, which type checkers would bind as a method here."""
    owner: Instance


@dataclass(frozen=True, slots=True)
class Pending:
    """A coroutine: the body happens when it is awaited."""

    body: Body


@dataclass(frozen=True, slots=True)
class Task:
    """A task that was begun."""

    name: str


@dataclass(frozen=True, slots=True)
class Group:
    """A `TaskGroup` that is open."""


@dataclass(frozen=True, slots=True, eq=False)
class Managed:
    """What a user's async generator gives: a context manager's block, or a loop's turns."""

    function: Any
    """A `FunctionType`, which type checkers would bind as a method here."""
    given: "Given"


@dataclass(frozen=True, slots=True)
class Each:
    """One value for each turn of a loop."""

    header: str
    value: "Value"


@dataclass(frozen=True, slots=True)
class Items:
    """A list, tuple, set, or what a generator gives."""

    values: "tuple[Value, ...]"


Value: TypeAlias = (
    Unknown | Known | Local | Instance | Method | Pending | Task | Group | Managed | Each | Items
)


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """The arguments of a call, and its source."""

    node: ast.Call
    positional: tuple[Value, ...]
    named: dict[str, Value]


UNKNOWN = Unknown()
DONE = Unknown(done=True)


class Scope:
    """The names that the code of one function sees while it is read."""

    def __init__(self, outer: Mapping[str, object], around: Self | None = None) -> None:
        self.outer = outer
        self.around = around
        self.local: dict[str, Value] = {}
        self.unread: dict[str, Pending] = {}
        """Coroutines that were given a name which the code has not read since."""

    @classmethod
    def of(cls, function: types.FunctionType) -> Self:
        """Return the scope of a function's body: its globals, and what it closes over."""
        names = dict(function.__globals__)
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            try:
                names[name] = cell.cell_contents
            except ValueError:  # not assigned yet
                names.pop(name, None)
        return cls(names)

    def inner(self) -> "Scope":
        """Return the scope of a function or comprehension inside this one."""
        return Scope(self.outer, self)

    def look_up(self, name: str) -> Value:
        """Return what a name stands for."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.local:
                scope.unread.pop(name, None)
                return scope.local[name]
            scope = scope.around
        if name in self.outer:
            return Known((self.outer[name],))
        if hasattr(builtins, name):
            return Known((getattr(builtins, name),))
        return UNKNOWN

    def bind(self, target: ast.expr, value: Value) -> None:
        """Assign a value to a name, or to several; other targets keep nothing."""
        match target:
            case ast.Name(id=name):
                self.local[name] = value
                if isinstance(value, Pending) and value.body:
                    self.unread[name] = value
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                for number, one in enumerate(targets):
                    rest = DONE if value == DONE else UNKNOWN
                    self.bind(one, item(value, number) if isinstance(value, Items) else rest)
            case ast.Starred(value=inner):
                self.bind(inner, UNKNOWN)
            case _:
                pass


def item(value: Items, number: int) -> Value:
    """Return one element of a list whose elements are known."""
    return value.values[number] if -len(value.values) <= number < len(value.values) else UNKNOWN


def lanes(value: Value) -> tuple[Lane, ...]:
    """Return what happens at the same time when all of a value is awaited together."""
    match value:
        case Pending(body=body):
            return (Lane(body),)
        case Items(values=values):
            return tuple(lane for one in values for lane in lanes(one))
        case Each(header=header, value=inner):
            return tuple(Lane(lane.body, f"{header} {lane.each}".rstrip()) for lane in lanes(inner))
        case _:
            return ()


def tasks(value: Value) -> tuple[str, ...]:
    """Return the variables that keep the tasks in a value."""
    match value:
        case Task(name=name):
            return (name,)
        case Items(values=values):
            return tuple(dict.fromkeys(name for one in values for name in tasks(one)))
        case Each(value=inner):
            return tasks(inner)
        case _:
            return ()


def unclear(value: Value) -> bool:
    """Whether a value holds something to wait for of which nothing is known."""
    match value:
        case Unknown(done=done):
            return not done
        case Items(values=values):
            return any(unclear(one) for one in values)
        case Each(value=inner):
            return unclear(inner)
        case Known() | Local() | Instance() | Method() | Group() | Managed():
            return True
        case _:
            return False


def joins(value: Value, until: str = "all") -> Body:
    """Return the waits for the tasks in a value."""
    return tuple(Join(name, until) for name in tasks(value))


def one_of(values: Iterable[Value], subject: str = "whichever it is") -> Value:
    """Return what is known of a value that is one of several."""
    unique = list(dict.fromkeys(values))
    if len(unique) == 1:
        return unique[0]
    if unique and all(isinstance(value, Known) for value in unique):
        found = [obj for value in unique if isinstance(value, Known) for obj in value.objects]
        distinct = {id(obj): obj for obj in found}
        return Known(tuple(distinct.values()))
    pending = [value for value in unique if isinstance(value, Pending)]
    if pending and len(pending) == len(unique):
        arms = tuple(Arm(f"{n}", value.body) for n, value in enumerate(pending, 1))
        return Pending((Branch(subject, arms),))
    return UNKNOWN
