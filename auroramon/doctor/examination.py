"""All that is examined, in the order in which a person would mend it."""

from __future__ import annotations

from collections.abc import Iterator

from auroramon.config import Settings
from auroramon.doctor.lines import Line, Machine
from auroramon.doctor.machine import check_clock, check_inotify, check_unit, check_user, check_versions
from auroramon.doctor.records import check_database
from auroramon.doctor.station import check_configuration, check_daemon, check_disks, check_folder, check_writing


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
        yield from check_configuration(settings, machine)
        for camera in settings.camera:
            yield from check_folder(camera, settings, machine)
        yield from check_inotify(settings, machine)
        yield from check_writing(settings, machine)
        yield from check_disks(settings, machine)
        yield from check_database(settings.database_url, machine)
        yield from check_daemon(settings)
    yield from check_unit(machine, None if isinstance(settings, str) else settings)
