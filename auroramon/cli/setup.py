"""`auroramon init` and `auroramon config`: from a folder of frames to a configuration that can be trusted."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auroramon.cli.options import config_option, settings_of
from auroramon.errors import ConfigError

if TYPE_CHECKING:
    from auroramon.config import Settings
    from auroramon.reference import SettingsTable


@click.command(short_help="Look into a folder of frames and write a commented configuration for it.")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("auroramon.toml"),
    show_default=True, help="File to write.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@config_option
def init(folder: Path, output: Path, force: bool, config: Path | None) -> int:
    """Look at some of the files in FOLDER, say what they are, and write a commented configuration for them.

    Nothing in FOLDER is changed. Latitude and longitude stand in no file: fill them in.
    """
    from auroramon.survey.starter import findings, starter
    from auroramon.survey.survey import survey

    target = config or output
    if target.exists() and not force:
        raise ConfigError(f"{target} is there already: name another file with -o, or write over it with --force")
    click.echo(f"looking into {folder} ...", err=True)
    found = survey(folder)
    for line in findings(found):
        click.echo(line)
    new = target.with_name(f".{target.name}.new")
    try:
        new.write_text(starter(found), encoding="utf-8")
        new.replace(target)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror}") from None
    click.echo(f"wrote {target}: fill in latitude and longitude, then `auroramon config check -c {target}`")
    return 0


@click.group(short_help="Show the settings in force, or check a configuration.")
def config() -> None:
    """Where no -c is given: AURORAMON_CONFIG, ./auroramon.toml, /etc/auroramon/auroramon.toml, else the defaults."""


@config.command("show")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@config_option
def show(config: Path | None, as_json: bool) -> int:
    """Print the settings in force as TOML, each with where it comes from. Passwords in URLs are hidden."""
    from auroramon.config import find_config

    file = find_config(config, os.environ)
    settings = settings_of(config)
    url = hide_password(settings.database_url)
    if as_json:
        values = settings.model_dump(mode="json")
        values["database"]["url"] = hide_password(settings.database.url)
        for name in ("mqtt", "webhook"):
            values["events"][name] = hide_password(values["events"][name])
        told = {
            "file": None if file is None else str(file), "settings": values, "database_url": url,
            "cache_folder": str(settings.cache_folder),
        }  # fmt: skip
        click.echo(json.dumps(told, indent=1))
        return 0
    for line in _in_force(settings, file):
        click.echo(line)
    click.echo(f"\n# in use: database {url}\n# in use: cache folder {settings.cache_folder}")
    return 0


def hide_password(url: str) -> str:
    """Give a database URL without the password in it."""
    url = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url)
    return re.sub(r"([?&]password=)[^&]*", r"\1***", url)


def _in_force(settings: Settings, file: Path | None) -> Iterator[str]:
    from auroramon.reference import tables

    written: dict[str, Any] = {} if file is None else tomllib.loads(file.read_text(encoding="utf-8"))
    yield f"# settings in force{'' if file is None else f', from {file}'}"
    for table in tables():
        values = reduce(getattr, table.name.split("."), settings)
        parts = zip(values, written.get(table.name, []), strict=False) if table.several else [(values, {})]
        for part, own in parts:
            yield f"\n{table.heading}"
            given = (
                own
                if table.several
                else reduce(lambda outer, name: outer.get(name, {}), table.name.split("."), written)
            )
            yield from _table_in_force(table, part, given)


def _table_in_force(table: SettingsTable, values: Any, given: dict[str, Any]) -> Iterator[str]:
    from auroramon.toml_text import toml_value

    environment = {name.upper() for name in os.environ}
    for setting in table.settings:
        value = getattr(values, setting.key)
        if setting.environment and setting.environment in environment:
            source = setting.environment
        else:
            source = "file" if setting.key in given else "default"
        if value is None:
            yield f"# {setting.key} is unset"
            continue
        plain = value.model_dump() if hasattr(value, "model_dump") else value
        text = hide_password(plain) if isinstance(plain, str) else plain
        yield f"{f'{setting.key} = {toml_value(text)}':<44} # {source}"


@config.command("check")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@config_option
def check(config: Path | None, as_json: bool) -> int:
    """Look over everything that `run` needs: settings, folders, patterns, masks, model, database.

    One line for each finding; exit code 2 if one of them is an error. Nothing is changed.
    """
    from auroramon.checkup import check as look_over

    findings = list(look_over(settings_of(config)))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            click.echo(f"{finding.level:<6} {finding.about}: {finding.sentence}")
            if finding.level == "error" and finding.remedy:
                click.echo(f"       -> {finding.remedy}")
    return 2 if any(finding.level == "error" for finding in findings) else 0
