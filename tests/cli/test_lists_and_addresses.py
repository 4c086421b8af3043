"""`auroramon backfill --from-list` and `s3://`: archives that are named instead of walked, or lie in a store."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import AURORAMON, labels, run, wait_until, write_config
from tests.skies import stack, write_png
from tests.tiny import write_tiny_bundle


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny").folder


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    (folder / "2025/12/21").mkdir(parents=True)
    (folder / "2025/12/25").mkdir()
    for seed in range(4):
        write_png(folder / "2025/12/21", seed)
    (folder / "2025/12/25/20251225_1000_test_themis99_full.pgm.gz").write_bytes(stack(range(5)))
    (folder / "2025/12/25/notes.txt").write_text("no frame")
    return folder


def test_a_list_on_standard_input_is_done_file_by_file(tiny: Path, archive: Path, tmp_path: Path) -> None:
    files = sorted(archive.rglob("*.png"))
    text = f"{files[0]}\n\n{files[2]}\r\n{archive}/absent.png\n"
    done = subprocess.run(
        (*AURORAMON, "backfill", "--from-list", "-", "-c", str(write_config(tmp_path, tiny)), "--json"),
        input=text, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1  # a file that was named is not there
    assert "absent.png: there is no such file" in done.stderr
    said = json.loads(done.stdout)
    assert (said["listed"], said["labelled"]) == (2, 2)
    assert {name for name, _ in labels(f"sqlite:///{tmp_path / 'labels.db'}")} == {files[0].name, files[2].name}


@pytest.mark.parametrize("where", [("--workers", "1"), ("--workers", "1", "--cluster", "local")])
def test_names_that_come_one_by_one_are_labelled_as_they_come(
    where: tuple[str, ...], tiny: Path, archive: Path, tmp_path: Path
) -> None:
    """Whatever writes the list may pause for hours: what it has named is not kept waiting for more."""
    if "--cluster" in where:
        pytest.importorskip("distributed")
    database = f"sqlite:///{tmp_path / 'labels.db'}"
    files = sorted(archive.rglob("*.png"))
    working = subprocess.Popen(
        (*AURORAMON, "backfill", "--from-list", "-", "-c", str(write_config(tmp_path, tiny)), "--json", *where),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert working.stdin is not None
    for number, file in enumerate(files[:3], start=1):
        working.stdin.write(f"{file}\n")
        working.stdin.flush()
        wait_until(
            lambda n=number: (tmp_path / "labels.db").exists() and len(labels(database)) == n, f"{number} labels"
        )
    said = json.loads(working.communicate(f"{files[3]}\n", timeout=120)[0])
    assert working.returncode == 0
    assert (said["listed"], said["labelled"], said["listed_all"]) == (4, 4, True)


def test_a_list_keeps_the_camera_of_the_folder_and_the_span(tiny: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny)
    files = [write_png(tmp_path / "in", seed) for seed in (0, 40_000)]
    names = tmp_path / "names.txt"
    names.write_text("".join(f"{os.path.relpath(tmp_path)}/in/{Path(file).name}\n" for file in files))
    run("backfill", "--from-list", names, "--until", "2025-12-22", "-c", config)
    said = labels(f"sqlite:///{tmp_path / 'labels.db'}")
    assert [values[0] for values in said.values()] == ["test"]


def test_a_file_that_is_named_twice_is_counted_once_as_known_and_nothing_is_left(
    tiny: Path, archive: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, tiny)
    files = sorted(map(str, archive.rglob("*.png")))
    names = tmp_path / "names.txt"
    names.write_text("\n".join([files[0], files[0], *files * 40]))  # in one batch, and in a later one
    words = ("backfill", archive, files[0], "--from-list", names, "-c", config, "--json")
    first = json.loads(run(*words).stdout)
    assert (first["listed"], first["labelled"], first["left"]) == (5 + 1 + 2 + 160, 5, 0)
    assert first["known"] == first["listed"] - 5
    assert json.loads(run(*words).stdout)["known"] == first["listed"]


def test_a_list_of_wrong_names_says_of_each_what_is_wrong(tiny: Path, archive: Path, tmp_path: Path) -> None:
    good = min(archive.rglob("*.png"))
    os.mkfifo(tmp_path / "pipe.png")
    names = f"{archive}\n{tmp_path}/pipe.png\n{good}\0{good}\0\ns3://b/\udc80.png\n{archive}/\udcff.png\n{good}\n"
    done = subprocess.run(
        (*AURORAMON, "backfill", "--from-list", "-", "-c", str(write_config(tmp_path, tiny)), "--json"),
        input=names.encode(errors="surrogateescape"), capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    log = done.stderr.decode()
    assert "Traceback" not in log
    assert f"{archive}: is a folder: name the files in it" in log
    assert "pipe.png: is no regular file" in log
    assert "holds a zero byte: a list has one name on each line (find -print, not -print0)" in log
    assert log.count("is not valid UTF-8") == 2
    assert "5 files or folders could not be looked at" in log
    assert done.returncode == 1
    assert json.loads(done.stdout)["labelled"] == 1


def test_nothing_named_is_a_mistake_of_the_call(tiny: Path, tmp_path: Path) -> None:
    done = run("backfill", "-c", write_config(tmp_path, tiny), check=False)
    assert done.returncode == 2
    assert "name a folder, a file or an address, or give --from-list" in done.stderr


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """An object store that speaks S3, on loopback; the address of its pages."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def answers() -> bool:
        with socket.socket() as look:
            return look.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(answers, "the store answers")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def bucket(store: str, archive: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", store)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    files = s3fs.S3FileSystem(skip_instance_cache=True)
    if not files.exists("skies"):
        files.mkdir("skies")
        files.put(f"{archive}/", "skies/archive/", recursive=True)
    return "s3://skies/archive"


def test_an_archive_in_an_object_store_gives_the_labels_of_the_same_files_on_disk(
    bucket: str, tiny: Path, archive: Path, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").mkdir()
    run("backfill", archive, "-c", write_config(tmp_path / "disk", tiny))
    config = write_config(tmp_path / "store", tiny)
    first = json.loads(run("backfill", bucket, "-c", config, "--json").stdout)
    assert (first["listed"], first["labelled"], first["frames"]) == (5, 5, 9)
    again = json.loads(run("backfill", bucket, "-c", config, "--json").stdout)
    assert (again["known"], again["frames"]) == (5, 0)
    on_disk, in_store = (labels(f"sqlite:///{tmp_path / place / 'labels.db'}") for place in ("disk", "store"))
    assert in_store == on_disk


def test_prefixes_of_other_dates_are_not_listed_and_single_objects_can_be_named(
    bucket: str, tiny: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, tiny)
    early = json.loads(run("backfill", bucket, "--until", "2025-12-22", "-c", config, "--json").stdout)
    assert early["listed"] == 4
    one = f"{bucket}/2025/12/25/20251225_1000_test_themis99_full.pgm.gz"
    assert json.loads(run("backfill", one, "-c", config, "--json").stdout)["frames"] == 5


def test_an_object_that_is_not_there_is_one_sentence_and_no_loss_of_the_others(
    bucket: str, tiny: Path, tmp_path: Path
) -> None:
    names = tmp_path / "names.txt"
    good = f"{bucket}/2025/12/25/20251225_1000_test_themis99_full.pgm.gz"
    names.write_text(f"{bucket}/absent.png\n{good}\n")
    done = run("backfill", "--from-list", names, "-c", write_config(tmp_path, tiny), "--json", check=False)
    assert done.returncode == 1
    assert f"{bucket}/absent.png: cannot be had" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["frames"] == 5


def test_a_store_that_does_not_answer_leaves_no_label_and_no_quarantine(tiny: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = subprocess.run(
        (*AURORAMON, "backfill", "s3://skies/archive", "-c", str(write_config(tmp_path, tiny))),
        env={**os.environ, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "test",
             "AWS_SECRET_ACCESS_KEY": "test", "AWS_MAX_ATTEMPTS": "1"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "s3://skies/archive: cannot be had" in done.stderr
    assert "Traceback" not in done.stderr
