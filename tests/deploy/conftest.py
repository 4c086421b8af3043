"""Databases for the dashboards: a made-up week on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from auroramon.store import open_store
from deploy.grafana.preview.weeks import Weeks, fill
from tests.store.conftest import new_postgres_database, postgres_server

__all__ = ["postgres_server"]

WEEK = Weeks(nights=7, cadence_s=600)


def filled(url: str) -> str:
    """Fill a database with the made-up week."""
    with closing(open_store(url)) as store:
        fill(store, WEEK)
    return url


@pytest.fixture(scope="session")
def sqlite_week(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("week")
    return filled(f"sqlite:///{folder / 'auroramon.sqlite'}")


@pytest.fixture(scope="session")
def postgresql_week(postgres_server: str) -> str:
    return filled(new_postgres_database(postgres_server))


@pytest.fixture
def week(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Give the URL of the week for a dialect."""

    def url(dialect: str) -> str:
        found: str = request.getfixturevalue(f"{dialect}_week")
        return found

    return url
