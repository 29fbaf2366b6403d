"""Which databases are opened, and what is said about the others."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.postgres.server import BackDoor, Schemas, Server
from typer.testing import CliRunner, Result

from counterpoint.cli.failures import Exit
from counterpoint.cli.main import cli
from counterpoint.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreReadOnlyError,
    StoreVersionError,
)
from counterpoint.model.rows import Commit
from counterpoint.stores import postgres_migrate
from counterpoint.stores.postgres import PostgresStore
from counterpoint.stores.postgres_migrate import MIGRATIONS, Migration
from counterpoint.stores.postgres_url import read_url
from counterpoint.testing.conformance.store_case import execution, letter, start

GUIDE = Path(__file__).parents[2] / "docs/guides/operating-nodes.md"
WIDE = {"COLUMNS": "1000"}
SECRET = "open-sesame"  # noqa: S105 - of a test


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url)
    yield store
    await store.close()


@pytest.fixture
def new_schema(back_door: BackDoor) -> str:
    """Give the name of a schema that is not there; of this process, others use the same server."""
    name = f"made_anew_{os.getpid()}"
    back_door.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
    return name


def role(back_door: BackDoor, name: str, *, rights: str = "") -> str:
    """Make a role of this process, and return its name."""
    name = f"{name}_{os.getpid()}"
    exists = back_door.rows(f"SELECT 1 FROM pg_roles WHERE rolname = '{name}'")
    if exists:
        back_door.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
    back_door.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}' {rights}")
    return name


def as_role(url: str, name: str, **more: str) -> str:
    options = "".join(f"&{key}={value}" for key, value in more.items())
    return url.replace("//postgres@", f"//{name}:{SECRET}@") + options


async def test_processes_that_open_a_new_store_at_once_make_it_once(
    postgres: Server, back_door: BackDoor, new_schema: str
) -> None:
    stores = [PostgresStore(postgres.url(schema=new_schema)) for _ in range(4)]

    await asyncio.gather(*(store.open(node=True) for store in stores))

    assert len({store.incarnation for store in stores}) == 4
    for store in stores:
        await store.close()
    rows = back_door.rows(f"SELECT number FROM {new_schema}.migrations ORDER BY 1")
    assert rows == [(number,) for number in range(1, len(MIGRATIONS) + 1)]


async def test_new_store_is_made_by_a_client_too(postgres: Server, new_schema: str) -> None:
    store = PostgresStore(postgres.url(schema=new_schema))
    await store.open(node=False)

    await store.commit(Commit(mail=[letter("a")]))

    assert len(await store.mail(after=0, limit=9)) == 1
    await store.close()


async def test_command_makes_no_store(
    postgres: Server, back_door: BackDoor, new_schema: str
) -> None:
    url = postgres.url(schema=new_schema)

    for words in (["nodes"], ["doctor"], ["contracts", "reset", "a.B"]):
        arguments = [*words, "--store", url]
        ran = await asyncio.to_thread(CliRunner().invoke, cli, arguments, env=WIDE)

        assert ran.exit_code == Exit.STORE
        assert f"there is no store in the schema '{new_schema}'" in ran.output
    assert back_door.rows(f"SELECT 1 FROM pg_namespace WHERE nspname = '{new_schema}'") == []


async def test_nodes_and_doctor_say_which_schema_they_look_at(url: str) -> None:
    store, schema = PostgresStore(url), read_url(url).schema
    await store.open(node=True)
    await store.close()

    said: list[Result] = []
    for command in ("nodes", "doctor"):
        arguments = [command, "--store", url]
        said.append(await asyncio.to_thread(CliRunner().invoke, cli, arguments, env=WIDE))

    assert f", schema {schema}\n" in said[0].stdout
    assert re.search(rf"^schema +{schema}$", said[1].stdout, re.MULTILINE)


async def test_role_with_the_rights_of_the_guide_can_look_and_only_that(
    url: str, back_door: BackDoor
) -> None:
    store = PostgresStore(url)
    await store.open(node=True)
    schema, viewer = read_url(url).schema, role(back_door, "viewer")
    (grants,) = re.findall(
        r"```sql\n(-- a role that only looks\n.*?)-- a role that also", GUIDE.read_text(), re.DOTALL
    )
    back_door.execute(
        grants.replace("CREATE ROLE viewer LOGIN;", "")
        .replace("counterpoint", schema)
        .replace("viewer", viewer)
    )
    client = PostgresStore(as_role(url, viewer))

    await client.check_there()
    await client.open(node=False)

    assert await client.execution("a") is None
    with pytest.raises(StoreReadOnlyError, match="also INSERT, UPDATE and DELETE"):
        await client.commit(Commit(mail=[letter("a")]))
    await client.close()
    await store.close()


async def test_role_with_the_rights_of_the_guide_can_write(url: str, back_door: BackDoor) -> None:
    store = PostgresStore(url)
    await store.open(node=True)
    schema, clerk = read_url(url).schema, role(back_door, "clerk")
    (grants,) = re.findall(r"```sql\n.*?(-- a role that also.*?)```", GUIDE.read_text(), re.DOTALL)
    back_door.execute(
        grants.replace("CREATE ROLE clerk LOGIN;", "")
        .replace("counterpoint", schema)
        .replace("clerk", clerk)
    )
    client = PostgresStore(as_role(url, clerk))
    await client.open(node=False)

    await client.commit(Commit(mail=[letter("a")]))

    assert len(await client.mail(after=0, limit=9)) == 1
    await client.close()
    await store.close()


async def test_schema_with_tables_of_another_program_is_left_alone(
    postgres: Server, back_door: BackDoor, new_schema: str
) -> None:
    store = PostgresStore(postgres.url(schema=new_schema))
    for theirs in ("executions (a integer)", "migrations (name text)"):
        back_door.execute(f"CREATE SCHEMA {new_schema}; CREATE TABLE {new_schema}.{theirs}")

        with pytest.raises(StoreCorruptError, match="another program"):
            await store.open(node=True)

        tables = back_door.rows(f"SELECT 1 FROM pg_tables WHERE schemaname = '{new_schema}'")
        assert len(tables) == 1
        back_door.execute(f"DROP SCHEMA {new_schema} CASCADE")


async def test_schema_of_a_newer_version_is_refused_unless_it_says_that_older_code_may(
    store: PostgresStore, url: str, back_door: BackDoor, schemas: Schemas
) -> None:
    await store.open(node=True)
    schema = read_url(url).schema
    newer = len(MIGRATIONS) + 1
    client = PostgresStore(url)

    def say(oldest_code: int) -> None:
        back_door.execute(
            f"INSERT INTO {schema}.migrations VALUES ({newer}, {oldest_code}) "
            f"ON CONFLICT (number) DO UPDATE SET oldest_code = {oldest_code}"
        )

    say(len(MIGRATIONS))
    await client.open(node=True)
    await start(client, execution(1))
    await client.close()

    say(newer)
    with pytest.raises(StoreVersionError, match="upgrade Counterpoint"):
        await client.open(node=True)

    await start(store, execution(2))  # who is there already goes on
    back_door.execute(f"DELETE FROM {schema}.migrations WHERE number = {newer}")


async def test_failed_migration_leaves_the_ones_before_it_and_is_tried_again(
    postgres: Server, back_door: BackDoor, new_schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = (*MIGRATIONS[:1], Migration("postgres/executions.sql", 2))
    store = PostgresStore(postgres.url(schema=new_schema))
    with monkeypatch.context() as patch:
        patch.setattr(postgres_migrate, "MIGRATIONS", broken)
        with pytest.raises(StoreError):
            await store.open(node=True)
    assert back_door.rows(f"SELECT max(number) FROM {new_schema}.migrations") == [(1,)]

    await store.open(node=True)

    await start(store, execution(1))
    await store.close()


async def test_other_isolation_level_is_refused(url: str, back_door: BackDoor) -> None:
    name = role(back_door, "repeats", rights="SUPERUSER")
    back_door.execute(f"ALTER ROLE {name} SET default_transaction_isolation = 'repeatable read'")

    with pytest.raises(StoreReadOnlyError, match="read committed"):
        await PostgresStore(as_role(url, name)).open(node=True)


async def test_read_only_server_is_told_from_a_broken_one(url: str, back_door: BackDoor) -> None:
    store = PostgresStore(url)
    await store.open(node=True)
    await store.close()
    name = role(back_door, "reads_only", rights="SUPERUSER")
    back_door.execute(f"ALTER ROLE {name} SET default_transaction_read_only = on")
    store = PostgresStore(as_role(url, name))

    with pytest.raises(StoreReadOnlyError, match="read-only"):
        await store.open(node=True)

    await store.open(node=False)
    with pytest.raises(StoreReadOnlyError, match="read-only"):
        await store.commit(Commit(mail=[letter("a")]))
    assert await store.execution("a") is None
    await store.close()


async def test_missing_rights_missing_database_and_too_many_connections_are_told(
    postgres: Server, back_door: BackDoor, new_schema: str
) -> None:
    url = postgres.url(schema=new_schema)
    poor = role(back_door, "poor")
    crowded = role(back_door, "crowded", rights="CONNECTION LIMIT 0")
    for opened, kind, said in (
        (as_role(url, poor), StoreReadOnlyError, "grant"),
        (as_role(url, crowded), StoreBusyError, "connections"),
        (as_role(url, "nobody_at_all"), StoreError, "let this user in|does not exist"),
        (url.replace("/postgres?", "/no_such_database?"), StoreError, "create it"),
    ):
        with pytest.raises(kind, match=said) as caught:
            await PostgresStore(opened).open(node=True)
        assert SECRET not in str(caught.value)


async def test_place_where_nobody_listens_is_named_with_what_to_do() -> None:
    store = PostgresStore(f"postgresql://shop:{SECRET}@127.0.0.1:9/shop")

    with pytest.raises(StoreBusyError, match=r"127\.0\.0\.1:9/shop.*start it") as caught:
        await store.open(node=True)

    assert SECRET not in str(caught.value) + repr(store)


async def test_text_with_nul_is_refused_as_the_fault_of_its_commit(store: PostgresStore) -> None:
    await store.open(node=True)

    for name in ("a\0b", "a\ud800b"):
        with pytest.raises(StoreError, match="PostgreSQL") as caught:
            await start(store, execution(1, name))
        assert type(caught.value) is StoreError

    await start(store, execution(1))
