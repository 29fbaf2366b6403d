"""Writes users' text so that PlantUML takes it as text, whatever is in it."""

import re

_SPECIAL = re.compile(
    r"\\t|[#;\"<&`*%$!@^{}\\|~]"  # markup, macros, what ends an element
    r"|__+|--+|\.\.+|==+|//+|\[\[+|\]\]+|/'|'/"  # markup when doubled, and comments
    r"|^[\s'=-]"  # what means something at the start of a line
)
_BROKEN = {"\\": "<U+005C>", "$": "<U+0024>"}
"""PlantUML fails on the entities of these."""
_NO_TAB = "<U+2216>t"
"""A backslash before a t would be a tab, however it is written; this one only looks like it."""


def escaped(*texts: str) -> str:
    """Return the lines of one text; empty ones are left out.

    What has a meaning in PlantUML becomes an entity, control characters become Python escapes.
    """
    return r"\n".join(_SPECIAL.sub(_coded, _visible(text)) for text in texts if text)


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _coded(found: re.Match[str]) -> str:
    if found[0] == r"\t":
        return _NO_TAB
    return "".join(_BROKEN.get(c, f"&#{ord(c)};") for c in found[0])
