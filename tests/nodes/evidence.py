"""What the judge is given: the store, the books, and what became of the processes."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from examples.shop.books import Verdict
from tests.crash.files import recorded_steps
from tests.nodes.attempts import Made
from tests.nodes.cluster import Departure
from tests.nodes.stored import Known, Stored

from counterpoint.model import records as r
from counterpoint.model.ids import event_execution_id, idempotency_key
from counterpoint.model.messages import EventRow, SubscriptionRow


@dataclass
class Evidence:
    """All that is known when everything is over."""

    stored: Stored
    attempts: Sequence[Made]
    """In the order in which they began."""
    verdict: Verdict
    """On the books."""
    expected: Mapping[str, str]
    """How each order has to end."""
    orchestrated: bool
    acknowledged: Collection[str] = ()
    """Ids of executions, or events, that somebody was told to be durable."""
    told: Sequence[tuple[str, str]] = ()
    """Of executions that somebody waited for: the id, and how it ended."""
    killed: Mapping[int, int] = field(default_factory=dict[int, int])
    """When processes were killed, by their ids."""
    gentle: bool = False
    """Nodes were told to stop, and nothing else happened to them."""
    departures: Sequence[Departure] = ()
    """Of all processes that were told to stop."""
    errors: Sequence[str] = ()
    """What nodes have logged as errors."""

    @cached_property
    def known(self) -> dict[int, Known]:
        """The incarnations by number."""
        return {one.incarnation: one for one in self.stored.nodes}

    @cached_property
    def of_process(self) -> dict[int, list[Known]]:
        """The incarnations of each process; those of 0 ended before they told whose they were."""
        found: dict[int, list[Known]] = {}
        for one in self.stored.nodes:
            found.setdefault(one.pid, []).append(one)
        return found

    @cached_property
    def keys(self) -> frozenset[int]:
        """The keys of executions of workflows; failed reactions have journals, too."""
        return frozenset(run.key for run in self.stored.executions)

    @cached_property
    def event_at(self) -> dict[int, EventRow]:
        """The log by position."""
        return {event.position: event for event in self.stored.events}

    @cached_property
    def subscribed(self) -> dict[str, SubscriptionRow]:
        """The subscriptions by name."""
        return {one.name: one for one in self.stored.subscriptions}

    @cached_property
    def written_at(self) -> dict[tuple[str, int, int], int]:
        """When journal rows and marks were written, by what they are."""
        return {(one.what, one.key, one.part): one.at for one in self.stored.written}

    @cached_property
    def recorded_at(self) -> dict[str, int]:
        """When each step was recorded as done: by its key, or the id of a reaction's execution."""
        found: dict[str, int] = {}
        runs = {run.key: run for run in self.stored.executions}
        for row in self.stored.journal:
            at = self.written_at.get(("journal", row.execution_key, row.first_seq))
            run = runs.get(row.execution_key)
            if at is None or run is None:  # of a reaction that has failed once
                continue
            for step in recorded_steps(r.decode_records(bytes(row.body))):
                found.setdefault(idempotency_key(run.id, run.run, step), at)
        for one, event in self.deliveries():
            at = self.written_at.get(("mark", event.position, one.number))
            if at is not None:
                found[event_execution_id(one.name, event.source, event.id)] = at
        return found

    def deliveries(self) -> Iterator[tuple[SubscriptionRow, EventRow]]:
        """Return everything that has to be delivered, in the order of the log."""
        takers: dict[str, list[SubscriptionRow]] = {}
        for one in self.stored.subscriptions:
            takers.setdefault(one.type, []).append(one)
        for event in self.stored.events:
            for one in takers.get(event.type, ()):
                yield one, event

    def over_at(self, incarnation: int) -> int | None:
        """Return when an incarnation was declared lost, or stopped."""
        known = self.known.get(incarnation)
        return None if known is None else known.over_at

    def is_late(self, made: Made) -> bool:
        """Whether an attempt began in a node that was declared dead and had not noticed it yet."""
        over_at = self.over_at(made.incarnation)
        return over_at is not None and made.began >= over_at

    def end_of(self, made: Made) -> int | None:
        """Return when an attempt was over: it ended, or its node could record nothing any more."""
        ends = made.ended, self.killed.get(made.pid), self.over_at(made.incarnation)
        return earliest(ends)


def earliest(times: Iterable[int | None]) -> int | None:
    """Return the least of some times, or None if there is none."""
    return min((time for time in times if time is not None), default=None)
