"""In PostgreSQL the daemon's role can do all that the store does, a dashboard's can read, and neither can more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from auroramon.cli.db import db
from auroramon.errors import StoreError
from auroramon.store import Store, open_store, read_store
from auroramon.store.database import connect
from auroramon.store.partitioning import divide
from auroramon.store.relabel import EmbeddingBatch, JudgedBatch
from auroramon.store.reviews import NewReview
from tests.store.conftest import new_postgres_database
from tests.store.station import NOW, Station, labelled, model_row, record, stat
from tests.store.test_events import RULES


@dataclass(frozen=True)
class Urls:
    """One database by its three roles."""

    owner: str
    writer: str
    reader: str


@pytest.fixture(scope="module", params=["plain", "divided"])
def urls(postgres_server: str, request: pytest.FixtureRequest) -> Urls:
    import psycopg

    owner = new_postgres_database(postgres_server)
    open_store(owner).close()
    if request.param == "divided":
        with closing(connect(owner, create=False, busy_timeout_s=5.0)) as database:
            divide(database, NOW)
    printed = CliRunner().invoke(db, ["roles", "--writer", "the daemon", "--reader", "grafana"]).output
    with psycopg.connect(owner) as conn:
        conn.execute(printed)
        conn.execute(printed)  # may be run again
    after = owner.rpartition("@")[2]
    return Urls(owner, f"postgresql://the%20daemon@{after}", f"postgresql://grafana@{after}")


@pytest.fixture
def writer(urls: Urls) -> Iterator[Store]:
    store = open_store(urls.writer)
    yield store
    store.close()


def use_everything(store: Store) -> None:
    """Do all that daemon, backfill, relabel, review and recount do."""
    station = Station(store)
    file, copy = stat("a.png"), stat("b.png", mtime=1)
    store.offer([file], NOW)
    store.claim_files(station.run, [file, copy], NOW)
    station.commit(labelled(file), labelled(copy, record(copy.path)))
    bigger = stat("a.png", size=2000)
    store.claim_files(station.run, [bigger], NOW)
    station.commit(labelled(bigger, record(file.path, time=NOW + timedelta(minutes=1), label="airglow")))
    other = store.register_model(model_row("oath-2"))
    for batch in store.embeddings_without_label(other):
        store.add_judged(station.run, judged(batch), model=other)
    store.promote_model("oath-2", NOW)
    store.add_reviews([NewReview(frame, "clear", "Kirsi") for frame in store.frames_of_file(file.path)], NOW)
    store.update_expected(NOW + timedelta(hours=3), ["kiruna"])
    store.derive_events(RULES)
    store.derive_events(replace(RULES, frames=1))
    store.count_hours()
    store.recount()
    store.retry_quarantined()
    store.heartbeat(station.run, NOW)
    store.recover(station.run, NOW)
    store.end_run(station.run, NOW)


def judged(batch: EmbeddingBatch) -> JudgedBatch:
    import numpy as np

    n = len(batch)
    return JudgedBatch(batch, ("arc",), np.zeros(n, np.intp), [1] * n, [b""] * n, [1] * n, [None] * n)


def test_the_daemon_may_do_all_that_it_does(writer: Store) -> None:
    use_everything(writer)
    assert [row.label for row in writer.labels()] == ["clear"]


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE labels",
        "ALTER TABLE labels ADD COLUMN x INTEGER",
        "CREATE TABLE mine (x INTEGER)",
        "TRUNCATE labels",
        "DELETE FROM reviews",
        "UPDATE reviews SET label_id = 1",
        "UPDATE labels SET label_id = 1",
        "DELETE FROM files",
        "DELETE FROM runs",
        "UPDATE auroramon_schema SET version_num = '0001'",
        "CREATE TABLE labels_2031_01 PARTITION OF labels FOR VALUES FROM (1924992000) TO (1927670400)",
    ],
)
def test_the_daemon_may_not_do_more(writer: Store, statement: str) -> None:
    with pytest.raises(StoreError, match=r"permission denied|must be owner"), writer._db.writing() as conn:
        conn.exec_driver_sql(statement)


def test_only_the_owner_divides_the_tables(urls: Urls) -> None:
    for url in (urls.writer, urls.reader):
        database = connect(url, create=False, busy_timeout_s=5.0)
        with closing(database), pytest.raises(StoreError, match="only the owner of its tables can divide them"):
            divide(database, NOW)


def test_a_dashboard_reads_the_documented_views(urls: Urls, writer: Store) -> None:
    use_everything(writer)
    store = open_store(urls.reader)
    assert sum(row.total for row in store.occurrence("night")) == 1
    assert [row.label for row in store.labels()] == ["clear"]
    with store._db.reading() as conn:
        for view in ("labels_current", "occurrence_hourly", "occurrence_nightly", "aurora_events", "file_states"):
            conn.exec_driver_sql(f"SELECT * FROM {view}").all()  # noqa: S608
        assert conn.exec_driver_sql("SELECT name FROM cameras").scalars().all() == ["kiruna"]
    store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM files",
        "SELECT * FROM reviews",
        "INSERT INTO cameras (name) VALUES ('mine')",
        "UPDATE cameras SET name = 'mine'",
        "DELETE FROM labels",
        "CREATE TABLE mine (x INTEGER)",
        "DROP VIEW labels_current",
    ],
)
def test_a_dashboard_may_do_nothing_else(urls: Urls, statement: str) -> None:
    store = open_store(urls.reader)
    with pytest.raises(StoreError, match=r"permission denied|must be owner"), store._db.writing() as conn:
        conn.exec_driver_sql(statement)
    store.close()


def test_who_may_not_migrate_is_told_who_must(postgres_server: str, urls: Urls) -> None:
    empty = new_postgres_database(postgres_server).rpartition("/")[2]
    with pytest.raises(StoreError, match=r"permission denied.*its owner must call `auroramon db migrate`, then"):
        open_store(f"{urls.writer.rpartition('/')[0]}/{empty}")


def test_a_reader_is_told_that_it_is_one(urls: Urls) -> None:
    """Nothing that the owner may call gives a dashboard's role the tables."""
    store = read_store(urls.reader)
    with pytest.raises(
        StoreError, match=r"permission denied.*; this role may only read the views: .* the daemon's role"
    ):
        store.account()
    store.close()


def test_an_owner_makes_the_tables_of_an_empty_database(postgres_server: str, tmp_path: Path) -> None:
    url = new_postgres_database(postgres_server)
    config = tmp_path / "auroramon.toml"
    config.write_text(f'[database]\nurl = "{url}"\n')
    said = CliRunner().invoke(db, ["migrate", "--no-copy", "-c", str(config)])
    assert said.output.startswith("the schema was none and is now 0"), said.output
    store = open_store(url)
    assert store.account().seen == 0
    store.close()
