"""Work that waits because nobody hosts what it needs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from counterpoint.model.rows import MailRow
from counterpoint.ports.codec import Codec
from counterpoint.runtime.cluster import cluster_of
from counterpoint.runtime.description import time_of
from counterpoint.runtime.lags import SubscriptionLag
from counterpoint.runtime.mail import StartMail, read_mail
from counterpoint.runtime.nodes import NodeInfo

if TYPE_CHECKING:
    from counterpoint.authoring.registry import Registry
    from counterpoint.runtime.access import Access

LETTERS_PAGE = 500
LETTERS_MAX = 10_000
"""Letters that are looked at; more of them are a finding of their own."""


@dataclass(frozen=True, slots=True)
class UnhostedWork:
    """What waits for a node that hosts something, and since when."""

    kind: str
    """`activity`, `workflow`, `version` (a newer one of a workflow) or `subscription`."""
    name: str
    """The recorded name of what nobody hosts."""
    service: str
    waiting: int
    """How many calls, executions and starts, or events wait."""
    since: datetime
    """When the oldest of them began to."""
    version: int | None = None
    """Of the workflow, where that is what nobody hosts."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """What living nodes host, by recorded name."""

    workflows: dict[str, int]
    """With the highest version."""
    subscriptions: set[str]


def hosted_by(nodes: Sequence[NodeInfo]) -> Hosted:
    """Return what those of *nodes* that are alive host together."""
    workflows: dict[str, int] = {}
    subscriptions: set[str] = set()
    for node in nodes:
        if node.alive:
            subscriptions.update(node.subscriptions)
            for name, version in node.workflows.items():
                workflows[name] = max(version, workflows.get(name, 0))
    return Hosted(workflows, subscriptions)


def _in_app(registry: "Registry") -> Hosted:
    versions = {name: workflow.version for name, workflow in registry.workflows.items()}
    return Hosted(versions, set(registry.subscription_names))


async def read_letters(access: "Access") -> list[MailRow]:
    """Return what waits in the mailbox, oldest first, at most `LETTERS_MAX`."""
    rows: list[MailRow] = []
    while len(rows) < LETTERS_MAX:
        after = rows[-1].position if rows else 0
        page = await access.store.mail(after=after, limit=LETTERS_PAGE)
        rows += page
        if len(page) < LETTERS_PAGE:
            break
    return rows


async def read_unhosted(
    access: "Access",
    nodes: Sequence[NodeInfo],
    lags: Sequence[SubscriptionLag],
    letters: Sequence[MailRow],
) -> list[UnhostedWork]:
    """Return what waits for a node that hosts it.

    What the node of a store with one node hosts is what the app has; without an app it is not
    known.
    """
    cluster, registry = cluster_of(access.store), access.registry
    if cluster is None and not registry.services:
        return []
    hosted = _in_app(registry) if cluster is None else hosted_by(nodes)
    found: list[UnhostedWork] = []
    if cluster is not None:
        found += calls_without_host(registry, await cluster.unhosted_calls())
    found += await _workflows(access, hosted, letters)
    found += [
        UnhostedWork("subscription", lag.name, lag.service, lag.behind, lag.since)
        for lag in lags
        if lag.since is not None and lag.name not in hosted.subscriptions
    ]
    return found


def calls_without_host(
    registry: "Registry", waiting: Iterable[tuple[str, int, int]]
) -> list[UnhostedWork]:
    """Return the calls that a store says no living node hosts; see `RemoteCalls.unhosted_calls`."""
    return [
        UnhostedWork("activity", name, _service(registry, name), count, time_of(since))
        for name, count, since in waiting
    ]


async def _workflows(
    access: "Access", hosted: Hosted, letters: Sequence[MailRow]
) -> list[UnhostedWork]:
    waiting: dict[tuple[str, int | None], tuple[int, int]] = {}
    for load in await access.store.workflow_loads():
        known = hosted.workflows.get(load.name)
        if known is None or known < load.version:
            place = (load.name, None if known is None else load.version)
            _add(waiting, place, load.executions, load.since)
    for letter in letters:
        name = _started(letter, access.codec)
        if name is not None and name not in hosted.workflows:
            _add(waiting, (name, None), 1, letter.at)
    return [
        UnhostedWork(
            "workflow" if version is None else "version",
            name,
            _service(access.registry, name),
            count,
            time_of(since),
            version,
        )
        for (name, version), (count, since) in waiting.items()
    ]


def _add(
    waiting: dict[tuple[str, int | None], tuple[int, int]],
    place: tuple[str, int | None],
    count: int,
    since: int,
) -> None:
    before, oldest = waiting.get(place, (0, since))
    waiting[place] = (before + count, min(oldest, since))


def _started(letter: MailRow, codec: Codec) -> str | None:
    """Return the workflow that a letter is to start, if it is a start that can be read."""
    if letter.kind != "start":
        return None
    try:
        mail = read_mail(letter, codec)
    except msgspec.MsgspecError:
        return None
    return mail.workflow if isinstance(mail, StartMail) else None


def _service(registry: "Registry", name: str) -> str:
    """Return the service of an activity or workflow; what the app does not have says it itself."""
    found = registry.activities.get(name) or registry.workflows.get(name)
    return name.partition(".")[0] if found is None else found.service
