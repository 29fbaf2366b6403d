"""Random sagas as data: what a workflow does, what goes wrong, and when somebody interferes.

A plan is a tree of JSON lists, `[kind, ...]`, which `services.interpret` runs. Every call in it has
a *tag*, a number of its own; a case says by tag how the attempts of the call and of its
compensation end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

from hypothesis import strategies as st

from counterpoint.testing.faults import When

Plan: TypeAlias = list[Any]
Root: TypeAlias = Literal["saga", "timed", "job"]
Fault: TypeAlias = Literal[
    "before",  # it raises, nothing has happened (but nobody can know)
    "after",  # it has happened, and it raises
    "declined",  # a business error: nothing has happened
    "not-done",  # it says that nothing has happened
    "broken",  # an error that no further attempt mends
    "hang",  # it hangs until its timeout, nothing has happened
    "hang-after",  # it has happened, and it hangs
    "slow",  # it takes some seconds
    "stubborn",  # it takes some more, and ignores that it is cancelled
    "unrecordable",  # it has happened, and its result cannot be recorded
    "later",  # it says when to try again, and nobody knows what has happened
]
"""How an attempt ends; those that are not named end well."""
UndoFault: TypeAlias = Literal["before", "after", "declined", "hang", "hang-after", "slow"]
Act: TypeAlias = Literal[
    "cancel", "terminate", "retry", "signal", "publish", "resolve", "evict", "restart", "break"
]


@dataclass(frozen=True)
class Moment:
    """Somebody does something after a commit, or at rest."""

    at: int
    """The number of the commit, or of the rest."""
    act: Act
    target: int = 0
    """Which of the executions, newest last."""


@dataclass(frozen=True)
class Crash:
    """The node dies at a commit, counted from its start."""

    at: int
    when: When = "before"


@dataclass(frozen=True)
class Case:
    """One random saga with everything that goes wrong around it."""

    plan: Plan
    root: Root = "saga"
    faults: Mapping[int, Sequence[Fault]] = field(default_factory=dict[int, Sequence[Fault]])
    """By tag, for the first attempts."""
    undo_faults: Mapping[int, Sequence[UndoFault]] = field(
        default_factory=dict[int, Sequence[UndoFault]]
    )
    crashes: Sequence[Crash] = ()
    """One after the other, each counted from the start of the node that it ends."""
    after_commits: Sequence[Moment] = ()
    at_rest: Sequence[Moment] = ()
    rehearse: bool = False


# ---- plans ---------------------------------------------------------------------------------------

faults: st.SearchStrategy[list[Fault]] = st.one_of(
    st.just([]),
    st.lists(st.sampled_from(get_args(Fault)), max_size=3),
)
undo_faults: st.SearchStrategy[list[UndoFault]] = st.one_of(
    st.just([]),
    st.just([]),
    st.lists(st.sampled_from(get_args(UndoFault)), max_size=5),
)
seconds = st.integers(1, 9)

CALLS = ("act", "plain", "once", "once-or-fail", "with", "tell")
TAGGED = ("hear", "publish")
"""What has a tag and no faults of its own."""
REST = (
    "fail", "error", "sleep", "nap", "signal", "event", "event", "hear", "publish", "pivot",
    "attribute",
)  # fmt: skip
LEAVES = ("act", "act", "act", "act", *CALLS, *REST)
MANY = (
    "seq", "seq", "seq", "gather", "gather", "tolerant", "group", "first", "all", "each", "lock",
    "queue", "after",
)  # fmt: skip
ONE = ("timeout", "shield", "wait-for", "beside")
CHILDREN = ("leg", "leg", "own-leg", "errand")
STARTS = ("ask", "spawn")
"""What begins an execution that nobody waits for: by an event, or by an activity."""
PAIRS = ("try", "try", "finally")

# Made once: a strategy that is made anew for every draw costs more than what it draws.
_leaf_kinds = st.sampled_from(LEAVES)
_many_kinds = st.sampled_from(MANY)
_one_kinds = st.sampled_from(ONE)
_child_kinds = st.sampled_from((*CHILDREN, *CHILDREN, *STARTS))
_pair_kinds = st.sampled_from(PAIRS)
_signals = st.sampled_from("ab")
_keys = st.sampled_from("kl")
_keeps = st.sampled_from((0, 0, 5))
_timeouts = st.none() | seconds
_shapes = st.integers(0, 9)
_quarters = st.integers(0, 3)
_few = st.integers(1, 3)


_MORE: dict[str, tuple[st.SearchStrategy[Any], ...]] = {
    "sleep": (seconds,),
    "nap": (seconds,),
    "signal": (_signals, _timeouts),
    "hear": (_signals, _few),
    "event": (_keys, _timeouts, _keeps),
    "publish": (_keys,),
}
"""What a step has besides its kind, and its tag."""


@st.composite
def leaves(draw: st.DrawFn) -> Plan:
    """One step; calls carry how they fail, until `numbered` gives them their tags."""
    kind = draw(_leaf_kinds)
    if kind in CALLS:
        return [kind, draw(faults) if kind != "with" else [], draw(_undo_faults_of[kind])]
    more = _MORE.get(kind, ())
    return [kind, *(draw(strategy) for strategy in more)]


@st.composite
def trees(draw: st.DrawFn, depth: int) -> Plan:
    """A part of a plan that is at most so deep."""
    shape = draw(_shapes) if depth else 0
    if shape < 3:
        return draw(_leaves)
    inner, several = _inner[depth - 1]
    if shape < 6:
        return [draw(_many_kinds), draw(several)]
    if shape == 6:
        return [draw(_one_kinds), draw(seconds), draw(inner)]
    if shape == 7:
        return [draw(_pair_kinds), draw(inner), draw(inner)]
    if shape == 8 and not draw(_quarters):
        return ["loop", draw(_few), draw(inner)] if draw(_quarters) else ["again", draw(inner)]
    kind = draw(_child_kinds)
    carried = undo_faults if kind == "own-leg" else faults if kind == "spawn" else _nothing
    return [kind, draw(carried), draw(inner)]


_nothing: st.SearchStrategy[list[Any]] = st.just([])
_undo_faults_of = {kind: _nothing if kind in ("plain", "tell") else undo_faults for kind in CALLS}
_leaves = leaves()
_inner = [(trees(depth), st.lists(trees(depth), min_size=1, max_size=4)) for depth in range(3)]
_wholes = st.lists(trees(3), min_size=1, max_size=5)


@dataclass
class _Numbering:
    faults: dict[int, Sequence[Fault]] = field(default_factory=dict[int, Sequence[Fault]])
    undo_faults: dict[int, Sequence[UndoFault]] = field(
        default_factory=dict[int, Sequence[UndoFault]]
    )
    tag: int = 0

    def number(self, plan: Plan) -> Plan:
        """Return the plan with tags; what its calls carried is kept by tag."""
        kind, *parts = plan
        if kind in CALLS:
            return [kind, self._next(*parts)]
        if kind in TAGGED:
            return [kind, self._next([], []), *parts]
        if kind in CHILDREN:
            return [kind, self._next([], parts[0]), self.number(parts[1])]
        if kind in STARTS:
            return [kind, self._next(parts[0], []), self.number(parts[1])]
        if kind in MANY:
            return [kind, [self.number(part) for part in parts[0]]]
        return [kind, *(self.number(part) if isinstance(part, list) else part for part in parts)]

    def _next(self, its_faults: Sequence[Fault], its_undo_faults: Sequence[UndoFault]) -> int:
        self.tag += 1
        if its_faults:
            self.faults[self.tag] = its_faults
        if its_undo_faults:
            self.undo_faults[self.tag] = its_undo_faults
        return self.tag


# ---- what goes wrong around it -------------------------------------------------------------------

crashes = st.lists(
    st.builds(Crash, st.integers(1, 8), st.sampled_from(get_args(When))), min_size=1, max_size=4
)
after_commits = st.lists(
    st.builds(
        Moment,
        st.integers(1, 12),
        st.sampled_from(
            ("cancel", "cancel", "signal", "signal", "publish", "publish", "retry", "terminate")
        ),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=4,
)
at_rest = st.lists(
    st.builds(
        Moment,
        st.integers(1, 10),
        st.sampled_from(
            (
                "evict",
                "restart",
                "signal",
                "signal",
                "publish",
                "resolve",
                "cancel",
                "retry",
                "break",
            )
        ),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=3,
)
_roots: st.SearchStrategy[Root] = st.sampled_from(("saga", "saga", "saga", "timed", "job"))
_ends = st.sampled_from(("fail", "error"))
_thirds = st.integers(0, 2)


_heeds = st.one_of(
    st.tuples(st.sampled_from(("signal",)), _signals, _timeouts),
    st.tuples(st.sampled_from(("hear",)), _signals, _few),
    st.tuples(st.sampled_from(("event",)), _keys, _timeouts, _keeps),
    st.tuples(st.sampled_from(("publish",)), _keys),
    st.tuples(st.sampled_from(("nap",)), seconds),
    st.tuples(st.sampled_from(("plain",)), faults, _nothing),
).map(list)
_rounds = st.lists(_heeds, min_size=1, max_size=3)
_calls_from_outside = st.lists(
    st.builds(
        Moment, st.integers(1, 6), st.sampled_from(("signal", "signal", "publish")), st.just(0)
    ),
    min_size=2,
    max_size=6,
)


@st.composite
def listeners(draw: st.DrawFn) -> Case:
    """A workflow that goes on as a new run, and that others tell more than it asks for."""
    numbering = _Numbering()
    plan = numbering.number(["loop", 3, ["seq", draw(_rounds)]])
    return Case(
        plan,
        "job",
        numbering.faults,
        crashes=tuple(draw(crashes)) if draw(_quarters) else (),
        after_commits=tuple(draw(_calls_from_outside)),
        at_rest=tuple(draw(at_rest)) if draw(_quarters) > 1 else (),
    )


_eighths = st.integers(0, 7)
_listeners = listeners()


@st.composite
def cases(draw: st.DrawFn, *, rehearsed: int = 10) -> Case:
    """A case; one of *rehearsed* replaces every execution by its replay after every commit."""
    rehearse = not draw(st.integers(0, rehearsed - 1))
    if draw(_eighths) == 7:
        return replace(draw(_listeners), rehearse=rehearse)
    parts = draw(_wholes)
    if not draw(_thirds):
        parts.append([draw(_ends)])
    whole: Plan = ["seq", parts]
    root = draw(_roots)
    if root == "job" and draw(_quarters):
        whole = ["loop", draw(_few), whole]
    numbering = _Numbering()
    return Case(
        numbering.number(whole),
        root,
        numbering.faults,
        numbering.undo_faults,
        tuple(draw(crashes)) if draw(_quarters) else (),
        tuple(draw(after_commits)) if draw(_quarters) > 1 else (),
        tuple(draw(at_rest)) if draw(_quarters) > 1 else (),
        rehearse=rehearse,
    )


# ---- plans in which time decides nothing ---------------------------------------------------------

EVEN_BRANCHES = ("gather", "tolerant", "group", "all", "each", "lock", "queue", "after")
"""What runs several steps whose calls are numbered alike, whichever of them ends first."""
_mild: st.SearchStrategy[list[Fault]] = st.sampled_from(
    ([], [], ["slow"], ["before"], ["after"], ["later"], ["not-done"])
)
"""Faults that a call survives, also if an attempt of it is lost."""
_for_good: st.SearchStrategy[list[Fault]] = st.sampled_from(
    ([], [], ["declined"] * 9, ["broken"] * 9)
)
_mild_undo: st.SearchStrategy[list[UndoFault]] = st.sampled_from(([], [], ["before"], ["slow"]))
_even_kinds = st.sampled_from(EVEN_BRANCHES)
_even_leaf_kinds = st.sampled_from(
    (
        "act",
        "act",
        "act",
        "plain",
        "with",
        "sleep",
        "nap",
        "publish",
        "attribute",
        "signal",
        "event",
    )
)
_even_one_kinds = st.sampled_from(("act", "act", "plain", "fail", "error", "pivot", "hear"))


@st.composite
def even_leaves(draw: st.DrawFn) -> Plan:
    """One step that takes its time, and does not fail."""
    kind = draw(_even_leaf_kinds)
    if kind in CALLS:
        return [kind, draw(_mild) if kind != "with" else [], draw(_mild_undo)]
    if kind in ("sleep", "nap"):
        return [kind, draw(seconds)]
    if kind == "signal":
        return [kind, draw(_signals), None]
    if kind == "event":
        return [kind, draw(_keys), None, 0]
    return [kind, "nobody"] if kind == "publish" else [kind]


@st.composite
def even_trees(draw: st.DrawFn, depth: int) -> Plan:
    """A part of a plan whose calls do not depend on what ends first."""
    shape = draw(_shapes)
    if shape < 3 or not depth:
        return draw(_even_leaves)
    if shape == 3:
        kind = draw(_even_one_kinds)
        if kind in CALLS:
            return [kind, draw(_for_good), draw(_mild_undo) if kind == "act" else []]
        return [kind, draw(_signals), draw(_few)] if kind == "hear" else [kind]
    several, inner, legs = _even_inner[depth - 1]
    if shape < 6:
        return [draw(_even_kinds), draw(_several_even_leaves)]
    if shape == 6:
        return ["seq", draw(several)]
    if shape == 7:
        return [draw(_pair_kinds), draw(inner), draw(inner)]
    if shape == 8:
        return [draw(st.sampled_from(("tolerant", "all"))), draw(legs)]
    kind = draw(_child_kinds)
    return [kind, draw(_mild_undo) if kind == "own-leg" else [], draw(inner)]


_even_leaves = even_leaves()
_several_even_leaves = st.lists(_even_leaves, min_size=1, max_size=4)


def _even_of(depth: int) -> tuple[st.SearchStrategy[Any], ...]:
    tree = even_trees(depth)
    leg = st.tuples(st.sampled_from(("leg", "errand")), _nothing, tree).map(list)
    return st.lists(tree, min_size=1, max_size=3), tree, st.lists(leg, min_size=1, max_size=3)


_even_inner = [_even_of(depth) for depth in range(2)]
_even_wholes = st.lists(even_trees(2), min_size=1, max_size=4)


@st.composite
def even_cases(draw: st.DrawFn) -> Case:
    """A case whose calls and end are the same wherever the node dies once."""
    parts = draw(_even_wholes)
    if not draw(_thirds):
        parts.append([draw(_ends)])
    whole: Plan = ["seq", parts]
    root: Root = draw(st.sampled_from(("saga", "saga", "job")))
    if root == "job":
        whole = ["loop", draw(_few), whole]
    numbering = _Numbering()
    return Case(numbering.number(whole), root, numbering.faults, numbering.undo_faults)
