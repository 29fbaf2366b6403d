"""What the names in a function may stand for, learned from everything that is assigned to them."""

import ast
import importlib.util
import types
from collections.abc import Callable
from contextlib import suppress

from counterpoint.graph.bindings import Parameter, bindings_of
from counterpoint.graph.names import imported
from counterpoint.graph.source import FunctionNode, shown
from counterpoint.graph.things import (
    ANYTHING,
    NOTHING,
    Several,
    Things,
    attribute_of,
    better,
    elements,
    hinted,
    known,
    union,
)
from counterpoint.graph.values import Scope

_TRANSPARENT = {"Optional", "Union", "Annotated"}


class Names:
    """The names that the code of one function sees; assignments are learned in passes."""

    def __init__(
        self, function: types.FunctionType, node: FunctionNode, arguments: dict[str, Things]
    ) -> None:
        self._scope = Scope.of(function)
        self._package = str(function.__globals__.get("__package__") or "")
        self._bindings = bindings_of(node)
        self._fixed: dict[str, Things] = dict.fromkeys(self._bindings.unclear, ANYTHING)
        self._inner: dict[str, Things] = {}
        """Parameters of functions that are defined in this one, as they are annotated."""
        for parameter in self._bindings.parameters:
            things = self._parameter(parameter)
            if parameter.own:
                self._fix(parameter.name, arguments.get(parameter.name, things))
            else:
                self._inner[parameter.name] = self._inner.get(parameter.name, NOTHING) | things
        for statement in self._bindings.imports:
            self._import(statement)
        self._learned: dict[str, Things] = {one.name: NOTHING for one in self._bindings.assigned}
        self._passed: dict[str, Things] = dict.fromkeys(self._inner, NOTHING)
        self._passing: dict[str, Things] = {}

    def learn(self, read: Callable[[ast.expr], Things]) -> bool:
        """Take in what is assigned, as it is known now; return whether there was anything new."""
        before = self._learned
        learned = dict.fromkeys(before, NOTHING)
        for name, value, element in self._bindings.assigned:
            things = read(value)
            learned[name] |= elements(things) if element else things
        news = learned != before or self._passing != self._passed
        self._learned, self._passed, self._passing = learned, self._passing, {}
        return news

    def pass_on(self, arguments: dict[str, Things]) -> None:
        """Take in what a function that is defined in this one is called with."""
        for name, things in arguments.items():
            self._passing[name] = self._passing.get(name, NOTHING) | things

    def functions(self, name: str) -> list[FunctionNode]:
        """Return the functions of that name that are defined in this one."""
        return self._bindings.functions.get(name, [])

    def look_up(self, name: str) -> Things:
        """Return what a name may stand for."""
        fixed, learned = self._fixed.get(name), self._learned.get(name)
        if name in self._inner:
            annotated = self._inner[name]
            passed = better(self._passed.get(name, annotated), annotated)
            learned = (learned or NOTHING) | passed
        if fixed is None and learned is None:
            return NOTHING if self.functions(name) else known(self._scope.look_up(name))
        found = (fixed or NOTHING) | (learned or NOTHING)
        annotation = self._bindings.annotations.get(name)
        return found if annotation is None else better(found, self.annotated(annotation))

    def _fix(self, name: str, things: Things) -> None:
        self._fixed[name] = self._fixed.get(name, NOTHING) | things

    def _parameter(self, parameter: Parameter) -> Things:
        things = self.annotated(parameter.annotation)
        return frozenset({Several(things)}) if parameter.several else things

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if isinstance(node, ast.Import):
                top = alias.name.partition(".")[0]
                self._fix(alias.asname or top, known(imported(alias.name if alias.asname else top)))
                continue
            module = "." * node.level + (node.module or "")
            with suppress(ImportError):
                module = importlib.util.resolve_name(module, self._package)
            self._fix(alias.asname or alias.name, known(imported(module, alias.name)))

    # ---- annotations --------------------------------------------------------------------------

    def annotated(self, node: ast.expr | None) -> Things:
        """Return what a value with that annotation may be."""
        match node:
            case ast.Constant(value=str(text)):
                with suppress(SyntaxError):
                    return self.annotated(ast.parse(text, mode="eval").body)
                return ANYTHING
            case ast.Constant(value=None):
                return NOTHING
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self.annotated(left) | self.annotated(right)
            case ast.Subscript(value=container, slice=inner):
                parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                return self._parts(container, parts)
            case ast.Name() | ast.Attribute():
                return hinted(self._annotation(node))
            case _:
                return ANYTHING

    def _annotation(self, node: ast.expr) -> Things:
        if isinstance(node, ast.Name):
            fixed = self._fixed.get(node.id)
            return known(self._scope.look_up(node.id)) if fixed is None else fixed
        if isinstance(node, ast.Attribute):
            owners = self._annotation(node.value)
            return union(attribute_of(owner, node.attr) for owner in owners)
        return ANYTHING

    def _parts(self, container: ast.expr, inner: list[ast.expr]) -> Things:
        name = shown(container).rpartition(".")[2]
        if name == "Annotated":
            return self.annotated(inner[0])
        parts = union(map(self.annotated, (one for one in inner if shown(one) != "...")))
        return parts if name in _TRANSPARENT else frozenset({Several(parts)})
