"""The station: its folders, what answers at its address, what the model runs on."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from auroramon import checkup
from auroramon.assemble import bundle_of
from auroramon.config import CameraSettings, Settings
from auroramon.doctor.lines import Level, Line, Machine
from auroramon.errors import AuroramonError
from auroramon.sources.arrivals import enters
from auroramon.sources.entry import is_folder
from auroramon.sources.mounts import needs_polling

PATIENCE_S = 3.0
SAMPLE = 20  # files of a folder that are looked at
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
    if not is_folder(folder):
        return  # the configuration's lines say so
    yield _watched_how(about, folder, settings, machine)
    unreadable = [path for path, how in _newest(folder) if not machine.may(path, how)]
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


def _newest(folder: Path) -> list[tuple[str, int]]:
    """Give the newest folders and a few of their files, with what they must allow (os.access).

    Of each level the last name is taken, which for nights is the newest.
    """
    folders: list[tuple[str, int]] = []
    found: list[tuple[str, int]] = []
    for path, below, names in os.walk(folder):
        below[:] = sorted(filter(enters, below))[-1:]
        folders += [(f"{path}/{name}", os.R_OK | os.X_OK) for name in below]
        found += [(f"{path}/{name}", os.R_OK) for name in sorted(names)[-SAMPLE:]]
    return folders + found[-SAMPLE:]


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
            return Line("failure", "port", f"{listen} cannot be used: {error.strerror}", _other_address(error, port))
    remedy = f"sudo systemctl start auroramon; {START}"
    return Line("warning", "port", f"no daemon answers at {listen}, which is free", remedy)


def _other_address(error: OSError, port: str) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "give server.listen an address of this machine: ip -brief address lists them"
    if error.errno == errno.EACCES:
        return "give server.listen a port above 1023: those below are root's"
    hangs = "if it is auroramon, it hangs: sudo systemctl restart auroramon"
    return f"sudo ss -ltnp 'sport = :{port}' says who has it; {hangs}; else give server.listen another port"


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
