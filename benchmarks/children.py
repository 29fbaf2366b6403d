"""Runs a part of a benchmark in a process of its own, so that its memory is its own.

python -m benchmarks.children benchmarks.waiting:start_node '{"path": "x.db"}'
"""

import asyncio
import importlib
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from benchmarks.machine import ROOT


def in_child(target: str, **arguments: object) -> dict[str, Any]:
    """Call `module:function` in a new process and return its figures."""
    command = _command(target, arguments)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return _figures(done.stdout)


async def beside(target: str, **arguments: object) -> dict[str, Any]:
    """Do the same while this process goes on."""
    child = await asyncio.create_subprocess_exec(
        *_command(target, arguments), cwd=ROOT, stdout=subprocess.PIPE
    )
    told, _ = await child.communicate()
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, target)
    return _figures(told.decode())


def _command(target: str, arguments: Mapping[str, object]) -> list[str]:
    return [sys.executable, "-m", "benchmarks.children", target, json.dumps(arguments)]


def _figures(told: str) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(told.splitlines()[-1])
    return figures


def main() -> None:
    """Be the child."""
    module, _, function = sys.argv[1].partition(":")
    figures = getattr(importlib.import_module(module), function)(**json.loads(sys.argv[2]))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
