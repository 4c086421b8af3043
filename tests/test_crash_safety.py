"""Twenty power cuts, and the labels are those of an undisturbed run: nothing lost, nothing doubled."""

from __future__ import annotations

import os
import random
import shutil
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


def kill_at_work(url: str, words: tuple[str, ...], rng: random.Random, labels_first: bool) -> bool:
    """Kill a backfill a random moment after it opened the database or committed; say whether it was still at work."""
    process = subprocess.Popen((*AURORAMON, *words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    before = labelled(url)
    try:
        wait_until(lambda: process.poll() is not None or works(url, process.pid), "the run has begun")
        if labels_first:
            wait_until(lambda: process.poll() is not None or labelled(url) > before, "labels are committed")
        process.wait(timeout=rng.uniform(0.0, 0.1 if labels_first else 2.0))
    except subprocess.TimeoutExpired:
        return True
    finally:
        process.kill()
        process.wait()
    return False


def labelled(url: str) -> int:
    now = account(url)
    return now.labelled if now else 0


def kill_at_random(words: tuple[str, ...], rng: random.Random) -> None:
    """Kill a process at a random moment, before it is awake or after."""
    process = subprocess.Popen((*AURORAMON, *words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with pytest.raises(subprocess.TimeoutExpired):  # a daemon does not end by itself
        process.wait(timeout=rng.uniform(0.8, 3.0))
    process.kill()
    process.wait()


@pytest.mark.timeout(400)
def test_a_backfill_killed_twenty_times_gives_the_labels_of_an_undisturbed_one(
    archive: Path, tiny: Path, tmp_path: Path
) -> None:
    """However quick the machine: where a run ended before its kill, the archive grows and it is tried again."""
    grown = tmp_path / "archive"
    shutil.copytree(archive, grown)
    config = write_config(tmp_path, tiny)
    url = f"sqlite:///{tmp_path / 'labels.db'}"
    rng = random.Random(os.environ.get("AURORAMON_SEED", "20"))
    images, killed, rounds = IMAGES, 0, 0
    while killed < KILLS:
        rounds += 1
        assert rounds <= 4 * KILLS, "the runs end before they can be killed"
        if kill_at_work(url, ("backfill", str(grown), "-c", str(config)), rng, labels_first=killed % 2 == 1):
            killed += 1
        else:
            for seed in range(images, images + IMAGES // 4):
                write_png(grown, seed)
            images += IMAGES // 4
    run("backfill", grown, "-c", config)
    calm = tmp_path / "calm"
    calm.mkdir()
    run("backfill", grown, "-c", write_config(calm, tiny))
    _compare(url, dict(labels(f"sqlite:///{calm / 'labels.db'}")))


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
    try:
        for _ in range(KILLS):
            kill_at_random(("run", "-c", str(config)), rng)
    except BaseException:
        over.set()
        raise
    finally:
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
