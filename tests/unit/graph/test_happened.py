"""The order of what several journals tell: time, but never an effect before its cause."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from counterpoint.graph.happened import Beat, in_order

BEGAN = datetime(2026, 5, 4, tzinfo=UTC)


def beat(seconds: int, needs: str = "", gives: str = "") -> Beat:
    at = BEGAN + timedelta(seconds=seconds)
    return Beat(at, (), (needs,) if needs else None, (gives,) if gives else None)


def test_beats_of_all_tracks_are_told_by_time() -> None:
    one, other = [beat(1), beat(4)], [beat(2), beat(3)]

    assert in_order([one, other]) == [one[0], *other, one[1]]


def test_an_effect_is_told_after_its_cause_whatever_the_clocks_said() -> None:
    cause, effect, after = beat(9, gives="event"), beat(1, needs="event"), beat(2)

    assert in_order([[effect, after], [cause]]) == [cause, effect, after]


def test_what_nothing_gives_is_not_waited_for() -> None:
    lonely = beat(1, needs="forgotten")

    assert in_order([[beat(2)], [lonely]])[0] is lonely


def test_what_waits_for_each_other_is_told_all_the_same() -> None:
    one, other = beat(1, needs="b", gives="a"), beat(2, needs="a", gives="b")

    assert in_order([[one], [other]]) == [one, other]


NAMES = st.sampled_from(["", "a", "b", "c", "d"])
TRACKS = st.lists(st.lists(st.builds(beat, st.integers(0, 9), NAMES, NAMES), max_size=5))


@given(TRACKS)
def test_every_beat_is_told_once_and_each_track_in_its_own_order(tracks: list[list[Beat]]) -> None:
    numbered = [
        [Beat(one.at, (), one.needs, one.gives) for one in track] for track in tracks
    ]  # objects of their own, to be told apart

    order = [id(one) for one in in_order(numbered)]

    assert sorted(order) == sorted(id(one) for track in numbered for one in track)
    for track in numbered:
        places = [order.index(id(one)) for one in track]
        assert places == sorted(places)


@given(TRACKS)
def test_no_effect_is_told_before_its_cause_unless_they_form_a_circle(
    tracks: list[list[Beat]],
) -> None:
    acyclic = [
        [Beat(one.at, (), ("x", number - 1), ("x", number)) for one in track]
        for number, track in enumerate(tracks)
    ]

    given_so_far: set[object] = set()
    possible = {one.gives for track in acyclic for one in track}
    for one in in_order(acyclic):
        assert one.needs in given_so_far or one.needs not in possible
        given_so_far.add(one.gives)
