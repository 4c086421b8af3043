"""All that is examined, in the order in which a person would mend it."""

from __future__ import annotations

from collections.abc import Iterator

from auroramon.config import Settings
from auroramon.doctor.copies import check_copies
from auroramon.doctor.lines import Line, Machine
from auroramon.doctor.machine import check_clock, check_inotify, check_user, check_versions
from auroramon.doctor.records import check_database
from auroramon.doctor.room import check_disks
from auroramon.doctor.station import check_configuration, check_daemon, check_folder
from auroramon.doctor.unit import check_unit
from auroramon.doctor.writing import check_writing


def examine(settings: Settings | str, machine: Machine) -> Iterator[Line]:
    """Examine a station; nothing is changed.

    Args:
        settings: the configuration, or the sentence that says why there is none: the machine is examined then.
        machine: where to look.
    """
    yield check_user(machine)
    yield check_versions()
    yield check_clock(machine)
    if isinstance(settings, str):
        yield Line("failure", "configuration", settings, "auroramon init FOLDER writes one; auroramon config check")
    else:
        yield Line("ok", "configuration", f"names {len(settings.camera)} of [[camera]]")
        for about, lines in _of_the_station(settings, machine):
            yield from _to_the_end(about, lines)
    yield from check_unit(machine, None if isinstance(settings, str) else settings)


def _of_the_station(settings: Settings, machine: Machine) -> Iterator[tuple[str, Iterator[Line]]]:
    yield "configuration", check_configuration(settings, machine)
    for camera in settings.camera:
        yield f"camera {camera.name}", check_folder(camera, settings, machine)
    yield "inotify", check_inotify(settings, machine)
    yield "database", check_writing(settings, machine)
    yield "backup", check_copies(settings, machine)
    yield "disk", check_disks(settings, machine)
    yield "database", check_database(settings.database_url, machine)
    yield "port", check_daemon(settings)


def _to_the_end(about: str, lines: Iterator[Line]) -> Iterator[Line]:
    """Give the lines; what a folder or disk refuses meanwhile is a line too, and never the end of the examination."""
    try:
        yield from lines
    except OSError as error:
        said = f"{error.filename} cannot be looked at: {error.strerror}" if error.filename else str(error)
        yield Line("failure", about, said, "look at it as this user: namei -l, ls -l, dmesg")
