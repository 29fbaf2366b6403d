"""Incidents as `show` tells them: each with the commands that solve it, ready to paste."""

import shlex
from collections.abc import Iterator

from rich.text import Text

from counterpoint.cli.output import clean
from counterpoint.cli.story_surroundings import Surroundings
from counterpoint.cli.times import both
from counterpoint.model.states import Cause
from counterpoint.runtime.description import Description, IncidentDescription


def incidents(d: Description, around: Surroundings) -> Iterator[Text]:
    """Yield what needs a person, oldest first, and what that person can type."""
    if not d.status.live:
        return
    for incident in d.incidents:
        kind = f"INCIDENT {both(incident.at, around.at)}: {incident.cause}: "
        yield Text(kind + clean(incident.message), "bold red")
        for when, command in solutions(d, incident):
            line = f"  {when}: {command}{around.options}"
            yield Text(line, "red", no_wrap=True)  # to be copied as one line


def solutions(d: Description, incident: IncidentDescription) -> list[tuple[str, str]]:
    """Return the commands that may solve an incident, each with when it is the right one."""
    id = shlex.quote(clean(d.id))
    retry = f"counterpoint retry {id}"
    call = next((one for one in d.calls if one.call == incident.call), None)
    match incident.cause:
        case Cause.NON_DETERMINISM:
            return [("it goes on when code that agrees is deployed; to try at once", retry)]
        case Cause.UNKNOWN_ACTIVITY:
            return [
                ("it goes on when an app that has it is deployed; to try at once", retry),
                ("if it was undone by hand, end it as it is", f"counterpoint terminate {id}"),
            ]
        case Cause.DEADLINE:
            return [("it goes on past its pivot; to take note", retry)]
        case _:
            pass
    if call is None or incident.call is None:
        return [("when its cause is gone", retry)]
    if call.child is not None:
        child = shlex.quote(clean(call.child))
        return [
            ("look at the child", f"counterpoint show {child}"),
            ("when its cause is gone", retry),
        ]
    resolve = f"counterpoint resolve {id} {incident.call}"
    again = (
        []
        if incident.cause in (Cause.UNKNOWN_OUTCOME, Cause.SETTLE)
        else [("when its cause is gone", retry)]
    )
    return again + _answers(incident, resolve)


def _answers(incident: IncidentDescription, resolve: str) -> list[tuple[str, str]]:
    if incident.compensation:
        return [("if it is undone already", f"{resolve} --done")]
    found = [("if it happened", f"{resolve} --result JSON")]
    if incident.cause == Cause.UNKNOWN_OUTCOME:
        found.append(("if it did not, to try it again", f"{resolve} --not-done"))
    if incident.cause != Cause.PAST_PIVOT:
        found.append(("if it did not, to let it fail", f"{resolve} --error TYPE:MESSAGE"))
    return found
