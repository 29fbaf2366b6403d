"""What a call in workflow code means: a step, a task, a helper to follow, or nobody knows."""

import ast
import functools
import types
from typing import Any, Protocol

from counterpoint.authoring.activity import Activity
from counterpoint.authoring.registry import AnyActivity, AnyWorkflow
from counterpoint.graph.flow import (
    Arm,
    Body,
    Branch,
    End,
    Join,
    Kind,
    Lane,
    Node,
    Note,
    Parallel,
    Spawn,
    Step,
    Way,
    Within,
)
from counterpoint.graph.names import dictionary_items, is_a
from counterpoint.graph.source import shown
from counterpoint.graph.values import (
    DONE,
    UNKNOWN,
    Given,
    Instance,
    Items,
    Known,
    Local,
    Method,
    Pending,
    Scope,
    Task,
    Value,
    lanes,
    one_of,
    tasks,
    unclear,
)
from counterpoint.graph.vocabulary import (
    KINDS,
    Verb,
    definition_of,
    function_of,
    verb_of,
    verb_of_attribute,
)

_SAME_ELEMENTS = (list, tuple, set, frozenset, sorted, reversed, iter)
_GROWING = {"append", "add", "extend", "update"}


class Follower(Protocol):
    """Reads the functions that workflow code calls."""

    def follow(self, function: types.FunctionType, given: Given, into: list[Node]) -> Value | None:
        """Read a function; None where it is not the user's own."""
        ...

    def follow_local(self, local: Local, given: Given, into: list[Node]) -> Value:
        """Read a function that is defined inside the one that calls it."""
        ...

    def task_name(self) -> str:
        """Return a name for one more task."""
        ...


class Calls:
    """Gives calls their meaning; what happens at once is added to `into`."""

    def __init__(self, follower: Follower, scope: Scope) -> None:
        self._follower = follower
        self._scope = scope

    def called(self, callee: Value, owner: Value, given: Given, into: list[Node]) -> Value:
        """Return the value of a call, as far as it is known."""
        name = given.node.func.attr if isinstance(given.node.func, ast.Attribute) else ""
        verb = verb_of_attribute(owner, name) if name else None
        if verb is not None:
            return self._verb(verb, given, into)
        if isinstance(callee, Local):
            self._may_grow(given)
            return self._follower.follow_local(callee, given, into)
        if isinstance(callee, Known):
            return self._known(callee, given, into)
        if isinstance(callee, Method):
            bound = Given(given.node, (callee.owner, *given.positional), given.named)
            return self._one(callee.function, bound, into)
        method = self._method(owner, name, given, into) if name else None
        if method is not None:
            return method
        self._may_grow(given)
        return self._strange(given, into)

    def _known(self, callee: Known, given: Given, into: list[Node]) -> Value:
        if len(callee.objects) == 1:
            return self._one(callee.objects[0], given, into)
        values: list[Value] = []
        arms: list[Arm] = []
        for number, one in enumerate(callee.objects, 1):
            happens: list[Node] = []
            values.append(self._one(one, given, happens))
            arms.append(Arm(_name_of(one) or f"{number}", tuple(happens)))
        if any(arm.body for arm in arms):
            into.append(Branch(f"which {shown(given.node.func)}", tuple(arms)))
        if any(isinstance(value, Pending) for value in values):
            waits = [value.body if isinstance(value, Pending) else () for value in values]
            labelled = tuple(Arm(a.label, body) for a, body in zip(arms, waits, strict=True))
            return Pending((Branch(f"which {shown(given.node.func)}", labelled),))
        return one_of(values)

    def _one(self, callee: object, given: Given, into: list[Node]) -> Value:
        definition = definition_of(callee)
        if definition is not None:
            return Pending((_step_of(definition),))
        verb = verb_of(callee)
        if verb is not None:
            return self._verb(verb, given, into)
        given = _with_bound(callee, given)
        if callee is functools.partial and given.positional:
            first = given.positional[0]
            if isinstance(first, Known) and all(map(definition_of, first.objects)):
                return first
        function = function_of(callee)
        if function is not None:
            self._may_grow(given)
            followed = self._follower.follow(function, given, into)
            if followed is not None:
                return followed
        if any(callee is same for same in _SAME_ELEMENTS) and len(given.positional) < 2:
            return given.positional[0] if given.positional else Items(())
        strange = self._strange(given, into)
        kind: Any = callee
        return Instance(kind) if isinstance(callee, type) else strange

    # ---- verbs --------------------------------------------------------------------------------

    def _verb(self, verb: Verb, given: Given, into: list[Node]) -> Value:
        first = given.positional[0] if given.positional else UNKNOWN
        match verb:
            case Verb.CHILD:
                rest = Given(given.node, given.positional[1:], given.named)
                return self._known(first, rest, into) if isinstance(first, Known) else UNKNOWN
            case Verb.SPAWN:
                return self._spawn(first, given, into)
            case Verb.SHIELD:
                return first
            case Verb.SLEEP | Verb.SIGNAL | Verb.EVENT:
                step = _wait_step(KINDS[verb], given)
                return DONE if step is None else Pending((step,))
            case Verb.GATHER | Verb.WAIT | Verb.WAIT_FOR:
                return Pending(_waits_for(verb, given))
            case _:
                into.extend(_at_once(verb, given))
                return DONE

    def _spawn(self, value: Value, given: Given, into: list[Node]) -> Value:
        if isinstance(value, Task):
            return value
        name = self._follower.task_name()
        source = given.node.args[0] if given.node.args else given.node
        body = waited(value, source)
        into.append(Spawn(name, body))
        return Task(name)

    # ---- methods and strangers ----------------------------------------------------------------

    def _method(self, owner: Value, name: str, given: Given, into: list[Node]) -> Value | None:
        if name == "create_task" and given.positional:
            return self._spawn(given.positional[0], given, into)
        if isinstance(owner, Items):
            if name in _GROWING:
                return self._grow(owner, name, given)
            return owner if name in {"values", "copy"} else UNKNOWN
        return None

    def _grow(self, owner: Items, name: str, given: Given) -> Value:
        target = given.node.func.value if isinstance(given.node.func, ast.Attribute) else None
        added: list[Value] = []
        for value in given.positional:
            spread = name in {"extend", "update"} and isinstance(value, Items)
            added += value.values if spread and isinstance(value, Items) else [value]
        if isinstance(target, ast.Name):
            self._scope.bind(target, Items((*owner.values, *added)))
        return DONE

    def _may_grow(self, given: Given) -> None:
        """Remember that a list which is handed on may have more in it afterwards."""
        for argument in given.node.args:
            value = self._scope.local.get(argument.id) if isinstance(argument, ast.Name) else None
            if isinstance(value, Items):
                self._scope.bind(argument, Items((*value.values, UNKNOWN)))

    def _strange(self, given: Given, into: list[Node]) -> Value:
        """Draw what is handed to a function that cannot be read."""
        for value in (*given.positional, *given.named.values()):
            into.extend(node for lane in lanes(value) for node in lane_body(lane))
            if isinstance(value, Known) and any(map(definition_of, value.objects)):
                names = " or ".join(filter(None, map(_name_of, value.objects)))
                into.append(Note(f"{names} is handed to {shown(given.node.func)}"))
        return UNKNOWN


def dictionary_part(owner: Value, name: str) -> Items | None:
    """Return what `owner.values()` and the like give, where the owner is a known dictionary."""
    if name not in {"keys", "values", "items"} or not isinstance(owner, Known):
        return None
    thing: Any = owner.objects[0]
    return dictionary_items(thing, name) if is_a(dict, thing) else None


def waited(value: Value, source: ast.AST) -> Body:
    """Return what happens when a value is awaited."""
    match value:
        case Pending(body=body):
            return body
        case Task(name=name):
            return (Join(name),)
        case _:
            return (Note(f"await {shown(source)}"),) if unclear(value) else ()


def lane_body(lane: Lane) -> Body:
    """Return a lane as what happens in order."""
    return (Parallel((lane,)),) if lane.each else lane.body


def limit_words(node: ast.expr | None) -> str:
    """Return a time limit in words; empty where there is none."""
    match node:
        case None | ast.Constant(value=None):
            return ""
        case ast.Constant(value=int() | float() as seconds):
            return f"{seconds:g} s"
        case ast.Call(func=ast.Name(id="timedelta"), args=[], keywords=keywords) if keywords:
            return " ".join(f"{shown(part.value)} {_unit(part)}" for part in keywords)
        case _:
            return shown(node)


def _unit(part: ast.keyword) -> str:
    one = isinstance(part.value, ast.Constant) and part.value.value == 1
    return (part.arg or "").removesuffix("s" if one else "")


def _together(given: Given, until: str) -> Body:
    value = Items(given.positional)
    joined = tasks(value)
    side = lanes(value)
    notes = [
        Note(f"what is in {shown(node)} cannot be seen")
        for node, one in zip(given.node.args, given.positional, strict=False)
        if unclear(one) and not (lanes(one) or tasks(one))
    ]
    if not (side or notes or joined) and given.node.args:
        notes = [Note(f"what {shown(given.node)} waits for cannot be seen")]
    if not side and not notes:
        return tuple(Join(name, until) for name in joined)
    side += tuple(Lane((Join(name),)) for name in joined)
    side += tuple(Lane((note,)) for note in notes)
    if len(side) == 1 and not side[0].each:
        return side[0].body
    return (Parallel(side, until),)


def _waits_for(verb: Verb, given: Given) -> Body:
    """Return what happens when several things, or one for a limited time, are awaited."""
    if verb is not Verb.WAIT_FOR:
        return _together(given, _until(verb, given))
    limit = limit_words(_argument(given.node, 1, "timeout"))
    body = waited(given.positional[0], given.node.args[0]) if given.positional else ()
    return (Within(f"within {limit}", body),) if limit else body


def _at_once(verb: Verb, given: Given) -> Body:
    """Return what happens as soon as the call is made, awaited or not."""
    match verb:
        case Verb.AS_COMPLETED:
            return _together(given, "all, each in its turn")
        case Verb.CONTINUE_AS_NEW:
            return (End(Way.AGAIN, shown(given.node)),)
        case Verb.COMPENSATE_WITH:
            undo = given.positional[0] if given.positional else UNKNOWN
            return (Step(Kind.COMPENSATE_WITH, _definition_name(undo, given)),)
        case Verb.PIVOT | Verb.PATCHED | Verb.PUBLISH:
            return (Step(KINDS[verb], ", ".join(_fact(arg) for arg in given.node.args)),)
        case _:
            return ()


def _until(verb: Verb, given: Given) -> str:
    words = "all"
    for keyword in given.node.keywords:
        source = shown(keyword.value)
        if keyword.arg == "return_when" and "FIRST_COMPLETED" in source:
            words = "the first"
        elif keyword.arg == "return_when" and "FIRST_EXCEPTION" in source:
            words = "all, or the first that fails"
    limit = limit_words(_argument(given.node, None, "timeout")) if verb is Verb.WAIT else ""
    return f"{words}, for at most {limit}" if limit else words


def _wait_step(kind: Kind, given: Given) -> Step | None:
    first = given.node.args[0] if given.node.args else _argument(given.node, None, "name")
    if kind is Kind.SLEEP:
        if isinstance(first, ast.Constant) and first.value == 0:
            return None  # it only lets others run
        return Step(kind, limit_words(first) or "?")
    value = given.positional[0] if given.positional else given.named.get("name", UNKNOWN)
    said = value.objects[0] if isinstance(value, Known) and len(value.objects) == 1 else None
    if isinstance(said, type):
        name = said.__name__
    else:
        name = str.__str__(said) if isinstance(said, str) else shown(first)
    details = [
        f"within {limit_words(keyword.value)}"
        if keyword.arg == "timeout"
        else f"{keyword.arg}={shown(keyword.value)}"
        for keyword in given.node.keywords
        if keyword.arg not in (None, "type", "name") and limit_words(keyword.value)
    ]
    return Step(kind, name, ", ".join(details))


def _argument(node: ast.Call, position: int | None, name: str) -> ast.expr | None:
    if position is not None and len(node.args) > position:
        return node.args[position]
    return next((keyword.value for keyword in node.keywords if keyword.arg == name), None)


def _step_of(definition: AnyActivity | AnyWorkflow) -> Step:
    undo = None if definition.undo is None else definition.undo.name
    if isinstance(definition, Activity):
        return Step(Kind.ACTIVITY, definition.name, undo=undo)
    itself = definition.name if definition.saga else None
    return Step(Kind.CHILD, definition.name, undo=undo or itself)


def _with_bound(callee: object, given: Given) -> Given:
    """Return the arguments with those that a method or a `functools.partial` adds."""
    before: list[Value] = []
    named: dict[str, Value] = {}
    inner: Any = callee
    while is_a(functools.partial, inner):
        before = [*(Known((one,)) for one in inner.args), *before]
        named = {**{name: Known((one,)) for name, one in inner.keywords.items()}, **named}
        inner = inner.func
    if is_a(types.MethodType, inner):
        before.insert(0, Known((inner.__self__,)))
    return Given(given.node, (*before, *given.positional), {**named, **given.named})


def _definition_name(value: Value, given: Given) -> str:
    if isinstance(value, Known):
        names = [name for name in map(_name_of, value.objects) if name]
        if names:
            return " or ".join(names)
    return shown(given.node.args[0]) if given.node.args else "?"


def _name_of(thing: object) -> str:
    definition = definition_of(thing)
    if definition is not None:
        return definition.name
    return thing.__name__ if isinstance(thing, types.FunctionType | type) else ""


def _fact(node: ast.expr) -> str:
    """Return what is published, without its fields where they are written out."""
    return shown(node.func) if isinstance(node, ast.Call) else shown(node)
