"""Where the units may write, as systemd tells it, against where the configuration has them write."""

from __future__ import annotations

from pathlib import Path

import pytest

from auroramon.config import Settings
from auroramon.doctor.lines import Line, Machine
from auroramon.doctor.unit import Unit, check_unit
from auroramon.doctor.writing import check_writing

TOLD = {
    "LoadState": "loaded", "ProtectSystem": "strict", "ProtectHome": "read-only", "StateDirectory": "auroramon",
    "ReadOnlyPaths": "-/data -/home -/media -/mnt -/srv", "ReadWritePaths": "", "CacheDirectory": "auroramon",
}  # fmt: skip


def installed(root: Path, **change: str) -> Machine:
    """Give a machine whose systemctl is a script that tells this of every unit; the real one is in test_systemd.py."""
    (root / "run/systemd/system").mkdir(parents=True, exist_ok=True)
    script = root / "systemctl"
    script.write_text("#!/bin/sh\n" + "".join(f"echo '{key}={value}'\n" for key, value in (TOLD | change).items()))
    script.chmod(0o755)
    return Machine(root=root, systemctl=str(script), may=lambda path, how: True)


@pytest.mark.parametrize(
    ("place", "change", "writes"),
    [
        ("/var/lib/auroramon", {}, True),
        ("/var/cache/auroramon/engines", {}, True),
        ("/var/lib/other", {}, False),
        ("/srv/usb", {}, False),
        ("/srv/usb", {"ReadWritePaths": "/srv/usb /mnt/copies"}, True),
        ("/srv/usb/deep", {"ReadWritePaths": "-/srv/usb"}, True),
        ("/srv/usbstick", {"ReadWritePaths": "/srv/usb"}, False),
        ("/srv", {"ReadWritePaths": "/srv"}, False),  # of two lines about one path the stricter counts
        ("/opt/x", {"ProtectSystem": "full"}, True),
        ("/usr/x", {"ProtectSystem": "full"}, False),
        ("/home/me", {"ProtectSystem": "no", "ReadOnlyPaths": "", "ProtectHome": "yes"}, False),
        ("/home/me", {"ProtectSystem": "no", "ReadOnlyPaths": "", "ProtectHome": "no"}, True),
    ],
)
def test_where_a_unit_may_write(place: str, change: dict[str, str], writes: bool) -> None:
    assert Unit("auroramon.service", TOLD | change).writes(Path(place)) is writes


def failures(settings: Settings, machine: Machine) -> list[Line]:
    return [line for line in check_writing(settings, machine) if line.level == "failure"]


def test_a_database_or_copies_where_the_units_see_a_read_only_disk(tmp_path: Path) -> None:
    settings = Settings(database={"url": "sqlite:////srv/usb/a.sqlite", "backup_folder": "/mnt/copies"})  # type: ignore[arg-type]
    found = {line.about: line for line in failures(settings, installed(tmp_path))}
    assert set(found) == {"database", "backup"}
    assert found["database"].sentence == (
        "/srv/usb is read-only for auroramon.service, auroramon-backfill@.service, auroramon-backup.service, "
        "whoever owns it"
    )
    assert "ReadWritePaths=/mnt/copies to /etc/systemd/system/auroramon-backup.service.d/" in found["backup"].remedy
    assert failures(settings, installed(tmp_path, ReadWritePaths="/srv/usb /mnt/copies")) == []
    usual = Settings(database={"url": "sqlite:////var/lib/auroramon/a.sqlite"})  # type: ignore[arg-type]
    assert failures(usual, installed(tmp_path)) == []
    assert failures(settings, installed(tmp_path, LoadState="not-found")) == []


def test_the_cache_of_the_service_is_looked_at(tmp_path: Path) -> None:
    settings = Settings(database={"url": "sqlite:////var/lib/auroramon/a.sqlite"})  # type: ignore[arg-type]
    said = [line.sentence for line in check_writing(settings, installed(tmp_path))]
    assert "/var/cache/auroramon can be written" in said
    own = settings.model_copy(update={"paths": settings.paths.model_copy(update={"cache": Path("/srv/cache")})})
    (line,) = failures(own, installed(tmp_path))
    assert (line.about, "/srv/cache is read-only" in line.sentence) == ("cache", True)


def test_a_database_that_a_drop_in_hands_to_the_service(tmp_path: Path) -> None:
    settings = Settings(database={"url": "sqlite:////srv/usb/a.sqlite"})  # type: ignore[arg-type]
    server = installed(
        tmp_path, Environment="PGSERVICEFILE=/x AURORAMON_DATABASE__URL=postgresql:///?service=auroramon"
    )
    assert failures(settings, server) == []
    assert any("another database" in line.sentence for line in check_unit(server, settings) if line.level == "warning")
