"""Several programs write to one PostgreSQL database at once: nothing is lost, doubled or locked for ever."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest

from auroramon.errors import StoreBusyError
from auroramon.store import Store, open_store
from auroramon.store.partitioning import divide
from auroramon.store.reviews import NewReview
from tests.store.committer import FRAMES, files
from tests.store.conftest import new_postgres_database
from tests.store.station import NOW, Station, model_row
from tests.store.test_events import RULES
from tests.store.test_hours import parts, reference

FILES = 150
WRITERS = 4


@pytest.mark.parametrize("divided", [False, True])
def test_four_writers_and_a_person_end_as_one_writer_would(postgres_server: str, divided: bool) -> None:
    url = new_postgres_database(postgres_server)
    store = open_store(url)
    if divided:
        divide(store._db, NOW)
    store.register_model(model_row())
    command = [sys.executable, "-m", "tests.store.committer", url, str(FILES)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(WRITERS)
    ]
    try:
        number = 0
        while any(process.poll() is None for process in running):  # what a person and the daemon do beside them
            number += 1
            store.promote_model("oath-1", NOW + timedelta(seconds=number))
            store.count_hours(limit_s=0.05)
            store.derive_events(RULES)
            frames = store.frames_of_file(files(1)[0].path)
            store.add_reviews([NewReview(frame, "arc", "Kirsi", str(number)) for frame in frames], NOW)
        told = [process.communicate() for process in running]
    finally:
        for process in running:
            process.kill()
    assert [(process.returncode, err) for process, (_, err) in zip(running, told, strict=True)] == [(0, "")] * WRITERS
    copies = FILES // 5
    station = Station(store)
    assert station.account() == (FILES - copies, copies, 0, 0)
    assert len(list(store.labels())) == (FILES - copies) * FRAMES
    store.count_hours()
    assert parts(store) == reference(store)
    with store._db.reading() as conn:
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert conn.exec_driver_sql(query).scalar_one() == 0
    store.close()


def freeze(store: Store) -> None:
    """Take the turn, and do nothing in it until another writer had its own."""
    with store._db.writing() as conn:
        assert conn.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one() == "2min"
        conn.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 200")  # sooner than that
        assert store.register_model(model_row())  # by another connection


def test_a_writer_that_is_frozen_in_its_turn_loses_it_and_the_next_one_writes(postgres_server: str) -> None:
    store = open_store(new_postgres_database(postgres_server), busy_timeout_s=60)
    try:
        with pytest.raises(StoreBusyError, match="idle-in-transaction"):
            freeze(store)
        with store._db.reading() as conn:  # who only reads may take any time: `labels` into a pager
            assert conn.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one() == "0"
    finally:
        store.close()


def test_the_server_gives_up_a_writer_whose_machine_is_gone_after_a_minute(postgres_server: str) -> None:
    store = open_store(new_postgres_database(postgres_server))
    try:
        with store._db.writing() as conn:
            query = "SELECT name, setting FROM pg_settings WHERE name LIKE 'tcp_keepalives_%%'"
            said = {row.name.rpartition("_")[2]: int(row.setting) for row in conn.exec_driver_sql(query)}
        assert said["idle"] + said["interval"] * said["count"] == 60
    finally:
        store.close()
