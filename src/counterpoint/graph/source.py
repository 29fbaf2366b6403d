"""Finds the syntax tree of a function, and writes a part of one on one short line."""

import ast
import functools
import inspect
import linecache
import types

_SHOWN_CHARACTERS_MAX = 80

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def function_node(function: types.FunctionType) -> FunctionNode | None:
    """Return the syntax tree of a function; None where its source cannot be read."""
    code = function.__code__
    try:
        file = inspect.getsourcefile(function) or code.co_filename
    except TypeError:
        return None
    linecache.checkcache(file)
    text = "".join(linecache.getlines(file, function.__globals__))
    return _functions(text).get((code.co_name, code.co_firstlineno))


@functools.lru_cache(maxsize=64)
def _functions(text: str) -> dict[tuple[str, int], FunctionNode]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # what is on disk is not what was imported
        return {}
    found: dict[tuple[str, int], FunctionNode] = {}
    for node in ast.walk(tree):
        if isinstance(node, FunctionNode):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            found[node.name, first] = node
    return found


def shown(node: ast.AST | None) -> str:
    """Return source on one line, shortened at its end."""
    if node is None:
        return ""
    text = " ".join(ast.unparse(node).split())
    if len(text) <= _SHOWN_CHARACTERS_MAX:
        return text
    return text[: _SHOWN_CHARACTERS_MAX - 1] + "…"
