"""Random choreographies as data: who reacts to what, what is published, what goes wrong, and when.

Events of kind N lead only to events of higher kinds, so that each case comes to an end. The events
of a case have names: `p0` was published, `p0>2.1` is the second one that reaction 2 made of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    "later",  # it says when to try again
    "declined",  # a business error, which is never tried again
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
    "twice",  # somebody outside posts an event that is in the log once more
    "cloudevent",  # somebody outside posts an event as a CloudEvent
    "older",  # of a version that has to be brought up to date
    "newer",  # of a version that nobody here knows
    "malformed",  # with data that its contract does not allow
]
Returns: TypeAlias = Literal[
    "list",  # `-> list[A | B]`
    "tuple",  # `-> tuple[A, B]`
    "one",  # `-> A`
    "maybe",  # `-> A | None`, and sometimes it is None
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
    returns: Returns = "list"
    starts: bool = False
    """It begins a workflow, which publishes one event of the last kind."""


@dataclass(frozen=True)
class Joins:
    """A saga that an event starts, which waits for others of its key, and publishes some."""

    service: int
    on: int
    waits: Sequence[int] = ()
    emits: Sequence[int] = ()
    fails: bool = False
    """It fails in the end, and its compensation publishes an event of the last kind."""
    keep: int = 86_400
    """Seconds before its start whose events count, too."""
    patience: int | None = None
    """Seconds that it waits for each."""


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
    joins: Sequence[Joins] = ()
    hop_limit: int = 32

    @property
    def steady(self) -> bool:
        """Whether each reaction is there from the beginning to the end, and nobody replays."""
        return not any(m.act in ("remove", "replay") for m in self.moments)


_kinds = st.integers(0, KINDS - 1)
_faults = st.lists(st.sampled_from(get_args(Fault)), max_size=5)
_rests = st.integers(1, 12)
_targets = st.integers(0, 7)
_moments = st.lists(st.builds(Moment, _rests, st.sampled_from(get_args(Act)), _targets), max_size=5)
_services = st.integers(0, 1)
_early_kinds = st.integers(0, KINDS - 2)
_lanes = st.sampled_from(("", "", "side"))
_ways_on: st.SearchStrategy[Literal["park", "skip"]] = st.sampled_from(("park", "park", "skip"))
_limits = st.sampled_from((None, None, 1))
_quarters = st.integers(0, 3)
_keeps = st.sampled_from((86_400, 0))
_patiences = st.sampled_from((None, 5, 60))
_hop_limits = st.sampled_from((32, 32, 32, 1))
_returns: tuple[st.SearchStrategy[Returns], ...] = (
    st.sampled_from(("list", "maybe")),
    st.sampled_from(("list", "one", "maybe", "tuple")),
    st.sampled_from(("list", "tuple")),
)
"""How a reaction may return so many events."""
_sizes = st.sampled_from((1, 2, 500))


@st.composite
def reactions(draw: st.DrawFn) -> Reacts:
    """One reaction to any kind of event."""
    on = draw(_kinds)
    emits: list[int] = []
    if on < KINDS - 1:
        emits = draw(st.lists(st.integers(on + 1, KINDS - 1), max_size=2))
    return Reacts(
        draw(_services),
        on,
        tuple(emits),
        draw(_lanes),
        draw(_ways_on),
        draw(_limits),
        tuple(draw(_faults)),
        draw(_returns[len(emits)]),
        on < KINDS - 1 and not draw(_quarters),
    )


@st.composite
def joins(draw: st.DrawFn) -> Joins:
    """One saga that events start."""
    on = draw(_early_kinds)
    later = st.integers(on + 1, KINDS - 1)
    return Joins(
        draw(_services),
        on,
        tuple(draw(st.lists(later, max_size=2))),
        tuple(draw(st.lists(later, max_size=2))),
        not draw(_quarters),
        draw(_keeps),
        draw(_patiences),
    )


_several_reactions = st.lists(reactions(), min_size=1, max_size=5)
_several_joins = st.lists(joins(), max_size=2)
_published = st.lists(st.tuples(_kinds, st.integers(0, KEYS - 1)), min_size=1, max_size=10)
_few_or_many = st.sampled_from((2, 5_000))
_few_or_some = st.sampled_from((1, 2, 64))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A case."""
    return Case(
        tuple(draw(_several_reactions)),
        tuple(draw(_published)),
        tuple(draw(crashes)) if draw(st.booleans()) else (),
        tuple(draw(_moments)),
        draw(_sizes),
        draw(_few_or_many),
        draw(_few_or_some),
        draw(st.booleans()),
        tuple(draw(_several_joins)),
        draw(_hop_limits),
    )


# ---- choreographies in which time decides nothing ------------------------------------------------

_few_faults = st.lists(
    st.sampled_from(("error", "final", "slow", "later", "declined", "hang")), max_size=2
)
_few_reactions = st.lists(
    st.builds(
        lambda reacts, faults: replace(reacts, faults=tuple(faults)), reactions(), _few_faults
    ),
    min_size=1,
    max_size=4,
)
_few_joins = st.lists(
    st.builds(lambda one: replace(one, keep=86_400, patience=None), joins()), max_size=2
)
_few_published = st.lists(st.tuples(_kinds, st.integers(0, 1)), min_size=1, max_size=4)
even_cases = st.builds(
    lambda several, published, some_joins: Case(
        tuple(several), tuple(published), joins=tuple(some_joins)
    ),
    _few_reactions,
    _few_published,
    _few_joins,
)
"""Cases whose events and ends are the same wherever the node dies once."""
