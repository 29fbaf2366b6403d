"""What may be wrong with a store and its nodes, and what to do: `app.doctor()`.

Each check is a function of a `Survey`; none of them reads or changes anything.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from counterpoint.model.cluster import ALL_SLOTS
from counterpoint.model.findings import Fact, Finding, Severity
from counterpoint.model.states import LIVE, Status
from counterpoint.runtime.description import time_of
from counterpoint.runtime.lags import SubscriptionLag
from counterpoint.runtime.nodes import NodeState
from counterpoint.runtime.survey import Survey
from counterpoint.runtime.unhosted import LETTERS_MAX, UnhostedWork

SKEW_MAX = timedelta(seconds=1)
"""Clocks that differ by more make times in journals and lists hard to read."""
TAKEN_WITHIN = timedelta(minutes=1)
"""What a node takes over or adopts waits for less, while all is well."""
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """How a store and those who share it are."""

    healthy: bool
    """No finding is more than a note."""
    facts: Mapping[str, Fact]
    """How the store is set up, and how much is in it."""
    findings: Sequence[Finding]
    """What matters most comes first."""


def diagnose(survey: Survey) -> Diagnosis:
    """Return what all checks find."""
    findings = [*survey.store.findings]
    for check in CHECKS:
        findings += check(survey)
    findings.sort(key=lambda finding: _ORDER[finding.severity])
    facts = {
        **survey.store.facts,
        **({"clock_skew_ms": round(survey.skew / 1e3, 1)} if survey.many_nodes else {}),
        "nodes": len(survey.alive),
        "live_executions": sum(survey.counts.get(status, 0) for status in LIVE),
        "incidents": survey.counts.get(Status.INCIDENT, 0),
        "dead_letters": sum(group.letters for group in survey.dead),
        "letters": len(survey.letters),
    }
    healthy = all(finding.severity is Severity.NOTE for finding in findings)
    return Diagnosis(healthy, facts, findings)


# ---- nodes ------------------------------------------------------------------------------------


def clocks(survey: Survey) -> Iterator[Finding]:
    """Whether this machine's clock agrees with the store's."""
    if abs(survey.skew) > SKEW_MAX / timedelta(microseconds=1):
        seconds = abs(survey.skew) / 1e6
        direction = "ahead of" if survey.skew > 0 else "behind"
        yield _warning(
            "clock-skew",
            f"this machine's clock is {seconds:.1f} s {direction} the database's",
            "this machine",
            "let both follow a time server (NTP): times in journals are those of the nodes' "
            "machines; leases are not touched, they are in the database's time",
        )


def presence(survey: Survey) -> Iterator[Finding]:
    """Whether anybody hosts the store."""
    if survey.working:
        return
    live = sum(survey.counts.get(status, 0) for status in LIVE)
    requests = len(survey.letters)
    events = sum(lag.behind for lag in survey.lags)
    counts = ((live, "execution"), (requests, "request"), (events, "event"))
    waiting = ", ".join(_count(count, noun) for count, noun in counts if count)
    yield Finding(
        Severity.WARNING if waiting else Severity.NOTE,
        "no-node",
        "no node hosts this store" + (f": {waiting} wait for one" if waiting else ""),
        "the store",
        "start one: counterpoint run MODULE:APP",
    )


def leases(survey: Survey) -> Iterator[Finding]:
    """Which nodes have not renewed their lease, and are not declared lost."""
    for node in survey.nodes:
        if node.state is not NodeState.LATE or node.lease_until is None:
            continue
        stuck = bool(survey.working) and _age(survey, node.lease_until) > TAKEN_WITHIN
        if stuck:
            advice = (
                "look in the log of the nodes that are alive, and for a session of this node that "
                "a frozen process keeps open in the database"
            )
        elif survey.working:
            advice = "look again: it renews its lease, or another node declares it lost"
        else:
            advice = "if its process has ended start a node, which takes over what this one owns"
        yield Finding(
            Severity.ERROR if stuck else Severity.WARNING,
            "expired-lease",
            f"its lease is over since {_at(node.lease_until)} and nobody has declared it lost",
            node.label,
            advice,
        )


def orphans(survey: Survey) -> Iterator[Finding]:
    """What nodes own that are gone."""
    for node in survey.nodes:
        if node.alive or not (node.executions or node.calls):
            continue
        ended = node.ended_at
        stuck = ended is None or _age(survey, ended) > TAKEN_WITHIN
        since = "" if ended is None else f" since {_at(ended)}"
        owned = f"{_count(node.executions, 'execution')} and {_count(node.calls, 'call')}"
        yield Finding(
            Severity.ERROR if stuck else Severity.WARNING,
            "orphaned-work",
            f"it is {node.state}{since}, and {owned} of it are not taken over yet",
            node.label,
            "no living node hosts these workflows in their version, or none runs: start one that "
            "does; `counterpoint nodes` says who hosts what"
            if stuck
            else "look again: the other nodes take over in small batches",
        )


def handing_over(survey: Survey) -> Iterator[Finding]:
    """Which nodes hand over, or are asked to, and have not stopped yet."""
    for node in survey.nodes:
        if node.state is NodeState.DRAINING:
            yield Finding(
                Severity.NOTE,
                "draining",
                f"it is to stop, and owns {_count(node.executions, 'execution')} still",
                node.label,
                f"it stops by itself; `counterpoint drain {node.incarnation}` waits for it",
            )


def slots(survey: Survey) -> Iterator[Finding]:
    """Which keys of a service nobody delivers the events of."""
    if not survey.many_nodes:
        return
    owned: Counter[str] = Counter()
    for node in survey.alive:
        owned.update(node.slots)
    hosted = {lag.service for lag in survey.lags if lag.nodes}
    for service in sorted(hosted):
        left = len(ALL_SLOTS) - owned[service]
        if left > 0:
            yield _warning(
                "free-slots",
                f"nobody delivers the events of {left} of its {len(ALL_SLOTS)} slots of keys",
                f"service {service}",
                "look again in some seconds: nodes that host it take them; if it stays, look in "
                "their logs",
            )


# ---- work that waits --------------------------------------------------------------------------


def unhosted(survey: Survey) -> Iterator[Finding]:
    """What waits for a node that hosts it."""
    if survey.many_nodes and not survey.working:
        return  # all of it does, which is said already
    for one in survey.unhosted:
        where = f"service {one.service}"
        yield _warning(f"unhosted-{one.kind}", unhosted_words(one), where, _host(one, survey))


def unhosted_words(one: UnhostedWork) -> str:
    """Return what waits for which definition, since when."""
    since = f"since {_at(one.since)}"
    match one.kind:
        case "activity":
            return f"no node hosts {one.name}: {_wait(one.waiting, 'call')} {since}"
        case "workflow":
            return f"no node hosts {one.name}: {_wait(one.waiting, 'execution')} {since}"
        case "version":
            return (
                f"no node has version {one.version} of {one.name}: "
                f"{_wait(one.waiting, 'execution')} {since}"
            )
        case _:
            return f"no node hosts {one.name}: {_wait(one.waiting, 'event')} {since}"


def _host(one: UnhostedWork, survey: Survey) -> str:
    if one.kind == "version":
        return f"deploy code that has version {one.version} of it, or later"
    start = (
        f"start a node with --host {one.service}, or one that hosts everything"
        if survey.many_nodes
        else f"host an app that has the service {one.service}"
    )
    if one.kind == "subscription":
        start += f"; if it is gone for good: counterpoint subscriptions delete {one.name}"
    return start


def behind(survey: Survey) -> Iterator[Finding]:
    """Which subscriptions are hosted, and do not get on."""
    without = {one.name for one in survey.unhosted}
    for lag in survey.lags:
        if not survey.working or lag.name in without or lag.since is None:
            continue
        if _age(survey, lag.since) > TAKEN_WITHIN:
            yield _warning(
                "behind",
                f"it has not come to {_count(lag.behind, 'event')}, the oldest recorded at "
                f"{_at(lag.since)}",
                _subscription(lag),
                "if `counterpoint nodes` shows it falling further behind, start more nodes that "
                "host it, or make its reaction faster",
            )


def letters(survey: Survey) -> Iterator[Finding]:
    """Which requests no node takes over."""
    limit = survey.now - TAKEN_WITHIN // timedelta(microseconds=1)
    old = [letter for letter in survey.letters if letter.at < limit]
    if old and survey.working:
        kinds = Counter(letter.kind for letter in old)
        words = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        more = " or more" if len(survey.letters) >= LETTERS_MAX else ""
        oldest = min(old, key=lambda letter: letter.at)
        yield _warning(
            "letters",
            f"no node takes over what is older than a minute: {words}{more}; the oldest is of "
            f"{_at(time_of(oldest.at))}, for {oldest.execution_id}",
            "the mailbox",
            "the log of a node that hosts what they are for says why; starts wait for a node that "
            "hosts their workflow",
        )


def incidents(survey: Survey) -> Iterator[Finding]:
    """Which executions need a person."""
    count = survey.counts.get(Status.INCIDENT, 0)
    if count:
        named = ", ".join(survey.incidents)
        more = "" if count <= len(survey.incidents) else ", …"
        noun = "execution needs" if count == 1 else "executions need"
        yield _warning(
            "incidents",
            f"{count:,} {noun} a person: {named}{more}",
            "executions",
            "counterpoint list --status incident; counterpoint show ID says what solves it",
        )


def dead_letters(survey: Survey) -> Iterator[Finding]:
    """What reactions gave up on, and how many keys wait behind that."""
    parked = Counter((hold.service, hold.lane) for hold in survey.holds)
    for group in survey.dead:
        yield _warning(
            "dead-letters",
            f"{_count(group.letters, 'dead letter')} because of {group.cause}, the first of "
            f"{_at(time_of(group.first_died_at))}",
            group.name,
            f"counterpoint deadletters list --reaction {group.name}; mend the cause, then redrive",
        )
    for (service, lane), keys in sorted(parked.items()):
        place = f"service {service}" + (f", lane {lane}" if lane else "")
        noun = "key waits" if keys == 1 else "keys wait"
        yield Finding(
            Severity.WARNING if survey.dead else Severity.NOTE,
            "parked-keys",
            f"events of {keys:,} {noun} behind one that failed",
            place,
            "redrive or discard the dead letters in front of them; what waits for a retry goes on "
            "by itself",
        )


def contracts(survey: Survey) -> Iterator[Finding]:
    """Whether a node of this app would start."""
    if survey.contract_error is not None:
        yield Finding(
            Severity.ERROR,
            "contract",
            f"no node of this app would start: {survey.contract_error}",
            "contracts",
            "counterpoint contracts list shows what was published",
        )


CHECKS: tuple[Callable[[Survey], Iterator[Finding]], ...] = (
    contracts,
    presence,
    leases,
    orphans,
    unhosted,
    letters,
    incidents,
    dead_letters,
    slots,
    behind,
    clocks,
    handing_over,
)


# ---- words ------------------------------------------------------------------------------------


def _warning(kind: str, what: str, where: str, advice: str) -> Finding:
    return Finding(Severity.WARNING, kind, what, where, advice)


def _subscription(lag: SubscriptionLag) -> str:
    return lag.name if lag.replay is None else f"replay {lag.replay} of {lag.name}"


def _age(survey: Survey, moment: datetime) -> timedelta:
    return time_of(survey.now) - moment


def _at(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _wait(number: int, noun: str) -> str:
    return f"{_count(number, noun)} {'waits' if number == 1 else 'wait'}"
