"""Where an error was raised: the line of the user's code in a recorded traceback."""

import re
import sysconfig
from pathlib import Path, PurePath, PureWindowsPath

import counterpoint

_FRAME = re.compile(r'^[ |]*File "([^"\n]+)", line (\d+), in (.+)$', re.MULTILINE)
_ENGINE = str(Path(counterpoint.__file__).parent)
_STDLIB = sysconfig.get_paths()["stdlib"]
_INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")
_INSTALLED_ENGINE = re.compile(r"[/\\](site|dist)-packages[/\\]counterpoint[/\\]")
_ANY_STDLIB = re.compile(r"[/\\]lib[/\\]python3\.\d+[/\\](?!(site|dist)-packages)")


def raised_at(traceback: str | None) -> str | None:
    """Return `file.py:12, in function` of the innermost frame of the user's own code.

    That is the code in no library; where there is none, the innermost frame in a library that is
    neither Counterpoint nor Python itself, as an app may be installed too.
    """
    frames = [found.groups() for found in _FRAME.finditer(traceback or "")]
    users = [frame for frame in frames if not _is_ours(frame[0])]
    own = [frame for frame in users if not _INSTALLED.search(frame[0])]
    if not users:
        return None
    file, line, function = (own or users)[-1]
    path = PureWindowsPath(file) if "\\" in file else PurePath(file)
    return f"{path.name}:{line}, in {function}"


def where(traceback: str | None) -> str:
    """Return that in brackets, to stand behind an error; nothing where it is not known."""
    line = raised_at(traceback)
    return "" if line is None else f" ({line})"


def _is_ours(file: str) -> bool:
    if file.startswith("<") or _INSTALLED_ENGINE.search(file) or _ANY_STDLIB.search(file):
        return True
    if _INSTALLED.search(file):
        return False
    return file.startswith((_ENGINE, _STDLIB))
