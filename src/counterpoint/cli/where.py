"""Which executions a command is about: `--where KEY=VALUE`, `--since` and `--until`."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated, TypeAlias

import typer

from counterpoint.cli.failures import CommandError
from counterpoint.cli.output import hint
from counterpoint.cli.posting import describe
from counterpoint.cli.times import now, parse_since
from counterpoint.errors import ExecutionNotFoundError, StoreCorruptError
from counterpoint.model.attributes import attribute_text, check_attribute_name
from counterpoint.model.states import Status
from counterpoint.runtime.client import Client, ExecutionSummary

KEYS = ("status", "workflow", "service", "correlation", "parent", "id", "error", "incident")
WITH_ERROR = (
    *(Status.COMPENSATING, Status.INCIDENT, Status.FAILED),
    *(Status.COMPENSATED, Status.CANCELLED, Status.TERMINATED),
)
ROOTS = "none"
"""As a parent: only executions that are nobody's children."""
_USE = f"use {', '.join(KEYS)}, or @NAME for an attribute, such as --where @customer=c-1"

WhereOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="KEY=VALUE",
        show_default=False,
        help="Only those that match: by status, workflow, service, correlation, parent (the id of "
        "the execution whose children they are; `none`: those that are nobody's, also where an "
        "execution has that id), id (a pattern such as 'order-*'), error or "
        "incident (part of the message, or the kind), or @NAME (an attribute). Several have to "
        "match all; of several statuses one has to.",
    ),
]
SinceOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="WHEN",
        help="Only those started since: 30m, 2h, 7d ago, or an ISO date or time in UTC.",
    ),
]
UntilOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--until", metavar="WHEN", help="Only those started before; as --since."),
]


@dataclass(frozen=True, slots=True)
class Where:
    """Filters on executions; what is None or empty filters nothing."""

    statuses: tuple[Status, ...] = ()
    workflow: str | None = None
    service: str | None = None
    correlation: str | None = None
    parent: str | None = None
    """The execution whose children they are; `ROOTS` for those that are nobody's."""
    id: str | None = None
    """A pattern with `*`, `?` and `[…]`, as for file names."""
    error: str | None = None
    """A part of the error's type or message, whatever the case of its letters."""
    incident: str | None = None
    """The same of the kind or the message of an incident."""
    attributes: dict[str, str] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None

    def or_statuses(self, statuses: Sequence[Status]) -> "Where":
        """Return the same filters, with these statuses unless some were asked for."""
        return self if self.statuses else replace(self, statuses=tuple(statuses))

    async def find(
        self, client: Client, *, newest_runs: bool = False
    ) -> AsyncIterator[ExecutionSummary]:
        """Iterate over what matches, newest first.

        Messages stand in journals, which are read one by one, of the newest run of each id.

        Raises:
            ExecutionNotFoundError: there is no such parent.
        """
        children: frozenset[str] | None = None
        correlation = self.correlation
        if self.parent is not None and self.parent != ROOTS:
            parent = await describe(client, self.parent)
            children = frozenset(call.child for call in parent.calls if call.child is not None)
            correlation = correlation or parent.correlation_id  # a child is in its parent's flow
        in_journal = self.error is not None or self.incident is not None
        where = self.or_statuses(_with_message(self)) if in_journal else self
        async for summary in client.executions(
            status=where.statuses or None,
            workflow=where.workflow,
            service=where.service,
            correlation_id=correlation,
            attributes=where.attributes,
            since=where.since,
            until=where.until,
            newest_runs=newest_runs or in_journal,
        ):
            if children is not None and summary.id not in children:
                continue
            if self.parent == ROOTS and summary.parent is not None:
                continue
            if where.id is not None and not fnmatchcase(summary.id, where.id):
                continue
            if not in_journal or await _says(where, client, summary.id):
                yield summary


def parse_where(
    texts: Sequence[str] | None, since: str | None = None, until: str | None = None
) -> Where:
    """Return the filters that `--where`, `--since` and `--until` name.

    Raises:
        CommandError: one of them cannot be read; the message lists the keys.
        ArgumentsError: no attribute can have that name or value.
    """
    statuses: list[Status] = []
    plain: dict[str, str] = {}
    attributes: dict[str, str] = {}
    for text in texts or ():
        key, separator, value = text.partition("=")
        if not separator:
            raise CommandError(f"--where {text!r} is not KEY=VALUE: {_USE}")
        if key == "status":
            statuses.append(_status(value))
        elif key.startswith("@"):
            name = key.removeprefix("@")
            check_attribute_name(name)
            _add(attributes, name, attribute_text(value), key)
        elif key not in KEYS:
            raise CommandError(f"--where {text!r}: there is no key {key!r}: {_USE}")
        elif not value:
            raise CommandError(f"--where {text!r} has no value")
        else:
            _add(plain, key, value, key)
    return Where(
        statuses=tuple(dict.fromkeys(statuses)),
        workflow=plain.get("workflow"),
        service=plain.get("service"),
        correlation=plain.get("correlation"),
        parent=plain.get("parent"),
        id=plain.get("id"),
        error=plain.get("error"),
        incident=plain.get("incident"),
        attributes=attributes,
        since=None if since is None else parse_since(since, now()),
        until=None if until is None else _parse_until(until),
    )


def _add(found: dict[str, str], name: str, value: str, key: str) -> None:
    if name in found:
        raise CommandError(f"--where {key} is given twice; only status can be")
    found[name] = value


def _status(value: str) -> Status:
    try:
        return Status(value)
    except ValueError:
        raise CommandError(
            f"--where status={value}: there is no such status: use {', '.join(Status)}"
        ) from None


def _parse_until(text: str) -> datetime:
    try:
        return parse_since(text, now())
    except CommandError as error:
        raise CommandError(str(error).replace("--since", "--until", 1)) from None


def _with_message(where: Where) -> Sequence[Status]:
    """Return the statuses in which there can be a message, so that no other journal is read."""
    return WITH_ERROR if where.incident is None else (Status.INCIDENT,)


async def _says(where: Where, client: Client, execution_id: str) -> bool:
    try:
        found = await describe(client, execution_id)
    except ExecutionNotFoundError:  # it was forgotten in the meantime
        return False
    except StoreCorruptError as damage:  # of one journal: the others can be read
        hint(f"{execution_id} is left out: {damage}")
        return False
    error = None if found.error_type is None else f"{found.error_type}: {found.error}"
    if not _contains(error, where.error):
        return False
    told = [f"{incident.cause}: {incident.message}" for incident in found.incidents]
    return where.incident is None or any(_contains(text, where.incident) for text in told)


def _contains(text: str | None, part: str | None) -> bool:
    return part is None or (text is not None and part.casefold() in text.casefold())
