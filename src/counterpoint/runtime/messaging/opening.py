"""What a node does with the store's subscriptions and contracts before it delivers anything."""

from collections.abc import Sequence
from dataclasses import dataclass

from counterpoint.authoring.registry import Registry
from counterpoint.authoring.schemas import schema_difference
from counterpoint.errors import ContractError
from counterpoint.model.messages import DeadLetterQuery, HoldRow, Messages, SubscriptionRow
from counterpoint.ports.store import Store
from counterpoint.runtime.log import logger
from counterpoint.runtime.messaging.dispatcher import Dispatcher
from counterpoint.runtime.messaging.queues import Cursor, Stream, Subscription
from counterpoint.runtime.messaging.targets import (
    Target,
    contract_of_target,
    lane_name,
    starts_at_beginning,
    target_of,
)

LETTERS_PAGE = 1_000


@dataclass
class Opened:
    """The subscriptions of an app, as they stand in the store."""

    live: Stream
    others: list[Stream]
    subscriptions: dict[int, Subscription]
    last_position: int = 0


def new_subscriptions(
    registry: Registry, rows: Sequence[SubscriptionRow], last_position: int, now: int
) -> list[SubscriptionRow]:
    """Return rows, without numbers, for what the store sees for the first time."""
    known = {row.name for row in rows if not row.replay}
    found: list[SubscriptionRow] = []
    for name in registry.subscription_names:
        target = target_of(registry, name)
        if target is None or name in known:
            continue
        position = 0 if starts_at_beginning(target) else last_position
        found.append(
            SubscriptionRow(
                0,
                target.service,
                name,
                contract_of_target(target).type,
                lane_name(target),
                0,
                position,
                now,
                first=position,
            )
        )
    return found


async def open_subscriptions(
    store: Store,
    registry: Registry,
    dispatcher: Dispatcher,
    rows: Sequence[SubscriptionRow],
    new: Sequence[SubscriptionRow],
    holds: Sequence[HoldRow],
    last_position: int,
    *,
    shared: bool,
) -> Opened:
    """Put the subscriptions into lanes and streams, and queue what is held.

    Of a log that is *shared* with other nodes this one delivers nothing yet: see `shares`.
    """
    live = Stream(last_position, slots={}) if shared else Stream(0)
    opened = Opened(live, [], {}, last_position=last_position)
    old: list[Subscription] = []
    numbers_of_new = {row.number for row in new}
    for row in rows:
        target = target_of(registry, row.name)
        if target is None:
            dispatcher.lane(row.service, row.lane).keeps_holds = True
            if not shared:
                logger.warning("no service of this app has %s: its events wait", row.name)
            continue
        subscription = enlist(dispatcher, row, target)
        opened.subscriptions[row.number] = subscription
        if row.replay:
            subscription.passed_over |= await _dead_of(store, row.number)
            if shared:
                continue
            stream = Stream(row.position, row.until)
            stream.add(subscription)
            opened.others.append(stream)
        else:
            old.append(subscription)
    if shared:
        for one in old:
            live.add(one)
        return opened
    _make_streams(opened, old, numbers_of_new)
    take_holds(holds, dispatcher, [opened.live, *opened.others])
    return opened


def enlist(dispatcher: Dispatcher, row: SubscriptionRow, target: Target) -> Subscription:
    """Put a subscription into its lane."""
    lane = dispatcher.lane(target.service, lane_name(target))
    lane.types[contract_of_target(target).type] = None
    return Subscription(row, target, lane)


async def _dead_of(store: Store, number: int) -> set[int]:
    """Return the positions of a replay's dead letters; those that park something are held, too."""
    after = (number, 0)
    positions: set[int] = set()
    while rows := await store.dead_letters(
        DeadLetterQuery(subscription=number, after=after, limit=LETTERS_PAGE)
    ):
        positions |= {row.position for row in rows}
        after = (number, rows[-1].position)
    return positions


def redeclared(
    registry: Registry, rows: Sequence[SubscriptionRow], holds: Sequence[HoldRow]
) -> Messages:
    """Return what brings the store in step with subscriptions that are declared otherwise now.

    What was held in the lane that one of them leaves is held in its new lane, too, so that it looks
    there for what it has not taken; a lane that nobody is left in holds nothing any more.
    """
    changed: list[SubscriptionRow] = []
    held: list[HoldRow] = []
    left: set[tuple[str, str]] = set()
    stay: set[tuple[str, str]] = set()
    for row in rows:
        target = target_of(registry, row.name)
        if target is None:
            stay.add((row.service, row.lane))
            continue
        lane, event_type = lane_name(target), contract_of_target(target).type
        stay.add((target.service, lane))
        if (target.service, lane, event_type) == (row.service, row.lane, row.type):
            continue
        changed.append(row._replace(service=target.service, lane=lane, type=event_type))
        if (target.service, lane) != (row.service, row.lane):
            left.add((row.service, row.lane))
            held += [
                HoldRow(target.service, lane, hold.event_key, hold.position)
                for hold in holds
                if (hold.service, hold.lane) == (row.service, row.lane)
            ]
    gone = left - stay
    released = [
        (hold.service, hold.lane, hold.event_key)
        for hold in holds
        if (hold.service, hold.lane) in gone
    ]
    return Messages(redeclared=changed, held=held, released=released)


def _make_streams(opened: Opened, all_of_them: Sequence[Subscription], new: set[int]) -> None:
    """Group those that have come equally far; who begins now goes with the furthest of the old."""
    known = [one for one in all_of_them if one.number not in new]
    furthest = max((one.position for one in known), default=opened.last_position)
    opened.live.frontier = furthest
    behind: dict[int, Stream] = {}
    for one in all_of_them:
        if one.position >= furthest:
            opened.live.add(one)
            continue
        stream = behind.get(one.position)
        if stream is None:
            stream = behind[one.position] = Stream(one.position)
            opened.others.append(stream)
        stream.add(one)


def take_holds(holds: Sequence[HoldRow], dispatcher: Dispatcher, streams: Sequence[Stream]) -> None:
    """Queue what is held, to be read from the log for these streams."""
    for row in holds:
        lane = dispatcher.lanes.get((row.service, row.lane))
        if lane is None or not lane.types:
            continue
        queue = lane.queue(row.event_key)
        queue.hold = row.position
        for stream in streams:
            if row.position <= stream.frontier:
                queue.cursors[stream] = Cursor(row.position - 1, stream.frontier)
        if queue.cursors:
            dispatcher.held[queue] = None
        else:
            queue.unmet = True
            dispatcher.unmet.append(queue)


async def check_contracts(store: Store, registry: Registry) -> set[tuple[str, int]]:
    """Compare what is declared with what was published; return what was, by type and version.

    Raises:
        ContractError: a published version was changed, or has another owner or key now; or there is
            no upcaster from it.
    """
    published: set[tuple[str, int]] = set()
    problems: list[str] = []
    for row in await store.contracts():
        published.add((row.type, row.version))
        contract = registry.contracts.get(row.type)
        if contract is None:
            continue
        if contract.service != row.service:
            problems.append(
                f"{row.type} was published by {row.service} and is declared by "
                f"{contract.service}: an event has one owner"
            )
        if contract.key_field != row.key_field:
            problems.append(
                f"{row.type} was published with the key {row.key_field!r} and is declared with "
                f"{contract.key_field!r}: the key keeps events of all versions in order; declare "
                "a new event for another one"
            )
        if contract.version == row.version and contract.schema != row.schema:
            differences = "\n  ".join(schema_difference(row.schema, contract.schema))
            problems.append(
                f"{row.type} version {row.version} was published with another schema:\n"
                f"  {differences}\n"
                f"declare version={row.version + 1} with "
                f"@{contract.event_class.__name__}.upcaster({row.version}), or in development "
                f"forget what was published: counterpoint contracts reset {row.type}"
            )
        if row.version < contract.version and row.version not in contract.upcasters:
            problems.append(
                f"{row.type} version {row.version} was published and there is no upcaster from it: "
                f"declare @{contract.event_class.__name__}.upcaster({row.version})"
            )
    if problems:
        raise ContractError("\n".join(problems))
    return published
