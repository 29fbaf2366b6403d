import json
import traceback

import pytest

from counterpoint.cli.raised import raised_at, where

USER = '  File "/home/ada/shop/m5.py", line 39, in bug\n    charge()\n'
LIBRARY = '  File "/home/ada/shop/.venv/lib/python3.12/site-packages/http.py", line 7, in get\n'
ENGINE = '  File "/venv/lib/python3.12/site-packages/counterpoint/kernel/loop.py", line 3, in run\n'
STDLIB = '  File "/usr/lib/python3.12/json/decoder.py", line 355, in decode\n'
WINDOWS = '  File "C:\\\\shop\\\\m5.py", line 4, in bug\n'.replace("\\\\", "\\")
GROUP = '  | Exception Group Traceback:\n  |   File "/shop/m5.py", line 8, in both\n'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, None),
        ("KeyError: 'x'", None),
        (ENGINE + STDLIB, None),
        (ENGINE + USER + LIBRARY + STDLIB, "m5.py:39, in bug"),
        (ENGINE + LIBRARY + STDLIB, "http.py:7, in get"),
        (WINDOWS, "m5.py:4, in bug"),
        (GROUP, "m5.py:8, in both"),
    ],
)
def test_the_line_is_that_of_the_users_own_code(text: str | None, line: str | None) -> None:
    assert raised_at(text) == line
    assert where(text) == ("" if line is None else f" ({line})")


def test_a_real_traceback_through_the_standard_library_ends_in_the_users_code() -> None:
    try:
        json.loads("{")
    except ValueError as error:
        text = "".join(traceback.format_exception(error))
    else:
        text = ""

    found = raised_at(text)

    assert found is not None
    assert found.startswith("test_raised.py:")
