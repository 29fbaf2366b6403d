"""Finds what workflow code must not call: standard names that differ from run to run.

A replay runs the code again and must take the same path. `time.time()` gives another value then,
and `open()` reads another file. The check reads the byte code of a workflow's function, of the
functions nested in it, and of the plain functions of its own package that it calls by name; it
resolves names as Python would and reports what it recognises. It finds honest mistakes, not every
way to hide one.
"""

import builtins
import datetime
import dis
import os
import random
import secrets
import socket
import subprocess
import threading
import time
import types
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_ACTIVITY = "do it in an activity and await that"
_DICE = (
    *("random", "randint", "randrange", "choice", "choices", "shuffle", "sample", "uniform"),
    *("gauss", "getrandbits", "randbytes"),
)
_TABLE: dict[tuple[Any, str], str] = {
    (time, "time"): "workflow.now()",
    (time, "time_ns"): "workflow.now()",
    (time, "monotonic"): "workflow.now()",
    (time, "perf_counter"): "workflow.now()",
    (time, "sleep"): "await workflow.sleep(...)",
    (datetime.datetime, "now"): "workflow.now()",
    (datetime.datetime, "utcnow"): "workflow.now()",
    (datetime.datetime, "today"): "workflow.now()",
    (datetime.date, "today"): "workflow.now().date()",
    (uuid, "uuid1"): "workflow.uuid4()",
    (uuid, "uuid4"): "workflow.uuid4()",
    (os, "urandom"): "workflow.random().randbytes(...)",
    (os, "getenv"): "pass it in as an argument, or " + _ACTIVITY,
    (os, "environ"): "pass it in as an argument, or " + _ACTIVITY,
    (os, "system"): _ACTIVITY,
    (builtins, "open"): _ACTIVITY,
    (builtins, "input"): "await workflow.signal(...)",
    (threading, "Thread"): _ACTIVITY,
    (socket, "socket"): _ACTIVITY,
    (subprocess, "run"): _ACTIVITY,
    (subprocess, "Popen"): _ACTIVITY,
    (subprocess, "check_output"): _ACTIVITY,
    **{(random, name): f"workflow.random().{name}(...)" for name in _DICE},
    **{
        (secrets, name): _ACTIVITY
        for name in ("token_bytes", "token_hex", "token_urlsafe", "choice", "randbelow")
    },
}
_BY_FUNCTION = {
    id(getattr(owner, name)): (owner, name)
    for owner, name in _TABLE
    if isinstance(owner, types.ModuleType)
}
_DEPTH_MAX = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One use of a name that differs from run to run."""

    workflow: str
    name: str
    instead: str
    line: str
    """`file:line`."""

    def __str__(self) -> str:
        return (
            f"{self.workflow} uses {self.name} ({self.line}), which a replay cannot repeat; "
            f"instead: {self.instead}"
        )


def findings(workflow: str, function: Callable[..., Any]) -> list[Finding]:
    """Return what the code of *function*, and of what it calls by name, must not use."""
    if not isinstance(function, types.FunctionType):
        return []
    package = function.__module__.partition(".")[0]
    found: list[Finding] = []
    seen: set[types.CodeType] = set()
    stack = [(function.__code__, function.__globals__, 0)]
    while stack:
        code, scope, depth = stack.pop()
        if code in seen:
            continue
        seen.add(code)
        stack += [(c, scope, depth) for c in code.co_consts if isinstance(c, types.CodeType)]
        for owner, name, line, called in _uses(code, scope):
            instead = _TABLE.get((owner, name))
            if owner is not None and instead is not None:
                shown = name if owner is builtins else f"{owner.__name__}.{name}"
                found.append(Finding(workflow, shown, instead, f"{code.co_filename}:{line}"))
            elif depth < _DEPTH_MAX and _is_of(called, package):
                stack.append((called.__code__, called.__globals__, depth + 1))
    return found


def _uses(code: types.CodeType, scope: dict[str, Any]) -> Iterator[tuple[Any, str, int, Any]]:
    """Yield (owner, name, line, object) of every global, and of every attribute read from one."""
    line = code.co_firstlineno
    known: Any = None
    for instruction in dis.get_instructions(code):
        if instruction.positions is not None and instruction.positions.lineno is not None:
            line = instruction.positions.lineno
        name = instruction.argval
        if instruction.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
            known = scope.get(name, vars(builtins).get(name))
            owner, own_name = _BY_FUNCTION.get(id(known), (None, name))
            yield owner, own_name, line, known
        elif instruction.opname in {"LOAD_ATTR", "LOAD_METHOD"} and known is not None:
            owner = known
            known = vars(owner).get(name) if isinstance(owner, types.ModuleType | type) else None
            yield (owner if _hashable(owner) else None), name, line, known
        elif instruction.opname not in {"PRECALL", "PUSH_NULL", "CACHE"}:
            known = None


def _is_of(called: Any, package: str) -> bool:
    return isinstance(called, types.FunctionType) and called.__module__.partition(".")[0] == package


def _hashable(value: Any) -> bool:
    return isinstance(value, types.ModuleType | type)
