"""Makes a long story short: turns of a loop that are alike are told once, and the middle is cut."""

from collections.abc import Sequence

from counterpoint.graph.sequence import CODE, Happening, Item, Remark, Repeated, elapsed

_TURNS_MIN = 5
_TURN_LENGTH_MAX = 24
_HEAD_MAX = 300
_TAIL_MAX = 150


def shortened(happenings: Sequence[Happening]) -> tuple[Item, ...]:
    """Return what happened, with turns that are alike told once, and a bounded number of items."""
    items: list[Item] = []
    start = 0
    while start < len(happenings):
        length, turns = _turns(happenings, start)
        if turns < _TURNS_MIN:
            items.append(happenings[start])
            start += 1
            continue
        first = tuple(happenings[start : start + length])
        end = start + length * turns
        until = elapsed(happenings[end - 1].seconds)
        items.append(Repeated(f"{turns} times alike, until {until}; the first of them", first))
        start = end
    return _bounded(items)


def _turns(happenings: Sequence[Happening], start: int) -> tuple[int, int]:
    """Return how long a turn is that begins here, and how often it happens in a row."""
    best = (1, 1)
    for length in range(1, _TURN_LENGTH_MAX + 1):
        turns = 1
        while _alike(happenings, start, start + turns * length, length):
            turns += 1
        if turns >= _TURNS_MIN and turns * length > best[0] * best[1]:
            best = (length, turns)
            break  # the shortest turn that repeats is the loop's own
    return best


def _alike(happenings: Sequence[Happening], one: int, other: int, length: int) -> bool:
    if other + length > len(happenings):
        return False
    return all(
        happenings[one + n].likeness == happenings[other + n].likeness for n in range(length)
    )


def _bounded(items: list[Item]) -> tuple[Item, ...]:
    if len(items) <= _HEAD_MAX + _TAIL_MAX:
        return tuple(items)
    left_out = items[_HEAD_MAX:-_TAIL_MAX]
    last = left_out[-1]
    seconds = last.first[-1].seconds if isinstance(last, Repeated) else last.seconds
    lines = (f"{len(left_out)} steps of the story are left out here", "the journal has them all")
    cut = Happening(seconds, Remark(CODE, lines, urgent=True), "cut")
    return (*items[:_HEAD_MAX], cut, *items[-_TAIL_MAX:])
