"""Collects what a function, with those that are defined in it, assigns to which names."""

import ast
from dataclasses import dataclass, field
from typing import NamedTuple

from counterpoint.graph.source import FunctionNode


class Assigned(NamedTuple):
    """A name is given a value."""

    name: str
    value: ast.expr
    element: bool = False
    """An element of the value is meant: the name is that of a loop."""


class Parameter(NamedTuple):
    """A name is given by who calls."""

    name: str
    annotation: ast.expr | None
    several: bool
    """It collects what is left of the arguments."""
    own: bool
    """It is one of the outermost function."""


@dataclass(slots=True)
class Bindings:
    """All names of one function, wherever in it they are assigned."""

    assigned: list[Assigned] = field(default_factory=list)
    parameters: list[Parameter] = field(default_factory=list)
    unclear: set[str] = field(default_factory=set)
    """Names that are also given what is not followed."""
    annotations: dict[str, ast.expr] = field(default_factory=dict)
    functions: dict[str, list[FunctionNode]] = field(default_factory=dict)
    imports: list[ast.Import | ast.ImportFrom] = field(default_factory=list)


def bindings_of(node: FunctionNode) -> Bindings:
    """Return what is assigned to which names in a function."""
    visitor = _Visitor(node)
    visitor.visit(node)
    return visitor.found


class _Visitor(ast.NodeVisitor):
    def __init__(self, outermost: FunctionNode) -> None:
        self.found = Bindings()
        self._outermost = outermost

    # ---- functions ----------------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._parameters(node)
        self.generic_visit(node)

    def _function(self, node: FunctionNode) -> None:
        if node is not self._outermost:
            self.found.functions.setdefault(node.name, []).append(node)
        self._parameters(node)
        self.generic_visit(node)

    def _parameters(self, node: FunctionNode | ast.Lambda) -> None:
        own = node is self._outermost
        arguments = node.args
        for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            self.found.parameters.append(Parameter(one.arg, one.annotation, False, own))
        for rest in (arguments.vararg, arguments.kwarg):
            if rest is not None:
                self.found.parameters.append(Parameter(rest.arg, rest.annotation, True, own))

    # ---- assignments --------------------------------------------------------------------------

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._bind(target, node.value)
        self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._bind(node.target, node.value)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.found.annotations[node.target.id] = node.annotation
            if node.value is not None:
                self._bind(node.target, node.value)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._lose(node.target)
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self._bind(node.target, node.iter, element=True)
        self.generic_visit(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        self._bind(node.target, node.iter, element=True)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self._bind(node.target, node.iter, element=True)
        self.generic_visit(node)

    def visit_withitem(self, node: ast.withitem) -> None:
        if node.optional_vars is not None:
            self._lose(node.optional_vars)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        if node.name is not None:
            self.found.unclear.add(node.name)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.found.imports.append(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.found.imports.append(node)

    def _bind(self, target: ast.expr, value: ast.expr, *, element: bool = False) -> None:
        match target, value:
            case ast.Name(id=name), _:
                self.found.assigned.append(Assigned(name, value, element))
            case (
                ast.Tuple(elts=targets) | ast.List(elts=targets),
                ast.Tuple(elts=values) | ast.List(elts=values),
            ) if len(targets) == len(values) and not element:
                for inner, one in zip(targets, values, strict=True):
                    self._bind(inner, one)
            case _:
                self._lose(target)

    def _lose(self, target: ast.expr) -> None:
        """Give up the names in a target that is assigned what is not followed."""
        for one in ast.walk(target):
            if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
                self.found.unclear.add(one.id)
