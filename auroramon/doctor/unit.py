"""The units as systemd has them: whether they are as shipped, and where what they start may write."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from auroramon.config import PREFIX, Settings
from auroramon.doctor.lines import Line, Machine

COMMAND_S = 10.0
SERVICE, BACKUP, TIMER = "auroramon.service", "auroramon-backup.service", "auroramon-backup.timer"
BACKFILL = "auroramon-backfill@doctor.service"  # of a template systemd tells only by an instance
STATE, CACHE = Path("/var/lib"), Path("/var/cache")
SERVICE_DATABASE = STATE / "auroramon/auroramon.sqlite"
HARDENED = {"NoNewPrivileges": "yes", "ProtectSystem": "strict", "MemoryDenyWriteExecute": "yes", "PrivateTmp": "yes"}
WRITING = ("ProtectHome", "ReadOnlyPaths", "InaccessiblePaths", "ReadWritePaths", "StateDirectory", "CacheDirectory")
LIVING = (
    "LoadState",
    "UnitFileState",
    "ActiveState",
    "NRestarts",
    "WatchdogUSec",
    "Restart",
    "Environment",
    "LastTriggerUSec",
)
SYSTEM = {"strict": "/", "full": "/usr /boot /efi /etc", "yes": "/usr /boot /efi"}  # read-only by ProtectSystem
HOMES = "/home /root /run/user"


@dataclass(frozen=True)
class Unit:
    """A unit with its drop-ins."""

    name: str
    told: Mapping[str, str]  # properties, as `systemctl show` prints them
    trouble: str = ""  # why nothing was told

    @property
    def installed(self) -> bool:
        return self.told.get("LoadState") == "loaded"

    @property
    def cache(self) -> Path:
        """Where its cache is."""
        return CACHE / (self.told.get("CacheDirectory") or "auroramon").split()[0].partition(":")[0]

    def writes(self, place: Path) -> bool:
        """Say whether the unit sees a place writable: of the paths above it the nearest decides, as in systemd."""
        told = self.told
        read_only = [*told.get("ReadOnlyPaths", "").split(), *told.get("InaccessiblePaths", "").split()]
        read_only += SYSTEM.get(told.get("ProtectSystem", ""), "").split()
        if told.get("ProtectHome", "no") != "no":
            read_only += HOMES.split()
        writable = told.get("ReadWritePaths", "").split()
        for base, names in ((STATE, told.get("StateDirectory", "")), (CACHE, told.get("CacheDirectory", ""))):
            writable += [str(base / name.partition(":")[0]) for name in names.split()]
        return _depth(place, writable) > _depth(place, read_only) or _depth(place, read_only) == 0


def _depth(place: Path, paths: list[str]) -> int:
    """Give the number of parts of the longest of these paths that is the place or above it; 0 for none."""
    real = Path(os.path.realpath(place))
    above = (Path(os.path.realpath(path.lstrip("-+"))) for path in paths)
    return max((len(path.parts) for path in above if real.is_relative_to(path)), default=0)


def ask(machine: Machine, name: str = SERVICE) -> Unit | None:
    """Let systemd tell of a unit; None where this machine does not run systemd."""
    if not (machine.root / "run/systemd/system").is_dir():
        return None
    command = [machine.systemctl, "show", name, "-p", ",".join((*LIVING, *WRITING, *HARDENED))]
    try:
        said = subprocess.run(  # noqa: S603 - systemctl, with words of ours
            command, capture_output=True, text=True, timeout=COMMAND_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return Unit(name, {}, f"systemctl does not answer: {' '.join(said.split())}")
    return Unit(name, dict(line.split("=", 1) for line in said.splitlines() if "=" in line))


def check_unit(machine: Machine, settings: Settings | None = None) -> Iterator[Line]:
    """Look at the unit as systemd has it, and whether the service and people mean the same database."""
    unit = ask(machine)
    if unit is None:
        yield Line("ok", "unit", "this machine does not run systemd")
        return
    if unit.trouble:
        yield Line("warning", "unit", unit.trouble, f"look at: systemctl status {SERVICE}")
        return
    if not unit.installed:
        yield Line("warning", "unit", f"{SERVICE} is not installed", "docs/install.md says how")
        return
    yield from _judge_unit(unit.told)
    if own_database(unit) is not None:
        said = f"the unit has the service use another database ({PREFIX}DATABASE__URL) than this command looks at"
        yield Line("warning", "database", said, "docs/install.md says how to call commands with it (PostgreSQL)")
    elif settings is not None and not settings.database.url and not os.environ.get("STATE_DIRECTORY"):
        said = "the configuration names no database: the service has its own, and commands of people look elsewhere"
        yield Line("warning", "database", said, f'in [database]: url = "sqlite:///{SERVICE_DATABASE}"')


def own_database(unit: Unit) -> str | None:
    """Give the URL that a drop-in hands to the service, where this process has not got the same."""
    name = f"{PREFIX}DATABASE__URL"
    given = dict(word.strip('"').partition("=")[::2] for word in unit.told.get("Environment", "").split())
    return given[name] if name in given and os.environ.get(name) != given[name] else None


def _judge_unit(unit: Mapping[str, str]) -> Iterator[Line]:
    if unit.get("UnitFileState") == "enabled":
        yield Line("ok", "unit", f"is enabled and {unit.get('ActiveState', 'unknown')}")
    else:
        remedy = f"sudo systemctl enable --now {SERVICE}"
        yield Line("failure", "unit", "is not enabled: after a power cut nobody starts it", remedy)
    if unit.get("NRestarts", "0") != "0":
        said = f"was started again {unit['NRestarts']} times since it was last started by hand"
        yield Line("warning", "unit", said, "journalctl -u auroramon -p err says why")
    open_doors = [name for name, wanted in HARDENED.items() if unit.get(name) != wanted]
    if unit.get("WatchdogUSec") in {None, "0", "infinity"}:
        open_doors.append("WatchdogSec")
    if unit.get("Restart") != "always":
        open_doors.append("Restart")
    if open_doors:
        remedy = "install systemd/auroramon.service of this version; systemctl cat auroramon shows what overrides it"
        yield Line("warning", "unit", f"{', '.join(open_doors)}: not as shipped", remedy)
    else:
        yield Line("ok", "unit", "is hardened, watched over and started again")
