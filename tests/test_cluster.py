"""`auroramon backfill --cluster`: workers and coordinator are killed, and the labels are those of a calm run."""

from __future__ import annotations

import os
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.clusters import running_cluster
from tests.daemon import AURORAMON, account, labels, run, wait_until, write_config
from tests.skies import stack, write_png
from tests.store.conftest import new_postgres_database
from tests.store.conftest import postgres_server as postgres_server  # noqa: PLC0414  a fixture, by its name
from tests.tiny import write_tiny_bundle

IMAGES = 1500  # more than is in hand on two workers at once: they are killed and stopped in the middle


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for seed in range(IMAGES):
        write_png(folder, seed)
    for minute in range(10):
        begin = datetime(2025, 12, 22, tzinfo=UTC) + timedelta(minutes=minute)
        file = folder / f"20251222_00{minute:02}_test_themis99_full.pgm.gz"
        file.write_bytes(stack(range(minute, minute + 8), begin))
    (folder / "empty.png").touch()
    (folder / "rubbish.png").write_bytes(b"rubbish")
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny").folder


@pytest.fixture(scope="module")
def undisturbed(archive: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], object]:
    folder = tmp_path_factory.mktemp("undisturbed")
    run("backfill", archive, "-c", write_config(folder, tiny))
    return dict(labels(f"sqlite:///{folder / 'labels.db'}"))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'labels.db'}"
    return new_postgres_database(request.getfixturevalue("postgres_server"))


def labelled(url: str) -> int:
    now = account(url)
    return now.labelled if now else 0


@pytest.mark.timeout(400)
def test_killed_workers_and_a_killed_coordinator_lose_and_double_nothing(
    archive: Path, tiny: Path, tmp_path: Path, url: str, undisturbed: dict[tuple[str, int], object]
) -> None:
    config = write_config(tmp_path, tiny, url=url)
    with running_cluster(tmp_path, 2) as cluster:
        words = ("backfill", str(archive), "-c", str(config), "--cluster", cluster.address)
        first = subprocess.Popen((*AURORAMON, *words), stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: labelled(url) >= 60, "the backfill is at work", 120)
            cluster.workers[0].kill()
            wait_until(lambda: labelled(url) >= 120, "the other worker goes on", 120)
        finally:
            first.kill()
            first.wait()
        assert labelled(url) < IMAGES, "the archive is too small to be killed in"
        cluster.add_worker()
        run(*words)
    now = account(url)
    assert now is not None
    assert (now.seen, now.labelled, now.pending, now.quarantined) == (IMAGES + 12, IMAGES + 10, 0, 2)
    assert labels(url) == undisturbed


@pytest.mark.timeout(400)
def test_a_local_cluster_stops_in_order_and_goes_on(
    archive: Path, tiny: Path, tmp_path: Path, undisturbed: dict[tuple[str, int], object]
) -> None:
    url = f"sqlite:///{tmp_path / 'labels.db'}"
    words = ("backfill", str(archive), "-c", str(write_config(tmp_path, tiny)), "--cluster", "local", "--workers", "2")
    process = subprocess.Popen((*AURORAMON, *words), stderr=subprocess.PIPE, process_group=0)
    try:
        wait_until(lambda: labelled(url) >= 60, "the backfill is at work", 120)
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches the workers too
        _, log = process.communicate(timeout=60)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == 1
    assert "Traceback" not in log.decode()
    assert "dashboard: http://127.0.0.1:" in log.decode()
    now = account(url)
    assert now is not None
    assert 60 <= now.labelled < IMAGES
    run(*words)
    assert labels(url) == undisturbed
