"""What the log must say of the events and signals of sagas, and what nobody may leave behind."""

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
from tests.simulation.judge import Run, read, rows
from tests.simulation.services import Asked, hear, name_of_spawned, spawn, tell
from tests.simulation.world import World

from counterpoint.authoring.event import contract_of
from counterpoint.kernel.replay import fold
from counterpoint.model import records as r
from counterpoint.model.ids import idempotency_key
from counterpoint.model.messages import EventRow
from counterpoint.runtime.node import Node
from counterpoint.stores.memory import MemoryStore
from counterpoint.testing.simulation.ledger import LedgerStore

ASKED = contract_of(Asked).type


# ---- events and signals --------------------------------------------------------------------------


def judge_events(world: World, ledger: LedgerStore) -> Iterator[str]:
    """Say what is wrong with the events that sagas publish and wait for, and with signals."""
    runs = [read(ledger, row) for row in rows(ledger)]
    log = [ledger._events[position] for position in sorted(ledger._events)]
    ids = [event.id for event in log]
    if len(set(ids)) < len(ids):
        yield f"an event is in the log twice: {ids}"
    for event_id in world.published:
        if event_id not in ids:
            yield f"{event_id} was acknowledged, and is not in the log"
    for run in runs:
        yield from (f"{run.name}: {what}" for what in _published(run, log))
    of_id: dict[str, list[Run]] = {}
    for run in runs:
        of_id.setdefault(run.row.id, []).append(run)
    for execution_id, its_runs in of_id.items():
        for found in (
            _told(its_runs, log),
            judge_waits(its_runs, log),
            _kept(its_runs),
            _heard(its_runs),
        ):
            yield from (f"{execution_id}: {what}" for what in found)
    yield from _begun(of_id, log)


def _published(run: Run, log: Sequence[EventRow]) -> Iterator[str]:
    """What the code published is in the log."""
    there = {event.id: (event.type, event.key) for event in log}
    for record in run.records:
        if isinstance(record, r.Published) and there.get(record.id) != (
            record.event_type,
            record.key,
        ):
            yield f"it published {record.id}, and the log has {there.get(record.id)}"


def _told(runs: Sequence[Run], log: Sequence[EventRow]) -> Iterator[str]:
    """What activities published is in the log if, and only if, they completed."""
    tags: list[int] = []
    for run in runs:
        told = (run.calls[number].arguments for number in _completed(run, tell.name))
        tags += (int(msgspec.json.decode(arguments)["tag"]) for arguments in told)
        if _stated(run):
            return  # a person's word that it happened publishes nothing
    found = [
        int(msgspec.json.decode(event.data)["tag"])
        for event in log
        if event.publisher == tell.name and event.causation_id == runs[0].row.id
    ]
    if sorted(found) != sorted(tags):
        yield f"activities told {sorted(tags)}, and the log has {sorted(found)}"


def judge_waits(runs: Sequence[Run], log: Sequence[EventRow]) -> Iterator[str]:
    """Each wait got the next event of the log that it was about, if there is one.

    *runs* are those of one execution: what one of them has read none of the next reads again.
    """
    read: dict[tuple[str, str], int] = {}
    for run in runs:
        waits: dict[int, r.EventAwaited] = {}
        before: dict[int, int | None] = {}
        for record in run.records:
            match record:
                case r.EventAwaited():
                    place = (record.event_type, record.key)
                    if record.wait in waits:  # a retry has taken it back, with what it had got
                        _read_again(read, place, before[record.wait])
                    before[record.wait] = read.get(place)
                    waits[record.wait] = record
                case r.EventReceived():
                    wait = waits[record.wait]
                    first = _next_of(wait, read, log)
                    if record.position != first:
                        yield f"{wait} got the event {record.position}, and the next is {first}"
                    read[wait.event_type, wait.key] = record.position
                case _:
                    pass
        if run.known.awaited_events and not run.known.incidents:
            for wait in fold(run.records).event_waits.values():
                first = _next_of(wait, read, log)
                if first is not None:
                    yield f"{wait} goes on, and {first} is in the log"


def _read_again(
    read: dict[tuple[str, str], int], place: tuple[str, str], position: int | None
) -> None:
    read.pop(place, None)
    if position is not None:
        read[place] = position


def _next_of(
    wait: r.EventAwaited, read: dict[tuple[str, str], int], log: Sequence[EventRow]
) -> int | None:
    place = (wait.event_type, wait.key)
    after = max(wait.position, read.get(place, 0))
    of_place = (event for event in log if (event.type, event.key) == place)
    later = (e.position for e in of_place if e.position > after and e.recorded_at >= wait.since)
    return next(later, None)


def _begun(of_id: dict[str, list[Run]], log: Sequence[EventRow]) -> Iterator[str]:
    """What an event or an activity was to begin has begun, and nothing else."""
    asked = {event.key: event.id for event in log if event.type == ASKED}
    stated: dict[str, bool] = {
        name_of_spawned(idempotency_key(run.row.id, run.row.run, number)): number in _stated(run)
        for runs in of_id.values()
        for run in runs
        for number in _completed(run, spawn.name)
    }
    spawned = stated.keys()  # a person's word that it happened starts nothing
    for execution_id in {one for one in spawned if not stated[one]} - of_id.keys():
        yield f"an activity started {execution_id}, and it is not there"
    for execution_id, event_id in asked.items():
        runs = of_id.get(execution_id, [])
        causes = [one for run in runs[:1] for one in run.records if isinstance(one, r.CausedBy)]
        if [one.id for one in causes] != [event_id]:
            yield f"{event_id} asked for {execution_id}, which was begun by {causes}"
    for execution_id, runs in of_id.items():
        started = execution_id in asked or execution_id in spawned or execution_id == "r"
        child = any(isinstance(one, r.ChildOf) for one in runs[0].records)
        if not (started or child):
            yield f"{execution_id} was begun, and nothing says why"


def _kept(runs: Sequence[Run]) -> Iterator[str]:
    """A signal that nobody waited for is kept, also for the next run, until it is taken."""
    unread = Counter[str]()
    for run in runs:
        waits: dict[int, str] = {}
        for record in run.records:
            if isinstance(record, r.RetryRequested):
                return  # it takes decisions back
            if isinstance(record, r.Continued):
                carried = Counter(signal.name for signal in record.signals)
                if carried != +unread:
                    yield f"its run {run.row.run} took over {carried}, and {unread} was unread"
            _note_signal(record, waits, unread)
            if any(unread[name] < 0 for name in unread):
                yield f"it took what had not come: {record}"
            if any(unread[name] > 0 for name in waits.values()):
                yield f"it waits for a signal that has come: {record}"


def _note_signal(record: r.Record, waits: dict[int, str], unread: Counter[str]) -> None:
    """Fold a record into who waits for signals, and how many are unread."""
    match record:
        case r.SignalAwaited():
            waits[record.wait] = record.name
        case r.SignalWaitEnded():
            del waits[record.wait]
        case r.SignalTaken():
            unread[record.name] -= 1
        case r.SignalReceived():
            met = next((n for n, name in waits.items() if name == record.name), None)
            if met is None:
                unread[record.name] += 1
            else:
                del waits[met]
        case r.CompensationStarted() | r.Stopped() | r.Ended():
            waits.clear()
        case _:
            pass


def _heard(runs: Sequence[Run]) -> Iterator[str]:
    """Signals of a name were read in the order in which they came, each once."""
    came: dict[str, list[int]] = {}
    heard: dict[str, list[list[int]]] = {}
    for run in runs:
        for record in run.records:
            if isinstance(record, r.SignalReceived):
                came.setdefault(record.name, []).append(msgspec.json.decode(record.value))
            if isinstance(record, r.CallScheduled) and record.name == hear.name:
                told = msgspec.json.decode(record.arguments)
                heard.setdefault(told["name"], []).append(told["values"])
    for name, several in heard.items():
        order = came.get(name, [])
        known = [value for values in several for value in values]
        if len(set(known)) < len(known) or not set(known) <= set(order):
            yield f"of the signals {name} it heard {several}, and got {order}"
        elif any(values != sorted(values, key=order.index) for values in several):
            yield f"it heard the signals {name} as {several}, and they came as {order}"


def _completed(run: Run, name: str) -> Iterator[int]:
    return (n for n, call in run.calls.items() if call.name == name and n in run.completed)


def _stated(run: Run) -> set[int]:
    """Return the steps of which people have said how they ended."""
    return {one.step for one in run.records if isinstance(one, r.StepResolved)}


# ---- nothing is left -----------------------------------------------------------------------------


def left_behind(ledger: MemoryStore, node: Node) -> Iterator[str]:
    """Say what is left in the store or in memory of those who have ended, when nothing happens."""
    live = {row.key for row in ledger._executions.values() if row.status.live}
    for key, at in ledger._wake_at.items():
        if key not in live:
            yield f"{ledger._executions[key].id} has ended, and is to wake at {at}"
    for wait in ledger._waits.values():
        if wait.execution_key not in live:
            yield f"{wait.execution_id} has ended, and {wait} is left"
    yield from (f"a letter is left: {one.kind}" for one in ledger._mail.values())
    yield from (f"{hold} is left" for hold in ledger._holds.values())
    yield from (f"a dead letter is left: {letter}" for letter in ledger._dead.values())
    for position, marks in ledger._reactions.items():
        for number, mark in marks.items():
            if not mark.status.over:
                yield f"{number} has not done with {position}: {mark.status}"
    yield from _in_memory(node, live)


def _in_memory(node: Node, live: set[int]) -> Iterator[str]:
    for resident in node.residents.values():
        if resident.key not in live:
            yield f"{resident.id} has ended, and is in memory"
        if resident.execution.pending:
            yield f"{resident.id} has records that nobody commits: {resident.execution.pending}"
    if node.starting:
        yield f"{list(node.starting)} are still to start"
    dispatcher = node.messaging.dispatcher
    lanes = dispatcher.lanes.values()
    queues = [queue for lane in lanes for queue in lane.queues]
    if dispatcher.pending or queues:
        yield f"{dispatcher.pending} events are in memory, in the queues {queues}"
