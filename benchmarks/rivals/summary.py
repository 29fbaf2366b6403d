"""Medians over rounds, and ratios to Counterpoint in the same round."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.rivals.catalogue import COUNTERPOINT
from benchmarks.rivals.rounds import CASES, Seen, Visit


@dataclass(frozen=True)
class Figures:
    """One rival in one case, over all rounds."""

    sagas_per_second: float
    least: float
    most: float
    p50_ms: float | None
    p99_ms: float | None
    client_cpu_ms: float | None
    """CPU of a saga in the worker, and in the servers."""
    server_cpu_ms: float | None
    times_rate: float | None
    """How many times as many sagas a second Counterpoint did in the same round."""
    times_p50: float | None
    """How many times as long as Counterpoint's saga of the same round it took."""
    times_cpu: float | None
    """How many times as much CPU."""
    sagas: int
    wrong: int
    """Sagas that ended otherwise than they should, or not at all."""


@dataclass(frozen=True)
class Summary:
    """One rival over all rounds."""

    rival: str
    rounds: int
    facts: dict[str, str] = field(default_factory=dict[str, str])
    cases: dict[str, Figures] = field(default_factory=dict[str, Figures])
    reasons: tuple[str, ...] = ()
    errors: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """What was raised, and how often, by case."""
    loop_ms: tuple[float, ...] = ()
    """Least, median and most of the fixed loop around its turns; the same of the disk."""
    sync_ms: tuple[float, ...] = ()


def median(values: Iterable[float | None]) -> float | None:
    """Return the median of what is known, None if nothing is."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def rate(seen: Seen) -> float:
    """Return sagas a second."""
    return seen.reply.done / seen.reply.seconds if seen.reply.seconds else 0.0


def summarise(visits: Sequence[Visit]) -> list[Summary]:
    """Return a summary of each rival, in the order in which they took part first."""
    mine = {one.round: one for one in visits if one.rival == COUNTERPOINT}
    names = list(dict.fromkeys(one.rival for one in visits))
    return [_summary([one for one in visits if one.rival == name], mine) for name in names]


def _summary(visits: Sequence[Visit], mine: dict[int, Visit]) -> Summary:
    cases = {case: _figures(case, visits, mine) for case in CASES}
    ran = [one for one in visits if any(one.loop_ms)]
    return Summary(
        rival=visits[0].rival,
        rounds=len(visits),
        facts=next((one.facts for one in visits if one.facts), visits[0].facts),
        cases={case: figures for case, figures in cases.items() if figures},
        reasons=tuple(dict.fromkeys(one.reason for one in visits if one.reason)),
        errors=_errors(visits),
        loop_ms=_spread(value for one in ran for value in one.loop_ms),
        sync_ms=_spread(value for one in ran for value in one.sync_ms),
    )


def _figures(case: str, visits: Sequence[Visit], mine: dict[int, Visit]) -> Figures | None:
    seen = {one.round: one.cases[case] for one in visits if case in one.cases}
    if not seen:
        return None
    beside = {
        number: mine[number].cases[case]
        for number in seen
        if number in mine and case in mine[number].cases
    }
    rates = [rate(one) for one in seen.values()]
    return Figures(
        sagas_per_second=statistics.median(rates),
        least=min(rates),
        most=max(rates),
        p50_ms=median(one.reply.p50_ms for one in seen.values()),
        p99_ms=median(one.reply.p99_ms for one in seen.values()),
        client_cpu_ms=median(_each(one, one.reply.cpu_seconds) for one in seen.values()),
        server_cpu_ms=median(_each(one, one.server_cpu_seconds) for one in seen.values()),
        times_rate=median(_ratio(rate(beside[n]), rate(seen[n])) for n in beside),
        times_p50=median(_ratio(seen[n].reply.p50_ms, beside[n].reply.p50_ms) for n in beside),
        times_cpu=median(_ratio(_cpu_ms(seen[n]), _cpu_ms(beside[n])) for n in beside),
        sagas=sum(one.reply.done for one in seen.values()),
        wrong=sum(one.reply.unfinished + sum(one.reply.errors.values()) for one in seen.values()),
    )


def _each(seen: Seen, cpu_seconds: float | None) -> float | None:
    """Return the CPU of one saga in ms."""
    return _ratio(cpu_seconds * 1e3 if cpu_seconds is not None else None, seen.reply.done)


def _cpu_ms(seen: Seen) -> float | None:
    both = seen.reply.cpu_seconds + (seen.server_cpu_seconds or 0.0)
    return _each(seen, both)


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def _errors(visits: Sequence[Visit]) -> dict[str, dict[str, int]]:
    found = {case: Counter[str]() for case in ("warm-up", *CASES)}
    for one in visits:
        found["warm-up"].update(one.warm_up_errors)
        for case, seen in one.cases.items():
            found[case].update(seen.reply.errors)
            if seen.reply.unfinished:
                found[case]["not finished when the patience was over"] += seen.reply.unfinished
    return {case: dict(counts) for case, counts in found.items() if counts}


def _spread(values: Iterable[float]) -> tuple[float, ...]:
    ordered = sorted(values)
    return (ordered[0], statistics.median(ordered), ordered[-1]) if ordered else ()
