"""Each line of the doctor, where it is well and where it fails."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from auroramon import checkup
from auroramon.bundle import load_bundle
from auroramon.care.copies import free_bytes
from auroramon.cli.doctor import _print
from auroramon.config import CameraSettings, DatabaseSettings, Settings, load_settings
from auroramon.doctor.examination import examine
from auroramon.doctor.lines import Line, Machine, answers
from auroramon.doctor.machine import (
    ask_kernel,
    check_clock,
    check_inotify,
    check_user,
    check_versions,
    count_folders,
)
from auroramon.doctor.records import _remedy, check_database
from auroramon.doctor.room import Growth, check_disks, growth, judge_disk
from auroramon.doctor.station import check_configuration, check_daemon, check_folder
from auroramon.doctor.unit import check_unit
from auroramon.doctor.writing import check_writing
from auroramon.errors import DamagedDatabaseError, StoreBusyError
from auroramon.metrics import Metrics
from auroramon.server import StatusServer
from auroramon.types import LABELS, Health
from tests.cli.conftest import EVENING, Winter
from tests.daemon import run
from tests.tiny import write_tiny_bundle

LATER = EVENING + timedelta(days=1)


def worst_of(lines: Iterator[Line] | list[Line]) -> Line:
    """Give the worst line, and see that each that is not well says what to do."""
    said = list(lines)
    for line in said:
        assert bool(line.remedy) == (line.level != "ok"), line
    return max(said, key=lambda line: ("ok", "warning", "failure").index(line.level))


def camera(folder: Path | None, **others: object) -> Settings:
    return Settings(camera=(CameraSettings(name="gill", folder=folder, **others),))  # type: ignore[arg-type]


# The machine


def test_root_is_told_that_the_service_may_read_less() -> None:
    assert check_user(Machine(user=0)).level == "warning"
    assert check_user(Machine(user=1000)).level == "ok"


@pytest.mark.parametrize(
    ("synchronised", "battery", "level"),
    [(True, True, "ok"), (True, False, "warning"), (False, True, "warning"), (False, False, "failure"),
     (None, True, "warning")],
)  # fmt: skip
def test_the_clock(tmp_path: Path, synchronised: bool | None, battery: bool, level: str) -> None:
    if battery:
        (tmp_path / "sys/class/rtc/rtc0").mkdir(parents=True)
    line = check_clock(Machine(root=tmp_path, synchronised=lambda: synchronised))
    assert line.level == level
    assert bool(line.remedy) == (level != "ok")


def test_the_kernel_is_asked_for_its_clock() -> None:
    assert ask_kernel() in {True, False}


@pytest.mark.parametrize(("watches", "level"), [(100, "ok"), (7, "warning"), (3, "failure"), (None, "warning")])
def test_the_watches_that_the_folders_need(tmp_path: Path, watches: int | None, level: str) -> None:
    for night in ("in/2026/01", "in/2026/02", "in/.hidden/deep"):
        (tmp_path / night).mkdir(parents=True)
    assert count_folders(tmp_path / "in") == 4
    limits = tmp_path / "proc/sys/fs/inotify"
    limits.mkdir(parents=True)
    (limits / "max_user_instances").write_text("128\n")
    if watches is not None:
        (limits / "max_user_watches").write_text(f"{watches}\n")
    line = worst_of(check_inotify(camera(tmp_path / "in"), Machine(root=tmp_path)))
    assert line.level == level
    if level == "failure":
        assert "fs.inotify.max_user_watches=12 " in line.remedy


def test_more_cameras_than_instances(tmp_path: Path) -> None:
    limits = tmp_path / "proc/sys/fs/inotify"
    limits.mkdir(parents=True)
    (limits / "max_user_instances").write_text("0")
    (limits / "max_user_watches").write_text("100")
    line = worst_of(check_inotify(camera(tmp_path), Machine(root=tmp_path)))
    assert (line.level, "max_user_instances" in line.sentence) == ("failure", True)


def test_polled_folders_need_no_watches(tmp_path: Path) -> None:
    for settings, machine in (
        (camera(tmp_path), Machine(root=tmp_path, filesystem=lambda _: "nfs4")),
        (camera(tmp_path / "away"), Machine(root=tmp_path)),
    ):
        assert [line.sentence for line in check_inotify(settings, machine)] == ["no folder is watched by inotify"]


UNIT = {
    "LoadState": "loaded", "UnitFileState": "enabled", "ActiveState": "active", "NRestarts": "0", "Restart": "always",
    "WatchdogUSec": "3min", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "MemoryDenyWriteExecute": "yes",
    "PrivateTmp": "yes",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "level", "says"),
    [
        ({}, "ok", "enabled and active"),
        ({"LoadState": "not-found"}, "warning", "not installed"),
        ({"UnitFileState": "disabled"}, "failure", "not enabled"),
        ({"NRestarts": "3"}, "warning", "3 times"),
        ({"ProtectSystem": "no", "WatchdogUSec": "0"}, "warning", "ProtectSystem, WatchdogSec"),
        ({"Restart": "no"}, "warning", "Restart: not as shipped"),
    ],
)
def test_the_unit(tmp_path: Path, change: dict[str, str], level: str, says: str) -> None:
    """The program that answers is a script of the test; the real systemctl answers in tests/test_systemd.py."""
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    script = tmp_path / "systemctl"
    script.write_text("#!/bin/sh\n" + "".join(f"echo {key}={value}\n" for key, value in (UNIT | change).items()))
    script.chmod(0o755)
    line = worst_of(check_unit(Machine(root=tmp_path, systemctl=str(script))))
    assert line.level == level
    assert says in line.sentence


def test_a_database_that_only_the_service_finds(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    script = tmp_path / "systemctl"
    script.write_text("#!/bin/sh\n" + "".join(f"echo {key}={value}\n" for key, value in UNIT.items()))
    script.chmod(0o755)
    line = worst_of(check_unit(Machine(root=tmp_path, systemctl=str(script)), Settings()))
    assert line.level == "warning"
    assert 'url = "sqlite:////var/lib/auroramon/auroramon.sqlite"' in line.remedy


def test_a_systemctl_that_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    for program in ("/bin/false", f"{tmp_path}/none"):
        line = worst_of(check_unit(Machine(root=tmp_path, systemctl=program)))
        assert (line.level, "does not answer" in line.sentence) == ("warning", True)


def test_a_machine_without_systemd(tmp_path: Path) -> None:
    assert [line.level for line in check_unit(Machine(root=tmp_path))] == ["ok"]


def test_libraries_that_are_old_or_missing() -> None:
    assert check_versions().level == "ok"
    old = check_versions(["numpy>=99,<100", "no-such-library>=1", 'h5py>=99; extra == "hdf5"'])
    assert old.level == "failure"
    assert "99 is needed" in old.sentence
    assert "no-such-library is not installed" in old.sentence
    assert "h5py" not in old.sentence


# The station


def test_a_folder_that_is_watched_and_one_that_is_listed(tmp_path: Path) -> None:
    settings = camera(tmp_path)
    assert "watched by inotify" in worst_of(check_folder(settings.camera[0], settings, Machine())).sentence
    network = Machine(filesystem=lambda _: "nfs4")
    assert "(nfs4) is listed every 10 s" in worst_of(check_folder(settings.camera[0], settings, network)).sentence
    stubborn = settings.model_copy(update={"watch": settings.watch.model_copy(update={"poll": "never"})})
    line = worst_of(check_folder(settings.camera[0], stubborn, network))
    assert (line.level, line.remedy) == ("failure", 'watch.poll = "auto"')


def test_a_mount_that_hangs_fails_and_holds_up_nothing(tmp_path: Path) -> None:
    settings = camera(tmp_path)
    dead = Machine(answers=lambda folder: False)
    line = worst_of(check_folder(settings.camera[0], settings, dead))
    assert (line.level, "does not answer" in line.sentence) == ("failure", True)
    assert next(iter(check_inotify(settings, dead))).level == "ok"
    assert answers(tmp_path)


def test_files_that_may_not_be_read(tmp_path: Path) -> None:
    for night in ("2026-01-01", "2026-01-02"):
        (tmp_path / night).mkdir()
        (tmp_path / night / "a.png").touch()
    settings = camera(tmp_path)
    may = Machine(may=lambda path, how: "01-02" not in str(path))
    line = worst_of(check_folder(settings.camera[0], settings, may))
    assert (line.level, f"{tmp_path}/2026-01-02 may not be read" in line.sentence) == ("failure", True)
    may = Machine(may=lambda path, how: not str(path).endswith("a.png"))
    line = worst_of(check_folder(settings.camera[0], settings, may))
    assert (line.level, f"{tmp_path}/2026-01-02/a.png may not be read" in line.sentence) == ("failure", True)
    (tmp_path / "lost+found").mkdir()  # of a disk: root's alone, and never looked into
    may = Machine(may=lambda path, how: "lost+found" not in str(path))
    assert worst_of(check_folder(settings.camera[0], settings, may)).level == "ok"


def test_a_wrong_configuration_is_repeated_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = Settings(
        camera=(
            CameraSettings(name="a", folder=tmp_path / "file"),
            CameraSettings(name="b", folder=tmp_path, mask=tmp_path / "none.png"),
            CameraSettings(name="c", folder=tmp_path / "away"),
        ),
        model={"path": tmp_path},  # type: ignore[arg-type]
    )
    said = list(check_configuration(settings, Machine()))
    worst_of(said)
    failures = " ".join(line.sentence for line in said if line.level == "failure")
    assert "is no folder" in failures
    assert "none.png" in failures
    assert "no model bundle" in failures
    assert any(line.level == "warning" and "will wait for it" in line.sentence for line in said)


def test_a_state_folder_that_may_not_be_written(tmp_path: Path) -> None:
    file = tmp_path / "state/labels.db"
    settings = Settings(database={"url": f"sqlite:///{file}"}, paths={"cache": tmp_path / "cache"})  # type: ignore[arg-type]
    assert worst_of(check_writing(settings, Machine())).level == "ok"
    line = worst_of(check_writing(settings, Machine(may=lambda path, how: how == os.X_OK)))
    assert (line.level, "install -d" in line.remedy) == ("failure", True)
    file.parent.mkdir()
    file.touch()
    line = worst_of(check_writing(settings, Machine(may=lambda path, how: Path(path) != file)))
    assert (line.level, "chown" in line.remedy) == ("failure", True)


@pytest.mark.parametrize(
    ("free", "frames_a_day", "level"),
    [(50e9, 17280, "ok"), (50e9, 0, "ok"), (3e9, 100_000, "warning"), (3e8, 100_000, "failure"), (1e8, 0, "failure"),
     (1e9, 0, "warning")],
)  # fmt: skip
def test_how_long_the_disk_lasts(free: float, frames_a_day: float, level: str) -> None:
    line = judge_disk(int(free), Growth(600.0, frames_a_day), "/var")
    assert line.level == level
    assert ("at the" in line.sentence) == bool(frames_a_day)


def test_growth_is_measured_over_the_last_week(winter: Winter) -> None:
    file = Path(winter.url.removeprefix("sqlite:///"))
    grows = growth(winter.url, file, Machine(now=lambda: LATER))
    assert grows is not None
    assert grows.frames_a_day == pytest.approx(winter.frames / 7)
    assert grows.bytes_a_frame == file.stat().st_size / winter.frames
    old = growth(winter.url, file, Machine(now=lambda: LATER + timedelta(days=30)))
    assert old is not None
    assert old.frames_a_day == 0


def test_a_cameras_disk_on_which_the_alert_fires(tmp_path: Path) -> None:
    settings = camera(tmp_path).model_copy(update={"database": DatabaseSettings(url="postgresql:///x")})
    line = worst_of(check_disks(settings, Machine(free=lambda folder: 500_000_000)))
    assert (line.level, line.about) == ("warning", "camera gill")
    assert list(check_disks(settings, Machine(free=lambda folder: 1_500_000_000))) == []


def test_a_station_without_a_folder_to_watch_fails() -> None:
    for settings in (Settings(), camera(None)):
        assert any(
            line.level == "failure" and "does not start" in line.sentence
            for line in check_configuration(settings, Machine())
        )


def test_a_disk_that_is_full(winter: Winter, tmp_path: Path) -> None:
    settings = load_settings(winter.config)
    assert worst_of(check_disks(settings, Machine())).level == "ok"
    lines = list(check_disks(settings, Machine(free=lambda folder: 10_000_000)))
    assert [line.level for line in lines] == ["failure", "failure"]
    assert "the camera cannot write" in lines[1].sentence
    assert free_bytes(tmp_path) > 0


# The database


def change(winter: Winter, *statements: str) -> None:
    with closing(sqlite3.connect(winter.url.removeprefix("sqlite:///"), isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


@pytest.fixture
def sound(winter: Winter) -> Winter:
    """A database in which every file was complete ten seconds after its exposure began."""
    change(
        winter,
        "UPDATE files SET mtime_ns = (SELECT CAST((time_utc + 10) * 1000000000 AS INTEGER) FROM frames "
        "WHERE file_id = files.id) WHERE state = 1",
    )
    return winter


def database_line(winter: Winter, machine: Machine | None = None) -> Line:
    return worst_of(check_database(winter.url, machine or Machine(now=lambda: LATER)))


def test_a_database_that_is_well(sound: Winter) -> None:
    lines = list(check_database(sound.url, Machine(now=lambda: LATER)))
    assert {line.level for line in lines} == {"ok"}
    assert "363 files seen = 360 labelled + 1 skipped + 1 quarantined + 1 pending" in [line.sentence for line in lines]


def test_a_database_that_is_not_there_or_empty(tmp_path: Path) -> None:
    assert worst_of(check_database(f"sqlite:///{tmp_path}/none.db", Machine())).level == "ok"
    (tmp_path / "empty.db").touch()
    line = worst_of(check_database(f"sqlite:///{tmp_path}/empty.db", Machine()))
    assert (line.level, "the first run makes them" in line.sentence) == ("ok", True)


@pytest.mark.parametrize(
    ("statement", "level", "says"),
    [
        ("PRAGMA journal_mode=DELETE", "warning", "its journal is delete"),
        ("UPDATE auroramon_schema SET version_num = '9999'", "failure", "9999 is newer"),
        ("UPDATE auroramon_schema SET version_num = '0000'", "warning", "the next start brings it"),
        ("UPDATE files SET state = 9 WHERE id = 7", "failure", "does not add up"),
        ("UPDATE account SET seen = seen + 1", "warning", "it keeps another account"),
        ("UPDATE files SET state = 3 WHERE id < 20", "warning", "20 quarantined"),
        ("UPDATE files SET mtime_ns = 1", "warning", "older than the exposures"),
    ],
)
def test_a_database_with_a_fault(sound: Winter, statement: str, level: str, says: str) -> None:
    change(sound, "PRAGMA ignore_check_constraints=ON", statement)
    line = database_line(sound)
    assert line.level == level
    assert says in line.sentence


def test_a_damaged_database(sound: Winter) -> None:
    file = Path(sound.url.removeprefix("sqlite:///"))
    change(sound, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(file.read_bytes())
    content[len(content) // 2 :] = os.urandom(len(content) - len(content) // 2)
    file.write_bytes(content)
    line = database_line(sound)
    assert (line.level, "damaged" in line.sentence, "restore" in line.remedy) == ("failure", True, True)
    file.write_bytes(b"these are my notes" * 100)
    assert database_line(sound).level == "failure"


def test_a_database_of_another_program(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "notes.db")) as other:
        other.execute("CREATE TABLE notes (said)")
    url = f"sqlite:///{tmp_path}/notes.db"
    line = worst_of(check_database(url, Machine()))
    assert (line.level, "tables of another program (notes)" in line.sentence) == ("failure", True)
    settings = camera(tmp_path).model_copy(update={"database": DatabaseSettings(url=url)})
    (finding,) = (finding for finding in checkup.check(settings) if finding.about == "database")
    assert (finding.level, "tables of another program (notes)" in finding.sentence) == ("error", True)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("nonsense", "correct url in [database]"),
        ("mysql://host/x", "correct url in [database]"),
        ("sqlite:///{folder}", "correct url in [database]"),
        ("postgresql://127.0.0.1:1/x", "is the server up"),
    ],
)
def test_a_url_that_leads_nowhere_asks_for_no_restore(tmp_path: Path, url: str, remedy: str) -> None:
    settings = Settings(database={"url": url.format(folder=tmp_path)}, server={"listen": ""})  # type: ignore[arg-type]
    lines = [line for line in examine(settings, Machine(root=tmp_path)) if line.about == "database"]
    line = worst_of(lines)
    assert line.level == "failure"
    assert line.remedy.startswith(remedy)


def test_who_holds_a_file_is_asked_only_where_nothing_else_is_in_the_way(tmp_path: Path) -> None:
    file = tmp_path / "labels.db"
    busy = _remedy(StoreBusyError("busy"), file)
    assert busy.startswith(f"who has it open: fuser -v {file}")
    file.mkdir()
    assert _remedy(StoreBusyError("busy"), file).startswith("whose it is")
    assert "restore" in _remedy(DamagedDatabaseError("damaged", "page 3"), file)


def test_a_database_that_somebody_holds(sound: Winter) -> None:
    change(sound, "PRAGMA journal_mode=DELETE")
    with closing(sqlite3.connect(sound.url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        line = worst_of(check_database(sound.url, Machine(), busy_timeout_s=0.1))
        assert (line.level, "cannot be used for now" in line.sentence) == ("failure", True)
        other.execute("ROLLBACK")


def test_frames_from_the_future(sound: Winter) -> None:
    line = database_line(sound, Machine(now=lambda: EVENING + timedelta(hours=5)))
    assert (line.level, line.about) == ("failure", "camera kiruna")
    assert "3540 s ahead of the clock" in line.sentence


# The daemon


@contextmanager
def pages(content: bytes) -> Iterator[str]:
    """Serve these bytes as every page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def listening_at(listen: str, **model: object) -> Settings:
    return Settings(server={"listen": listen}, model=model)  # type: ignore[arg-type]


def test_a_port_that_is_free_and_one_that_is_another_programs() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        taken = f"127.0.0.1:{probe.getsockname()[1]}"
        line = worst_of(check_daemon(listening_at(taken)))
        assert (line.level, "cannot be used" in line.sentence) == ("failure", True)
    line = worst_of(check_daemon(listening_at(taken)))
    assert (line.level, "which is free" in line.sentence) == ("warning", True)
    with pages(b"<h1>a printer</h1>") as address:
        line = worst_of(check_daemon(listening_at(address)))
        assert (line.level, "is no auroramon" in line.sentence) == ("failure", True)
    assert worst_of(check_daemon(listening_at(""))).level == "ok"


@pytest.mark.parametrize("listen", ["192.0.2.1:9750", "no-such-host.invalid:9750"])
def test_an_address_that_is_not_this_machines(listen: str) -> None:
    line = worst_of(check_daemon(listening_at(listen)))
    assert (line.level, "an address of this machine" in line.remedy) == ("failure", True), line


@contextmanager
def running(
    folder: Path, health: Health = Health(()), digest: str = "", fallback: bool = False  # noqa: B008 - frozen
) -> Iterator[tuple[str, Path]]:  # fmt: skip
    """Serve the pages of a daemon that runs the tiny model on the CPU."""
    bundle = load_bundle(write_tiny_bundle(folder / "tiny").folder)
    metrics = Metrics(CollectorRegistry(), ["gill"], LABELS)
    metrics.backend.info({"backend": "onnx", "precision": "float32", "device": "CPU, 2 threads"})
    metrics.model.info({"name": "tiny", "digest": digest or bundle.digest})
    metrics.fallback.set(fallback)
    metrics.follow(tuple, lambda: health)
    server = StatusServer("127.0.0.1:0", metrics.page, lambda: health)
    try:
        yield server.address, bundle.folder
    finally:
        server.close()


def test_our_daemon_and_what_it_runs_on(tmp_path: Path) -> None:
    with running(tmp_path) as (address, model):
        lines = list(check_daemon(listening_at(address, path=model)))
    assert {line.level for line in lines} == {"ok"}
    assert "the daemon runs on onnx (float32, CPU, 2 threads)" in [line.sentence for line in lines]


def test_a_daemon_with_another_model_or_a_trouble_or_without_its_gpu(tmp_path: Path) -> None:
    with running(tmp_path / "a", digest="other") as (address, model):
        line = worst_of(check_daemon(listening_at(address, path=model)))
        assert (line.level, "another model" in line.sentence) == ("warning", True)
    with running(tmp_path / "b", Health(("the folder is away",))) as (address, model):
        line = worst_of(check_daemon(listening_at(address, path=model)))
        assert (line.level, "the folder is away" in line.sentence) == ("failure", True)
    with running(tmp_path / "c", fallback=True) as (address, model):
        line = worst_of(check_daemon(listening_at(address, path=model)))
        assert (line.level, "the GPU that was asked for" in line.sentence) == ("failure", True)


# The command


def test_the_doctor_examines_a_station_and_says_so_in_its_exit_code(winter: Winter, tmp_path: Path) -> None:
    model = write_tiny_bundle(tmp_path / "tiny").folder
    winter.config.write_text(winter.config.read_text() + f'[model]\npath = "{model}"\n')
    (tmp_path / "abisko").mkdir()
    config = winter.config.read_text().replace('name = "abisko"', f'name = "abisko"\nfolder = "{tmp_path}/abisko"')
    winter.config.write_text(config)
    done = run("doctor", "-c", winter.config, "--json", check=False)
    lines = json.loads(done.stdout)
    failures = [line for line in lines if line["level"] == "failure"]
    assert done.returncode == (1 if failures else 0)
    assert {line["about"] for line in failures} <= {"clock"}, failures
    assert {"camera kiruna", "inotify", "disk", "database", "model", "clock", "unit", "versions", "port"} <= {
        line["about"] for line in lines
    }
    (tmp_path / "tiny/bundle.json").unlink()
    broken = run("doctor", "-c", winter.config, check=False)
    assert broken.returncode == 1
    assert "failure  model" in broken.stdout.replace("FAILURE", "failure")
    assert "\n" + " " * 25 + "-> " in broken.stdout


def test_a_configuration_that_cannot_be_read_is_a_failure_and_the_machine_is_examined(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[[camera]\n")
    done = run("doctor", "-c", tmp_path / "bad.toml", check=False)
    assert done.returncode == 1
    assert "is not valid TOML" in done.stdout
    assert "clock" in done.stdout
    assert run("doctor", "--nonsense", check=False).returncode == 2


def test_columns_stay_apart_in_a_pipe_however_long_a_camera_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    _print([
        Line("ok", "camera longyearbyen-north", "watches /data"),
        Line("failure", "clock", "is wrong", "set it"),
    ])  # fmt: skip
    shown = capsys.readouterr().out.splitlines()
    assert shown[:3] == [
        "ok       camera longyearbyen-north  watches /data",
        "FAILURE  clock                      is wrong",
        "                                    -> set it",
    ]
