"""Runs a part of a benchmark in a process of its own, so that its memory is its own.

python -m benchmarks.children benchmarks.waiting:start_node '{"path": "x.db"}'
"""

import importlib
import json
import subprocess
import sys
from typing import Any

from benchmarks.machine import ROOT


def in_child(target: str, **arguments: object) -> dict[str, Any]:
    """Call `module:function` in a new process and return its figures."""
    command = [sys.executable, "-m", "benchmarks.children", target, json.dumps(arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Be the child."""
    module, _, function = sys.argv[1].partition(":")
    figures = getattr(importlib.import_module(module), function)(**json.loads(sys.argv[2]))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
