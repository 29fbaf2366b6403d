"""Tells the story of a flow: services, the commands between them, and the events.

Every call, every compensation and every delivery of an event is told once, however long it gets.
"""

from collections.abc import Sequence
from datetime import datetime

from counterpoint.graph.attempts import Alike, summary
from counterpoint.graph.happened import (
    Beat,
    Fact,
    Occurred,
    Ran,
    Token,
    Took,
    called,
    in_order,
    published,
    took,
)
from counterpoint.graph.sequence import (
    CODE,
    OUTSIDE,
    Arrow,
    Chapter,
    Entry,
    Happening,
    Item,
    Message,
    Participant,
    Remark,
    Repeated,
    Story,
)
from counterpoint.graph.telling import Data, Teller, error_words, value_words

_SILENT = {
    *("timer", "timer-cancelled", "heartbeat", "child-of", "continued", "caused-by", "attributes"),
    *("wait-ended", "event-wait-ended", "undo-requested", "attempt-postponed", "hops"),
}
_OF_FLOWS = {Arrow.ANSWER: Arrow.DONE, Arrow.FAILURE: Arrow.FAILED}


def flow_story(facts: Sequence[Fact]) -> Story:
    """Return what happened in a flow; *facts* has causes before what they led to."""
    return _Flow(facts).story()


class _Lifelines:
    """The services of a story, in the order in which they first do something."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}

    def key(self, service: str) -> str:
        return self._keys.setdefault(service, f"p{len(self._keys) + 1}")

    def participants(self, items: Sequence[Item]) -> tuple[Participant, ...]:
        used: dict[str, None] = {}
        for item in items:
            for one in item.first if isinstance(item, Repeated) else (item,):
                match one.what:
                    case Message(source=source, target=target):
                        used.update({source: None, target: None})
                    case Remark(over=over):
                        used[over] = None
                    case Chapter():
                        pass
        names = {key: name for name, key in self._keys.items()}
        people = [Participant(OUTSIDE, (OUTSIDE,), person=True)] if OUTSIDE in used else []
        services = [Participant(key, (names[key] or "?",)) for key in used if key != OUTSIDE]
        return (*people, *services)


class _Flow:
    def __init__(self, facts: Sequence[Fact]) -> None:
        self._facts = facts
        self._start = min(fact.at for fact in facts)
        self._lines = _Lifelines()
        self._runs = [fact for fact in facts if isinstance(fact, Ran)]
        self._ids = {ran.id for ran in self._runs}
        self._events = {(f.source, f.id): f for f in facts if isinstance(f, Occurred)}
        self._taken = {fact.event for fact in facts if isinstance(fact, Ran | Took) if fact.event}
        self._answered: set[str] = set()
        """The children whose parents were told how they ended."""
        for ran in self._runs:
            children: dict[int, str] = {}
            for entry in ran.entries:
                if entry.type == "child":
                    children[entry.data["call"]] = entry.data["id"]
                elif entry.type in ("child-completed", "child-failed"):
                    self._answered.add(children[entry.data["call"]])
                elif entry.type == "event":
                    self._taken.add((entry.data["source"], entry.data["id"]))

    def story(self) -> Story:
        events: list[Sequence[Beat]] = []  # before what else happened at the same moment
        tracks: list[Sequence[Beat]] = []
        for fact in self._facts:
            match fact:
                case Ran():
                    tracks.append(self._execution(fact))
                case Occurred():
                    events.append([self._occurred(fact)])
                case Took():
                    tracks.append(self._reaction(fact))
        items = tuple(item for beat in in_order([*events, *tracks]) for item in beat.items)
        return Story(self._lines.participants(items), items)

    def _execution(self, ran: Ran) -> list[Beat]:
        teller = _ExecutionTeller(
            ran,
            self._start,
            self._lines,
            several=len(self._ids) > 1,
            child=ran.parent in self._ids,
            answered=ran.id in self._answered,
            started_by=self._events.get(ran.event) if ran.event else None,
        )
        return teller.beats()

    def _occurred(self, event: Occurred) -> Beat:
        place = (event.source, event.id)
        key = self._lines.key(event.source)
        nobody = () if place in self._taken else ("nobody takes it",)
        words = (f"{event.type} of {event.key}",)
        items: list[Item] = []
        if event.outside:
            items.append(
                self._item(event.at, Message(OUTSIDE, key, Arrow.ASK, ("publish " + words[0],)))
            )
        if nobody:
            items.append(self._item(event.at, Message(key, key, Arrow.EVENT, (*words, *nobody))))
        return Beat(event.at, tuple(items), event.cause, ("event", *place))

    def _reaction(self, reaction: Took) -> list[Beat]:
        event: Token = ("event", *reaction.event)
        key = self._lines.key(reaction.service)
        if reaction.waits:
            words = (
                f"{reaction.name} has not taken {reaction.type}",
                f"it waits for {reaction.waits}",
            )
            remark = Remark(key, words, urgent=True)
            return [Beat(reaction.at, (self._item(reaction.at, remark),), event)]
        teller = _ReactionTeller(reaction, self._start, self._lines)
        again = f"replay {reaction.replay}" if reaction.replay else ""
        lines = (reaction.type, f"→ {_short_name(reaction.name)}", again)
        arrow = Message(
            self._lines.key(reaction.event[0]), key, Arrow.EVENT, tuple(one for one in lines if one)
        )
        first = Beat(reaction.at, (self._item(reaction.at, arrow),), event)
        return [first, *teller.beats()]

    def _item(self, at: datetime, what: Message | Remark) -> Happening:
        return Happening((at - self._start).total_seconds(), what, "")


class _FlowTeller(Teller):
    """Tells a journal on the lifeline of its service."""

    def __init__(self, name: str, service: str, start: datetime, lines: _Lifelines) -> None:
        super().__init__(name, start)
        self._code = lines.key(service)
        self._lines = lines
        self._loops: list[Repeated] = []

    def _tell_all(self, entries: Sequence[Entry], at: datetime) -> list[Beat]:
        told = summary(entries, 1)
        beats: list[Beat] = []
        for index, entry in enumerate(entries):
            at = max(at, entry.at or at)
            self._seconds = (at - self._start).total_seconds() if self._start else 0.0
            if entry.type not in _SILENT or index in told.alike:
                self._tell(entries, index, told)
            items, needs, gives = self._told(), self._needs(entry), self._gives(entry)
            if items or needs or gives:
                beats.append(Beat(at, items, needs, gives))
        return beats

    def _needs(self, entry: Entry) -> Token | None:  # noqa: ARG002 - for those that have causes
        return None

    def _gives(self, entry: Entry) -> Token | None:  # noqa: ARG002 - for those that cause
        return None

    def _message(
        self, source: str, target: str, arrow: Arrow, *lines: str, like: object = ""
    ) -> None:
        source, target = (self._code if one == CODE else one for one in (source, target))
        super()._message(source, target, _OF_FLOWS.get(arrow, arrow), *lines, like=like)

    def _remark(self, over: str, *lines: str, urgent: bool = False, like: object = "") -> None:
        super()._remark(self._code if over == CODE else over, *lines, urgent=urgent, like=like)

    def _told(self) -> tuple[Item, ...]:
        """Return what was told since the last time."""
        items: tuple[Item, ...] = (*self._loops, *self._out)
        self._loops.clear()
        self._out.clear()
        return items

    def _failed_alike(self, data: Data, alike: Alike, last: Entry) -> None:
        """Tell attempts that failed alike as a loop; one that no other follows as itself."""
        self._failure(data)
        if last.data["retry_at"] is None and alike.first == alike.last:
            return
        count = alike.last - alike.first + 1
        what = self._step(data["step"])
        many = f"attempt {alike.first} fails, and another follows"
        if count > 1:
            until = self._after(last.at)
            many = f"attempts {alike.first} to {alike.last} fail, until {until}"
        self._loops.append(Repeated(f"{what}: {many}", (self._out.pop(),)))

    def _failure(self, data: Data) -> None:
        step: int = data["step"]
        error = error_words(data["error"]) if data.get("error") else "lost: its node ended"
        source = self._service(step) if step else CODE
        self._message(source, CODE, Arrow.FAILED, f"✗ {self._step(step)}", error)


class _ExecutionTeller(_FlowTeller):
    def __init__(
        self,
        ran: Ran,
        start: datetime,
        lines: _Lifelines,
        *,
        several: bool,
        child: bool,
        answered: bool,
        started_by: Occurred | None,
    ) -> None:
        super().__init__(ran.id, ran.service, start, lines)
        self._ran = ran
        self._whose = f"{ran.id}: " if several else ""
        self._is_child = child
        self._answered = answered
        self._started_by = started_by
        self._children: dict[int, str] = {}
        self._undone = False
        """It has ended once, and is undone with its parent."""

    def beats(self) -> list[Beat]:
        """Return what its journal tells."""
        return self._tell_all(self._ran.entries, self._ran.at)

    # ---- order --------------------------------------------------------------------------------

    def _needs(self, entry: Entry) -> Token | None:
        match entry.type:
            case "started" if self._ran.run > 1:
                return "ended", self._ran.id, self._ran.run - 1
            case "started" if self._ran.reaction is not None:
                return took(self._ran.reaction.id)
            case "started" if self._ran.event is not None:
                return "event", *self._ran.event
            case "started" if self._ran.parent is not None:
                return "child", self._ran.id
            case "child-completed" | "child-failed":
                return "ended", self._children.get(entry.data["call"], ""), 1
            case "undo-requested":
                self._undone = True
                return "undo", self._ran.id
            case "compensated":
                child = self._children.get(entry.data["call"])
                return None if child is None else ("undone", child)
            case "event":
                return "event", entry.data["source"], entry.data["id"]
            case _:
                return None

    def _gives(self, entry: Entry) -> Token | None:
        ran, data = self._ran, entry.data
        match entry.type:
            case "child":
                self._children[data["call"]] = data["id"]
                return "child", data["id"]
            case "completed":
                return called(ran.id, ran.run, data["call"])
            case "compensated":
                return called(ran.id, ran.run, -data["call"])
            case "undo-child":
                return "undo", self._children.get(data["call"], "")
            case "published":
                return published(ran.service, data["id"])
            case "ended":
                return ("undone", ran.id) if self._undone else ("ended", ran.id, ran.run)
            case _:
                return None

    # ---- words --------------------------------------------------------------------------------

    def _service(self, step: int) -> str:
        name = self._names.get(step) or self._names.get(abs(step), "")
        name = name.removeprefix("child ")
        return self._lines.key(name.rpartition(".")[0] or name)

    def _step(self, step: int) -> str:
        name = self._names.get(step) or self._names.get(abs(step), "?")
        child = "child " if name.startswith("child ") else ""
        undo = f"↶ undo call {-step}: " if step < 0 else f"{step} "
        return f"{self._whose}{undo}{child}{_short_name(name)}"

    def _ask(self, step: int, *lines: str) -> None:
        arrow = Arrow.UNDO if step < 0 else Arrow.ASK
        self._message(CODE, self._service(step), arrow, *lines)

    def _answer(self, step: int, arrow: Arrow, *lines: str, like: object = "") -> None:
        first, *rest = lines
        mark = "✓" if arrow is Arrow.ANSWER else "✗"
        super()._answer(step, arrow, f"{mark} {first}", *rest, like=like)

    def _remark(self, over: str, *lines: str, urgent: bool = False, like: object = "") -> None:
        first, *rest = lines
        super()._remark(over, self._whose + first, *rest, urgent=urgent, like=like)

    def _itself(self, *lines: str, urgent: bool = False) -> None:
        """Tell what already says which execution it is about."""
        super()._remark(CODE, *lines, urgent=urgent)

    def _completed(self, data: Data) -> None:
        self._answer(
            data["call"], Arrow.ANSWER, self._step(data["call"]), value_words(data["result"])
        )

    def _compensated(self, data: Data) -> None:
        self._answer(-data["call"], Arrow.ANSWER, f"{self._whose}call {data['call']} is undone")

    def _started(self, data: Data) -> None:
        self._workflow = str(data["workflow"])
        what = f"{self._workflow} {self._id}"
        if self._ran.run > 1:
            self._itself(f"{what}: run {self._ran.run} begins")
        elif self._ran.reaction is not None:
            reaction = self._ran.reaction
            words = f"{_short_name(reaction.name)} starts {what}"
            self._message(self._lines.key(reaction.service), CODE, Arrow.ASK, words)
        elif self._started_by is not None:
            event = self._started_by
            source = self._lines.key(event.source)
            self._message(source, CODE, Arrow.EVENT, event.type, f"→ starts {what}")
        elif not self._is_child:
            starter = self._ran.starter
            by = OUTSIDE if starter is None else self._lines.key(starter)
            self._message(by, CODE, Arrow.ASK, f"start {what}", value_words(data["arguments"]))

    def _ended(self, data: Data) -> None:
        if self._answered:
            return
        good = data["status"] in ("completed", "continued")
        error = data.get("error")
        detail = value_words(data["result"]) if good else error_words(error) if error else ""
        words = f"{'✓' if good else '✗'} {self._workflow} {self._id} {data['status']}"
        ran = self._ran
        if self._is_child or ran.event or ran.reaction or ran.starter or ran.run > 1:
            self._itself(words, detail, urgent=not good)
        else:
            self._message(CODE, OUTSIDE, Arrow.ANSWER if good else Arrow.FAILURE, words, detail)

    def _compensating(self, data: Data) -> None:
        why = "it is cancelled" if data.get("cancelled") else error_words(data["error"])
        self._itself(f"↶ {self._workflow} {self._id} undoes what happened", why, urgent=True)

    # ---- events -------------------------------------------------------------------------------

    def _event(self, data: Data) -> None:
        source = self._lines.key(str(data["source"]))
        words = f"→ {self._id} has waited for it"
        self._message(source, CODE, Arrow.EVENT, str(data["event_type"]), words)

    def _published(self, data: Data) -> None:
        """Its event tells it, and those who take that."""


class _ReactionTeller(_FlowTeller):
    def __init__(self, reaction: Took, start: datetime, lines: _Lifelines) -> None:
        super().__init__(reaction.id, reaction.service, start, lines)
        self._reaction = reaction
        self._names[0] = reaction.name
        self._tellers |= {"died": self._died, "redriven": self._redriven}
        self._tellers["discarded"] = self._discarded

    def beats(self) -> list[Beat]:
        """Return what its journal tells, and its end."""
        reaction = self._reaction
        beats = self._tell_all(reaction.entries, reaction.at)
        if reaction.finished_at is None or "discarded" in [
            one.type for one in reaction.entries[-1:]
        ]:
            return beats
        last = max([reaction.at, reaction.finished_at, *(beat.at for beat in beats)])
        if self._start is not None:
            self._seconds = (last - self._start).total_seconds()
        if reaction.entries:
            self._remark(CODE, f"✓ {self._step(0)} completed at attempt {reaction.attempts}")
        return [*beats, Beat(last, self._told(), None, took(reaction.id))]

    def _step(self, step: int) -> str:  # noqa: ARG002 - a reaction is one step
        return _short_name(self._reaction.name)

    def _died(self, data: Data) -> None:
        count = data["attempts"]
        after = f" after {count} attempts" if count > 1 else ""
        words = f"✗ {self._step(0)} gives up{after}: a dead letter"
        self._remark(CODE, words, error_words(data["error"]), urgent=True)

    def _redriven(self, data: Data) -> None:
        edited = "with edited data" if data.get("data") is not None else ""
        self._asked("redrive the dead letter of", data, edited)

    def _discarded(self, data: Data) -> None:
        self._asked("discard the dead letter of", data)

    def _asked(self, what: str, data: Data, *more: str) -> None:
        actor = f"by {data['actor']}" if data.get("actor") else ""
        words = f"{what} {self._step(0)}"
        self._message(OUTSIDE, CODE, Arrow.ASK, words, *more, actor, data.get("reason") or "")


def _short_name(name: str) -> str:
    return name.rpartition(".")[2]
