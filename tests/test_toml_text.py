"""What is written as TOML is read back as it was."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auroramon.toml_text import toml_value

PLAIN = (
    st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
KEYS = st.text("abcdefghij_", min_size=1)


@settings(deadline=None)
@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=8))
def test_a_value_is_read_back_as_it_was(value: Any) -> None:
    assert tomllib.loads(f"key = {toml_value(value)}\n") == {"key": value}


def test_paths_and_tuples_are_text_and_lists() -> None:
    assert toml_value((Path('/data/"odd" name'), "b")) == '["/data/\\"odd\\" name", "b"]'


def test_what_toml_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        toml_value(None)
