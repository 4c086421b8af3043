"""The units: by systemd's own tools, and booted by a real systemd in namespaces of its own."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import ROOT, missing
from tests.daemon import settled, wait_until
from tests.machine import Machine, booted
from tests.skies import write_png
from tests.store.postgres import find_program, running_server
from tests.test_notify import lease

UNITS = ROOT / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
DROP_INS = sorted(path.name for path in (UNITS / "drop-ins").glob("*.conf"))
MOST_EXPOSED = {"auroramon.service": 1.5, "auroramon-backfill@.service": 1.5, "auroramon-backup.service": 1.5}


def tool(name: str) -> str:
    return shutil.which(name) or str(missing(f"{name} is not installed (Debian: systemd)"))


def install(root: Path, drop_ins: bool = False) -> Path:
    """Lay the units into a file tree as docs/install.md does."""
    units = root / "etc/systemd/system"
    units.mkdir(parents=True, exist_ok=True)
    for unit in (*UNITS.glob("*.service"), *UNITS.glob("*.timer")):
        shutil.copy(unit, units)
    for service in SERVICES if drop_ins else ():
        shutil.copytree(UNITS / "drop-ins", units / f"{service}.d")
    return units


def documented(section: str) -> list[list[str]]:
    """Give the blocks of commands in a section of docs/install.md, as root types them."""
    text = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [re.findall(r"sudo (.*)", block) for block in re.findall(r"(?:^    sudo .*\n)+", text, re.MULTILINE)]


def verify(root: Path) -> subprocess.CompletedProcess[str]:
    """Let systemd judge the units of a tree with a program in it and the distribution's own units."""
    for program in ("opt/auroramon/bin/auroramon", "bin/kill"):
        (root / program).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/true", root / program)
    shutil.copytree("/usr/lib/systemd/system", root / "usr/lib/systemd/system", symlinks=True)
    units = [*SERVICES, "auroramon-backup.timer"]
    units[units.index("auroramon-backfill@.service")] = "auroramon-backfill@data-2019.service"
    command = [tool("systemd-analyze"), "verify", "--man=no", f"--root={root}", *units]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("drop_ins", [False, True], ids=["base", "with every drop-in"])
def test_systemd_finds_nothing_to_say_about_the_units(tmp_path: Path, drop_ins: bool) -> None:
    install(tmp_path, drop_ins)
    judged = verify(tmp_path)
    assert (judged.returncode, judged.stderr) == (0, "")


def test_systemd_would_have_found_a_misspelt_line(tmp_path: Path) -> None:
    unit = install(tmp_path) / "auroramon.service"
    unit.write_text(unit.read_text().replace("ProtectClock", "ProtectClocks"))
    assert "ProtectClocks" in verify(tmp_path).stderr


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_exposed_to_little(tmp_path: Path, service: str) -> None:
    shutil.copy(UNITS / service, tmp_path)
    name = service.replace("@.", "@x.")
    if name != service:
        (tmp_path / service).rename(tmp_path / name)
    command = [tool("systemd-analyze"), "security", "--offline=true", "--no-pager", str(tmp_path / name)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (level,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert float(level) <= MOST_EXPOSED[service], said


def test_the_services_are_hardened_alike() -> None:
    blocks = [re.findall(r"# hardening: begin.*# hardening: end\n", (UNITS / s).read_text(), re.S) for s in SERVICES]
    assert all(len(block) == 1 and block == blocks[0] for block in blocks)


def test_the_user_is_made_by_sysusers(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    command = [tool("systemd-sysusers"), f"--root={tmp_path}", str(UNITS / "auroramon.sysusers.conf")]
    subprocess.run(command, check=True, capture_output=True)
    (line,) = (line for line in (tmp_path / "etc/passwd").read_text().splitlines() if line.startswith("auroramon:"))
    assert line.split(":")[5:] == ["/var/lib/auroramon", "/usr/sbin/nologin"]
    assert "\nauroramon:" in "\n" + (tmp_path / "etc/group").read_text()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which auroramon is installed and configured, and not yet started."""
    place = tmp_path_factory.mktemp("machine")
    with booted(place) as one:
        for command in documented("User and units")[0]:
            one.call("sh", "-ec", f"cd /opt/auroramon/source; {command}")
        # So that a hang is noticed soon, and a busy machine is not taken for one.
        hasty = one.root / "etc/systemd/system/auroramon.service.d"
        hasty.mkdir()
        (hasty / "test.conf").write_text(
            "[Service]\nWatchdogSec=12\nRestartSec=1\nStandardError=append:/var/log/auroramon.log\n"
        )
        patient = one.root / "etc/systemd/system/auroramon-backfill@.service.d"
        patient.mkdir()
        (patient / "test.conf").write_text(
            "[Service]\nStandardOutput=append:/var/log/backfill.log\nStandardError=append:/var/log/backfill.log\n"
        )
        config = one.root / "etc/auroramon"
        config.mkdir()
        (config / "auroramon.toml").write_text(
            '[[camera]]\nname = "sky"\nfolder = "/srv/allsky"\n[server]\nlisten = "127.0.0.1:9751"\n'
            '[database]\nurl = "sqlite:////var/lib/auroramon/auroramon.sqlite"\n'
        )
        one.call("systemctl", "daemon-reload")
        one.call(*documented("First configuration")[1][0].split())
        yield one
        one.call("systemctl", "stop", "auroramon", check=False)


def count(machine: Machine, what: str = "labels") -> int:
    file = machine.var / "lib/auroramon/auroramon.sqlite"
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as database:
            return int(database.execute(f"SELECT count(*) FROM {what}").fetchone()[0])  # noqa: S608 - a table of ours
    except sqlite3.OperationalError:
        return -1


def status(machine: Machine, name: str) -> dict[str, str]:
    """Give /proc/PID/status of the daemon."""
    pid = machine.show("auroramon", "MainPID")
    text = machine.call("cat", f"/proc/{pid}/{name}")
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def doctor(machine: Machine, may_be_wrong: set[str], *who: str) -> set[str]:
    """Give what the doctor says; only these may be other than well (`sky` has no position)."""
    said = json.loads(machine.call(*who, "/opt/auroramon/bin/auroramon", "doctor", "--json", check=False))
    wrong = [line for line in said if line["level"] != "ok"]
    assert {line["about"] for line in wrong} <= may_be_wrong, wrong
    return {line["sentence"] for line in said}


def test_the_doctor_has_nothing_against_a_fresh_installation(machine: Machine) -> None:
    """As the service's user, whom systemctl does not answer here: that takes D-Bus, which this machine lacks."""
    as_user = ("setpriv", "--reuid=auroramon", "--regid=auroramon", "--clear-groups", "env", "HOME=/var/lib/auroramon")
    sentences = doctor(machine, {"clock", "camera sky", "port", "unit"}, *as_user)
    assert {"/var/lib/auroramon can be written", "no daemon answers at 127.0.0.1:9751, which is free"} <= sentences


@pytest.mark.timeout(300)
def test_the_unit_runs_hardened_labels_reloads_hangs_and_comes_back(machine: Machine, tmp_path: Path) -> None:
    machine.call("systemctl", "start", "auroramon")  # returns when the daemon says that it is ready
    assert machine.show("auroramon", "ActiveState") == "active"
    assert machine.show("auroramon", "NotifyAccess") == "main"

    # The shipped model works behind every restriction, the protection of memory included.
    held = {key: value.strip() for key, value in status(machine, "status").items()}
    assert (held["CapEff"], held["CapBnd"], held["NoNewPrivs"], held["Seccomp"]) == ("0" * 16, "0" * 16, "1", "2")
    write_png(tmp_path, 1).rename(tmp_path / "1.png")
    shutil.copy(tmp_path / "1.png", machine.root / "srv/allsky/1.png")
    wait_until(lambda: count(machine) == 1, "the first frame is labelled")
    wait_until(lambda: "1 frames labelled; last" in machine.show("auroramon", "StatusText"), "systemctl status says so")
    state = machine.var / "lib/auroramon"
    assert (state.stat().st_mode & 0o777, (state / "auroramon.sqlite").stat().st_mode & 0o777) == (0o750, 0o640)
    assert state.stat().st_uid == (state / "auroramon.sqlite").stat().st_uid != 0

    # Somebody of its group may look, and not write.
    group = (machine.root / "etc/group").read_text().partition("\nauroramon:")[2].split(":")[1]
    guest = ("setpriv", "--reuid=65534", "--regid=65534", f"--groups={group}", "/opt/auroramon/bin/auroramon")
    assert "1 seen = 1 labelled" in machine.call(*guest, "status")

    # The doctor finds the unit as it was shipped, and the daemon behind its port.
    sentences = doctor(machine, {"clock", "camera sky", "user"})
    assert {"is enabled and active", "is hardened, watched over and started again"} <= sentences
    assert "127.0.0.1:9751 is our daemon's" in sentences

    # A reload that is refused leaves it as it was.
    config = machine.root / "etc/auroramon/auroramon.toml"
    good = config.read_text()
    log = machine.var / "log/auroramon.log"
    config.write_text(good + "[serve]\n")
    machine.call("systemctl", "reload", "auroramon")
    wait_until(lambda: "is refused" in log.read_text(), "the wrong configuration is refused")
    config.write_text(good)
    machine.call("systemctl", "reload", "auroramon")
    wait_until(lambda: log.read_text().count("watching sky") == 2, "the right one is in force")
    wait_until(lambda: machine.show("auroramon", "SubState") == "running", "it runs on")

    # A file that never opens: systemd ends the daemon, which says where it hung, and starts it again.
    before = machine.show("auroramon", "MainPID")
    with lease(_copied(tmp_path / "1.png", machine.root / "srv/hung"), machine.root / "srv/allsky/hung.png"):
        wait_until(lambda: machine.show("auroramon", "MainPID") not in {before, "0"}, "it was started again", 90)
        assert machine.show("auroramon", "NRestarts") == "1"
    assert "Fatal Python error: Aborted" in log.read_text()
    assert "the loop has not turned" in log.read_text()
    assert "read_frames" in log.read_text()
    write_png(tmp_path, 2)
    shutil.copy(next(tmp_path.glob("2025*.png")), machine.root / "srv/allsky/2.png")
    wait_until(lambda: count(machine) == 2, "the next frame is labelled", 120)

    machine.call("systemctl", "stop", "auroramon")
    assert machine.show("auroramon", "Result") == "success"
    assert machine.show("auroramon", "ExecMainStatus") == "0"


def _copied(source: Path, target: Path) -> Path:
    shutil.copy(source, target)
    return target


@pytest.mark.timeout(120)
def test_an_archive_is_labelled_by_its_escaped_path_with_what_nobody_else_wants(machine: Machine) -> None:
    folder = machine.root / "srv/archive/night 1"
    folder.mkdir()
    for seed in range(20, 23):
        write_png(folder, seed)
    (instance,) = machine.call("systemd-escape", "--path", "/srv/archive/night 1").split()
    before = max(0, count(machine))
    machine.call("systemctl", "start", f"auroramon-backfill@{instance}")
    assert machine.show(f"auroramon-backfill@{instance}", "Nice") == "19"
    wait_until(lambda: machine.show(f"auroramon-backfill@{instance}", "ActiveState") == "inactive", "it has ended", 60)
    assert machine.show(f"auroramon-backfill@{instance}", "Result") == "success", log_of(machine)
    assert count(machine) == before + 3


def log_of(machine: Machine) -> str:
    return (machine.var / "log/backfill.log").read_text()


@pytest.mark.timeout(120)
def test_a_copy_of_the_database_is_made_by_its_unit(machine: Machine) -> None:
    if count(machine) < 0:
        machine.call("systemctl", "start", "auroramon")
        machine.call("systemctl", "stop", "auroramon")
    machine.call("systemctl", "start", "auroramon-backup")  # returns when the copy is made and verified
    assert machine.show("auroramon-backup", "Result") == "success"
    copies = list((machine.var / "lib/auroramon/backups").iterdir())
    assert [copy.stat().st_mode & 0o777 for copy in copies] == [0o640]


@pytest.mark.timeout(180)
def test_a_database_and_copies_on_another_disk(machine: Machine) -> None:
    """The doctor says that the units cannot write there, and what it says to do helps."""
    folder, config = "/srv/usb/auroramon", machine.root / "etc/auroramon/auroramon.toml"
    usual = config.read_text()
    machine.call("install", "-d", "-o", "auroramon", "-g", "auroramon", "-m", "750", folder)
    drop_ins = [machine.root / f"etc/systemd/system/{service}.d/other-disk.conf" for service in SERVICES]
    config.write_text(usual.replace("/var/lib/auroramon/", f"{folder}/"))
    try:
        said = json.loads(machine.call("/opt/auroramon/bin/auroramon", "doctor", "--json", check=False))
        failures = {line["about"]: line for line in said if line["level"] == "failure"}
        assert "is read-only for auroramon.service" in failures["database"]["sentence"]
        assert f"{folder}/backups is read-only for auroramon-backup.service" in failures["backup"]["sentence"]
        for drop_in in drop_ins:
            drop_in.parent.mkdir(exist_ok=True)
            shutil.copy(UNITS / "drop-ins/other-disk.conf", drop_in)
        machine.call("systemctl", "daemon-reload")
        said = json.loads(machine.call("/opt/auroramon/bin/auroramon", "doctor", "--json", check=False))
        assert not {"database", "backup"} & {line["about"] for line in said if line["level"] == "failure"}, said
        machine.call("systemctl", "restart", "auroramon")
        machine.call("systemctl", "start", "auroramon-backup")
        assert machine.call("ls", f"{folder}/backups").startswith("auroramon-")
    finally:
        machine.call("systemctl", "stop", "auroramon", check=False)
        config.write_text(usual)
        for drop_in in drop_ins:
            drop_in.unlink(missing_ok=True)
        machine.call("systemctl", "daemon-reload")


@pytest.mark.timeout(180)
def test_the_postgresql_drop_in_hands_over_the_password_as_a_credential(machine: Machine, tmp_path: Path) -> None:
    if find_program("pg_ctl") is None:
        missing("PostgreSQL is not installed (Debian: postgresql)")
    write_png(tmp_path, 30)
    shutil.copy(next(tmp_path.glob("*.png")), machine.root / "srv/allsky/30.png")
    drop_in = machine.root / "etc/systemd/system/auroramon.service.d/postgresql.conf"
    secret = machine.root / "etc/auroramon/pg_service.conf"
    with running_server() as url:
        server = urlsplit(url)
        secret.write_text(
            f"[auroramon]\nhost={server.hostname}\nport={server.port}\nuser={server.username}\n"
            "dbname=postgres\npassword=not asked for here\n"
        )
        secret.chmod(0o600)
        shutil.copy(UNITS / "drop-ins/postgresql.conf", drop_in)
        machine.call("systemctl", "daemon-reload")
        try:
            machine.call("systemctl", "restart", "auroramon")
            wait_until(lambda: settled(f"{url}/postgres", 1), "the frame is labelled in PostgreSQL")
        finally:
            machine.call("systemctl", "stop", "auroramon", check=False)
            drop_in.unlink()
            machine.call("systemctl", "daemon-reload")
