"""A bar on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

Show = Callable[[int, int], None]
"""To be called with done and total."""


@contextmanager
def bars(*names: str) -> Iterator[list[Show]]:
    """Give a function for each of some bars; one is seen from its first call on."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks = [progress.add_task(name, total=None, visible=False) for name in names]

        def show(task: TaskID) -> Show:
            return lambda done, total: progress.update(task, completed=done, total=total, visible=True)

        yield [show(task) for task in tasks]


@contextmanager
def progress(what: str) -> Iterator[Show]:
    """Give the function of one bar."""
    with bars(what) as (show,):
        yield show


def tell(line: str) -> None:
    """Say on stderr what was found on the way."""
    click.echo(line, err=True)
