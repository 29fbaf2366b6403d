"""What the URL of a PostgreSQL store says."""

import sys

import pytest

from counterpoint.app import store_from_url
from counterpoint.cli.target import resolve
from counterpoint.errors import DefinitionError
from counterpoint.stores.postgres import PostgresStore
from counterpoint.stores.postgres_url import read_url

SECRET = "open-sesame"  # noqa: S105 - of a test


def test_options_of_the_store_are_kept_from_the_driver() -> None:
    place = read_url(
        f"postgres://shop:{SECRET}@db.internal:5433/shop?schema=orders&lease=2.5&sslmode=require"
        "&statement_cache_size=0&command_timeout=7"
    )

    assert (place.schema, place.lease_seconds) == ("orders", 2.5)
    assert place.options["statement_cache_size"] == 0
    assert place.options["command_timeout"] == 7
    assert place.dsn == f"postgres://shop:{SECRET}@db.internal:5433/shop?sslmode=require"
    assert place.name == "postgresql://db.internal:5433/shop?schema=orders"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://shop@db/shop", "postgresql://db/shop"),
        ("postgresql://db1:1,db2:2/shop", "postgresql://db1:1,db2:2/shop"),
        (f"postgresql:///shop?host=/run/pg&password={SECRET}", "postgresql:///shop?host=/run/pg"),
        (f"postgresql://a:{SECRET}@db/x?schema=counterpoint", "postgresql://db/x"),
    ],
)
def test_name_for_people_has_no_password(url: str, name: str) -> None:
    place = read_url(url)

    assert place.name == name
    assert place.schema == "counterpoint"
    assert SECRET not in repr(place)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://a:{SECRET}@db/x?schema=Robert'); DROP",
        f"postgresql://a:{SECRET}@db/x?schema=pg_catalog",
        f"postgresql://a:{SECRET}@db/x?schema=",
        f"postgresql://a:{SECRET}@db/x?lease=0",
        f"postgresql://a:{SECRET}@db/x?lease=soon",
        f"postgresql://a:{SECRET}@db/x?statement_cache_size=-1",
        f"mysql://a:{SECRET}@db/x",
    ],
)
def test_url_that_cannot_work_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read_url(url)

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql:/shop@db/shop", "postgres:shop"])
def test_url_with_a_slash_too_few_is_no_path_of_a_file(url: str) -> None:
    with pytest.raises(DefinitionError, match="begins with postgresql:// and two slashes"):
        resolve(None, url)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_app_makes_a_store_of_a_url(scheme: str) -> None:
    store = store_from_url(f"{scheme}://shop:{SECRET}@db/shop")

    assert isinstance(store, PostgresStore)
    assert SECRET not in repr(store)


def test_missing_driver_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)

    with pytest.raises(DefinitionError, match=r"pip install 'counterpoint\[postgres\]'"):
        store_from_url("postgresql://db/shop")
