"""What a process can do about subscriptions: see how far they are, replay events, delete one."""

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from counterpoint.authoring.reaction import Reaction
from counterpoint.authoring.registry import AnyReaction, AnyWorkflow
from counterpoint.authoring.workflow import Workflow
from counterpoint.errors import ArgumentsError, DefinitionError
from counterpoint.model.messages import DeadLetterQuery, DeadLetterRow, EventQuery, SubscriptionRow
from counterpoint.runtime.mail import ReplayMail, UnsubscribeMail
from counterpoint.runtime.messaging.log_pages import all_holds
from counterpoint.runtime.messaging.targets import contract_of_target, target_of
from counterpoint.runtime.waiting_events import (
    all_dead_letters,
    parked_events,
    unreached_events,
)

if TYPE_CHECKING:
    from counterpoint.runtime.access import Access


@dataclass(frozen=True, slots=True)
class SubscriptionInfo:
    """How far a reaction, a workflow that events start, or a replay has come in the log."""

    name: str
    """The recorded name of the reaction or workflow."""
    service: str
    event: str
    """The type of the events that it takes."""
    lane: str
    """Empty for the lane that the reactions of a service share."""
    position: int
    """Every event up to here is done, parked, waiting for a retry, or dead."""
    behind: int
    """How many events of its type it has not come to."""
    dead: int
    """How many dead letters it has."""
    parked: int
    """How many events of its type wait behind dead letters of its lane."""
    removed: bool
    """This app has no such reaction or workflow: its events wait until it has, or until somebody
    deletes the subscription."""
    replay: int | None = None
    """The number of the replay; None for the subscription itself."""
    until: int | None = None
    """The last position of a replay."""


class Subscribers:
    """Shows subscriptions, deletes them, and replays events into them."""

    def _access(self) -> "Access":
        raise NotImplementedError

    async def subscriptions(self) -> list[SubscriptionInfo]:
        """Return all subscriptions of the store, in the order in which they were made.

        A running node writes their positions once a second.
        """
        access = self._access()
        store = access.store
        dead: dict[int, list[DeadLetterRow]] = defaultdict(list)
        async for letter in all_dead_letters(store, DeadLetterQuery()):
            dead[letter.subscription].append(letter)
        letters = [letter for rows in dead.values() for letter in rows]
        holds = {row[:3]: row.position for row in await all_holds(store)} if letters else {}
        return [
            SubscriptionInfo(
                row.name,
                row.service,
                row.type,
                row.lane,
                row.position,
                await unreached_events(store, row),
                len(dead.get(row.number, ())),
                await parked_events(store, row, letters, holds),
                target_of(access.registry, row.name) is None,
                row.replay or None,
                row.until,
            )
            for row in await store.subscriptions()
        ]

    async def unsubscribe(
        self, name: str, *, actor: str | None = None, reason: str | None = None
    ) -> None:
        """Delete the subscription of a reaction that no app has any more; durable once it returns.

        Its dead letters and the marks of what it has taken go with it. A reaction of that name that
        comes back is a new one.

        Raises:
            ArgumentsError: there is no such subscription, or this app has the reaction.
        """
        access = self._access()
        names = [row.name for row in await access.store.subscriptions()]
        if name not in names:
            known = ", ".join(dict.fromkeys(names)) or "none"
            raise ArgumentsError(
                f"there is no subscription {name!r}; the store has {known}", fields=["name"]
            )
        if target_of(access.registry, name) is not None:
            raise ArgumentsError(
                f"this app has {name}, which would subscribe again: take it out of the app first",
                fields=["name"],
            )
        await access.post(name, UnsubscribeMail(name, actor, reason))

    async def replay_events(
        self,
        reaction: AnyReaction | AnyWorkflow | str,
        *,
        first: int,
        last: int | None = None,
        key: str | None = None,
        publish: bool = False,
        dry_run: bool = False,
        actor: str | None = None,
        reason: str | None = None,
    ) -> int:
        """Deliver a range of the log to one reaction again; return how many events these are.

        *first* and *last* are positions, both taken along; the range ends where the log ends now
        unless *last* says so. With *key* only events of that key are delivered. What the reaction
        returns is dropped, unless *publish*. A replay is durable once this returns, and an inbox of
        its own: the reaction sees `activity.info().is_replay` and other idempotency keys. With
        *dry_run* nothing is asked for.

        Raises:
            ArgumentsError: the range is empty or goes beyond the end of the log.
            DefinitionError: neither this app nor the store has the reaction.
        """
        access = self._access()
        name, event_type = await _replayed(access, reaction)
        end = await access.store.last_position()
        last = end if last is None else last
        if not 1 <= first <= last <= end:
            raise ArgumentsError(
                f"there are no positions from {first} to {last}: the log goes from 1 to {end}",
                fields=["first", "last"],
            )
        query = EventQuery(after=first - 1, until=last, types=(event_type,), key=key)
        count = await access.store.count_events(query)
        if not dry_run:
            mail = ReplayMail(name, first, last, key, publish, actor, reason)
            await access.post(name, mail)
        return count


async def _replayed(access: "Access", reaction: object) -> tuple[str, str]:
    """Return the recorded name of what events are replayed into, and their type.

    Raises:
        DefinitionError: it is no reaction, or nobody knows it.
    """
    if not isinstance(reaction, (str, Reaction, Workflow)):
        raise DefinitionError(
            f"{reaction!r} is no reaction: pass what @service.on has made, or its recorded name"
        )
    name = reaction if isinstance(reaction, str) else reaction.name
    target = target_of(access.registry, name)
    if target is not None:
        return name, contract_of_target(target).type
    rows: list[SubscriptionRow] = await access.store.subscriptions()
    types = [row.type for row in rows if row.name == name]
    if not types:
        known = sorted({*access.registry.reactions, *(row.name for row in rows)})
        raise DefinitionError(
            f"no reaction is called {name!r}; there are {', '.join(known) or 'none'}"
        )
    return name, types[0]
