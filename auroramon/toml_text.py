"""Writes values as TOML. Python reads TOML and writes none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath


def toml_value(value: object) -> str:
    """Give a value as TOML writes it, on one line.

    Raises:
        TypeError: TOML has no such value (None among them: leave the key out).
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)  # nan and inf are spelled alike in both
    if isinstance(value, (str, PurePath)):
        # JSON's strings are TOML's basic strings, but for one control character that JSON lets pass.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {toml_value(item)}' for key, item in value.items())} }}"
    raise TypeError(f"{type(value).__name__} is no TOML value")
