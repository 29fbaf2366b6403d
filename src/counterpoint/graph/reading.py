"""Reads a workflow's source, and that of the functions it calls, into one tree."""

import ast
import inspect
import types
from dataclasses import replace
from typing import Any

from counterpoint.authoring.workflow import Workflow
from counterpoint.graph.flow import Body, Flow, Helper, Node, Note
from counterpoint.graph.shape import happens, pruned, reached
from counterpoint.graph.source import function_node
from counterpoint.graph.statements import Statements
from counterpoint.graph.values import (
    DONE,
    UNKNOWN,
    Given,
    Items,
    Known,
    Local,
    Managed,
    Pending,
    Scope,
    Value,
    one_of,
)
from counterpoint.graph.vocabulary import function_of, is_followed

_DEPTH_MAX = 16
_FOLLOWED_MAX = 400


def read_workflow(workflow: Workflow[Any, *tuple[Any, ...]]) -> Flow:
    """Return what the code of a workflow can do.

    Names are resolved as Python would, in the function's globals and closure. No code of the user's
    runs. What the source alone does not tell is a `Note` in the tree.
    """
    deadline = "" if workflow.deadline is None else f"{workflow.deadline.total_seconds():g} s"
    parameters = ", ".join(workflow.signature.parameters)
    body = pruned(_Reader(workflow).body())
    return Flow(workflow.name, workflow.kind, parameters, deadline, body)


class _Reader:
    """Follows calls from one workflow, each function at most once on the way down to a call."""

    def __init__(self, workflow: Workflow[Any, *tuple[Any, ...]]) -> None:
        self._function = function_of(workflow.function)
        self._module = workflow.function.__module__
        self._stack: list[object] = []
        self._followed = 0
        self._tasks = 0

    def body(self) -> Body:
        node = None if self._function is None else function_node(self._function)
        if self._function is None or node is None:
            return (Note("its source cannot be read"),)
        self._stack.append(self._function.__code__)
        return reached(Statements(self, Scope.of(self._function)).function_body(node.body))

    def task_name(self) -> str:
        self._tasks += 1
        return f"task {self._tasks}"

    def follow(self, function: types.FunctionType, given: Given, into: list[Node]) -> Value | None:
        if not is_followed(function, self._module):
            return None
        if inspect.isasyncgenfunction(function):
            return Managed(function, given)
        statements = self._statements(function, given, None)
        is_async = inspect.iscoroutinefunction(function)
        return self._read(function.__code__, function.__name__, statements, is_async, into)

    def follow_local(self, local: Local, given: Given, into: list[Node]) -> Value:
        node = local.node
        scope = local.scope.inner()
        _bind(scope, node.args, given, {})
        name = "lambda" if isinstance(node, ast.Lambda) else node.name
        if isinstance(node, ast.Lambda):
            returns: list[ast.stmt] = [ast.Return(node.body)]
            found = (Statements(self, scope), returns)
        else:
            found = (Statements(self, scope), node.body)
        return self._read(node, name, found, isinstance(node, ast.AsyncFunctionDef), into)

    def follow_block(self, managed: Managed, block: Body, into: list[Node]) -> None:
        function: types.FunctionType = managed.function
        statements = self._statements(function, managed.given, block)
        value = self._read(function.__code__, function.__name__, statements, True, into)
        followed = value.body if isinstance(value, Pending) else ()
        into.extend(
            replace(node, block=True) if isinstance(node, Helper) else node
            for node in followed or block
        )

    def _statements(
        self, function: types.FunctionType, given: Given, block: Body | None
    ) -> tuple[Statements, list[ast.stmt]] | None:
        node = function_node(function)
        if node is None:
            return None
        scope = Scope.of(function)
        _bind(scope, node.args, given, _defaults(function))
        return Statements(self, scope, block), node.body

    def _read(
        self,
        key: object,
        name: str,
        found: tuple[Statements, list[ast.stmt]] | None,
        is_async: bool,
        into: list[Node],
    ) -> Value:
        """Read a function's body; that of a coroutine happens when it is awaited."""
        refusal = self._refusal(key, name) if found is not None else f"{name}: no source"
        if refusal or found is None:
            if is_async:
                return Pending((Note(refusal),))
            return UNKNOWN
        statements, source = found
        self._stack.append(key)
        self._followed += 1
        try:
            body = reached(statements.function_body(source))
        finally:
            self._stack.pop()
        drawn: Body = (Helper(name, body),) if happens(body) else ()
        if is_async:
            return Pending(drawn)
        into.extend(drawn)
        return one_of(statements.returned, f"what {name} returns") if statements.returned else DONE

    def _refusal(self, key: object, name: str) -> str:
        if key in self._stack:
            return f"{name} calls itself: again from its start"
        if len(self._stack) >= _DEPTH_MAX:
            return f"{name} is called too deep down to be drawn"
        if self._followed >= _FOLLOWED_MAX:
            return f"{name} is not drawn: the drawing has too many calls of helpers"
        return ""


def _bind(scope: Scope, arguments: ast.arguments, given: Given, defaults: dict[str, Value]) -> None:
    """Give parameters what is known of their arguments."""
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    scope.local.update(dict.fromkeys(names, UNKNOWN))
    scope.local.update({argument.arg: UNKNOWN for argument in arguments.kwonlyargs})
    scope.local.update(defaults)
    values = given.positional
    starred = any(isinstance(argument, ast.Starred) for argument in given.node.args)
    if not starred:
        scope.local.update(zip(names, values, strict=False))
    scope.local.update({k: v for k, v in given.named.items() if k in scope.local})
    if arguments.vararg is not None:
        rest = UNKNOWN if starred else Items(tuple(values[len(names) :]))
        scope.local[arguments.vararg.arg] = rest
    if arguments.kwarg is not None:
        scope.local[arguments.kwarg.arg] = UNKNOWN


def _defaults(function: types.FunctionType) -> dict[str, Value]:
    signature = inspect.signature(function, follow_wrapped=False)
    found = {
        name: Known((parameter.default,))
        for name, parameter in signature.parameters.items()
        if parameter.default is not parameter.empty
    }
    return dict(found)
