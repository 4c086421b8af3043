"""Tables for people: fitted to the terminal, at full width where the output goes elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDE = 250  # columns; in a pipe or a file nothing needs to be cut


def console() -> Console:
    """Give stdout as rich sees it."""
    from rich.console import Console

    found = Console(highlight=False, soft_wrap=False)
    return found if found.is_terminal else Console(highlight=False, width=WIDE)


def new_table(*, title: str = "", caption: str = "", tight: bool = False) -> Table:
    """Give an empty table in the one style of all commands; `tight` where many columns must fit a terminal."""
    from rich import box
    from rich.table import Table

    return Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 0 if tight else 1, 0, 0),
        title=title or None,
        title_justify="left",
        title_style="bold",
        caption=caption or None,
        caption_justify="left",
        caption_style="",
        pad_edge=False,
        show_edge=False,
    )
