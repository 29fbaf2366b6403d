"""A store that passes everything on, for those that add something to it."""

from collections.abc import Sequence

from counterpoint.model.findings import Examination, WorkflowLoad
from counterpoint.model.messages import (
    ActRow,
    ContractRow,
    DeadLetterGroup,
    DeadLetterQuery,
    DeadLetterRow,
    EventQuery,
    EventRow,
    EventWaitRow,
    HoldRow,
    ReactionRow,
    SubscriptionRow,
)
from counterpoint.model.rows import Commit, DueRow, ExecutionRow, JournalRow, MailRow, Query
from counterpoint.model.states import Status
from counterpoint.ports.cluster import Transaction
from counterpoint.ports.store import Store, StoreFeatures


class PassingStore:
    """Passes every call on to *inner*."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    @property
    def features(self) -> StoreFeatures:
        """What the inner store can do."""
        return self.inner.features

    async def before_read(self) -> None:
        """Run before everything but `open`, `close`, `begin`, `commit` and `reserve_keys`."""

    async def open(self, *, node: bool) -> None:
        await self.inner.open(node=node)

    async def close(self) -> None:
        await self.inner.close()

    async def reserve_keys(self, count: int) -> range:
        return await self.inner.reserve_keys(count)

    async def commit(self, commit: Commit) -> int:
        return await self.inner.commit(commit)

    async def begin(self) -> Transaction:
        return await self.inner.begin()

    async def execution(self, execution_id: str) -> ExecutionRow | None:
        await self.before_read()
        return await self.inner.execution(execution_id)

    async def executions(self, query: Query) -> list[ExecutionRow]:
        await self.before_read()
        return await self.inner.executions(query)

    async def journal(self, key: int, *, after_seq: int = 0) -> list[JournalRow]:
        await self.before_read()
        return await self.inner.journal(key, after_seq=after_seq)

    async def attributes(self, key: int) -> dict[str, str]:
        await self.before_read()
        return await self.inner.attributes(key)

    async def due(self, *, after: tuple[int, int], until: int, limit: int) -> list[DueRow]:
        await self.before_read()
        return await self.inner.due(after=after, until=until, limit=limit)

    async def mail(
        self, *, after: int, limit: int, execution_id: str | None = None
    ) -> list[MailRow]:
        await self.before_read()
        return await self.inner.mail(after=after, limit=limit, execution_id=execution_id)

    async def changed(self) -> bool:
        await self.before_read()
        return await self.inner.changed()

    async def counts(self) -> dict[Status, int]:
        await self.before_read()
        return await self.inner.counts()

    async def forget(self, *, finished_before: int, limit: int) -> int:
        await self.before_read()
        return await self.inner.forget(finished_before=finished_before, limit=limit)

    async def event(self, source: str, event_id: str) -> EventRow | None:
        await self.before_read()
        return await self.inner.event(source, event_id)

    async def events(self, query: EventQuery) -> list[EventRow]:
        await self.before_read()
        return await self.inner.events(query)

    async def count_events(self, query: EventQuery) -> int:
        await self.before_read()
        return await self.inner.count_events(query)

    async def last_position(self) -> int:
        await self.before_read()
        return await self.inner.last_position()

    async def subscriptions(self) -> list[SubscriptionRow]:
        await self.before_read()
        return await self.inner.subscriptions()

    async def reactions(
        self, subscriptions: Sequence[int], first: int, last: int
    ) -> list[ReactionRow]:
        await self.before_read()
        return await self.inner.reactions(subscriptions, first, last)

    async def reactions_at(self, positions: Sequence[int]) -> list[ReactionRow]:
        await self.before_read()
        return await self.inner.reactions_at(positions)

    async def dead_letters(self, query: DeadLetterQuery) -> list[DeadLetterRow]:
        await self.before_read()
        return await self.inner.dead_letters(query)

    async def dead_letter_groups(self) -> list[DeadLetterGroup]:
        await self.before_read()
        return await self.inner.dead_letter_groups()

    async def holds(self, *, after: tuple[str, str, str], limit: int) -> list[HoldRow]:
        await self.before_read()
        return await self.inner.holds(after=after, limit=limit)

    async def waits_for(self, keys: Sequence[tuple[str, str]]) -> list[EventWaitRow]:
        await self.before_read()
        return await self.inner.waits_for(keys)

    async def fulfilled_waits(self, *, after: tuple[int, int], limit: int) -> list[EventWaitRow]:
        await self.before_read()
        return await self.inner.fulfilled_waits(after=after, limit=limit)

    async def awaited_types(self) -> list[str]:
        await self.before_read()
        return await self.inner.awaited_types()

    async def contracts(self) -> list[ContractRow]:
        await self.before_read()
        return await self.inner.contracts()

    async def acts(
        self, *, subject: str | None = None, after: int = 0, limit: int = 100
    ) -> list[ActRow]:
        await self.before_read()
        return await self.inner.acts(subject=subject, after=after, limit=limit)

    async def forget_events(self, *, recorded_before: int, limit: int) -> int:
        await self.before_read()
        return await self.inner.forget_events(recorded_before=recorded_before, limit=limit)

    async def forget_contract(self, event_type: str) -> int:
        await self.before_read()
        return await self.inner.forget_contract(event_type)

    async def examine(self) -> Examination:
        await self.before_read()
        return await self.inner.examine()

    async def workflow_loads(self) -> list[WorkflowLoad]:
        await self.before_read()
        return await self.inner.workflow_loads()

    async def hosted_by(self) -> int | None:
        await self.before_read()
        return await self.inner.hosted_by()
