"""Says what is wrong in a configuration: which setting of which camera, what stands there, what would be right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

DISC = 'write "auto", or the circle: {x = 128.0, y = 128.0, radius = 120.0}'

SECRET = (["database", "url"], ["events", "mqtt"], ["events", "webhook"])
"""Settings that may hold a password: what stands there is never repeated, for the log keeps it."""

_PLAIN = {
    "missing": "is needed and is not there",
    "extra_forbidden": "unknown setting; see `auroramon config show` for all of them",
    "tuple_type": "write a list",
    "model_type": "is no table of settings",
    "float_parsing": "is no number",
    "float_type": "is no number",
    "int_parsing": "is no whole number",
    "int_type": "is no whole number",
    "int_from_float": "is no whole number",
    "bool_parsing": "is neither true nor false",
    "bool_type": "is neither true nor false",
    "string_type": "is no text",
    "path_type": "is no path",
    "string_too_short": "is empty",
    "too_short": "is empty",
    "string_pattern_mismatch": "may hold letters, digits, '_', '.' and '-' only, and begins with a letter or a digit",
}
"""What pydantic says in words of its own."""


def explain(error: ValidationError, file: Path | None, values: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Give one sentence for all mistakes, each with its place.

    Args:
        error: what pydantic found.
        file: where `values` come from; None where there is no file.
        values: the tables as they were read, for the names of the cameras.
        environ: the settings that win over the file, by their names there.
    """
    upper = {name.upper() for name in environ}
    said = dict.fromkeys(_mistake(item, values, upper) for item in error.errors() if not _is_echo(item))
    return f"{file or 'settings'}: " + "; ".join(said)


def _is_echo(item: ErrorDetails) -> bool:
    """Say whether this only repeats that a disc is not the other of the two things it may be."""
    literal = any(str(part).startswith("literal[") for part in item["loc"])
    return literal and isinstance(item["input"], dict)


def _mistake(item: ErrorDetails, values: Mapping[str, Any], environ: set[str]) -> str:
    place = [str(part) for part in item["loc"] if part != "DiscSettings" and not str(part).startswith("literal[")]
    name = "AURORAMON_" + "__".join(place).upper()
    where = f"environment: {name}" if name in environ else "".join(_where(place, values))
    what = _PLAIN.get(item["type"], item["msg"].removeprefix("Value error, ").removeprefix("Input "))
    if place == ["camera"] and item["type"] == "tuple_type":
        what = "write [[camera]], with two brackets"
    elif place[-1:] == ["disc"]:
        what = DISC
    shown = item["type"] not in {"missing", "extra_forbidden", "tuple_type", "string_too_short"} and place not in SECRET
    got = f" (got {item['input']!r})" if shown and not isinstance(item["input"], dict | list) else ""
    return f"{where}{': ' if where else ''}{what}{got}"


def _where(place: list[str], values: Mapping[str, Any]) -> Iterator[str]:
    """Give the way to a setting: `watch.settle_s`, `camera "gillam": cadence_s`."""
    if place[:1] == ["camera"] and len(place) > 1:
        yield f"camera {_named(int(place[1]), values)}"
        place = place[2:]
        yield ": " if place else ""
    yield ".".join(place)


def _named(number: int, values: Mapping[str, Any]) -> str:
    """Give a camera's name in quotes; one without a name has its number, from 1."""
    cameras = values.get("camera")
    camera = cameras[number] if isinstance(cameras, list) and number < len(cameras) else None
    name = camera.get("name") if isinstance(camera, dict) else None
    return f'"{name}"' if isinstance(name, str) and name else f"number {number + 1}"
