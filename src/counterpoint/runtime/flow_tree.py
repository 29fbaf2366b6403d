"""Makes a tree of the rows of a flow: what led to what.

An event names its cause by id: the event whose reaction published it, or the execution that did. An
execution names its parent, or the event that it was started by. What names no cause, or one that is
not there any more, is a root. Time is never asked who caused what, only which of several attempts
at the same thing it was: which run of an execution, which call of an activity.
"""

from collections.abc import Sequence

from counterpoint.model import records as r
from counterpoint.model.ids import event_execution_id
from counterpoint.model.messages import EventRow, ReactionStatus
from counterpoint.model.rows import ExecutionRow
from counterpoint.ports.codec import Codec
from counterpoint.runtime.description import time_of
from counterpoint.runtime.flow import Flow, FlowStep
from counterpoint.runtime.flow_rows import FlowRows, Place
from counterpoint.runtime.flow_steps import Node, Steps


def flow_of(rows: FlowRows, codec: Codec) -> Flow:
    """Return the flow that a store's rows tell of."""
    return _Tree(rows, codec).flow()


class _Tree:
    def __init__(self, rows: FlowRows, codec: Codec) -> None:
        self.rows = rows
        self.events: dict[str, list[EventRow]] = {}
        """By id, which is unique within a source only."""
        self.runs: dict[str, list[ExecutionRow]] = {}
        self.taken: dict[int, list[Place]] = {}
        """The reactions to the event at a position."""
        self.published: dict[tuple[str, str], ExecutionRow] = {}
        """Which run published an event by itself, by source and id."""
        self.steps = Steps(rows, codec, self.run_of)
        for event in rows.events:
            self.events.setdefault(event.id, []).append(event)
        for place in sorted([*rows.reactions, *rows.waiting], key=lambda one: one[::-1]):
            self.taken.setdefault(place[1], []).append(place)
        for row in rows.executions:
            self.runs.setdefault(row.id, []).append(row)
            for record in rows.records[row.key]:
                if isinstance(record, r.Published):
                    self.published[row.service, record.id] = row
        self.keys = {row.key for row in rows.executions}
        self.merged: set[Place] = set()
        """Deliveries that did nothing but start a workflow: told as its execution."""
        self.times: dict[Node, int] = {}
        self.children: dict[Node | None, list[Node]] = {None: []}

    def flow(self) -> Flow:
        self._link()
        built: dict[Node, FlowStep] = {}
        for node in self._children_first():
            under = tuple(built.pop(one) for one in self.children.get(node, ()))
            built[node] = self.steps.step(node, under)
        roots = tuple(built[node] for node in self.children[None])
        first = min(self.times.values())
        ends = [self.steps.end(node) for node in self.times]
        ended = None if None in ends else max(end for end in ends if end is not None)
        return Flow(self.rows.id, roots, time_of(first), None if ended is None else time_of(ended))

    # ---- causes -------------------------------------------------------------------------------

    def _link(self) -> None:
        causes: dict[Node, Node | None] = {}
        for row in self.rows.executions:
            node: Node = ("execution", row.key, 0)
            causes[node] = self._cause_of_execution(row)
            self.times[node] = row.created_at
        for event in self.rows.events:
            node = ("event", event.position, 0)
            causes[node] = self._cause_of_event(event)
            self.times[node] = event.recorded_at
        for event in self.rows.events:
            for place in self.taken.get(event.position, ()):
                if place not in self.merged:
                    node = ("reaction", *place)
                    causes[node] = ("event", event.position, 0)
                    mark = self.rows.reactions.get(place)
                    self.times[node] = event.recorded_at if mark is None else mark.created_at
        _break_circles(causes, self.times)
        for node in sorted(causes, key=lambda one: (self.times[one], one[0] == "reaction", one)):
            self.children.setdefault(causes[node], []).append(node)

    def _cause_of_execution(self, row: ExecutionRow) -> Node | None:
        if row.parent_key is not None and row.parent_key in self.keys:
            return "execution", row.parent_key, 0
        event = self._event(row.causation_id, self.rows.records[row.key])
        if event is None:
            return self._starter(row)
        places = [one for one in self.taken.get(event.position, ()) if self._completed(one)]
        named = [one for one in places if self._name(one) == row.name]
        own = [one for one in named if self._execution_id(one, event) == row.id] or named
        if own:
            if self.rows.reactions[own[0]].key is not None:
                return ("reaction", *own[0])
            self.merged.add(own[0])
        elif len(places) == 1:
            return ("reaction", *places[0])
        # of several reactions to an event nobody has recorded which one started something
        return "event", event.position, 0

    def _starter(self, row: ExecutionRow) -> Node | None:
        """Return the execution whose activity started another one."""
        runs = self.runs.get(row.causation_id or "", [])
        before = [one for one in runs if one.created_at <= row.created_at and one.id != row.id]
        return ("execution", before[-1].key, 0) if before else None

    def _completed(self, place: Place) -> bool:
        row = self.rows.reactions.get(place)
        return row is not None and row.status is ReactionStatus.COMPLETED

    def _name(self, place: Place) -> str | None:
        subscription = self.rows.subscriptions.get(place[0])
        return None if subscription is None else subscription.name

    def _execution_id(self, place: Place, event: EventRow) -> str:
        subscription = self.rows.subscriptions[place[0]]
        return event_execution_id(subscription.name, event.source, event.id, subscription.replay)

    def _event(self, event_id: str | None, records: Sequence[r.Record]) -> EventRow | None:
        if event_id is None:
            return None
        found = self.events.get(event_id, [])
        for record in records:
            if isinstance(record, r.CausedBy):
                return next((one for one in found if one.position == record.position), None)
        return found[0] if found else None

    def _cause_of_event(self, event: EventRow) -> Node | None:
        if event.causation_id is None:
            return None
        causes = [one for one in self.events.get(event.causation_id, []) if one is not event]
        for cause in causes:
            place = self._reaction_of(event, cause)
            if place is not None:
                return ("reaction", *place)
        run = self.run_of(event)
        if run is not None:
            return "execution", run.key, 0
        return ("event", causes[0].position, 0) if causes else None

    def _reaction_of(self, event: EventRow, cause: EventRow) -> Place | None:
        places = [
            place
            for place in self.taken.get(cause.position, ())
            if place in self.rows.reactions and self._name(place) == event.publisher
        ]
        ended = [p for p in places if self.rows.reactions[p].finished_at == event.recorded_at]
        return next(iter([*ended, *places]), None)

    def run_of(self, event: EventRow) -> ExecutionRow | None:
        """Return the execution that published an event, itself or through an activity."""
        if event.causation_id is None:
            return None
        made = self.published.get((event.source, event.id))
        if made is not None and made.id == event.causation_id:
            return made
        runs = self.runs.get(event.causation_id, [])
        before = [row for row in runs if row.created_at <= event.recorded_at]
        return next(iter([*reversed(before), *runs]), None)

    def _children_first(self) -> list[Node]:
        """Return all nodes, each after what it led to; trees may be deeper than Python's stack."""
        order: list[Node] = []
        left = list(self.children[None])
        while left:
            node = left.pop()
            order.append(node)
            left += self.children.get(node, ())
        order.reverse()
        return order


def _break_circles(causes: dict[Node, Node | None], times: dict[Node, int]) -> None:
    """Make roots of what led to itself, as ids that users chose may say; the oldest of each."""
    reached: set[Node] = set()
    for node in causes:
        path: list[Node] = []
        current: Node | None = node
        while current is not None and current not in reached:
            reached.add(current)
            path.append(current)
            current = causes[current]
        if current in path:
            circle = path[path.index(current) :]
            causes[min(circle, key=lambda one: times[one])] = None
