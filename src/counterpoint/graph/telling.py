"""Tells the story of one execution from its journal."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from counterpoint.graph.attempts import Alike, Summary, summary
from counterpoint.graph.repeats import shortened
from counterpoint.graph.sequence import (
    CODE,
    OUTSIDE,
    Arrow,
    Chapter,
    Entry,
    Happening,
    Message,
    Participant,
    Remark,
    Story,
    elapsed,
)

_VALUE_CHARACTERS_MAX = 80
_ERROR_CHARACTERS_MAX = 160

Data = Mapping[str, Any]


def story(execution_id: str, entries: Sequence[Entry]) -> Story:
    """Return what happened in an execution, from the entries of its whole journal."""
    return Teller(execution_id).story(entries)


class Teller:
    """Tells one journal; what it tells is gathered in `_out`."""

    def __init__(self, execution_id: str, start: datetime | None = None) -> None:
        self._id = execution_id
        self._workflow = ""
        self._start = start
        self._seconds = 0.0
        self._names: dict[int, str] = {}
        """What each step calls: a call by its number, its undoing by minus that."""
        self._waits: dict[int, str] = {}
        self._event_waits: dict[int, str] = {}
        self._services: dict[str, str] = {}
        self._out: list[Happening] = []
        self._tag = ""
        self._tellers: dict[str, Callable[[Data], None]] = {
            **dict.fromkeys(_ACTS, self._operator),
            "started": self._started,
            "scheduled": self._scheduled,
            "child": self._child,
            "completed": self._completed,
            "child-completed": self._completed,
            "failed": self._failed,
            "child-failed": self._failed,
            "call-cancelled": self._call_cancelled,
            "attempt": self._attempt,
            "attempt-failed": self._attempt_failed,
            "attempt-lost": self._attempt_lost,
            "attempt-postponed": self._attempt_postponed,
            "timer": self._timer,
            "fired": self._fired,
            "timer-cancelled": self._timer_cancelled,
            "taken": self._taken,
            "awaits": self._awaits,
            "wait-ended": self._wait_ended,
            "signalled": self._signalled,
            "awaits-event": self._awaits_event,
            "event": self._event,
            "event-wait-ended": self._event_wait_ended,
            "published": self._published,
            "caused-by": self._caused_by,
            "hops": self._hops,
            "undo-registered": self._undo_registered,
            "compensating": self._compensating,
            "compensate": self._compensate,
            "undo-child": self._undo_child,
            "compensated": self._compensated,
            "stays": self._stays,
            "incident": self._incident,
            "stopped": self._stopped,
            "ended": self._ended,
            "incident-resolved": self._incident_resolved,
            "delayed": self._delayed,
            "child-of": self._child_of,
            "continued": self._continued,
        }

    def story(self, entries: Sequence[Entry]) -> Story:
        told = summary(entries)
        for index in range(len(entries)):
            self._tell(entries, index, told)
        return Story(self._participants(), shortened(self._out))

    def _tell(self, entries: Sequence[Entry], index: int, told: Summary) -> None:
        entry = entries[index]
        if entry.at is not None:
            self._start = self._start or entry.at
            self._seconds = (entry.at - self._start).total_seconds()
        self._tag = entry.type
        if index in told.silent:
            return
        if index in told.alike:
            last = entries[told.alike[index].last_index]
            self._failed_alike(entry.data, told.alike[index], last)
        elif index in told.beats:
            self._heartbeat(entry.data, told.beats[index])
        else:
            self._tellers.get(entry.type, self._other)(entry.data)

    def _participants(self) -> tuple[Participant, ...]:
        code = Participant(CODE, (self._workflow or "the workflow", self._id))
        services = (Participant(key, (name,)) for name, key in self._services.items())
        return (Participant(OUTSIDE, (OUTSIDE,), person=True), code, *services)

    # ---- words --------------------------------------------------------------------------------

    def _service(self, step: int) -> str:
        """Return the participant that carries out a step."""
        name = self._names.get(step) or self._names.get(abs(step), "")
        service = name if name.startswith("child ") else name.rpartition(".")[0] or name or "?"
        return self._services.setdefault(service, f"p{len(self._services) + 1}")

    def _step(self, step: int) -> str:
        name = self._names.get(step) or self._names.get(abs(step), "?")
        short = name if name.startswith("child ") else name.rpartition(".")[2]
        return f"{step} {short}" if step > 0 else f"undo of call {-step}: {short}"

    def _likeness(self, *of: object) -> str:
        return "|".join([self._tag, *map(str, of)])

    def _message(
        self, source: str, target: str, arrow: Arrow, *lines: str, like: object = ""
    ) -> None:
        words = tuple(line for line in lines if line)
        message = Message(source, target, arrow, words)
        self._out.append(Happening(self._seconds, message, self._likeness(source, target, like)))

    def _remark(self, over: str, *lines: str, urgent: bool = False, like: object = "") -> None:
        words = tuple(line for line in lines if line)
        remark = Remark(over, words, urgent)
        self._out.append(Happening(self._seconds, remark, self._likeness(over, like)))

    def _ask(self, step: int, *lines: str) -> None:
        like = self._names.get(step, "")
        self._message(CODE, self._service(step), Arrow.ASK, *lines, like=like)

    def _answer(self, step: int, arrow: Arrow, *lines: str, like: object = "") -> None:
        like = (self._names.get(step, ""), like)
        self._message(self._service(step), CODE, arrow, *lines, like=like)

    def _after(self, moment: object) -> str:
        """Return a recorded moment in words; empty where there is none."""
        found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        if not isinstance(found, datetime) or self._start is None:
            return ""
        return elapsed((found - self._start).total_seconds())

    def _when(self, moment: object) -> str:
        after = self._after(moment)
        return f"next attempt at {after}" if after else "no other attempt by itself"

    # ---- calls --------------------------------------------------------------------------------

    def _started(self, data: Data) -> None:
        self._workflow = self._workflow or str(data["workflow"])
        self._message(OUTSIDE, CODE, Arrow.ASK, "start", value_words(data["arguments"]))

    def _scheduled(self, data: Data) -> None:
        call: int = data["call"]
        self._names[call] = data["name"]
        self._ask(call, self._step(call), value_words(data["arguments"]))

    def _child(self, data: Data) -> None:
        call: int = data["call"]
        self._names[call] = f"child {data['name']}"
        self._ask(call, self._step(call), f"id {data['id']}", value_words(data["arguments"]))

    def _completed(self, data: Data) -> None:
        result = value_words(data["result"])
        self._answer(data["call"], Arrow.ANSWER, f"{self._step(data['call'])} completed", result)

    def _failed(self, data: Data) -> None:
        call: int = data["call"]
        attempts = data.get("attempts", 0)
        after = f" after {attempts} attempts" if attempts > 1 else ""
        maybe = "it may have happened all the same" if data.get("outcome_unknown") else ""
        words = (f"{self._step(call)} failed{after}", error_words(data["error"]), maybe)
        self._answer(call, Arrow.FAILURE, *words, like=error_words(data["error"]))

    def _call_cancelled(self, data: Data) -> None:
        self._ask(data["call"], f"{self._step(data['call'])}: cancel")

    def _attempt(self, data: Data) -> None:
        self._ask(data["step"], f"{self._step(data['step'])}, attempt {data['attempt']}")

    def _attempt_failed(self, data: Data) -> None:
        step: int = data["step"]
        words = f"{self._step(step)}, attempt {data['attempt']} failed"
        error = error_words(data["error"])
        self._answer(step, Arrow.FAILURE, words, error, self._when(data["retry_at"]), like=error)

    def _failed_alike(self, data: Data, alike: Alike, last: Entry) -> None:
        step: int = data["step"]
        count = alike.last - alike.first + 1
        words = f"{self._step(step)}, attempts {alike.first} to {alike.last} failed"
        error = error_words(data["error"]) if data.get("error") else "their nodes ended"
        words += f", until {self._after(last.at)}"
        then = self._when(last.data["retry_at"])
        self._answer(step, Arrow.FAILURE, words, f"{count} times: {error}", then, like=error)

    def _attempt_lost(self, data: Data) -> None:
        words = f"attempt {data['attempt']} was lost: its node ended"
        where = self._service(data["step"])
        self._remark(where, self._step(data["step"]), words, self._when(data["retry_at"]))

    def _attempt_postponed(self, data: Data) -> None:
        words = f"attempt {data['attempt']} has not begun: the node stopped"
        self._remark(self._service(data["step"]), self._step(data["step"]), words)

    def _heartbeat(self, data: Data, count: int) -> None:
        words = "heartbeat" if count == 1 else f"{count} heartbeats, the last"
        detail = value_words(data["detail"])
        self._answer(data["step"], Arrow.ANSWER, f"{self._step(data['step'])}: {words}", detail)

    # ---- timers and signals -------------------------------------------------------------------

    def _timer(self, data: Data) -> None:
        self._remark(CODE, f"timer {data['timer']} is set for {self._after(data['due_at'])}")

    def _fired(self, data: Data) -> None:
        self._remark(CODE, f"timer {data['timer']} is due")

    def _timer_cancelled(self, data: Data) -> None:
        self._remark(CODE, f"timer {data['timer']} is not needed any more")

    def _awaits(self, data: Data) -> None:
        self._waits[data["wait"]] = data["name"]
        self._remark(CODE, f"waits for the signal {data['name']!r}", like=data["name"])

    def _taken(self, data: Data) -> None:
        self._remark(CODE, f"takes the signal {data['name']!r} that had come", like=data["name"])

    def _wait_ended(self, data: Data) -> None:
        name = self._waits.get(data["wait"], "?")
        self._remark(CODE, f"waits no longer for the signal {name!r}", like=name)

    def _signalled(self, data: Data) -> None:
        words = f"signal {data['name']!r}"
        self._message(
            OUTSIDE, CODE, Arrow.ASK, words, value_words(data["value"]), like=data["name"]
        )

    # ---- events -------------------------------------------------------------------------------

    def _awaits_event(self, data: Data) -> None:
        words = self._event_waits[data["wait"]] = _event_words(data)
        self._remark(CODE, f"waits for {words}", like=data["event_type"])

    def _event_wait_ended(self, data: Data) -> None:
        words = self._event_waits.get(data["wait"], "an event")
        self._remark(CODE, f"waits no longer for {words}")

    def _event(self, data: Data) -> None:
        lines = (_event_words(data), value_words(data["data"]))
        self._message(OUTSIDE, CODE, Arrow.EVENT, *lines, like=data["event_type"])

    def _published(self, data: Data) -> None:
        lines = (_event_words(data), value_words(data["data"]))
        self._message(CODE, OUTSIDE, Arrow.EVENT, *lines, like=data["event_type"])

    def _caused_by(self, data: Data) -> None:
        what = f"the event {data['event_type']}" if data["event_type"] else "an activity of"
        self._remark(CODE, f"was started by {what} {data['id']}")

    def _hops(self, data: Data) -> None:
        count: int = data["count"]
        self._remark(CODE, "an event has led to it" if count == 1 else f"{count} events led to it")

    # ---- undoing ------------------------------------------------------------------------------

    def _undo_registered(self, data: Data) -> None:
        self._names[data["call"]] = data["name"]
        words = f"{self._step(data['call'])} is registered to undo with"
        self._remark(CODE, words, value_words(data["arguments"]), like=data["name"])

    def _compensating(self, data: Data) -> None:
        why = "cancelled" if data.get("cancelled") else error_words(data["error"])
        chapter = Chapter(f"undoing what happened, because: {why}")
        self._out.append(Happening(self._seconds, chapter, self._likeness(why)))

    def _compensate(self, data: Data) -> None:
        self._names[-data["call"]] = data["name"]
        self._ask(-data["call"], self._step(-data["call"]))

    def _undo_child(self, data: Data) -> None:
        self._ask(-data["call"], self._step(-data["call"]))

    def _compensated(self, data: Data) -> None:
        words = f"call {data['call']} is undone"
        self._answer(-data["call"], Arrow.ANSWER, words)

    def _stays(self, data: Data) -> None:
        self._remark(CODE, f"call {data['call']} stays", str(data["why"]))

    # ---- people and the end -------------------------------------------------------------------

    def _operator(self, data: Data) -> None:
        words = _ACTS[self._tag]
        step = data.get("step")
        if isinstance(step, int):
            words += f" {self._step(step)}"
        actor = f"by {data['actor']}" if data.get("actor") else ""
        self._message(OUTSIDE, CODE, Arrow.ASK, words, actor, data.get("reason") or "")

    def _incident(self, data: Data) -> None:
        step = data.get("step")
        where = self._step(step) if isinstance(step, int) else ""
        words = ("incident: a person is needed", where, _short(data["message"]))
        self._remark(CODE, *words, urgent=True, like=data["cause"])

    def _stopped(self, data: Data) -> None:
        words = ("failed past its pivot: a person is needed", error_words(data["error"]))
        self._remark(CODE, *words, urgent=True)

    def _ended(self, data: Data) -> None:
        error = data.get("error")
        good = data["status"] in ("completed", "continued")
        detail = value_words(data["result"]) if good else error_words(error) if error else ""
        arrow = Arrow.ANSWER if good else Arrow.FAILURE
        self._message(CODE, OUTSIDE, arrow, str(data["status"]), detail)

    def _incident_resolved(self, data: Data) -> None:
        step = data.get("step")
        self._remark(CODE, "the incident is over", self._step(step) if step else "")

    def _delayed(self, data: Data) -> None:
        self._remark(CODE, f"begins at {self._after(data['until'])}")

    def _child_of(self, data: Data) -> None:
        self._remark(CODE, f"is call {data['call']} of {data['id']}")

    def _continued(self, data: Data) -> None:
        self._remark(CODE, f"goes on where run {data['run']} left off")

    def _other(self, data: Data) -> None:
        """Tell a record by its tag and its values."""
        values = {k: v for k, v in data.items() if _is_told(k, v)}
        words = _OTHERS.get(self._tag, self._tag.replace("-", " "))
        detail = ", ".join(f"{name} {plain_words(value)}" for name, value in values.items())
        self._remark(CODE, words, _short(detail))


_ACTS = {
    "cancel-requested": "cancel",
    "cancel-refused": "cancel (refused: it has passed its pivot)",
    "terminate-requested": "terminate: nothing is undone",
    "retry-requested": "retry",
    "resolved": "state the outcome of",
    "reset": "reset",
    "undo-requested": "undo, because the parent is undone",
}
"""What people, and the execution's parent, ask of it."""

_OTHERS = {
    "pivot": "the pivot is passed: from here on nothing is undone",
    "begun": "the moment has come: the code begins",
    "attributes": "sets attributes",
}


def _event_words(data: Data) -> str:
    return f"the event {data['event_type']} of {data['key']}"


def _is_told(name: str, value: object) -> bool:
    return (
        name != "request_id" and value is not None and value is not False and value not in ([], {})
    )


def value_words(value: object) -> str:
    """Return a recorded value as short JSON; nothing for null."""
    if value is None or value == {} or value == []:
        return ""
    return _cut(json.dumps(value, ensure_ascii=False, default=str), _VALUE_CHARACTERS_MAX)


def plain_words(value: object) -> str:
    """Return a recorded value for people: text as it is, all else as short JSON."""
    return _short(value) if isinstance(value, str) else value_words(value)


def error_words(error: Any) -> str:
    """Return a recorded error as one short line."""
    kind, message = str(error["type"]), str(error["message"])
    return _short(f"{kind}: {message}" if message else kind)


def _short(text: str) -> str:
    return _cut(" ".join(text.split()), _ERROR_CHARACTERS_MAX)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
