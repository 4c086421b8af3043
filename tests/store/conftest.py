"""Stores for the tests: `store` and `store_url` are SQLite, PostgreSQL, and one of these divided by months, in turn."""

from __future__ import annotations

import importlib.util
import itertools
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from auroramon.store import Store, open_store, schema
from auroramon.store.database import connect
from auroramon.store.partitioning import divide
from tests.conftest import missing
from tests.store.postgres import find_program, running_server
from tests.store.station import NOW, Station

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    if importlib.util.find_spec("psycopg") is None:
        missing("psycopg is not installed (pip install 'auroramon[postgres]')")
    if find_program("initdb") is None:
        missing("PostgreSQL's server is not installed (apt install postgresql)")
    with running_server() as url:
        yield url


def new_postgres_database(server: str) -> str:
    """Make an empty database and give its URL."""
    import psycopg

    name = f"auroramon_{next(_numbers)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"


@pytest.fixture(scope="session")
def postgres_database(postgres_server: str) -> str:
    """A database with the schema; a test empties it before use, which takes a tenth of making one."""
    url = new_postgres_database(postgres_server)
    open_store(url).close()
    return url


@pytest.fixture(scope="session")
def divided_database(postgres_server: str) -> str:
    """The same, divided by months."""
    return _divided(new_postgres_database(postgres_server))


def _divided(url: str) -> str:
    open_store(url).close()
    with closing(connect(url, create=False, busy_timeout_s=5.0)) as database:
        divide(database, NOW)
    return url


def _empty(url: str) -> None:
    import psycopg

    kept = {"label_names"}
    names = ", ".join(table.name for table in schema.metadata.sorted_tables if table.name not in kept)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"TRUNCATE {names} RESTART IDENTITY")
        conn.execute("DELETE FROM label_names WHERE id > %s", [max(schema.LABEL_CODES.values())])


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema, to be copied: that takes a tenth of making it."""
    path = tmp_path_factory.mktemp("template") / "auroramon.db"
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture(params=["sqlite", "postgresql", "divided"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path, sqlite_file: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{shutil.copy(sqlite_file, tmp_path)}"
    url: str = request.getfixturevalue("divided_database" if request.param == "divided" else "postgres_database")
    _empty(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where no database of ours is yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new folder/auroramon.db"
    return new_postgres_database(request.getfixturevalue("postgres_server"))


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def station(store: Store) -> Station:
    """A camera with a model and a running daemon."""
    return Station(store)


@pytest.fixture
def url(postgres_server: str) -> str:
    """An empty database of the test's own."""
    return new_postgres_database(postgres_server)


@pytest.fixture
def divided_url(url: str) -> str:
    """The same with tables that are divided by months."""
    return _divided(url)


@pytest.fixture
def divided_station(divided_url: str) -> Iterator[Station]:
    with closing(open_store(divided_url)) as store:
        yield Station(store)
