"""Reads expressions in the order in which Python evaluates them."""

import ast
from collections.abc import Callable, Iterator

from counterpoint.graph.calls import Calls, Follower, dictionary_part, waited
from counterpoint.graph.flow import Arm, Body, Branch, Loop, Node, Note, Spawn
from counterpoint.graph.names import attribute, elements, subscript
from counterpoint.graph.source import shown
from counterpoint.graph.values import (
    DONE,
    UNKNOWN,
    Each,
    Given,
    Items,
    Known,
    Local,
    Pending,
    Scope,
    Value,
    lanes,
    one_of,
    tasks,
)
from counterpoint.graph.vocabulary import definition_of, function_of

_UNROLLED_MAX = 12

Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


class Expressions:
    """Evaluates expressions as far as the source tells; what happens is added to `into`."""

    def __init__(self, follower: Follower, scope: Scope, block: Body | None = None) -> None:
        self._follower = follower
        self.scope = scope
        self._block = block
        """What happens at a `yield`, in the generator of a context manager or a loop."""
        self._calls = Calls(follower, scope)
        self._readers: dict[type[ast.expr], Callable[..., Value]] = {
            ast.Await: self._await,
            ast.Call: self._call,
            ast.Name: self._name,
            ast.Constant: self._constant,
            ast.Attribute: self._attribute,
            ast.Subscript: self._subscript,
            ast.IfExp: self._conditional,
            ast.BoolOp: self._either,
            ast.NamedExpr: self._named,
            ast.Lambda: self._lambda,
            ast.Starred: self._starred,
            ast.Yield: self._yield,
            ast.ListComp: self._comprehension,
            ast.SetComp: self._comprehension,
            ast.GeneratorExp: self._comprehension,
            ast.DictComp: self._comprehension,
        }

    def value(self, node: ast.expr | None, into: list[Node]) -> Value:
        """Return the value of an expression, as far as it is known."""
        if node is None:
            return UNKNOWN
        read = self._readers.get(type(node))
        return self._parts(node, into) if read is None else read(node, into)

    def _parts(self, node: ast.AST, into: list[Node]) -> Value:
        """Evaluate the parts of an operator, a display, an f-string, in order."""
        display = isinstance(node, ast.List | ast.Tuple | ast.Set)
        values: list[Value] = []
        for child in _expressions_in(node):
            value = self.value(child, into)
            spread = isinstance(child, ast.Starred) or isinstance(node, ast.BinOp)
            values += value.values if spread and isinstance(value, Items) else [value]
        if display or any(lanes(value) or tasks(value) for value in values):
            return Items(tuple(values))
        return UNKNOWN

    def _await(self, node: ast.Await, into: list[Node]) -> Value:
        into.extend(waited(self.value(node.value, into), node.value))
        return DONE

    def _name(self, node: ast.Name, _: list[Node]) -> Value:
        return self.scope.look_up(node.id)

    def _constant(self, node: ast.Constant, _: list[Node]) -> Value:
        return Known((node.value,))

    def _attribute(self, node: ast.Attribute, into: list[Node]) -> Value:
        return attribute(self.value(node.value, into), node.attr)

    def _subscript(self, node: ast.Subscript, into: list[Node]) -> Value:
        owner = self.value(node.value, into)
        self.value(node.slice, into)
        constant = node.slice.value if isinstance(node.slice, ast.Constant) else None
        found = subscript(owner, constant)
        return one_of(found, shown(node)) if isinstance(found, list) else found

    def _starred(self, node: ast.Starred, into: list[Node]) -> Value:
        return self.value(node.value, into)

    def _lambda(self, node: ast.Lambda, _: list[Node]) -> Value:
        return Local(node, self.scope)

    def _named(self, node: ast.NamedExpr, into: list[Node]) -> Value:
        value = self.value(node.value, into)
        self.scope.bind(node.target, value)
        return value

    def _yield(self, node: ast.Yield, into: list[Node]) -> Value:
        self.value(node.value, into)
        into.extend(self._block or ())
        return UNKNOWN

    def _conditional(self, node: ast.IfExp, into: list[Node]) -> Value:
        self.value(node.test, into)
        yes: list[Node] = []
        no: list[Node] = []
        values = [self.value(node.body, yes), self.value(node.orelse, no)]
        subject = shown(node.test)
        if yes or no:
            into.append(Branch(subject, (Arm("yes", tuple(yes)), Arm("no", tuple(no)))))
        waits = [value.body for value in values if isinstance(value, Pending)]
        if len(waits) == len(values):
            return Pending((Branch(subject, (Arm("yes", waits[0]), Arm("no", waits[1]))),))
        return one_of(values, subject)

    def _either(self, node: ast.BoolOp, into: list[Node]) -> Value:
        values = [self.value(node.values[0], into)]
        for position, operand in enumerate(node.values[1:], 1):
            happens: list[Node] = []
            values.append(self.value(operand, happens))
            if happens:
                before = shown(ast.BoolOp(node.op, node.values[:position]))
                on, off = ("yes", "no") if isinstance(node.op, ast.And) else ("no", "yes")
                tested = shown(node.values[0]) if position == 1 else before
                into.append(Branch(tested, (Arm(on, tuple(happens)), Arm(off, ()))))
        return one_of(values)

    # ---- calls --------------------------------------------------------------------------------

    def _call(self, node: ast.Call, into: list[Node]) -> Value:
        owner: Value = UNKNOWN
        if isinstance(node.func, ast.Attribute):
            owner = self.value(node.func.value, into)
            part = dictionary_part(owner, node.func.attr)
            if part is not None:
                return part
            callee = attribute(owner, node.func.attr)
        else:
            callee = self.value(node.func, into)
        return self._calls.called(callee, owner, self.given(node, into), into)

    def given(self, node: ast.Call, into: list[Node]) -> Given:
        """Evaluate the arguments of a call."""
        positional: list[Value] = []
        for argument in node.args:
            value = self.value(argument, into)
            spread = isinstance(argument, ast.Starred) and isinstance(value, Items)
            positional += value.values if spread and isinstance(value, Items) else [value]
        named = {k.arg or "**": self.value(k.value, into) for k in node.keywords}
        return Given(node, tuple(positional), named)

    # ---- comprehensions -----------------------------------------------------------------------

    def _comprehension(self, node: Comprehension, into: list[Node]) -> Value:
        first = node.generators[0]
        source = self.value(first.iter, into)
        several = unrolled(source)
        if several is not None and len(node.generators) == 1 and not first.ifs:
            return Items(tuple(self._turn(node, one, into) for one in several))
        happens: list[Node] = []
        value = self._turn(node, any_element(source), happens)
        header = " ".join(shown(generator) for generator in node.generators)
        into.extend(looped(header, tuple(happens)))
        if lanes(value) or tasks(value):
            return Items((Each(header, value),))
        return value if value == DONE else UNKNOWN

    def _turn(self, node: Comprehension, element: Value, into: list[Node]) -> Value:
        inner = Expressions(self._follower, self.scope.inner(), self._block)
        for number, generator in enumerate(node.generators):
            if number:
                element = any_element(inner.value(generator.iter, into))
            inner.scope.bind(generator.target, element)
            for test in generator.ifs:
                inner.value(test, into)
        if isinstance(node, ast.DictComp):
            inner.value(node.key, into)
            return inner.value(node.value, into)
        return inner.value(node.elt, into)


def looped(header: str, body: Body) -> Body:
    """Return a loop; one that only begins tasks begins a task each."""
    if not body:
        return ()
    if all(isinstance(node, Spawn) for node in body):
        spawns = [node for node in body if isinstance(node, Spawn)]
        return tuple(Spawn(s.task, s.body, f"{header} {s.each}".rstrip()) for s in spawns)
    return (Loop(header, body),)


def any_element(source: Value) -> Value:
    """Return what is known of an element of a value, whichever it is."""
    if source == DONE:
        return DONE
    known = elements(source)
    if known is None or not known.values:
        return UNKNOWN
    return one_of(one.value if isinstance(one, Each) else one for one in known.values)


def unrolled(source: Value) -> tuple[Value, ...] | None:
    """Return the few known elements of what a loop goes through, where one can be called."""
    known = elements(source)
    if known is None or not 0 < len(known.values) <= _UNROLLED_MAX:
        return None
    return known.values if any(map(_is_callable, known.values)) else None


def _is_callable(value: Value) -> bool:
    match value:
        case Known(objects=objects):
            return any(definition_of(one) or function_of(one) for one in objects)
        case Items(values=values):
            return any(map(_is_callable, values))
        case Local():
            return True
        case _:
            return False


def _expressions_in(node: ast.AST) -> Iterator[ast.expr]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield child
        elif not isinstance(child, ast.expr_context | ast.operator | ast.cmpop | ast.unaryop):
            yield from _expressions_in(child)


def never_awaited(source: ast.AST, value: Value) -> Body:
    """Return the note on a coroutine that the code makes and drops."""
    if isinstance(value, Pending) and value.body:
        return (Note(f"{shown(source)} is called and not awaited"),)
    return ()
