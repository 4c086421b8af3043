"""The commands of `python -m train`. Each group is one file, imported only when it is called: torch takes seconds."""

from __future__ import annotations

from typing import Any

import click

from auroramon.cli.lazy import LazyGroup
from auroramon.cli.streams import why
from auroramon.errors import AuroramonError, ConfigError

COMMANDS: dict[str, tuple[str, str]] = {
    "prepare": ("data:prepare", "Write a manifest of labelled frames."),
    "simulate-oath": ("data:simulate_oath_command", "Write a folder laid out as OATH, its images simulated."),
    "simulate": ("steps:simulate", "Draw the frames of a run's simulated cameras."),
    "fit": ("steps:fit", "Train the network of a run; after a kill, go on."),
    "restore": ("steps:restore", "Take the weights out of a bundle, so that a run may begin with them."),
    "heads": ("steps:heads", "Compare the heads on the calibration cameras."),
    "export": ("steps:export", "Write the bundle of a trained run."),
    "evaluate": ("report:evaluate", "Judge a bundle on the frames a run keeps for it, or on a list: figures, report."),
    "unknown": ("report:unknown", "Compare ways to tell what is no sky."),
    "sides": ("report:sides", "Compare from how many sides to look, on the calibration frames of a run."),
    "model": ("steps:model", "Do all of it: simulate, fit, export."),
    "compare": ("trials:compare", "Train several runs at an equal budget, and print their figures."),
    "oath": ("trials:oath", "All of it on a copy of OATH v1.1: figures, report, bundle."),
    "paper": ("paper:paper", "Train the models of Endo & Matsumoto 2022 again, and print their table beside ours."),
    "tidy": ("tidy:tidy", "List frames in the work folder that no run refers to; --yes removes them."),
    "score-real": ("real:score_real_command", "Score a finished model on real frames: to report, never to choose."),
}


class TrainCommands(LazyGroup):
    """Ends with one sentence where the user can do something about it."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AuroramonError as error:
            click.echo(f"train: {error}", err=True)
            raise click.exceptions.Exit(2 if isinstance(error, ConfigError) else 1) from error
        except OSError as error:
            words = why(error) if error.filename else f"a file cannot be read or written: {error.strerror or error}"
            click.echo(f"train: {words}", err=True)
            raise click.exceptions.Exit(1) from error


@click.group(
    cls=TrainCommands, package="train.commands", members=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)  # fmt: skip
def main() -> None:
    """Make and judge auroramon's models. A run is a TOML file, such as train/runs/default.toml."""
