"""The generated parts of docs/ say what the program does."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from auroramon.config import Settings
from auroramon.reference import tables

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.mark.parametrize("name", ["config.md", "formats.md"])
def test_the_generated_part_is_up_to_date(name: str) -> None:
    renewed = runpy.run_path(str(DOCS / "generate.py"))["renewed"]
    assert renewed(name) == (DOCS / name).read_text(encoding="utf-8"), "call `make docs`"


def test_every_setting_is_described_with_its_environment_name() -> None:
    text = (DOCS / "config.md").read_text(encoding="utf-8")
    for table in tables():
        assert f"## `{table.heading}`" in text
        for setting in table.settings:
            assert setting.description
            assert f"| `{setting.key}` |" in text
            assert setting.environment in text
        assert not table.description.endswith(".")  # the page ends it
    assert {table.name.partition(".")[0] for table in tables()} == set(Settings.model_fields)
