"""Writes users' text so that Mermaid takes it as text, whatever is in it."""

import re

_IN_LABELS = re.compile(r"[#;\"<>&`*%$\\|]|:(?=fa-)|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""Labels of flowcharts are in quotes, and are read as Markdown and HTML."""
_IN_MESSAGES = re.compile(r"[#;<>&%$\\]")
_BULLET = re.compile(r"^(?:[-+](?=\s|$)|\d+[.)](?=\s|$))")


def label(*texts: str) -> str:
    """Return the lines of one label of a flowchart; empty ones are left out."""
    return "<br/>".join(_label_line(text) for text in texts if text)


def message(*texts: str) -> str:
    """Return the lines of one message or note of a sequence diagram; empty ones are left out."""
    return "<br/>".join(_IN_MESSAGES.sub(_code, _visible(text)) for text in texts if text)


def _label_line(text: str) -> str:
    coded = _IN_LABELS.sub(_code, _visible(text))
    return _BULLET.sub(lambda found: found[0][:-1] + f"#{ord(found[0][-1])};", coded)


def _visible(text: str) -> str:
    """Return text with line ends and what would steer a terminal as Python escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _code(found: re.Match[str]) -> str:
    return f"#{ord(found[0])};"
