"""The one source of chance of a run."""

import random
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from counterpoint.model import ids
from counterpoint.testing.simulation.faults import Faults

T = TypeVar("T")


class Dice:
    """Draws what goes wrong, and counts it."""

    def __init__(self, seed: int, faults: Faults) -> None:
        self.random = random.Random(seed)  # noqa: S311 - not for secrets
        self.faults = faults
        self.struck: Counter[str] = Counter()
        self.calm = False
        """Nothing goes wrong any more."""

    def strikes(self, fault: str) -> bool:
        """Whether a fault strikes now; counted if so."""
        if self.calm:
            return False
        rate: float = getattr(self.faults, fault)
        if not rate or self.random.random() >= rate:
            return False
        self.struck[fault] += 1
        return True

    def seconds(self, most: timedelta) -> float:
        """Return a duration of up to *most*, in seconds; short ones are as likely as long ones."""
        return most.total_seconds() * self.random.random() ** 3

    def choice(self, among: Sequence[T]) -> T:
        """Return one of several."""
        return self.random.choice(among)


@contextmanager
def seeded(dice: Dice, now_us: Callable[[], int]) -> Generator[None]:
    """Let ids, and the random numbers of users' code, be drawn from the seed for a while."""
    before = random.getstate()
    wall_ns, entropy = ids.wall_ns, ids.entropy
    random.seed(dice.random.getrandbits(64))
    ids.entropy = dice.random.randbytes
    ids.wall_ns = lambda: now_us() * 1_000
    try:
        yield
    finally:
        ids.wall_ns, ids.entropy = wall_ns, entropy
        random.setstate(before)
