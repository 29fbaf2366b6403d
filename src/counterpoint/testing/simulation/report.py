"""What many runs came to."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import timedelta

FINDINGS_SHOWN = 20
STORY_LINES_SHOWN = 200


@dataclass(frozen=True)
class Failure:
    """One seed whose run broke a promise."""

    seed: int
    findings: list[str]
    """What is wrong."""
    faults: dict[str, int]
    """What struck in that run, and how often."""
    story: str
    """Executions with their journals, and events, as they were at the end."""

    def __str__(self) -> str:
        shown = [f"  ! {one}" for one in self.findings[:FINDINGS_SHOWN]]
        if len(self.findings) > FINDINGS_SHOWN:
            shown.append(f"  and {len(self.findings) - FINDINGS_SHOWN} more")
        struck = ", ".join(f"{name} {times}" for name, times in sorted(self.faults.items()))
        story = self.story.splitlines()[:STORY_LINES_SHOWN]
        return "\n".join(
            [
                f"seed {self.seed} (run it again with seeds=[{self.seed}]):",
                *shown,
                f"what struck: {struck or 'nothing'}",
                *story,
            ]
        )


@dataclass
class Report:
    """Seeds run, what struck, and what the runs contained."""

    seeds: int = 0
    seconds: float = 0.0
    virtual: timedelta = timedelta(0)
    """How much time passed in all runs together."""
    faults: Counter[str] = field(default_factory=Counter[str])
    """How often each fault struck."""
    covered: Counter[str] = field(default_factory=Counter[str])
    """Executions, events, commits, attempts; and by kind of record, in how many runs there was one.
    """
    failures: list[Failure] = field(default_factory=list[Failure])

    @property
    def seeds_per_second(self) -> float:
        """How many runs were made in a second."""
        return self.seeds / self.seconds if self.seconds else 0.0

    def add(self, other: "Report") -> None:
        """Add the figures of other runs; their time is not added."""
        self.seeds += other.seeds
        self.virtual += other.virtual
        self.faults += other.faults
        self.covered += other.covered
        self.failures += other.failures

    def to_json(self) -> str:
        """Return everything as JSON."""
        found = {
            "seeds": self.seeds,
            "seconds": round(self.seconds, 3),
            "seeds_per_second": round(self.seeds_per_second, 2),
            "virtual": self.virtual.total_seconds(),
            "faults": dict(self.faults),
            "covered": dict(self.covered),
            "failures": [asdict(failure) for failure in self.failures],
        }
        return json.dumps(found, sort_keys=True)

    def __str__(self) -> str:
        time = timedelta(seconds=round(self.virtual.total_seconds()))
        return (
            f"{_many(self.seeds, 'seed')} in {self.seconds:.1f} s ({self.seeds_per_second:.1f} "
            f"seeds/s), {time} of virtual time, {_many(self.faults.total(), 'fault')}, "
            f"{_many(len(self.failures), 'failure')}\n{self._ends()}"
        )

    def _ends(self) -> str:
        """Return how executions ended, and what nobody injected: no promise, but good to know."""
        ends = [
            f"{name.removeprefix('ended ')} {times:,}"
            for name, times in sorted(self.covered.items())
            if name.startswith("ended ") or name == "not ended"
        ]
        words = [f"executions: {', '.join(ends) or 'none'}"]
        words += [
            f"{name} {times:,}"
            for name, times in sorted(self.covered.items())
            if name.startswith("raised ")
        ]
        if letters := self.covered["dead letters"]:
            words.append(f"dead letters {letters:,}")
        return "; ".join(words)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


class SimulationFailed(AssertionError):  # noqa: N818 - as users read it in a test's failure
    """A run broke a promise, or the user's own check found something."""

    def __init__(self, report: Report) -> None:
        self.report = report
        super().__init__("\n".join([str(report), *map(str, report.failures)]))
