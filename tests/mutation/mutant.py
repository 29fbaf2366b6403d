"""What a mutant is: one small change to the engine that breaks a promise."""

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "src" / "counterpoint"


@dataclass(frozen=True)
class Mutant:
    """A way to break the engine, and the tests that are expected to notice.

    The *old* text stands exactly once in *file*. It is as short as it can be, so that code around
    it may move; who moves the text itself moves the mutant with it.
    """

    name: str
    """What it does to the engine, in words with hyphens."""
    promise: str
    """The promise that it breaks, P1 to P10."""
    file: str
    """Relative to the package."""
    old: str
    new: str
    tests: tuple[str, ...]
    """What is run first: files, or single tests as pytest names them."""
    why: str
    """What would happen to a user, in one sentence."""

    def apply(self, package: Path) -> str:
        """Return the text of the file with the change.

        Raises:
            LookupError: the old text does not stand there exactly once, or the new one is no code.
        """
        text = (package / self.file).read_text()
        found = text.count(self.old)
        if found != 1:
            raise LookupError(f"{self.name}: {self.file} has its old text {found} times, not once")
        changed = text.replace(self.old, self.new)
        if changed == text:
            raise LookupError(f"{self.name} changes nothing")
        if self.file.endswith(".py"):
            try:
                ast.parse(changed)
            except SyntaxError as error:
                raise LookupError(f"{self.name} makes no code of {self.file}: {error}") from error
        return changed
