"""Reads statements, in order, into the tree of what can happen."""

import ast
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from counterpoint.graph.calls import Follower, limit_words
from counterpoint.graph.expressions import (
    Expressions,
    any_element,
    looped,
    never_awaited,
    unrolled,
)
from counterpoint.graph.flow import Arm, Body, Branch, End, Loop, Node, Note, Try, Way, Within
from counterpoint.graph.names import elements, imported
from counterpoint.graph.shape import ends_inside, goes_on, grouped, joined, reached
from counterpoint.graph.source import shown
from counterpoint.graph.values import (
    UNKNOWN,
    Each,
    Group,
    Items,
    Known,
    Local,
    Managed,
    Scope,
    Value,
    lanes,
    one_of,
    tasks,
)
from counterpoint.graph.vocabulary import SUPPRESS, TASK_GROUP, TIMEOUTS


class BlockFollower(Follower, Protocol):
    """Also reads the generators behind `async with` and `async for`."""

    def follow_block(self, managed: Managed, block: Body, into: list[Node]) -> None:
        """Read a generator whose `yield` is a block of the code that uses it."""
        ...


class Statements:
    """Reads the body of one function."""

    def __init__(self, follower: BlockFollower, scope: Scope, block: Body | None = None) -> None:
        self._follower = follower
        self._expressions = Expressions(follower, scope, block)
        self._scope = scope
        self._in_generator = block is not None
        self.returned: list[Value] = []
        self._readers: dict[type[ast.stmt], Callable[..., None]] = {
            ast.Expr: self._expression,
            ast.Assign: self._assign,
            ast.AnnAssign: self._assign_annotated,
            ast.AugAssign: self._assign_added,
            ast.Return: self._return,
            ast.Raise: self._raise,
            ast.Break: self._break,
            ast.Continue: self._continue,
            ast.If: self._if,
            ast.Match: self._match,
            ast.While: self._while,
            ast.For: self._for,
            ast.AsyncFor: self._for,
            ast.With: self._with,
            ast.AsyncWith: self._with,
            ast.Try: self._try,
            ast.TryStar: self._try,
            ast.FunctionDef: self._function,
            ast.AsyncFunctionDef: self._function,
            ast.Import: self._import,
            ast.ImportFrom: self._import_from,
        }

    def function_body(self, body: Sequence[ast.stmt]) -> Body:
        """Read the whole body of a function; what it makes and never awaits is noted."""
        into: list[Node] = list(self.read(body))
        if goes_on(tuple(into)):
            into += [Note(f"{name} is never awaited") for name in self._scope.unread]
        return tuple(into)

    def read(self, body: Sequence[ast.stmt]) -> Body:
        """Read statements in order, up to the first after which nothing is reached."""
        into: list[Node] = []
        for statement in body:
            read = self._readers.get(type(statement))
            if read is not None:
                read(statement, into)
            elif not isinstance(statement, ast.ClassDef):
                for child in ast.iter_child_nodes(statement):
                    if isinstance(child, ast.expr):
                        self._value(child, into)
            if not goes_on(tuple(into)):
                break
        return joined(reached(into))

    def _value(self, node: ast.expr | None, into: list[Node]) -> Value:
        return self._expressions.value(node, into)

    def _expression(self, node: ast.Expr, into: list[Node]) -> None:
        value = self._value(node.value, into)
        into.extend(never_awaited(node.value, value))

    # ---- names --------------------------------------------------------------------------------

    def _assign(self, node: ast.Assign, into: list[Node]) -> None:
        value = self._value(node.value, into)
        for target in node.targets:
            self._bind(target, value)

    def _assign_annotated(self, node: ast.AnnAssign, into: list[Node]) -> None:
        if node.value is not None:
            self._bind(node.target, self._value(node.value, into))

    def _bind(self, target: ast.expr, value: Value) -> None:
        spread = elements(value) if isinstance(target, ast.Tuple | ast.List) else None
        self._scope.bind(target, value if spread is None else spread)

    def _assign_added(self, node: ast.AugAssign, into: list[Node]) -> None:
        added = self._value(node.value, into)
        before = self._value(node.target, into)
        if isinstance(added, Items) and isinstance(before, Items):
            self._scope.bind(node.target, Items((*before.values, *added.values)))
        else:
            self._scope.bind(node.target, UNKNOWN)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, _: list[Node]) -> None:
        value = UNKNOWN if node.decorator_list else Local(node, self._scope)
        self._scope.local[node.name] = value

    def _import(self, node: ast.Import, _: list[Node]) -> None:
        for alias in node.names:
            top = alias.name.partition(".")[0]
            found = imported(alias.name if alias.asname else top)
            self._scope.local[alias.asname or top] = found

    def _import_from(self, node: ast.ImportFrom, _: list[Node]) -> None:
        for alias in node.names:
            absolute = node.module if node.module and not node.level else ""
            found = imported(absolute, alias.name) if absolute else UNKNOWN
            self._scope.local[alias.asname or alias.name] = found

    # ---- ends ---------------------------------------------------------------------------------

    def _return(self, node: ast.Return, into: list[Node]) -> None:
        self.returned.append(self._value(node.value, into))
        if self._in_generator:
            into.append(Note("the generator ends here"))
        else:
            into.append(End(Way.RETURN, shown(node.value)))

    def _raise(self, node: ast.Raise, into: list[Node]) -> None:
        self._value(node.exc, into)
        into.append(End(Way.RAISE, shown(node.exc)))

    def _break(self, _: ast.Break, into: list[Node]) -> None:
        into.append(End(Way.BREAK))

    def _continue(self, _: ast.Continue, into: list[Node]) -> None:
        into.append(End(Way.CONTINUE))

    # ---- branches -----------------------------------------------------------------------------

    def _if(self, node: ast.If, into: list[Node]) -> None:
        self._value(node.test, into)
        yes, no = self._ways([node.body, node.orelse])
        into.append(Branch(shown(node.test), (Arm("yes", yes), Arm("no", no))))

    def _match(self, node: ast.Match, into: list[Node]) -> None:
        self._value(node.subject, into)
        labels = [_case_words(case) for case in node.cases]
        bodies = [case.body for case in node.cases]
        last = node.cases[-1]
        if not (isinstance(last.pattern, ast.MatchAs) and not last.pattern.pattern) or last.guard:
            labels.append("any other")
            bodies.append([])
        read = self._ways(bodies)
        arms = tuple(Arm(label, body) for label, body in zip(labels, read, strict=True))
        into.append(Branch(shown(node.subject), arms))

    def _ways(self, bodies: Sequence[Sequence[ast.stmt]]) -> list[Body]:
        """Read bodies of which one happens; afterwards a name is what any of them made it."""
        before = self._scope.local
        read: list[Body] = []
        after: list[dict[str, Value]] = []
        for body in bodies:
            self._scope.local = dict(before)
            read.append(self.read(body))
            if goes_on(read[-1]):
                after.append(self._scope.local)
        self._scope.local = {
            name: one_of(way.get(name, UNKNOWN) for way in after)
            for name in {name for way in after for name in way}
        }
        return read

    def _try(self, node: ast.Try | ast.TryStar, into: list[Node]) -> None:
        body = self.read(node.body)
        otherwise = self.read(node.orelse)
        handlers = self._ways([[], *(handler.body for handler in node.handlers)])[1:]
        labels = [shown(handler.type) or "any error" for handler in node.handlers]
        arms = tuple(Arm(label, one) for label, one in zip(labels, handlers, strict=True))
        into.append(Try(body, arms, otherwise, self.read(node.finalbody)))

    # ---- loops --------------------------------------------------------------------------------

    def _while(self, node: ast.While, into: list[Node]) -> None:
        test: list[Node] = []
        self._value(node.test, test)
        endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        body = self._turn(node.body)
        otherwise = self.read(node.orelse)
        if not test:
            header = "for ever" if endless else f"while {shown(node.test)}"
            into.append(Loop(header, body, otherwise, endless))
            return
        over = (*otherwise, End(Way.BREAK))  # what the test awaits happens before it is decided
        branch = Branch(shown(node.test), (Arm("yes", body), Arm("no", reached(over))))
        into.append(Loop("repeat", (*test, branch), endless=True))

    def _for(self, node: ast.For | ast.AsyncFor, into: list[Node]) -> None:
        source = self._value(node.iter, into)
        several = None if _leaves_early(node) else unrolled(source)
        if several is not None:
            for one in several:
                self._bind(node.target, one.value if isinstance(one, Each) else one)
                into.extend(self.read(node.body))
            return
        self._scope.bind(node.target, any_element(source))
        body = self._turn(node.body)
        otherwise = self.read(node.orelse)
        if isinstance(source, Managed) and not ends_inside(body, Way.BREAK, Way.CONTINUE):
            self._follower.follow_block(source, body, into)
            into.extend(otherwise)
            return
        if isinstance(node, ast.AsyncFor):
            body = (Note(f"async for: what {shown(node.iter)} waits for cannot be seen"), *body)
        header = f"for {shown(node.target)} in {shown(node.iter)}"
        loop = looped(header, body)
        only = loop[0] if len(loop) == 1 else None
        into.extend((replace(only, otherwise=otherwise),) if isinstance(only, Loop) else loop)

    def _turn(self, body: Sequence[ast.stmt]) -> Body:
        """Read the body of a loop; what a name was before is not what it is in a later turn."""
        before = dict(self._scope.local)
        for name in _assigned(body) & before.keys():
            if isinstance(before[name], Known | Local):
                self._scope.local[name] = UNKNOWN
        read = self.read(body)
        for name, value in self._scope.local.items():
            earlier = before.get(name)
            if not isinstance(value, Items) or not isinstance(earlier, Items) or value == earlier:
                continue
            if lanes(value) or tasks(value):
                self._scope.local[name] = _in_each_turn(earlier, value)
        return read

    # ---- with ---------------------------------------------------------------------------------

    def _with(self, node: ast.With | ast.AsyncWith, into: list[Node]) -> None:
        self._enter(list(node.items), node, into)

    def _enter(
        self, items: list[ast.withitem], node: ast.With | ast.AsyncWith, into: list[Node]
    ) -> None:
        if not items:
            into.extend(self.read(node.body))
            return
        manager, *rest = items
        inner: list[Node] = []
        shaped = self._shaped(manager, into)
        if shaped is None:
            value = self._value(manager.context_expr, into)
            if manager.optional_vars is not None:
                self._scope.bind(manager.optional_vars, UNKNOWN)
            self._enter(rest, node, inner)
            if isinstance(value, Managed):
                if ends_inside(tuple(inner), Way.RETURN):
                    words = shown(manager.context_expr)
                    inner.insert(0, Note(f"after a return, the rest of {words} happens too"))
                self._follower.follow_block(value, tuple(inner), into)
                return
            if isinstance(node, ast.AsyncWith):
                words = shown(manager.context_expr)
                into.append(Note(f"async with {words}: what it waits for cannot be seen"))
            into.extend(inner)
            return
        self._enter(rest, node, inner)
        into.extend(shaped(tuple(inner)))

    def _shaped(self, item: ast.withitem, into: list[Node]) -> Callable[[Body], Body] | None:
        """Return how a manager of the standard library shapes its block."""
        call = item.context_expr
        if not isinstance(call, ast.Call):
            return None
        callee = self._value(call.func, [])
        kind = callee.objects[0] if isinstance(callee, Known) else None
        if kind in TIMEOUTS:
            self._expressions.given(call, into)
            first = call.args[0] if call.args else next((k.value for k in call.keywords), None)
            words = limit_words(first)
            limit = f"within {words}" if kind is TIMEOUTS[0] else f"until {words}"
            return lambda body: (Within(limit, body),) if words else body
        if kind is TASK_GROUP:
            if item.optional_vars is not None:
                self._scope.bind(item.optional_vars, Group())
            return grouped
        if kind is SUPPRESS:
            label = ", ".join(map(shown, call.args))
            return lambda body: (Try(body, (Arm(label, ()),)),)
        return None


def _in_each_turn(before: Items, after: Items) -> Value:
    """Return a list to which a loop adds the same in every turn."""
    added = [Each("for each turn", value) for value in after.values[len(before.values) :]]
    return Items((*before.values, *added))


def _leaves_early(node: ast.For | ast.AsyncFor) -> bool:
    inside = [inner for statement in node.body for inner in ast.walk(statement)]
    return bool(node.orelse) or any(isinstance(one, ast.Break | ast.Continue) for one in inside)


def _assigned(body: Sequence[ast.stmt]) -> set[str]:
    return {
        one.id
        for statement in body
        for one in ast.walk(statement)
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
    }


def _case_words(case: ast.match_case) -> str:
    words = "any other" if isinstance(case.pattern, ast.MatchAs) and not case.pattern.name else ""
    words = words or shown(case.pattern)
    return f"{words} if {shown(case.guard)}" if case.guard is not None else words
