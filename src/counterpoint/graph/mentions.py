"""Finds the events that code publishes and waits for, and the workflows that it starts.

Order, branches and loops do not matter here, so each call in a function is looked at once, wherever
it stands; what the names in it may stand for is gathered from the whole function. Functions of the
user's own that are called, or handed on, are followed. No code of the user's runs.
"""

import ast
import types
import typing
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from counterpoint.authoring import attempt, listening
from counterpoint.authoring.activity import Activity
from counterpoint.authoring.event import Event
from counterpoint.authoring.reaction import Reaction
from counterpoint.authoring.workflow import Workflow
from counterpoint.graph.naming import Names
from counterpoint.graph.source import FunctionNode, function_node, shown
from counterpoint.graph.things import (
    ANYTHING,
    NOTHING,
    Made,
    Named,
    Several,
    Thing,
    Things,
    attribute_of,
    better,
    contract_behind,
    elements,
    event_class,
    events,
    of_hint,
    union,
)
from counterpoint.graph.vocabulary import function_of, is_followed

_FOLLOWED_MAX = 200
_PASSES_MAX = 6
"""How often a function is gone through, until what its names stand for is known."""
_SAME = (list, tuple, set, frozenset, sorted, reversed, iter)
_PLAIN = (str, int, float, bool, bytes, type(None))
_Arguments = tuple[tuple[str, Things], ...]


@dataclass(slots=True)
class Mentions:
    """What a piece of code says of events: classes and names once each, in a stable order."""

    publishes: dict[str, type[Event]] = field(default_factory=dict)
    waits: dict[str, type[Event]] = field(default_factory=dict)
    starts: dict[str, None] = field(default_factory=dict)
    """The recorded names of workflows."""
    unclear: dict[str, None] = field(default_factory=dict)
    """The source of calls that publish what the source alone does not tell."""
    unclear_waits: dict[str, None] = field(default_factory=dict)
    """The same for waits."""

    def add(self, other: "Mentions") -> None:
        """Take in what other code says."""
        self.publishes |= other.publishes
        self.waits |= other.waits
        self.starts |= other.starts
        self.unclear |= other.unclear
        self.unclear_waits |= other.unclear_waits


def read_mentions(function: Any, *, in_workflow: bool) -> Mentions:
    """Return what a function, and those that it calls, say of events.

    In a workflow, a call of an activity is somebody else's code; elsewhere it is an ordinary call.
    """
    plain = function_of(function)
    if plain is None:
        return Mentions()
    return _Reader(plain.__module__ or "", in_workflow).follow(plain, ()).mentions


@dataclass(frozen=True, slots=True)
class _Read:
    """What is known of a function."""

    mentions: Mentions
    returns: Things


class _Reader:
    """Follows calls from one function, each function once for each kind of arguments."""

    def __init__(self, module: str, in_workflow: bool) -> None:
        self.in_workflow = in_workflow
        self._module = module
        self._known: dict[tuple[types.CodeType, _Arguments], _Read] = {}

    def follow(self, function: types.FunctionType, arguments: _Arguments) -> _Read:
        key = (function.__code__, arguments)
        if key not in self._known:
            node = function_node(function)
            if node is None or len(self._known) >= _FOLLOWED_MAX:
                return _Read(Mentions(), ANYTHING)
            self._known[key] = _Read(Mentions(), NOTHING)  # for a function that calls itself
            self._known[key] = _Code(self, function, node, arguments).read()
        return self._known[key]

    def follows(self, function: types.FunctionType) -> bool:
        """Whether a function belongs to the user's code."""
        return is_followed(function, self._module)


class _Code:
    """The body of one function, with those that are defined in it."""

    def __init__(
        self,
        reader: _Reader,
        function: types.FunctionType,
        node: FunctionNode,
        arguments: _Arguments,
    ) -> None:
        self._reader = reader
        self._node = node
        self._names = Names(function, node, dict(arguments))
        inside = list(ast.walk(node))
        self._calls = [one for one in inside if isinstance(one, ast.Call)]
        called = {one.func for one in self._calls}
        self._named = [
            one
            for one in inside
            if isinstance(one, ast.Name | ast.Attribute)
            and isinstance(one.ctx, ast.Load)
            and one not in called
        ]
        self._cache: dict[ast.expr, Things] = {}
        self._mentions = Mentions()

    def read(self) -> _Read:
        for _ in range(_PASSES_MAX):
            self._cache.clear()
            self._mentions = Mentions()
            self._pass()
            if not self._names.learn(self._things):
                break
        return _Read(self._mentions, self._returned(self._node))

    def _pass(self) -> None:
        for call in self._calls:
            self._things(call)
        for named in self._named:  # something else may call what is only named here
            for thing in self._things(named):
                function = function_of(thing.thing) if isinstance(thing, Named) else None
                if function is not None:
                    self._follow(function, ())

    def _follow(self, function: types.FunctionType, arguments: _Arguments) -> Things:
        if not self._reader.follows(function):
            return ANYTHING
        read = self._reader.follow(function, arguments)
        self._mentions.add(read.mentions)
        return read.returns

    def _returned(self, node: FunctionNode) -> Things:
        own = list(_own(node))
        yields = [one.value for one in own if isinstance(one, ast.Yield)]
        if yields:
            return frozenset({Several(union(map(self._things, yields)))})
        returns = [one.value for one in own if isinstance(one, ast.Return)]
        return better(union(map(self._things, returns)), self._names.annotated(node.returns))

    # ---- expressions --------------------------------------------------------------------------

    def _things(self, node: ast.expr | None) -> Things:
        if node is None:
            return NOTHING
        if node not in self._cache:
            self._cache[node] = NOTHING
            self._cache[node] = self._read(node)
        return self._cache[node]

    def _read(self, node: ast.expr) -> Things:
        match node:
            case ast.Name(id=name):
                return self._names.look_up(name)
            case ast.Constant(value=value):
                return frozenset({Named(value)})
            case ast.Attribute(value=owner, attr=name):
                return union(attribute_of(thing, name) for thing in self._things(owner))
            case ast.Await(value=inner) | ast.NamedExpr(value=inner) | ast.Starred(value=inner):
                return self._things(inner)
            case ast.IfExp(body=yes, orelse=no):
                return self._things(yes) | self._things(no)
            case ast.BoolOp(values=values):
                return union(map(self._things, values))
            case ast.Subscript(value=owner):
                return elements(self._things(owner))
            case ast.Call():
                return union(self._call(callee, node) for callee in self._callees(node.func))
            case _:
                return self._collection(node)

    def _collection(self, node: ast.expr) -> Things:
        match node:
            case ast.Tuple(elts=values) | ast.List(elts=values) | ast.Set(elts=values):
                return frozenset({Several(union(map(self._element, values)))})
            case ast.Dict(values=values):
                return frozenset({Several(union(map(self._things, values)))})
            case ast.ListComp(elt=inner) | ast.SetComp(elt=inner) | ast.GeneratorExp(elt=inner):
                return frozenset({Several(self._things(inner))})
            case _:
                return ANYTHING

    def _element(self, node: ast.expr) -> Things:
        things = self._things(node)
        return elements(things) if isinstance(node, ast.Starred) else things

    # ---- calls --------------------------------------------------------------------------------

    def _callees(self, node: ast.expr) -> Things:
        """Return what is called; a method of an event, such as `model_copy`, makes another one."""
        if isinstance(node, ast.Attribute):
            made = {event_class(thing) for thing in self._things(node.value)} - {None}
            if made:
                return frozenset(Named(kind) for kind in made)
        if isinstance(node, ast.Name) and self._names.functions(node.id):
            return frozenset({Several(NOTHING)})  # functions that are defined in this one
        return self._things(node)

    def _call(self, callee: Thing, node: ast.Call) -> Things:
        if isinstance(callee, Several) and isinstance(node.func, ast.Name):
            defined = self._names.functions(node.func.id)
            for one in defined:
                self._names.pass_on(self._bound(one, node))
            return union(map(self._returned, defined))
        if not isinstance(callee, Named):
            return ANYTHING
        thing = callee.thing
        if isinstance(thing, types.FunctionType) and thing in (
            listening.publish,
            attempt.publish,
            listening.event,
            attempt.start,
        ):
            return self._say(thing, node)
        if issubclass(type(thing), Activity | Workflow | Reaction):
            return self._definition(thing, node)
        if any(thing is one for one in _SAME) and len(node.args) == 1:
            return self._things(node.args[0])
        if isinstance(thing, type):
            return frozenset({Made(thing)})
        if thing is typing.cast and node.args:
            return self._names.annotated(node.args[0])
        function = function_of(thing)
        if function is None:
            return ANYTHING
        return self._follow(function, self._arguments(thing, function, node))

    def _arguments(self, thing: Any, function: types.FunctionType, node: ast.Call) -> _Arguments:
        """Return what is known of a call's arguments, by parameter, where that is something."""
        parameters = function_node(function)
        given = {} if parameters is None else self._bound(parameters, node, thing)
        return tuple(sorted((name, one) for name, one in given.items() if _says_something(one)))

    def _bound(
        self, function: FunctionNode, node: ast.Call, callee: Any = None
    ) -> dict[str, Things]:
        given: dict[str, Things] = {}
        names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
        if isinstance(callee, types.MethodType) and names:
            owner: Any = callee.__self__
            given[names.pop(0)] = frozenset({owner if isinstance(owner, Made) else Named(owner)})
        values = node.args
        starred = any(isinstance(value, ast.Starred) for value in values)
        if not starred:
            given |= {name: self._things(one) for name, one in zip(names, values, strict=False)}
        if function.args.vararg is not None and not starred:
            rest = union(map(self._things, values[len(names) :]))
            given[function.args.vararg.arg] = frozenset({Several(rest)})
        given |= {k.arg: self._things(k.value) for k in node.keywords if k.arg is not None}
        return given

    def _definition(self, definition: Any, node: ast.Call) -> Things:
        function = function_of(definition.function)
        by_hand = not self._reader.in_workflow and not issubclass(type(definition), Workflow)
        if function is not None and by_hand:
            self._follow(function, self._arguments(None, function, node))
        with suppress(Exception):
            return of_hint(typing.get_type_hints(definition.function).get("return", Any))
        return ANYTHING

    # ---- what it is all about -----------------------------------------------------------------

    def _say(self, verb: types.FunctionType, node: ast.Call) -> Things:
        if verb is listening.event:
            return self._wait(node)
        if verb is attempt.start:
            return self._start(node)
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        found, others = events(union(map(self._things, arguments)))
        self._mentions.publishes |= found
        if others:
            self._mentions.unclear[shown(node)] = None
        return NOTHING

    def _wait(self, node: ast.Call) -> Things:
        made: set[Thing] = set()
        for thing in self._things(_argument(node, "type")):
            kind = event_class(thing) if isinstance(thing, Named) else None
            contract = contract_behind(kind)
            if kind is None or contract is None:
                self._mentions.unclear_waits[shown(node)] = None
            else:
                self._mentions.waits[contract.type] = kind
                made.add(Made(kind))
        return frozenset(made) or ANYTHING

    def _start(self, node: ast.Call) -> Things:
        for thing in self._things(_argument(node, "workflow")):
            if isinstance(thing, Named) and issubclass(type(thing.thing), Workflow):
                self._mentions.starts[thing.thing.name] = None
        return ANYTHING


def _says_something(things: Things) -> bool:
    """Whether an argument is worth following: an event, a workflow, an object, several things."""
    return any(
        event_class(thing) is not None
        or isinstance(thing, Several | Made)
        or (isinstance(thing, Named) and type(thing.thing) not in _PLAIN)
        for thing in things
    )


def _argument(node: ast.Call, name: str) -> ast.expr | None:
    if node.args:
        return node.args[0]
    return next((keyword.value for keyword in node.keywords if keyword.arg == name), None)


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Return the nodes of a function, without those of functions that are defined in it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, FunctionNode | ast.Lambda):
            yield child
            yield from _own(child)
