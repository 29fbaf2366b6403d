"""Random choreographies as data: who reacts to what, what is published, what goes wrong, and when.

Events of kind N lead only to events of higher kinds, so that each case comes to an end. The events
of a case have names: `p0` was published, `p0>2.1` is the second one that reaction 2 made of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from hypothesis import strategies as st
from tests.simulation.plans import Crash, crashes

KINDS = 4
KEYS = 3
Fault: TypeAlias = Literal[
    "error",  # it raises, and is tried again
    "final",  # it raises what no further attempt mends
    "hang",  # it hangs until its timeout
    "slow",  # it takes some seconds
    "kill",  # the node dies while it runs
]
Act: TypeAlias = Literal[
    "restart",
    "crash",
    "break",  # the next commit fails, and nobody knows whether it was written
    "unknown",  # the next commit is written and reported as broken
    "redrive",
    "discard",
    "remove",  # a reaction is not deployed any more
    "return",  # every reaction is deployed again
    "publish",
    "replay",
]


@dataclass(frozen=True)
class Reacts:
    """One reaction."""

    service: int
    on: int
    emits: Sequence[int] = ()
    lane: str = ""
    on_dead: Literal["park", "skip"] = "park"
    concurrency: int | None = None
    faults: Sequence[Fault] = ()
    """How its first attempts end, at whatever events."""


@dataclass(frozen=True)
class Moment:
    """Something that happens after a rest."""

    at: int
    act: Act
    target: int = 0


@dataclass(frozen=True)
class Case:
    """One random choreography with everything that goes wrong around it."""

    reactions: Sequence[Reacts]
    published: Sequence[tuple[int, int]]
    """Kind and key of each event, in order."""
    crashes: Sequence[Crash] = ()
    moments: Sequence[Moment] = ()
    page: int = 500
    """Events that are read at once."""
    pending_max: int = 5_000
    queue_max: int = 64
    suspends: bool = False
    """Whether the store lets others run before it answers a read."""

    @property
    def steady(self) -> bool:
        """Whether each reaction is there from the beginning to the end, and nobody replays."""
        return not any(m.act in ("remove", "replay") for m in self.moments)


_kinds = st.integers(0, KINDS - 1)
_faults = st.lists(st.sampled_from(get_args(Fault)), max_size=5)
_rests = st.integers(1, 12)
_targets = st.integers(0, 7)
_moments = st.lists(st.builds(Moment, _rests, st.sampled_from(get_args(Act)), _targets), max_size=5)
_sizes = st.sampled_from((1, 2, 500))


@st.composite
def reactions(draw: st.DrawFn) -> Reacts:
    """One reaction to any kind of event."""
    on = draw(_kinds)
    emits: list[int] = []
    if on < KINDS - 1:
        emits = draw(st.lists(st.integers(on + 1, KINDS - 1), max_size=2))
    return Reacts(
        draw(st.integers(0, 1)),
        on,
        tuple(emits),
        draw(st.sampled_from(("", "", "side"))),
        draw(st.sampled_from(("park", "park", "skip"))),
        draw(st.sampled_from((None, None, 1))),
        tuple(draw(_faults)),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A case."""
    return Case(
        tuple(draw(st.lists(reactions(), min_size=1, max_size=5))),
        tuple(draw(st.lists(st.tuples(_kinds, st.integers(0, KEYS - 1)), min_size=1, max_size=10))),
        tuple(draw(crashes)) if draw(st.booleans()) else (),
        tuple(draw(_moments)),
        draw(_sizes),
        draw(st.sampled_from((2, 5_000))),
        draw(st.sampled_from((1, 2, 64))),
        draw(st.booleans()),
    )
