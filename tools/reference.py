"""Writes the pages of docs/reference that are made from the source: `python tools/reference.py`."""

import inspect
from pathlib import Path

from counterpoint import errors
from counterpoint.authoring.business import BusinessError

ROOT = Path(__file__).resolve().parent.parent
ERRORS = ROOT / "docs" / "reference" / "errors.md"


def errors_page() -> str:
    """Return the page of all errors, in the order of the module that declares them."""
    classes = [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    ]
    lines = [
        "# Errors",
        "",
        "Names end in `Error` where something is wrong with the program or its surroundings. The",
        "others are outcomes of a process, to be caught as control flow, or statements that an",
        "activity makes. All but `NotDone`, `RetryAfter` and the warning are `CounterpointError`s.",
        "",
        "<!-- made by tools/reference.py from the docstrings; a test checks that it is current -->",
        "",
    ]
    for error in [*classes, BusinessError]:
        bases = ", ".join(f"`{base.__name__}`" for base in error.__bases__)
        text = inspect.getdoc(error) or ""
        lines += [f"## {error.__name__}", "", f"A {bases}.", "", *_prose(text), ""]
    return "\n".join(lines).rstrip() + "\n"


def _prose(text: str) -> list[str]:
    """Return a docstring as Markdown: indented parts become code."""
    lines: list[str] = []
    code = False
    for line in text.splitlines():
        if line.startswith("Raises:"):
            break
        starts = line.startswith("    ")
        if starts and not code:
            lines.append("```python")
            code = True
        elif code and line and not starts:
            while lines and not lines[-1]:
                lines.pop()
            lines += ["```", ""]
            code = False
        lines.append(line.removeprefix("    "))
    while lines and not lines[-1]:
        lines.pop()
    if code:
        lines.append("```")
    return lines


if __name__ == "__main__":
    ERRORS.write_text(errors_page())
