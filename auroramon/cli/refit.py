"""`auroramon refit`: a new version of a model, moved to what people labelled at this station."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auroramon.cli.options import config_option, settings_of
from auroramon.cli.params import counted
from auroramon.cli.tables import console, new_table
from auroramon.cli.which import which_of, which_options
from auroramon.errors import ConfigError

if TYPE_CHECKING:
    from auroramon.bundle import ModelBundle
    from auroramon.config import Settings
    from auroramon.refit import Material, Refit


@click.command(short_help="Move a model to the frames that people labelled, as a new version of it.")
@click.option("--name", required=True, help="Of the new model.")
@click.option("--from", "parent", metavar="PATH|NAME", help="The model to move  [default: the one in use]")
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="Folder of the new bundle.")
@click.option("--even-if-worse", is_flag=True, help="Write it though cross-validation speaks against it.")
@which_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@config_option
def refit(
    config: Path | None,
    name: str,
    parent: str | None,
    to: Path | None,
    even_if_worse: bool,
    since: datetime | None,
    until: datetime | None,
    cameras: tuple[str, ...],
    as_json: bool,
) -> int:
    """Fit a new head on the stored embeddings of the frames that people labelled (`auroramon review import`).

    All classes move together, each by itself only as far as its labels bear it; new classes are added. It says by
    cross-validation what was gained, and writes nothing where nothing was.
    """
    from auroramon.coordinator import utc_now
    from auroramon.refit import check_enough, gather
    from auroramon.refit import refit as fit
    from auroramon.store.store import read_store

    settings = settings_of(config)
    origin = _origin(settings, parent)
    folder = to or _folder(settings, name)
    with closing(read_store(settings.database_url)) as store:
        if name in {row.name for row in store.models()}:
            raise ConfigError(f"the database knows a model {name} already: choose another --name")
        reviewed = store.reviewed_frames(origin.embedder_digest, which_of(store, since, until, cameras))
    material = gather(origin, reviewed)
    check_enough(material, origin)
    done = fit(origin, material, name, folder, now=utc_now(), even_if_worse=even_if_worse)
    if as_json:
        click.echo(json.dumps(_json(done, material, origin)))
    else:
        _print(done, material, origin)
    return 0


def _origin(settings: Settings, parent: str | None) -> ModelBundle:
    """Give the trained model behind the one that is asked for: labels must not count twice."""
    from auroramon.shelf import find_bundle, trained

    asked = find_bundle(settings, parent)
    origin = trained(settings, asked)
    if origin is not asked:
        click.echo(f"{asked.name} was moved itself: starting again from {origin.name}, with all labels", err=True)
    return origin


def _folder(settings: Settings, name: str) -> Path:
    from auroramon.shelf import models_folder

    if name in {"", ".", ".."} or "/" in name or "\\" in name:
        raise ConfigError(f"{name!r} is no name for a model: it becomes a folder's name")
    return models_folder(settings) / name


def _json(done: Refit, material: Material, origin: ModelBundle) -> dict[str, object]:
    return {
        "model": done.bundle.name,
        "folder": str(done.bundle.folder),
        "digest": done.bundle.digest,
        "parent": origin.name,
        "labelled": done.counts,
        "gains": [asdict(gain) for gain in done.gains],
        "no_sky": {"frames": done.no_sky, "refused_before": done.no_sky_refused[0], "refused": done.no_sky_refused[1]},
        "without_embedding": {"refused_by_gates": material.gated, "need_backfill": material.unseen},
    }


def _print(done: Refit, material: Material, origin: ModelBundle) -> None:
    frames = counted(len(material.rows), "labelled frame")
    table = new_table(title=f"{done.bundle.name}: {origin.name}, moved to {frames}")
    table.add_column("class")
    for column in ("frames", f"right by {origin.name}", "right when held out"):
        table.add_column(column, justify="right")
    for one in done.gains[0].classes:
        table.add_row(one.label, str(one.frames), str(one.before), str(one.after))
    console().print(table)
    for gain in done.gains:
        click.echo(gain.sentence())
    if done.no_sky:
        before, after = done.no_sky_refused
        click.echo(f"{counted(done.no_sky, 'frame')} labelled unknown: {before} refused before, {after} now")
    if material.gated:
        click.echo(f"{counted(material.gated, 'labelled frame')} were refused by a gate: no head sees them")
    if material.unseen:
        click.echo(
            f"{counted(material.unseen, 'labelled frame')} have no embedding of {origin.name}: `auroramon backfill`"
        )
    click.echo(f"written to {done.bundle.folder}; next: `auroramon relabel --model {done.bundle.name}`")
