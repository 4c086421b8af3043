"""What every command shares: -c, the log, and how settings are found."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from auroramon.cli.streams import for_journal, in_journal, plain
from auroramon.errors import ConfigError

if TYPE_CHECKING:
    from auroramon.config import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


class UtcTime(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.4
    """A date or a time, ISO 8601; without a zone it is UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date or time such as 2026-01-31 or 2026-01-31T22:00", param, ctx)
        return time.replace(tzinfo=UTC) if time.utcoffset() is None else time.astimezone(UTC)


UTC_TIME = UtcTime()


def config_option(command: Command) -> Command:
    """Add -c/--config to a command."""
    return click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Configuration file (TOML).",
    )(command)


@dataclass(frozen=True, slots=True)
class ModelFlags:
    """Which model, and what runs it, as flags say; None was not given."""

    path: Path | None
    precision: str | None
    backend: str | None

    @property
    def overrides(self) -> Mapping[str, Mapping[str, Any]]:
        """What wins over the settings, by table."""
        return {"model": asdict(self)}


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags that choose the model and what runs it; the command gets them as one value, `model`."""

    @wraps(command)
    def called(*, path: Path | None, precision: str | None, backend: str | None, **others: Any) -> Any:
        return command(model=ModelFlags(path, precision, backend), **others)

    for option in (
        click.option("--precision", type=click.Choice(["auto", "float32", "fp16", "int8"]), help="In what numbers."),
        click.option(
            "--backend", type=click.Choice(["auto", "tensorrt", "onnx-cuda", "onnx"]), help="What runs the network."
        ),
        click.option("--model", "path", type=click.Path(path_type=Path, file_okay=False), help="Model bundle folder."),
    ):
        called = option(called)
    return called


def settings_of(
    config: Path | None, *, need_file: bool = False, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> Settings:
    """Read the settings of a command.

    Args:
        config: value of -c.
        need_file: True where a command makes no sense on defaults.
        overrides: values of flags by table; those that are None were not given.

    Raises:
        ConfigError: no file where one is needed, or anything wrong in it.
    """
    from auroramon.config import find_config, load_settings

    file = find_config(config, os.environ)
    if need_file and file is None:
        raise ConfigError(
            "there is no configuration: give -c FILE, set AURORAMON_CONFIG, or write ./auroramon.toml with "
            "`auroramon init FOLDER`"
        )
    given = {table: {k: v for k, v in keys.items() if v is not None} for table, keys in (overrides or {}).items()}
    return load_settings(file, {table: keys for table, keys in given.items() if keys})


_LINE = "%(levelname)s %(message)s"
_STAMP = "%Y-%m-%dT%H:%M:%S%z"


class _Plain(logging.Formatter):
    """One line an event, whatever the files are called."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = plain(record.message)
        return super().formatMessage(record)


class _Journal(_Plain):
    """The same as the journal takes it."""

    def format(self, record: logging.LogRecord) -> str:
        return for_journal(super().format(record), record.levelno)


def start_log(level: str) -> None:
    """Send the log to stderr, one line an event; the journal adds the time, and is told how severe each line is."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Journal(_LINE) if in_journal() else _Plain(f"%(asctime)s {_LINE}", _STAMP))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # a migration is told by the store, in one line
