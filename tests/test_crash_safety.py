"""Twenty power cuts, and the labels are those of an undisturbed run: nothing lost, nothing doubled."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.daemon import AURORAMON, account, labels, run, settled, wait_until, works, write_config
from tests.skies import stack, write_png
from tests.tiny import write_tiny_bundle

KILLS = 20
IMAGES = 1200


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with everything in it: images, minutes, a cut minute, a copy, an empty file and rubbish."""
    folder = tmp_path_factory.mktemp("archive")
    for seed in range(IMAGES):
        write_png(folder, seed)
    for minute in range(10):
        (folder / f"20251222_00{minute:02}_test_themis99_full.pgm.gz").write_bytes(_minute(minute))
    whole = _minute(30)
    (folder / "20251222_0030_test_themis99_full.pgm.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").touch()
    (folder / "rubbish.png").write_bytes(b"rubbish")
    return folder


def _minute(minute: int) -> bytes:
    from datetime import UTC, datetime, timedelta

    return stack(range(minute, minute + 8), datetime(2025, 12, 22, tzinfo=UTC) + timedelta(minutes=minute))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny").folder


@pytest.fixture(scope="module")
def undisturbed(archive: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], object]:
    folder = tmp_path_factory.mktemp("undisturbed")
    config = write_config(folder, tiny)
    done = run("backfill", archive, "-c", config)
    assert "2 quarantined" in done.stdout
    return dict(labels(f"sqlite:///{folder / 'labels.db'}"))


def kill_at_random(words: tuple[str, ...], rng: random.Random) -> bool:
    """Start a process group and kill all of it at a random moment; say whether it was still at work."""
    process = subprocess.Popen((*AURORAMON, *words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=rng.uniform(0.8, 3.0))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


@pytest.mark.timeout(400)
def test_a_backfill_killed_twenty_times_gives_the_labels_of_an_undisturbed_one(
    archive: Path, tiny: Path, tmp_path: Path, undisturbed: dict[tuple[str, int], object]
) -> None:
    config = write_config(tmp_path, tiny)
    rng = random.Random(os.environ.get("AURORAMON_SEED", "20"))
    killed = 0
    for _ in range(KILLS):
        killed += kill_at_random(("backfill", str(archive), "-c", str(config)), rng)
    run("backfill", archive, "-c", config)
    assert killed >= KILLS // 2, "the archive is too small to be killed in"
    _compare(f"sqlite:///{tmp_path / 'labels.db'}", undisturbed)


@pytest.mark.timeout(400)
def test_a_daemon_killed_twenty_times_gives_the_labels_of_the_backfill(
    archive: Path, tiny: Path, tmp_path: Path, undisturbed: dict[tuple[str, int], object]
) -> None:
    config = write_config(tmp_path, tiny)
    url = f"sqlite:///{tmp_path / 'labels.db'}"
    files = sorted(archive.iterdir())
    rng = random.Random("21")
    over = threading.Event()

    def camera() -> None:
        """Write the archive as a camera would, all the time, without caring for the daemon."""
        for number, file in enumerate(files):
            target = tmp_path / "in" / file.name
            if number % 3:
                target.write_bytes(file.read_bytes())
            else:
                target.with_suffix(".tmp").write_bytes(file.read_bytes())
                target.with_suffix(".tmp").rename(target)
            if over.wait(0.02):
                break

    writer = threading.Thread(target=camera)
    writer.start()
    killed = 0
    try:
        for _ in range(KILLS):
            killed += kill_at_random(("run", "-c", str(config)), rng)
        assert killed == KILLS
    finally:
        over.set() if killed < KILLS else None
        writer.join()
    process = subprocess.Popen((*AURORAMON, "run", "-c", str(config)), stderr=subprocess.DEVNULL)
    try:
        # All may be done before this one is awake, and only a daemon that is awake ends in order.
        wait_until(lambda: works(url, process.pid), "the last daemon has opened the database", 120)
        wait_until(lambda: settled(url, len(files)), "every file is labelled, skipped or quarantined", 120)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
    _compare(url, undisturbed)


def _compare(url: str, undisturbed: dict[tuple[str, int], object]) -> None:
    now = account(url)
    assert now is not None
    assert now.seen == now.labelled + now.skipped + now.quarantined + now.pending
    assert (now.pending, now.quarantined) == (0, 2)
    said = labels(url)
    assert said.keys() == undisturbed.keys()
    strip = {key: value[1:] for key, value in said.items()}  # the camera is named by folder, or by header
    assert strip == {key: value[1:] for key, value in undisturbed.items()}  # type: ignore[index]
