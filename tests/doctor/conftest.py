"""The winter's database, as the commands' tests have it."""

from __future__ import annotations

from tests.cli.conftest import winter, winter_database

__all__ = ["winter", "winter_database"]
