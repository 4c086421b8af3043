"""The command line. Each group of commands is one file, imported only when it is called."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from auroramon import __version__
from auroramon.cli.lazy import LazyGroup
from auroramon.cli.streams import drop_output, fill_closed, last_word, why
from auroramon.errors import AuroramonError, ConfigError

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("setup:init", "Look into a folder of frames and write a commented configuration for it."),
    "run": ("run:run", "Watch the cameras' folders and label every frame that arrives."),
    "backfill": ("backfill:backfill", "Label an archive: every file under the PATHs that has no label yet."),
    "classify": ("classify:classify", "Label files without a database."),
    "labels": ("labels:labels", "Print labels from the database."),
    "occurrence": ("occurrence:occurrence", "Count when the aurora was there, with every denominator."),
    "events": ("events:events", "List when there was aurora: one line for each event."),
    "status": ("status:status", "Say how the station is: files, backlog, last frames."),
    "doctor": ("doctor:doctor", "Say what is wrong with this station, or soon will be, and what to do."),
    "db": ("db:db", "Copy, check, restore, migrate, divide and vacuum the database."),
    "quarantine": ("quarantine:quarantine", "List bad files, or have them tried again."),
    "camera": ("camera:camera", "See what the model sees of a camera's frame."),
    "model": ("model:model", "List, show, compare and promote models."),
    "review": ("review:review", "Import people's labels, and list the frames most worth labelling."),
    "refit": ("refit:refit", "Move a model to the frames that people labelled, as a new version of it."),
    "relabel": ("relabel:relabel", "Add the labels of another model from stored embeddings; no image is read."),
    "engine": ("engine:engine", "Compile the model for an NVIDIA GPU: build, list, verify and clean engines."),
    "config": ("setup:config", "Show the settings in force, or check a configuration."),
    "simulate": ("simulate:simulate", "Write simulated nights as files of a camera."),
    "demo": ("simulate:demo", "Play a simulated night through the real daemon."),
}


@click.group(
    cls=LazyGroup, package="auroramon.cli", members=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)  # fmt: skip
@click.version_option(__version__, prog_name="auroramon")
def cli() -> None:
    """Classify every frame of an all-sky camera, and count when the aurora was there.

    Without -c, each command reads AURORAMON_CONFIG, ./auroramon.toml or /etc/auroramon/auroramon.toml.
    """


def main() -> NoReturn:
    """Run the command line; exit codes are 0 done, 1 failed or work left, 2 wrong usage or configuration."""
    fill_closed()
    try:
        code = cli.main(standalone_mode=False)
        sys.stdout.flush()  # here its failure can still be told
    except click.exceptions.Abort:
        click.echo("auroramon: stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ConfigError as error:
        last_word(str(error))
        sys.exit(2)
    except AuroramonError as error:
        last_word(str(error))
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output left, as `head` does: that is no failure of ours.
        drop_output()
        sys.exit(0)
    except OSError as error:
        drop_output()
        last_word(why(error))
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
