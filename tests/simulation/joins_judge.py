"""The judge of what events and reactions start in random choreographies."""

from collections.abc import Iterator, Sequence

from tests.simulation.events import Driver, Store
from tests.simulation.judge import Run
from tests.simulation.leftovers import judge_waits, left_behind
from tests.simulation.things import follow, name_in

from counterpoint.model import records as r
from counterpoint.model.messages import EventRow, ReactionStatus, SubscriptionRow
from counterpoint.model.rows import ExecutionRow
from counterpoint.model.states import Status
from counterpoint.runtime.describing import describe

UNREADABLE = "does not accept the event elsewhere/"
"""What an incident says of an event from outside that a wait got and the code cannot read."""


def expected(driver: Driver, log: Sequence[EventRow]) -> set[str]:
    """Return the names of the events that sagas and workflows have to have published."""
    case = driver.case
    names: set[str] = set()
    for row, number in _subscriptions(driver, ".r"):
        if case.reactions[number].starts:
            names |= {f"{name}>{number}.f" for name in _taken(driver, row, log).values()}
    for row, number in _subscriptions(driver, ".j"):
        joins = case.joins[number]
        for position, name in _taken(driver, row, log).items():
            found = driver.world.store._executions.get(_key(driver, row, position))
            status = None if found is None else found.status
            # Those that fail in the end have published before, if what they waited for came.
            if found is not None and (status is Status.COMPLETED or joins.fails):
                published = _published(driver.world.store, found)
                places = range(len(joins.emits)) if status is Status.COMPLETED else range(published)
                names |= {f"{name}>j{number}.{place}" for place in places}
            if status is Status.COMPENSATED:
                names.add(f"{name}>j{number}.undone")
    return names


def judge_started(driver: Driver, log: Sequence[EventRow]) -> Iterator[str]:
    """Say what is wrong with what events and reactions start."""
    store = driver.world.store
    due = set[str]()
    for sub, _ in _subscriptions(driver, ".j"):
        for event in log:
            mark = store._reactions.get(event.position, {}).get(sub.number)
            if event.type == sub.type and (mark is None or not mark.status.over):
                yield f"{name_in(event.data)} has not reached {sub.name}: {mark and mark.status}"
        due |= {_id(sub, store._events[place]) for place in _taken(driver, sub, log)}
    for sub, number in _subscriptions(driver, ".r"):
        if driver.case.reactions[number].starts:
            due |= {f"{name}>{number}" for name in _taken(driver, sub, log).values()}
    for execution_id in due - store._keys.keys():
        yield f"{execution_id} was to be started, and is not there"
    for execution_id in store._keys.keys() - due:
        yield f"{execution_id} is there, and nothing has started it"
    for row in store._executions.values():
        run = _run(store, row)
        yield from (f"{run.name}: {what}" for what in _judge_run(run, log))
    yield from left_behind(store, driver.harness.app.node)


def _judge_run(run: Run, log: Sequence[EventRow]) -> Iterator[str]:
    yield from judge_waits([run], log)
    row = run.row
    if row.status is not run.known.status:
        yield f"its row says {row.status}"
    incidents = [incident.message for incident in run.known.incidents]
    if incidents and all(UNREADABLE in message for message in incidents):
        return  # it waits for a person, and the case has an event that nobody here can read
    if row.status.live and not run.known.awaited_events:
        yield f"it waits for {run.known.waits_for}"
    if row.name == follow.name and row.status is not Status.COMPLETED:
        yield "it has not completed"


def _subscriptions(driver: Driver, kind: str) -> list[tuple[SubscriptionRow, int]]:
    """Return those of reactions (.r) or of sagas (.j), each with its number in the case."""
    rows = driver.world.store._subscriptions.values()
    named = [(row, row.name.partition(kind)[2]) for row in rows if not row.replay]
    return [(row, int(number)) for row, number in named if number]


def _taken(driver: Driver, row: SubscriptionRow, log: Sequence[EventRow]) -> dict[int, str]:
    """Return positions and names of the events that a subscription has completed."""
    marks = driver.world.store._reactions
    found: dict[int, str] = {}
    for event in log:
        mark = marks.get(event.position, {}).get(row.number)
        if mark is not None and mark.status is ReactionStatus.COMPLETED:
            found[event.position] = name_in(event.data)
    return found


def _id(row: SubscriptionRow, event: EventRow) -> str:
    return f"{row.name}:{event.source}/{event.id}"


def _key(driver: Driver, row: SubscriptionRow, position: int) -> int:
    store = driver.world.store
    runs = store._keys.get(_id(row, store._events[position]), {1: 0})
    return runs[max(runs)]


def _run(store: Store, row: ExecutionRow) -> Run:
    rows = store._journal.get(row.key, {})
    records = [one for seq in sorted(rows) for one in r.decode_records(rows[seq].body)]
    return Run(row, records, describe(row, records))


def _published(store: Store, row: ExecutionRow) -> int:
    return sum(isinstance(one, r.Published) for one in _run(store, row).records)
