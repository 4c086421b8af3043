"""The machine: limits of the kernel, the clock, the user, the versions."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from auroramon.config import Settings
from auroramon.doctor.lines import Line, Machine
from auroramon.sources.arrivals import enters
from auroramon.sources.entry import is_folder
from auroramon.sources.mounts import needs_polling

COUNTING_S = 10.0  # a folder tree is counted for so long
TIME_ERROR = 5  # of adjtimex(2): the clock is not synchronised


def check_inotify(settings: Settings, machine: Machine) -> Iterator[Line]:
    """Compare what the watches of the folders need with what the kernel allows a user."""
    folders = [camera.folder for camera in settings.camera if camera.folder is not None]
    watched = [folder for folder in folders if _by_inotify(folder, settings, machine)]
    if not watched:
        yield Line("ok", "inotify", "no folder is watched by inotify")
        return
    needs = sum(map(count_folders, watched))
    for name, needed in (("max_user_watches", needs), ("max_user_instances", len(watched))):
        limit = machine.number(f"fs/inotify/{name}")
        if limit is None:
            yield Line("warning", "inotify", f"the kernel does not say its limit fs.inotify.{name}", "is this Linux?")
            continue
        said = f"the folders need {needed} of the {limit} that fs.inotify.{name} allows"
        remedy = (
            f"echo fs.inotify.{name}={max(2 * needed, 4 * limit)} | sudo tee -a /etc/sysctl.d/60-auroramon.conf; "
            "sudo sysctl --system"
        )
        if needed > limit:
            yield Line("failure", "inotify", f"{said}: folders will be polled", remedy)
        elif needed * 2 > limit:  # other programs of the user, and the folders of the coming nights, count too
            yield Line("warning", "inotify", said, remedy)
        else:
            yield Line("ok", "inotify", said)


def _by_inotify(folder: Path, settings: Settings, machine: Machine) -> bool:
    if settings.watch.poll == "always" or not machine.answers(folder):
        return False
    return is_folder(folder) and (settings.watch.poll == "never" or not needs_polling(machine.filesystem(str(folder))))


def count_folders(root: Path, within_s: float = COUNTING_S) -> int:
    """Count a folder and those below that a watch enters; a lower bound where the time does not suffice."""
    end = time.monotonic() + within_s
    number = 0
    for _, names, _ in os.walk(root):
        number += 1
        names[:] = [name for name in names if enters(name)]
        if time.monotonic() > end:
            break
    return number


def check_clock(machine: Machine) -> Line:
    """Say whether the clock can be trusted, also after a power cut."""
    synchronised = (machine.synchronised or ask_kernel)()
    clocks = sorted((machine.root / "sys/class/rtc").glob("rtc*"))
    if synchronised is None:
        return Line("warning", "clock", "the kernel does not say whether it is synchronised", "look at: timedatectl")
    if synchronised:
        said = "is synchronised" + ("" if clocks else ", and there is no clock with a battery (RTC)")
        remedy = "" if clocks else (
            "after a power cut times are wrong until the network is back: add an RTC, or let cameras name their times"
        )  # fmt: skip
        return Line("ok" if clocks else "warning", "clock", said, remedy)
    remedy = "sudo timedatectl set-ntp true, or install chrony; where there is no network, a GPS receiver for chrony"
    if clocks:
        return Line("warning", "clock", "is not synchronised: times drift by seconds a week", remedy)
    return Line("failure", "clock", "is neither synchronised nor kept by a clock with a battery (RTC)", remedy)


def ask_kernel() -> bool | None:
    """Say whether the clock is synchronised, by adjtimex(2), whoever does it; None where the call is missing."""
    adjtimex: Callable[[object], int] | None = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None:
        return None
    answer = ctypes.create_string_buffer(512)  # a struct timex of zeros asks and changes nothing
    state = adjtimex(answer)
    return None if state < 0 else state != TIME_ERROR


def check_user(machine: Machine) -> Line:
    """Say as whom this was looked at: root may read everything, the service may not."""
    if machine.user != 0:
        return Line("ok", "user", "permissions are examined as this user sees them")
    return Line(
        "warning", "user", "root may read everything, so folders and files are not examined as the service sees them",
        "sudo -u auroramon /opt/auroramon/bin/auroramon doctor",
    )  # fmt: skip


def check_versions(needed: Sequence[str] | None = None, python: str = platform.python_version()) -> Line:
    """Compare the libraries that are installed with those that this version was made for."""
    wrong, told = [], [f"Python {python}"]
    for line in requires("auroramon") or () if needed is None else needed:
        found = re.match(r"([A-Za-z0-9_.-]+)[^>;]*(?:>=([\d.]+))?", line)
        if found is None or "extra ==" in line:
            continue
        name, least = found[1], found[2] or "0"
        try:
            have = version(name)
        except PackageNotFoundError:
            wrong.append(f"{name} is not installed")
            continue
        if _numbers(have) < _numbers(least):
            wrong.append(f"{name} is {have}, and {least} is needed")
        told.append(f"{name} {have}")
    if wrong:
        return Line("failure", "versions", "; ".join(wrong), "/opt/auroramon/bin/pip install --upgrade auroramon")
    return Line("ok", "versions", ", ".join(told))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
