"""Batches of random cases: each has a seed of its own, and stops at its first violation."""

import asyncio
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

C = TypeVar("C")
BATCH = 250


def few(examples: int) -> settings:
    """Return how a test runs so many cases: without a deadline, telling how to run one again."""
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        print_blob=True,
    )


@dataclass
class Result:
    """What one batch of cases, or many, came to."""

    cases: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)

    def add(self, other: "Result") -> None:
        """Add another batch's figures to these."""
        self.cases += other.cases
        self.counts += other.counts
        self.found += other.found


@dataclass
class Run:
    """What one case came to."""

    violations: list[str]
    counts: Counter[str] = field(default_factory=Counter)
    story: str = ""


def run_cases(
    cases: SearchStrategy[C], run: Callable[[C], Awaitable[Run]], name: str, count: int
) -> Result:
    """Run cases; the first violation is made as small as Hypothesis can, and told."""
    result = Result()
    smallest = ""

    @seed(name)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=tuple(HealthCheck),
    )
    @given(cases)
    def batch(case: C) -> None:
        nonlocal smallest
        done = runner.run(_awaited(run, case))
        if not smallest:
            result.cases += 1
            result.counts += done.counts
        if done.violations:
            said = (f"  ! {what}" for what in done.violations)
            smallest = "\n".join([repr(case), *said, done.story])
        assert not done.violations

    with asyncio.Runner() as runner, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what `finally` makes at eviction and cannot run
        try:
            batch()
        except Exception as error:  # noqa: BLE001 - also what Hypothesis says about a flaky case
            result.found.append(f"batch {name}, {result.cases} cases: {smallest or error!r}")
    return result


async def _awaited(run: Callable[[C], Awaitable[Run]], case: C) -> Run:
    return await run(case)
