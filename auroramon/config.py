"""The configuration: flags, then the environment, then one TOML file, then the defaults below.

Unknown keys are refused everywhere, also in the environment: a misspelt setting that is silently ignored is how a
station loses a winter.
"""

from __future__ import annotations

import os
import pwd
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from auroramon.errors import ConfigError
from auroramon.mistakes import explain
from auroramon.resample import ChannelRule
from auroramon.types import TimeSource

PREFIX = "AURORAMON_"
NO_SETTINGS = frozenset({"AURORAMON_CONFIG", "AURORAMON_REAL_DATA", "AURORAMON_REQUIRE"})
SYSTEM_CONFIG = Path("/etc/auroramon/auroramon.toml")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _unset(value: object) -> object:
    """Take an empty path for none, as the descriptions say."""
    return None if value == "" else value


OptionalPath = Annotated[Path | None, BeforeValidator(_unset)]


class DiscSettings(_Table):
    """The circle of sky in the frame, in square pixels from the upper left corner."""

    x: float = Field(description="Centre, pixels from the left edge")
    y: float = Field(description="Centre, pixels from the upper edge")
    radius: float = Field(gt=0, description="Radius of the sky, pixels")


class CameraSettings(_Table):
    """One camera: where its files appear and what is known about it."""

    name: str = Field(
        min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="Name in the database and in the metrics: letters, digits, '_', '.', '-'",
    )  # fmt: skip
    folder: Path | None = Field(
        None, description="Folder that the camera's files appear in, at any depth; only `run` needs it"
    )
    patterns: tuple[str, ...] = Field(
        (),
        description='File patterns below the folder, such as "**/*_full.pgm.gz"; empty: every readable format',
    )
    site: str = Field("", description="Site code; with `imager` it recognises the camera's files by their headers")
    imager: str = Field("", description="Imager id as in the file headers (empty: any imager of the site)")
    latitude: float | None = Field(None, ge=-90, le=90, description="Degrees north")
    longitude: float | None = Field(None, ge=-180, le=360, description="Degrees east")
    cadence_s: float | None = Field(None, gt=0, description="Seconds between frames; needed to count missing frames")
    sun_below_deg: float = Field(
        6.0,
        ge=-90,
        le=90,
        description="Frames are classified while the Sun is at least this far below the horizon",
    )
    time_from: tuple[TimeSource, ...] = Field(
        ("header", "exif", "name", "mtime"), min_length=1,
        description="Where the time of a frame is looked for, first found wins",
    )  # fmt: skip
    time_pattern: str = Field(
        "",
        description='strptime pattern of the time in file names, such as "LYR-Sony-%d%m%y_%H%M%S"; empty: the usual',
    )
    utc_offset_hours: float = Field(
        0.0, ge=-14, le=14, description="Clock of times in EXIF and file names, hours ahead of UTC"
    )
    disc: DiscSettings | Literal["auto"] = Field("auto", description="Circle of sky, or found in each file")
    channel: ChannelRule = Field(
        "luma", description="How a colour frame becomes grey; with one of its planes it is seen without colour"
    )
    rotate_deg: float = Field(
        0.0, description="Turns pictures for people so that north is up, degrees counter-clockwise"
    )
    flip: bool = Field(False, description="Mirrors pictures for people left to right, after the turn")
    mask: Path | None = Field(None, description="Image of the frame's size, black where trees and masts hide the sky")

    @field_validator("folder", "mask", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if value == "":
            raise ValueError("is empty; name it, or leave the line out")
        return value

    @field_validator("longitude")
    @classmethod
    def _east_or_west(cls, value: float | None) -> float | None:
        # 265 east and 95 west are one place, and must give one night.
        return value - 360 if value is not None and value > 180 else value

    @model_validator(mode="after")
    def _both_coordinates(self) -> CameraSettings:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("give both latitude and longitude, or neither")
        return self


class DatabaseSettings(_Table):
    url: str = Field("", description="SQLAlchemy URL; empty: SQLite in the user's state folder")
    backup_folder: OptionalPath = Field(
        None,
        description="Folder for the copies of `db backup`; empty: `backups` beside the SQLite file. On another disk "
        "the units need `systemd/drop-ins/other-disk.conf`",
    )
    backup_keep: int = Field(14, ge=1, description="Copies that are kept; the oldest make room for new ones")


class ServerSettings(_Table):
    listen: str = Field("127.0.0.1:9750", description="Address of /metrics and /healthz; empty: no server")

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if value and not (host and port.isdigit() and int(port) < 65536):
            raise ValueError("must look like 127.0.0.1:9750")
        return value


class ModelSettings(_Table):
    path: OptionalPath = Field(None, description="Model bundle folder; empty: the model shipped with auroramon")
    backend: Literal["auto", "tensorrt", "onnx-cuda", "onnx"] = Field(
        "auto",
        description="What runs the network; auto: TensorRT on an NVIDIA GPU that can be used, else ONNX Runtime on the "
        "processor. One that is named and cannot run is an error, never replaced",
    )
    precision: Literal["auto", "float32", "fp16", "int8"] = Field(
        "auto",
        description="auto: on a GPU fp16, on the processor int8 where the bundle has proven that its labels agree with "
        "float32; fp16 is for GPUs: where `auto` runs on the processor it is float32, and said so",
    )
    threads: int = Field(
        0, ge=0, description="Threads of the network; 0: up to two in `run`, one a worker in `backfill`"
    )


class PathSettings(_Table):
    cache: OptionalPath = Field(None, description="Folder for what can be made again; empty: the user's cache folder")


class WatchSettings(_Table):
    settle_s: float = Field(2.0, gt=0, le=3600, description="A file is complete when it stood still this long")
    reconcile_s: float = Field(300.0, gt=0, description="Seconds between listings of the folders")
    poll: Literal["auto", "always", "never"] = Field(
        "auto", description="auto: list folders instead of trusting the kernel on network mounts"
    )
    poll_s: float = Field(10.0, gt=0, description="Seconds between listings where folders are polled")


class LogSettings(_Table):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severity that is logged")


class EventSettings(_Table):
    """When aurora counts as an event, and who is told of it while it happens."""

    arc: float = Field(0.5, ge=0, le=1, description="Least confidence of an arc that counts as aurora")
    diffuse: float = Field(0.5, ge=0, le=1, description="The same for diffuse aurora")
    discrete: float = Field(0.5, ge=0, le=1, description="The same for discrete aurora")
    frames: int = Field(3, ge=1, le=1000, description="So many consecutive frames begin an event, and so many end it")
    gap_s: float = Field(600.0, gt=0, description="Frames further apart than this are not consecutive, seconds")
    cooldown_s: float = Field(900.0, ge=0, description="After news of an event, none of the camera's next for so long")
    mqtt: str = Field(
        "",
        description="Broker that is told, such as mqtts://user:password@broker:8883/auroramon: the path is the topic, "
        "and the camera's name is added to it; empty: none",
    )
    webhook: str = Field("", description="Address that gets a POST of JSON, http:// or https://; empty: none")
    timeout_s: float = Field(10.0, gt=0, le=300, description="How long a broker or webhook may take, seconds")

    @field_validator("mqtt")
    @classmethod
    def _broker(cls, value: str) -> str:
        if {"+", "#"} & set(unquote(value.partition("://")[2].partition("/")[2])):
            raise ValueError("its topic may hold neither + nor #, which are for those who listen")
        return _address(value, ("mqtt", "mqtts"), "mqtt://broker:1883/topic")

    @field_validator("webhook")
    @classmethod
    def _hook(cls, value: str) -> str:
        if not value.isascii() or any(letter <= " " for letter in value):
            raise ValueError("an address holds neither spaces nor letters beyond ASCII: write them as %20, %C3%A4")
        return _address(value, ("http", "https"), "https://example.org/aurora")


def _address(value: str, schemes: tuple[str, ...], example: str) -> str:
    """Refuse an address that nobody could be reached at."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if value and not usable:
        raise ValueError(f"must look like {example}")
    return value


class SlurmSettings(_Table):
    jobs: int = Field(0, ge=0, description="Jobs to submit for `backfill --cluster slurm`; each starts its workers")
    queue: str = Field("", description="Partition; empty: the cluster's default")
    account: str = Field("", description="Account that is charged; empty: the user's default")
    cores: int = Field(1, ge=1, description="Cores of a job: so many worker processes of one thread")
    memory: str = Field("4GB", description="Memory of a job, of all its workers together")
    walltime: str = Field("04:00:00", description="Longest run of a job; what it has in hand then goes to others")
    interface: str = Field("", description="Network interface for the workers' connections, such as ib0")
    directives: tuple[str, ...] = Field((), description='More lines for sbatch, such as "--constraint=avx2"')
    prologue: tuple[str, ...] = Field((), description='Shell lines before the worker, such as "module load python"')


class ClusterSettings(_Table):
    slurm: SlurmSettings = SlurmSettings()


class Settings(BaseSettings):
    """Everything that can be set. One instance is made in the CLI and handed on."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter="__", env_ignore_empty=False
    )

    camera: Annotated[tuple[CameraSettings, ...], Field(description="One [[camera]] table per camera")] = ()
    database: DatabaseSettings = DatabaseSettings()
    server: ServerSettings = ServerSettings()
    model: ModelSettings = ModelSettings()
    paths: PathSettings = PathSettings()
    watch: WatchSettings = WatchSettings()
    events: EventSettings = EventSettings()
    log: LogSettings = LogSettings()
    cluster: ClusterSettings = ClusterSettings()

    @model_validator(mode="after")
    def _distinct_names(self) -> Settings:
        names = [camera.name for camera in self.camera]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"two cameras are called {doubled[0]}: their counts would be added up")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The file's values come in by the initialiser, below the environment.
        return env_settings, init_settings

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{state_folder() / 'auroramon.sqlite'}"

    @property
    def cache_folder(self) -> Path:
        return self.paths.cache or _home_folder("CACHE_DIRECTORY", "XDG_CACHE_HOME", ".cache")


def _home_folder(systemd: str, xdg: str, fallback: str) -> Path:
    """Give the folder that systemd hands to a service, else the user's own by the XDG rules.

    Raises:
        ConfigError: nothing says where the user is at home.
    """
    if given := os.environ.get(systemd):
        return Path(given.split(":")[0])
    base = Path(os.environ.get(xdg, ""))
    if not base.is_absolute():  # the XDG specification: "consider the path invalid and ignore it"
        base = _home(xdg) / fallback
    return base / "auroramon"


def _home(xdg: str) -> Path:
    """Give the user's home by HOME, or where that says nothing by the list of users."""
    home = os.environ.get("HOME", "")
    if not Path(home).is_absolute():
        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            home = ""
    if not Path(home).is_absolute():
        raise ConfigError(f"nothing says where this user is at home: set HOME or {xdg} to a folder's full path")
    return Path(home)


def state_folder() -> Path:
    """Give the folder for the database where the configuration names none."""
    return _home_folder("STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state")


def find_config(given: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Give the configuration file: --config, AURORAMON_CONFIG, ./auroramon.toml, /etc/auroramon/auroramon.toml."""
    named = given or (Path(environ["AURORAMON_CONFIG"]) if environ.get("AURORAMON_CONFIG") else None)
    if named is not None:
        return named
    places = (Path("auroramon.toml"), SYSTEM_CONFIG)
    return next((place for place in places if os.path.isfile(place)), None)  # noqa: PTH113 - Path's raises in a closed folder


def load_settings(file: Path | None, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> Settings:
    """Read the settings; paths in the file are relative to the file.

    Args:
        file: TOML file, or None for the defaults and the environment.
        overrides: values of flags by table, such as {"model": {"precision": "float32"}}.

    Raises:
        ConfigError: the file cannot be read or a value or key is wrong; one line per mistake.
    """
    values = _read_toml(file) if file is not None else {}
    tables = {name.upper() for name in Settings.model_fields if name != "camera"}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in NO_SETTINGS:
            table, _, key = name.removeprefix(PREFIX).partition("__")
            if table not in tables or not key:
                raise ConfigError(f"environment: {name} is no setting; see `auroramon config show`")
    try:
        settings = Settings(**values)
        # Not by making the settings anew: the environment would be read once more, and win over the flags.
        flags = {name: _with_flags(getattr(settings, name), keys) for name, keys in (overrides or {}).items()}
        return settings.model_copy(update=flags)
    except ValidationError as error:
        raise ConfigError(explain(error, file, values, os.environ)) from None
    except ValueError as error:  # pydantic-settings wraps JSON mistakes in the environment
        raise ConfigError(f"environment: {error}") from None


def _with_flags(table: _Table, keys: Mapping[str, Any]) -> _Table:
    return type(table).model_validate(table.model_dump() | dict(keys))


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file; `auroramon init` writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: is not valid TOML: {error}") from None
    _anchor(values, file.resolve().parent)
    return values


def _anchor(values: dict[str, Any], base: Path) -> None:
    """Make the paths of a file relative to that file, in place."""
    cameras = values.get("camera")
    tables: list[tuple[Any, tuple[str, ...]]] = [
        (values.get("model"), ("path",)),
        (values.get("paths"), ("cache",)),
        (values.get("database"), ("backup_folder",)),
    ]
    tables += [(camera, ("folder", "mask")) for camera in (cameras if isinstance(cameras, list) else [])]
    for table, keys in tables:
        for key in keys:
            if isinstance(table, dict) and isinstance(table.get(key), str) and table[key]:
                table[key] = str(base / os.path.expanduser(table[key]))  # noqa: PTH111 - Path's raises for a user who is not there
    database = values.get("database")
    if isinstance(database, dict) and isinstance(database.get("url"), str):
        database["url"] = re.sub(r"^sqlite:///(?=[^/:])", f"sqlite:///{base}/", database["url"])
