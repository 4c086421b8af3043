"""Says what can be set, from the settings themselves: docs/config.md and `config show` cannot go out of date."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from auroramon.config import PREFIX, Settings
from auroramon.toml_text import toml_value

_WORDS = {str: "text", Path: "path", bool: "true or false", int: "whole number", float: "number"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the configuration."""

    table: str  # "camera", "database", "cluster.slurm", ...
    key: str
    kind: str  # what may be written there, in words
    default: str  # as TOML; "" where it is unset, "required" where it must be given
    description: str
    environment: str  # name of the environment variable; "" for cameras, which only the file can list


@dataclass(frozen=True, slots=True)
class SettingsTable:
    """One table of the configuration."""

    name: str
    several: bool  # [[name]] instead of [name]
    description: str  # one line
    settings: tuple[Setting, ...]

    @property
    def heading(self) -> str:
        return f"[[{self.name}]]" if self.several else f"[{self.name}]"


def tables() -> list[SettingsTable]:
    """Give every table of the configuration, in the order of `Settings`."""
    found: list[SettingsTable] = []
    for name, field in Settings.model_fields.items():
        several = get_origin(field.annotation) is tuple
        model = get_args(field.annotation)[0] if several else field.annotation
        assert isinstance(model, type)  # noqa: S101 - every field of Settings is a table
        assert issubclass(model, BaseModel)  # noqa: S101
        description = field.description or (model.__doc__ or "").split("\n")[0].rstrip(".")
        found += _tables(name, model, several, description)
    return found


def _tables(name: str, model: type[BaseModel], several: bool, description: str) -> Iterator[SettingsTable]:
    """Give a table if it has settings of its own, then the tables in it: [cluster.slurm]."""
    inner = {key: field.annotation for key, field in model.model_fields.items() if _is_table(field.annotation)}
    own = tuple(setting for setting in _settings(name, model, several) if setting.key not in inner)
    if own:
        yield SettingsTable(name, several, description, own)
    for key, table in inner.items():
        assert isinstance(table, type)  # noqa: S101 - _is_table said so
        yield from _tables(f"{name}.{key}", table, False, model.model_fields[key].description or "")


def _is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _settings(table: str, model: type[BaseModel], several: bool) -> Iterator[Setting]:
    for key, field in model.model_fields.items():
        if _is_table(field.annotation):
            default = ""
        elif field.default is PydanticUndefined:
            default = "required"
        else:
            default = "" if field.default is None else toml_value(field.default)
        yield Setting(
            table=table,
            key=key,
            kind=_kind(field.annotation),
            default=default,
            description=field.description or "",
            environment="" if several else f"{PREFIX}{table}.{key}".replace(".", "__").upper(),
        )


def _kind(annotation: Any) -> str:
    """Say in words what a value of this type looks like in TOML."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inner[0])
    if origin is Literal:
        return " or ".join(f'"{value}"' for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(item) for item in inner if item is not type(None))
    if origin is tuple:
        return f"list of {_kind(inner[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        keys = (f"{key} = {_kind(field.annotation)}" for key, field in annotation.model_fields.items())
        return f"{{ {', '.join(keys)} }}"
    return _WORDS[annotation]


def markdown() -> str:
    """Give the tables of docs/config.md."""
    parts = []
    for table in tables():
        parts.append(f"## `{table.heading}`\n")
        if table.description:
            parts.append(f"{table.description}.\n")
        named = not table.several
        parts.append("| key | meaning | value | default |" + (" environment |" if named else ""))
        parts.append("|---|---|---|---|" + ("---|" if named else ""))
        for setting in table.settings:
            meaning = setting.description.replace("*", "\\*").replace("|", "\\|")
            cells = [f"`{setting.key}`", meaning, _code(setting.kind), _default(setting.default)]
            cells += [f"`{setting.environment}`"] if named else []
            parts.append(f"| {' | '.join(cells)} |")
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def _code(kind: str) -> str:
    return f"`{kind}`" if any(mark in kind for mark in '"{') else kind


def _default(default: str) -> str:
    if default in {"", "required"}:
        return default or "unset"
    return f"`{default}`"
