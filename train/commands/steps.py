"""The steps of a run: each takes a run file, and finds what earlier ones left in the work folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
import numpy as np

from auroramon.bundle import FLOAT32, load_bundle
from auroramon.errors import ConfigError
from train.arithmetic import device_of
from train.backbones import Embedder, build_embedder
from train.before import check_before_fit
from train.cards import as_json
from train.commands.options import DEVICE, PROCESSES, RUN, TO, WORK
from train.commands.progress import progress, tell
from train.data import plain_batches
from train.divided import frames_of_manifest
from train.frames import read_split
from train.heads import compare_heads
from train.loop import WEIGHTS, Epoch, check_start, load_embedder, save_whole
from train.loop import fit as fit_network
from train.model import build_bundle, export_graphs, graphs_made
from train.origin import origin_of
from train.record import write_record
from train.restore import MEASURED
from train.restore import restore as restore_network
from train.runfile import ManifestTable, Run, read_run
from train.simulate import frames_of
from train.simulate import simulate as draw_frames


@click.command()
@RUN
@WORK
@PROCESSES
def simulate(run_file: Path, work: Path, processes: int) -> None:
    """Draw the frames of a run's simulated cameras."""
    click.echo(str(_simulate(read_run(run_file), work, processes)))


@click.command()
@RUN
@WORK
@DEVICE
def fit(run_file: Path, work: Path, device: str) -> None:
    """Train the network of a run; after a kill, go on where the last epoch ended."""
    run = read_run(run_file)
    _fit(run, work, device)
    click.echo(f"weights and curve are in {work / run.name}")


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@RUN
@WORK
def restore(bundle: Path, run_file: Path, work: Path) -> None:
    """Take the weights out of a BUNDLE, so that RUN may begin with them (its key `network.start` is their name)."""
    run, model = read_run(run_file), load_bundle(bundle)
    if run.network.start != model.name:
        raise ConfigError(f"{run_file} begins with {run.network.start or 'random weights'}: write network.start = "
                          f"\"{model.name}\" into it first")  # fmt: skip
    weights = work / model.name / WEIGHTS
    if weights.exists():
        raise ConfigError(f"{weights} is there already: a run may begin with it, or remove it first")
    training = read_split(frames_of_run(run, work), "train")
    some = np.linspace(0, len(training) - 1, min(MEASURED, len(training))).round().astype(np.intp)
    (inputs,) = plain_batches(training, some, model.preprocess, MEASURED)
    net = build_embedder(run.network.backbone, len(model.preprocess.channels), model.width)
    restore_network(model.folder / FLOAT32, net, inputs)
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_whole(net.state_dict(), weights)
    if isinstance(run.data, ManifestTable) and not model.provenance.data.startswith("simulated skies"):
        tell(f"which frames {model.name} has learnt from is not known here: that none of them is judged is not checked")
    click.echo(f"weights are in {weights.parent}")


@click.command()
@RUN
@WORK
def heads(run_file: Path, work: Path) -> None:
    """Compare the heads on the calibration cameras, cross-validated by camera."""
    run = read_run(run_file)
    frames = frames_of_run(run, work)
    click.echo(compare_heads(run, _trained(run, work, frames), frames))


@click.command()
@RUN
@WORK
@TO
@click.option(
    "--graphs", "made", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="BUNDLE",
    help="Take the graphs of the bundle that this run made before, and make the rest anew: no weights are needed.",
)  # fmt: skip
def export(run_file: Path, work: Path, to: Path | None, made: Path | None) -> None:
    """Write the bundle of a trained run: graphs, head, golden frames, figures, card."""
    run = read_run(run_file)
    _export(run, work, to or work / run.name / "bundle", made)


@click.command()
@RUN
@WORK
@PROCESSES
@DEVICE
@TO
@click.option("--replace", is_flag=True, help="Remove a bundle that lies there already.")
def model(run_file: Path, work: Path, processes: int, device: str, to: Path | None, replace: bool) -> None:
    """Do all of it: simulate, fit, export."""
    run = read_run(run_file)
    to = to or work / run.name / "bundle"
    if to.exists() and not replace:
        raise ConfigError(f"{to} exists already: give --replace to make it anew, or --to FOLDER")
    check_start(work, run)  # before hours of drawing
    if not isinstance(run.data, ManifestTable):
        _simulate(run, work, processes)
    _fit(run, work, device)
    if to.exists():
        shutil.rmtree(to)
    _export(run, work, to)


def frames_of_run(run: Run, work: Path) -> Path:
    """Give the folder with a run's frames; those of a manifest are read and divided first."""
    if not isinstance(run.data, ManifestTable):
        return frames_of(work, run)
    with progress("frames read") as show:
        return frames_of_manifest(work, run, show)


def _simulate(run: Run, work: Path, processes: int) -> Path:
    if isinstance(run.data, ManifestTable):  # before anything is written
        raise ConfigError(f"the run {run.name} reads a manifest: `fit` reads its frames, and none are simulated")
    with progress("simulated cameras") as show:
        return draw_frames(work, run, processes, show)


def _fit(run: Run, work: Path, device: str) -> Embedder:
    chosen = device_of(device)
    folder = frames_of_run(run, work)
    frames = read_split(folder, "train")
    check_before_fit(work, run, folder)
    write_record(work / run.name, run, origin_of(folder), chosen)
    click.echo(f"{len(frames)} frames of {len(frames.cameras)} cameras, on {chosen}", err=True)
    with progress("batches of the epoch") as show:
        return fit_network(work / run.name, run, frames, chosen, lambda epoch: _say_epoch(run, epoch), show)


def _say_epoch(run: Run, epoch: Epoch) -> None:
    click.echo(
        f"epoch {epoch.epoch} of {run.fit.epochs}: loss {epoch.loss:.4f}, {epoch.frames / epoch.seconds:.0f} frames/s",
        err=True,
    )


def _trained(run: Run, work: Path, frames: Path) -> Embedder:
    return load_embedder(work / run.name, run, read_split(frames, "train"))


def _export(run: Run, work: Path, to: Path, made: Path | None = None) -> None:
    if to.exists():  # before minutes of work
        raise ConfigError(f"{to} exists already: name another folder by --to, or remove it")
    frames = frames_of_run(run, work)
    if made is None:
        graphs = export_graphs(_trained(run, work, frames), run, frames, work / run.name, tell)
    else:
        graphs = graphs_made(load_bundle(made), run, frames)
    bundle, figures = build_bundle(run, graphs, frames, to, tell)
    (work / run.name / "report.json").write_text(as_json(figures), encoding="utf-8")
    click.echo(f"{bundle.folder} ({bundle.digest[:12]})")
