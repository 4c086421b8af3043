"""What the service manager hears: on a real notify socket, from a real daemon."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from auroramon.notify import Lifeline, Notifier
from tests.daemon import AURORAMON, labels, settled, wait_until, write_config
from tests.skies import write_png
from tests.tiny import write_tiny_bundle

WATCHDOG_S = 2.0


@dataclass
class Manager:
    """The other end of the line: a notify socket, and everything that came through it."""

    address: str
    heard: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)  # monotonic

    def listen(self, line: socket.socket) -> None:
        while (words := line.recv(65536)) != b"over":
            self.heard.append(dict(word.split("=", 1) for word in words.decode().split("\n")))
            self.times.append(time.monotonic())

    def number(self, key: str, value: str | None = None) -> int:
        """Count the messages with this key."""
        return sum(key in message and value in {None, message[key]} for message in self.heard)

    def last(self, key: str) -> str:
        return next((message[key] for message in reversed(self.heard) if key in message), "")

    def beats(self) -> Callable[[], bool]:
        """Give a question: did two signs of life come since now?"""
        begun = self.number("WATCHDOG")
        return lambda: self.number("WATCHDOG") >= begun + 2

    def silent_s(self) -> float:
        """Give the seconds since the last sign of life."""
        beat = max(time for time, message in zip(self.times, self.heard, strict=False) if "WATCHDOG" in message)
        return time.monotonic() - beat


@contextmanager
def listening(address: str) -> Iterator[Manager]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind("\0" + address[1:] if address.startswith("@") else address)
        manager = Manager(address)
        thread = threading.Thread(target=manager.listen, args=(line,))
        thread.start()
        try:
            yield manager
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
                other.sendto(b"over", line.getsockname())
            thread.join()


@pytest.fixture(params=["a file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = f"{tmp_path}/notify" if request.param == "a file" else f"@auroramon-test-{os.getpid()}-{id(request)}"
    with listening(address) as one:
        yield one


@pytest.fixture
def one_manager(tmp_path: Path) -> Iterator[Manager]:
    with listening(f"{tmp_path}/notify") as one:
        yield one


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny").folder


@contextmanager
def supervised(config: Path, manager: Manager) -> Iterator[subprocess.Popen[bytes]]:
    """Run the daemon as systemd would; the log goes beside the configuration."""
    environ = os.environ | {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))}
    environ.pop("WATCHDOG_PID", None)
    with open(config.with_suffix(".log"), "wb") as log:
        process = subprocess.Popen(
            (*AURORAMON, "run", "-c", str(config)), stdin=subprocess.DEVNULL, stderr=log, env=environ
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    assert process.wait(timeout=30) == 0


def test_a_life_in_order_is_told_from_start_to_stop(manager: Manager, tiny: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny)
    with supervised(config, manager) as process:
        wait_until(lambda: manager.number("READY") == 1, "it is ready")
        first = next(number for number, message in enumerate(manager.heard) if "READY" in message)
        before = manager.heard[:first]
        assert before
        assert all(int(message["EXTEND_TIMEOUT_USEC"]) > 0 for message in before)
        assert "loading the model" in {message["STATUS"] for message in before}
        assert not any("WATCHDOG" in message for message in before)
        write_png(tmp_path / "in", 1)
        wait_until(lambda: "1 frames labelled; last" in manager.last("STATUS"), "the status names the last label")
        assert " at test, 20" in manager.last("STATUS")
        assert manager.last("STATUS").endswith("files wait")
        wait_until(manager.beats(), "signs of life come")
        end(process)
    assert manager.number("STOPPING") == 1
    assert manager.heard[-1] == {"STOPPING": "1", "STATUS": "finishing the files in hand"}


def test_a_folder_that_is_away_delays_no_other_camera_and_is_in_the_status(
    one_manager: Manager, tiny: Path, tmp_path: Path
) -> None:
    more = f'[[camera]]\nname = "late"\nfolder = "{tmp_path}/late"\n'
    with supervised(write_config(tmp_path, tiny, extra=more), one_manager) as process:
        wait_until(lambda: one_manager.number("READY") == 1, "it is ready")
        wait_until(lambda: "late cannot be watched" in one_manager.last("STATUS"), "the status says what is away")
        wait_until(one_manager.beats(), "signs of life come all the same")
        end(process)


def test_a_file_that_never_opens_costs_the_heartbeat_and_the_log_says_where_it_hung(
    one_manager: Manager, tiny: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, tiny)
    stalled = tmp_path / "in" / "stalled.png"
    with supervised(config, one_manager) as process:
        wait_until(one_manager.beats(), "signs of life come")
        with lease(write_png(tmp_path, 1), stalled):
            wait_until(lambda: one_manager.silent_s() > 2 * WATCHDOG_S, "the heartbeat is lost")
            assert "the loop has not turned" in one_manager.last("STATUS")
            process.send_signal(signal.SIGABRT)  # as systemd does then
            assert process.wait(timeout=30) == -signal.SIGABRT
    log = config.with_suffix(".log").read_text()
    assert "no sign of life for the service manager any more: the loop has not turned" in log
    assert "readers/__init__.py" in log, "the stack shows the reader that waits for the file"


@contextmanager
def lease(source: Path, target: Path) -> Iterator[None]:
    """Put a file in place that the kernel lets nobody open: its writer holds a lease (see fcntl(2))."""
    breaking = signal.signal(signal.SIGIO, lambda *_: None)
    file = os.open(source, os.O_RDWR)
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        source.rename(target)
        yield
    finally:
        os.close(file)
        signal.signal(signal.SIGIO, breaking)


def test_a_loop_that_moves_again_gets_its_heartbeat_back(one_manager: Manager, tiny: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny)
    with supervised(config, one_manager) as process:
        wait_until(one_manager.beats(), "signs of life come")
        with closing(sqlite3.connect(tmp_path / "labels.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # the daemon waits for it, up to half a minute
            write_png(tmp_path / "in", 1)
            wait_until(lambda: one_manager.silent_s() > 2 * WATCHDOG_S, "the heartbeat is lost")
            other.execute("ROLLBACK")
        wait_until(one_manager.beats(), "signs of life come again")
        wait_until(lambda: settled(f"sqlite:///{tmp_path}/labels.db", 1), "the frame is labelled")
        end(process)
    assert "everything moves again" in config.with_suffix(".log").read_text()


def two_cameras(folder: Path, model: Path, more: str = "") -> Path:
    for name in ("one", "two", "three"):
        (folder / name).mkdir(exist_ok=True)
    return write_config(folder, model, extra=f'[[camera]]\nname = "one"\nfolder = "{folder}/one"\n{more}')


def test_sighup_under_load_changes_cameras_and_model_and_every_frame_is_labelled_once(
    one_manager: Manager, tiny: Path, tmp_path: Path
) -> None:
    other = write_tiny_bundle(tmp_path / "other", name="other", seed=3).folder
    config = two_cameras(tmp_path, tiny)
    url = f"sqlite:///{tmp_path}/labels.db"
    frames = 90
    over = threading.Event()

    def expose() -> None:
        """Write frames of three cameras all the while, one of them not configured yet."""
        for number in range(frames):
            folder = tmp_path / ("in", "one", "two")[number % 3]
            write_png(tmp_path, number).rename(folder / f"{number:03}.png")
            if over.wait(0.02):
                return

    camera = threading.Thread(target=expose)
    with supervised(config, one_manager) as process:
        wait_until(lambda: one_manager.number("READY") == 1, "it is ready")
        camera.start()
        try:
            two = f'[[camera]]\nname = "two"\nfolder = "{tmp_path}/two"\n'
            two_cameras(tmp_path, other, two)
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: one_manager.number("READY") == 2, "the new configuration is in force")
            config.write_text(config.read_text() + "[wach]\n")
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: one_manager.number("READY") == 3, "the broken one is refused")
            two_cameras(tmp_path, tiny, two)
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: one_manager.number("READY") == 4, "the first model is back")
            camera.join()
            wait_until(lambda: settled(url, frames), "every frame is labelled")
        finally:
            over.set()
            camera.join()
        end(process)
    assert one_manager.number("RELOADING") == 3
    assert all(int(m["MONOTONIC_USEC"]) > 0 for m in one_manager.heard if "RELOADING" in m)
    assert {row[0] for row in labels(url).values()} == {"test", "one", "two"}
    with closing(sqlite3.connect(tmp_path / "labels.db")) as database:
        counted = "SELECT count(*), count(DISTINCT file_id), count(DISTINCT run_id) FROM labels"
        rows = database.execute(counted).fetchone()
        runs = database.execute("SELECT count(*), count(DISTINCT settings_digest), count(ended) FROM runs").fetchone()
        used = {name for (name,) in database.execute("SELECT name FROM models")}
    assert rows[:2] == (frames, frames), "every frame has one label, of one model"
    assert rows[2] > 1
    assert runs == (3, 3, 3), "each configuration that was in force is a run of its own, and all are ended"
    assert used == {"tiny", "other"}
    log = config.with_suffix(".log").read_text()
    assert "the new configuration is refused, and the old one stays in force" in log
    assert "wach: unknown setting" in log


def test_a_configuration_that_cannot_be_taken_over_is_refused_and_the_old_one_goes_on(
    one_manager: Manager, tiny: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, tiny)
    good = config.read_text()
    wrong = {
        "a change of [database] takes a restart": good.replace("labels.db", "other.db"),
        "is no model bundle": good.replace('model]\npath = "', 'model]\npath = "/nowhere'),
        "is not valid TOML": "[[camera]\n",
        "'../x'": good.replace("[[camera]]", "[[camera]]\npatterns = ['../x']", 1),
        "needs its folder": f'{good}[[camera]]\nname = "b"\n',
    }
    with supervised(config, one_manager) as process:
        wait_until(lambda: one_manager.number("READY") == 1, "it is ready")
        for number, text in enumerate(wrong.values(), 2):
            config.write_text(text)
            process.send_signal(signal.SIGHUP)
            wait_until(lambda number=number: one_manager.number("READY") == number, "it is ready again")  # type: ignore[misc]
        write_png(tmp_path / "in", 1)
        wait_until(lambda: settled(f"sqlite:///{tmp_path}/labels.db", 1), "the old configuration goes on")
        end(process)
    refusals = [line for line in config.with_suffix(".log").read_text().splitlines() if "is refused" in line]
    assert len(refusals) == len(wrong)
    for says, refusal in zip(wrong, refusals, strict=True):
        assert says in refusal


def test_a_terminal_that_closes_ends_its_daemon(tiny: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny)
    master, slave = os.openpty()
    with config.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen((*AURORAMON, "run", "-c", str(config)), stdin=slave, stderr=log)
    try:
        wait_until(lambda: b"watching test" in config.with_suffix(".log").read_bytes(), "it watches")
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


def test_nothing_is_said_where_nobody_listens(tmp_path: Path) -> None:
    for environ in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}):
        notifier = Notifier(environ)
        assert not notifier.listening
        notifier.say("READY=1")
        with Lifeline(notifier):
            assert "lifeline" not in {thread.name for thread in threading.enumerate()}


def test_a_manager_that_is_gone_is_told_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": f"{tmp_path}/gone"})
    notifier.say("READY=1")
    notifier.say("WATCHDOG=1")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"), [("3000000", "", 3.0), ("3000000", "1", None), ("", "", None), ("0", "", None)]
)
def test_the_watchdog_of_another_process_is_not_ours(usec: str, pid: str, seconds: float | None) -> None:
    environ = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}
    assert Notifier(environ).watchdog_s == seconds
