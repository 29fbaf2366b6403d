"""Activities that write with SQLAlchemy, in the transaction of the step."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import JSON, String, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from tests.postgres.server import BackDoor

from counterpoint import App, DefinitionError, Retry, Service
from counterpoint.stores.postgres import PostgresStore
from counterpoint.stores.postgres_url import read_url
from counterpoint.stores.sqlite import SqliteStore
from counterpoint.testing import Harness

PATIENCE = 60


class Base(DeclarativeBase):
    """The bank's tables."""


class Entry(Base):
    """An entry of the bank's books; its schema is that of the test's store."""

    __tablename__ = "entries"
    name: Mapped[str] = mapped_column(primary_key=True)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    more: Mapped[dict[str, Any]] = mapped_column(JSON)
    tags: Mapped[list[str]] = mapped_column(ARRAY(String))


class Session(AsyncSession):
    """A session class of the user's own."""


Write = Callable[[AsyncSession], Coroutine[Any, Any, None]]


def entry(name: str) -> Entry:
    return Entry(name=name, facts={"of": [name, None]}, more={"cents": 5}, tags=[name])


def service_that(*writes: Write) -> tuple[Service, Any]:
    """Return a service whose attempts do these, one after the other, and then their last."""
    service, tried = Service("bank"), list[int]()

    @service.activity(retry=Retry(jitter=0))
    async def book(session: Session) -> str:
        tried.append(1)
        assert type(session) is Session
        await writes[min(len(tried), len(writes)) - 1](session)
        found = (await session.execute(select(Entry).order_by(Entry.name))).scalars().all()
        return ", ".join(f"{one.name} {one.facts} {one.more} {one.tags}" for one in found)

    @service.workflow
    async def run() -> str:
        return await book()

    return service, run


@asynccontextmanager
async def opened(url: str, service: Service, back_door: BackDoor) -> AsyncIterator[App]:
    schema = read_url(url).schema
    Entry.__table__.schema = schema
    async with (
        asyncio.timeout(PATIENCE),
        App("bank", services=[service], store=PostgresStore(url)) as app,
    ):
        columns = "name text PRIMARY KEY, facts jsonb, more json, tags text[]"
        back_door.execute(f"CREATE TABLE {schema}.entries ({columns})")
        try:
            yield app
        finally:
            back_door.execute(f"DROP TABLE {schema}.entries")


def names(url: str, back_door: BackDoor) -> list[str]:
    query = f"SELECT name FROM {read_url(url).schema}.entries ORDER BY name"
    return [name for (name,) in back_door.rows(query)]


async def test_what_a_session_holds_is_committed_with_the_result(
    url: str, back_door: BackDoor
) -> None:
    async def write(session: AsyncSession) -> None:
        session.add(entry("a"))
        await session.commit()
        session.add(entry("lost"))
        await session.flush()
        await session.rollback()
        session.add(entry("b"))

    service, run = service_that(write)
    async with opened(url, service, back_door) as app:
        result = await app.run(run)

        assert names(url, back_door) == ["a", "b"]
        assert result == (
            "a {'of': ['a', None]} {'cents': 5} ['a'], b {'of': ['b', None]} {'cents': 5} ['b']"
        )


async def test_what_a_session_has_committed_is_undone_if_the_attempt_fails(
    url: str, back_door: BackDoor
) -> None:
    async def fail(session: AsyncSession) -> None:
        session.add(entry("a"))
        await session.commit()
        assert names(url, back_door) == []
        raise ValueError("once")

    async def break_off(session: AsyncSession) -> None:
        session.add(entry("a"))
        await session.commit()
        session.add(Entry(name="a", facts={}, more={}, tags=[]))

    async def write(session: AsyncSession) -> None:
        session.add(entry("b"))

    service, run = service_that(fail, break_off, write)
    async with opened(url, service, back_door) as app:
        execution = await app.start(run)
        await execution.result()

        first, second = (await execution.describe()).calls[0].failed_attempts
        assert "once" in str(first.error)
        assert "UniqueViolationError" in str(second.error)
        assert names(url, back_door) == ["b"]


async def test_the_connection_is_as_it_was_for_whoever_uses_it_next(
    url: str, back_door: BackDoor
) -> None:
    async def write(session: AsyncSession) -> None:
        session.add(entry("a"))

    service, run = service_that(write)
    async with opened(url, service, back_door) as app:
        await app.run(run)
        transaction = await app.node.store.begin()

        found = await transaction.connection.fetchval("SELECT '{\"a\": 1}'::jsonb")
        assert found == '{"a": 1}'
        await transaction.rollback()


async def test_an_app_on_sqlite_is_refused(tmp_path: Any) -> None:
    async def write(_: AsyncSession) -> None: ...

    service, _ = service_that(write)

    with pytest.raises(DefinitionError, match=r"bank.book takes session: .*AsyncSession.*postgres"):
        async with Harness(services=[service], store=SqliteStore(tmp_path / "bank.db")):
            raise AssertionError("it was not refused")
