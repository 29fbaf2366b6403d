"""The guides to sagas and events: each program prints what its guide says; other code runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDES = Path(__file__).parent.parent / "docs/guides"
PAGES = [
    "children",
    "compensation",
    "events-and-contracts",
    "flows",
    "mixing-styles",
    "reactions",
    "waiting-for-people",
]
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"# (\w+\.py)\n")


def programs(page: str) -> list[tuple[str, str]]:
    """Return a guide's blocks of code, each with the output that the guide shows after it."""
    return BLOCK.findall((GUIDES / f"{page}.md").read_text())


@pytest.mark.parametrize(
    ("page", "number"), [(page, n) for page in PAGES for n in range(len(programs(page)))]
)
def test_program_of_a_guide_prints_what_the_guide_says(
    page: str, number: int, tmp_path: Path
) -> None:
    for code, _ in programs(page):
        if named := NAME.match(code):
            (tmp_path / named[1]).write_text(code)
    code, output = programs(page)[number]
    (tmp_path / "program.py").write_text(code)

    ran = subprocess.run(
        [sys.executable, "-W", "error", "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ran.stdout, ran.returncode) == (output, 0), ran.stderr
