"""The judge of choreographies: what must be true of the log and of every inbox at the end."""

from collections import Counter
from collections.abc import Iterator

from tests.simulation import joins_judge
from tests.simulation.choreographies import Case
from tests.simulation.events import Driver
from tests.simulation.things import name_in

from counterpoint.model.messages import EventRow, ReactionStatus, SubscriptionRow
from counterpoint.testing.simulation.judge_events import under_way


def judge(driver: Driver) -> list[str]:
    """Return what is wrong once nothing happens any more and everything was redriven."""
    return list(_all(driver))


def _all(driver: Driver) -> Iterator[str]:
    store = driver.world.store
    log = [store._events[position] for position in sorted(store._events)]
    rows = [row for row in store._subscriptions.values() if not row.replay and ".r" in row.name]
    yield from _published(driver, log)
    yield from _delivered(driver, log, rows)
    yield from _in_order(driver, log, rows)
    yield from joins_judge.judge_started(driver, log)
    yield from _at_rest(driver)


def _published(driver: Driver, log: list[EventRow]) -> Iterator[str]:
    """Every effect happened once: names are made of what led to them."""
    names = [name_in(row.data) for row in log]
    for name, times in Counter(names).items():
        if times > 1:
            yield f"{name} is in the log {times} times"
    for name in driver.acknowledged:
        if name not in names:
            yield f"{name} was acknowledged and is not in the log"


def _delivered(driver: Driver, log: list[EventRow], rows: list[SubscriptionRow]) -> Iterator[str]:
    """Every event reached every subscription, and what it led to is in the log."""
    names = {name_in(row.data) for row in log}
    expected = {name for name in names if ">" not in name} | joins_judge.expected(driver, log)
    for row in rows:
        number = int(row.name.partition(".r")[2])
        emits = driver.case.reactions[number].emits
        for event in log:
            if event.type != row.type:
                continue
            mark = driver.world.store._reactions.get(event.position, {}).get(row.number)
            name = name_in(event.data)
            if mark is None or not mark.status.over:
                yield f"{name} has not reached {row.name}: {mark and mark.status}"
            elif mark.status is ReactionStatus.COMPLETED:
                expected |= {f"{name}>{number}.{place}" for place in range(len(emits))}
    for name in expected - names:
        yield f"{name} has to be in the log"
    for name in names - expected:
        yield f"{name} is in the log although nothing led to it"


def _in_order(driver: Driver, log: list[EventRow], rows: list[SubscriptionRow]) -> Iterator[str]:
    """What was never a dead letter that others passed was done in the order of the log."""
    events = {row.position: row for row in log}
    known = {row.number: row for row in rows}
    last: dict[tuple[str, str], int] = {}
    for mark in driver.world.store.done:
        row = known.get(mark.subscription)
        if row is None:
            continue
        number = int(row.name.partition(".r")[2])
        skips = driver.case.reactions[number].on_dead == "skip"
        if skips and (mark.subscription, mark.position) in driver.world.store.died:
            continue
        lane = f"{row.service}/{row.lane}" if driver.case.steady else row.name
        key = events[mark.position].key
        before = last.get((lane, key), 0)
        if mark.position < before:
            yield f"{row.name} took {mark.position} of key {key} after {before} of {lane}"
        last[lane, key] = max(before, mark.position)


def _at_rest(driver: Driver) -> Iterator[str]:
    store, node = driver.world.store, driver.harness.app.node
    for position, marks in store._reactions.items():
        for number, row in marks.items():
            if not row.status.over and (number, position) not in store.died:
                yield f"reaction {number} to {position} is left {row.status}"
    for hold in store._holds.values():
        yield f"{hold} is left"
    for letter in store._mail.values():
        yield f"a letter is left: {letter.kind}"
    for subscription in store._subscriptions.values():
        if subscription.replay:
            yield f"the replay {subscription} is left"
    yield from under_way(node)


async def run_case(case: Case) -> list[str]:
    """Run one case on the running event loop; return what is wrong."""
    return await Driver(case, judge).run()
