"""The station: its folders and disks, what answers at its address, what the model runs on."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from auroramon import checkup
from auroramon.assemble import bundle_of
from auroramon.config import CameraSettings, Settings
from auroramon.doctor.lines import Level, Line, Machine
from auroramon.doctor.records import database_file, frames_between
from auroramon.errors import AuroramonError
from auroramon.sources.mounts import needs_polling
from auroramon.store.database import connect
from auroramon.store.migrate import VERSION_TABLE

PATIENCE_S = 3.0
WEEK_S = 7 * 86400.0
SAMPLE = 20  # files of a folder that are looked at
SHORT_DAYS, FEW_DAYS = 7.0, 60.0
NO_SPACE, LITTLE_SPACE = 200e6, 2e9  # bytes
LEVELS: dict[str, Level] = {"ok": "ok", "note": "warning", "error": "failure"}
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}  # noqa: S104 - where a daemon may listen
START = "the service says why when it starts: journalctl -u auroramon -n 50"


def check_configuration(settings: Settings, machine: Machine) -> Iterator[Line]:
    """Repeat what `config check` finds wrong with settings, masks and model; folders have lines of their own."""
    answering = tuple(c for c in settings.camera if c.folder is None or machine.answers(c.folder))
    rest = settings.model_copy(update={"camera": answering})
    remedy = "change it in the configuration, then: auroramon config check"
    for finding in checkup.check(rest):
        if finding.about == "database":
            continue
        level = LEVELS[finding.level]
        yield Line(level, finding.about, finding.sentence, "" if level == "ok" else finding.remedy or remedy)


def check_folder(camera: CameraSettings, settings: Settings, machine: Machine) -> Iterator[Line]:
    """Look at a camera's folder: whether it answers, how it is watched, and whether its files may be read."""
    about, folder = f"camera {camera.name}", camera.folder
    if folder is None:
        return
    if not machine.answers(folder):
        remedy = "look after the mount (its server, the network); the other cameras go on meanwhile"
        yield Line("failure", about, f"{folder} does not answer", remedy)
        return
    if not folder.is_dir():
        return  # the configuration's lines say so
    yield _watched_how(about, folder, settings, machine)
    unreadable = [path for path in _some_files(folder) if not machine.may(path, os.R_OK)]
    if unreadable:
        remedy = f"sudo setfacl -R -m u:auroramon:rX -m d:u:auroramon:rX {folder}"
        yield Line("failure", about, f"{unreadable[0]} may not be read by this user", remedy)


def _watched_how(about: str, folder: Path, settings: Settings, machine: Machine) -> Line:
    kind = machine.filesystem(str(folder)) or "unknown file system"
    polled = settings.watch.poll == "always" or (settings.watch.poll == "auto" and needs_polling(kind))
    if polled:
        return Line("ok", about, f"{folder} ({kind}) is listed every {settings.watch.poll_s:g} s")
    if needs_polling(kind):
        said = f'{folder} is on {kind}, where the kernel tells nothing of new files, and watch.poll is "never"'
        return Line("failure", about, said, 'watch.poll = "auto"')
    return Line("ok", about, f"{folder} ({kind}) is watched by inotify")


def _some_files(folder: Path) -> list[str]:
    """Give a few of the newest folders' files: of each level the last name, which for nights is the newest."""
    found: list[str] = []
    for path, below, names in os.walk(folder):
        below.sort()
        del below[:-1]
        found += [f"{path}/{name}" for name in sorted(names)[-SAMPLE:]]
    return found[-SAMPLE:]


def check_writing(settings: Settings, machine: Machine) -> Iterator[Line]:
    """Say whether database and cache can be written."""
    file = database_file(settings.database_url)
    places = {"database": None if file is None else file.parent, "cache": settings.cache_folder}
    for about, folder in places.items():
        if folder is None:
            continue
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if machine.may(there, os.W_OK | os.X_OK):
            yield Line("ok", about, f"{folder} can be written")
        else:
            remedy = f"sudo install -d -o auroramon -g auroramon -m 750 {folder}"
            yield Line("failure", about, f"{folder} cannot be written by this user", remedy)
    if file is not None and file.exists() and not machine.may(file, os.W_OK):
        remedy = f"sudo chown auroramon: {file}*"
        yield Line("failure", "database", f"{file} cannot be written by this user", remedy)


@dataclass(frozen=True, slots=True)
class Growth:
    """How a database grows."""

    bytes_a_frame: float
    frames_a_day: float

    @property
    def bytes_a_day(self) -> float:
        return self.bytes_a_frame * self.frames_a_day


def check_disks(settings: Settings, machine: Machine) -> Iterator[Line]:
    """Say how much room there is, and for how many days."""
    file = database_file(settings.database_url)
    if file is not None:
        there = next(path for path in (file.parent, *file.parents) if path.exists())
        yield judge_disk(machine.free(there), growth(settings.database_url, file, machine), str(there))
    for camera in settings.camera:
        folder = camera.folder
        if folder is not None and machine.answers(folder) and folder.is_dir():
            free = machine.free(folder)
            if free < NO_SPACE:
                said = f"{_size(free)} are free in {folder}: the camera cannot write its frames"
                yield Line("failure", f"camera {camera.name}", said, "move old nights to another disk")


def growth(url: str, file: Path, machine: Machine) -> Growth | None:
    """Measure the growth over the last week; None where there is no database to measure."""
    now = machine.now().timestamp()
    if not file.exists():
        return None
    try:
        database = connect(url, create=False, busy_timeout_s=1.0)
        with closing(database), database.reading() as conn:
            tables = conn.exec_driver_sql("SELECT name FROM sqlite_master").scalars().all()
            if VERSION_TABLE not in tables:
                return None
            every = frames_between(conn, 0, 1e12)
            week = frames_between(conn, now - WEEK_S, now)
    except AuroramonError:
        return None  # the lines of the database say what is wrong with it
    return Growth(file.stat().st_size / max(1, every), week / 7)


def judge_disk(free: int, grows: Growth | None, place: str) -> Line:
    """Say whether the disk of the database lasts."""
    said = f"{_size(free)} are free in {place}"
    days = float("inf")
    if grows is not None and grows.bytes_a_day:
        days = free / grows.bytes_a_day
        said += f": {_days(days)} at the {grows.frames_a_day:.0f} frames a day of the last week"
    remedy = "make room, or move the database to a larger disk; where its space goes: docs/database.md"
    if free < NO_SPACE or days < SHORT_DAYS:
        return Line("failure", "disk", said, remedy)
    if free < LITTLE_SPACE or days < FEW_DAYS:
        return Line("warning", "disk", said, remedy)
    return Line("ok", "disk", said)


def _size(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


def _days(days: float) -> str:
    return f"{days:.0f} days" if days < 730 else f"{days / 365:.0f} years"


def check_daemon(settings: Settings) -> Iterator[Line]:
    """Say what answers at the address of the daemon, and what that runs on."""
    listen = settings.server.listen
    if not listen:
        yield Line("ok", "port", "the configuration has no server, so nothing is asked")
        return
    page = fetch(listen, "/metrics")
    if page is None:
        yield _free(listen)
        return
    about = metric_labels(page, "auroramon_backend_info")
    if about is None:
        remedy = "stop what answers there, or give server.listen another port"
        yield Line("failure", "port", f"what answers at {listen} is no auroramon", remedy)
        return
    yield Line("ok", "port", f"{listen} is our daemon's")
    yield from _judge_daemon(settings, page, about)


def _judge_daemon(settings: Settings, page: str, backend: dict[str, str]) -> Iterator[Line]:
    runs = "the daemon runs on {backend} ({precision}, {device})".format(**backend)
    wanted = settings.model.backend
    if sample(page, "auroramon_backend_fallback"):
        yield Line("failure", "backend", f"{runs}, because the GPU that was asked for cannot be used", START)
    elif wanted not in {"auto", backend["backend"]}:
        remedy = "sudo systemctl reload auroramon"
        yield Line("failure", "backend", f"{runs}, and the configuration wants {wanted}", remedy)
    else:
        yield Line("ok", "backend", runs)
    digest = (metric_labels(page, "auroramon_model_info") or {}).get("digest")
    try:
        configured = bundle_of(settings)
    except AuroramonError:
        return  # the model's own line says what is wrong with it
    if digest != configured.digest:
        said = f"the daemon runs another model than the configured {configured.name}"
        yield Line("warning", "model", said, "sudo systemctl reload auroramon")
    if sample(page, "auroramon_health_problems"):
        yield Line("failure", "daemon", f"says of itself: {_problems(settings.server.listen)}", START)


def _problems(listen: str) -> str:
    try:
        return "; ".join(json.loads(fetch(listen, "/healthz") or "{}").get("problems", ()))
    except ValueError:
        return "nothing that can be read"


def _free(listen: str) -> Line:
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            remedy = f"sudo ss -ltnp 'sport = :{port}' says who has it; or give server.listen another port"
            return Line("failure", "port", f"{listen} cannot be used: {error.strerror}", remedy)
    remedy = f"sudo systemctl start auroramon; {START}"
    return Line("warning", "port", f"no daemon answers at {listen}, which is free", remedy)


def fetch(listen: str, path: str) -> str | None:
    """Give a page of whatever answers at this address; None where nothing does."""
    host, _, port = listen.rpartition(":")
    connection = HTTPConnection(EVERYWHERE.get(host, host.strip("[]")), int(port), timeout=PATIENCE_S)
    try:
        with closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read().decode(errors="replace")
    except OSError:
        return None
    except HTTPException:
        return ""


def metric_labels(page: str, name: str) -> dict[str, str] | None:
    """Give the labels of the first sample of a metric."""
    found = re.search(rf"^{name}\{{(.*)\}} ", page, re.M)
    return dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[1])) if found else None


def sample(page: str, name: str) -> float:
    """Give the value of a metric without labels; 0 where there is none."""
    found = re.search(rf"^{name} (\S+)$", page, re.M)
    return float(found[1]) if found else 0.0


def worst(lines: Sequence[Line]) -> Level:
    """Give the level of the worst line."""
    levels = {line.level for line in lines}
    return "failure" if "failure" in levels else "warning" if "warning" in levels else "ok"
