"""`oath` and `compare`: trainings on one manifest, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from auroramon.backends.second_look import open_on_processor
from auroramon.bundle import ModelBundle, load_bundle
from auroramon.errors import ConfigError
from train.arithmetic import device_of
from train.cards import as_json
from train.commands.options import DEVICE, WORK
from train.commands.progress import bars, tell
from train.compare import compare_table, same_budget
from train.frames import read_split
from train.judged import judge, subject_of_run
from train.loop import Epoch, load_embedder
from train.manifest import read_manifest, write_manifest
from train.model import build_bundle, export_graphs
from train.oath import divided_run, oath_table, oath_trials, split_figures
from train.oath_layout import is_simulated, oath_rows
from train.report import PAGE, write_report
from train.report.numbers import numbers_of
from train.runfile import Run, read_run
from train.trial import Bench, Trial, make_trial

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
RUNS = Path(__file__).resolve().parent.parent / "runs"
BUNDLE = "bundle"
_ANOTHER = "{} holds the results of another run: name another folder by --to"


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--run", "run_file", type=FILE, default=RUNS / "oath.toml", help="What to train  [default: oath.toml]")
@click.option("--folds", type=click.IntRange(1), default=5, show_default=True,
              help="Parts of whole blocks, each judged by a training on the others.")  # fmt: skip
@click.option("--permutations", type=click.IntRange(1), default=1, show_default=True, help="Published random splits.")
@click.option("--rotated", is_flag=True, help="The published rotated copies instead of the images.")
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="Folder of table, report and bundle.")
@WORK
@DEVICE
def oath(
    path: Path, run_file: Path, folds: int, permutations: int, rotated: bool, to: Path | None, work: Path, device: str
) -> None:
    """Do all of it on a copy of OATH v1.1: manifest, trainings, figures without and with leaks, report, bundle."""
    run = read_run(run_file)
    to = to or work / f"{run.name}-results"
    _check_results(to, run)
    check_sides(run)
    to.mkdir(parents=True, exist_ok=True)  # a place that cannot be written to is told before hours of training
    write_manifest(work / run.listed.manifest, oath_rows(path, rotated))
    with bench_of(work, device) as bench:
        blocks, random = oath_trials(bench, run, folds, permutations)
    found = [
        split_figures(blocks, _pooled_words(run, folds)),
        split_figures(random, f"{permutations} published random split{'s' if permutations > 1 else ''}"),
    ]
    text = oath_table(run, found, is_simulated(path))
    (to / "table.md").write_text(text, encoding="utf-8")
    (to / "figures.json").write_text(as_json(found), encoding="utf-8")
    first = blocks[0]
    net = load_embedder(work / first.run.name, first.run, read_split(first.frames, "train"))
    if not (to / BUNDLE).exists():  # else this command was killed before it had written its report
        graphs = export_graphs(net, first.run, first.frames, work / first.run.name, tell)
        build_bundle(first.run, graphs, first.frames, to / BUNDLE, tell)
    bundle = _made_here(to, first)
    subject = subject_of_run(first.frames, first.run)
    judged = judge(subject, bundle, "float32", open_on_processor(bundle, "float32", first.run.fit.threads).embed)
    write_report(judged, numbers_of(judged), to)
    click.echo(text)
    click.echo(f"table, figures, report.html and bundle are in {to}")


def _check_results(to: Path, run: Run) -> None:
    """Refuse a folder of results that are whole, or another run's, before hours of training."""
    if (to / PAGE).exists():
        raise ConfigError(f"{to} holds finished results already: name another folder by --to, or remove it")
    if (to / BUNDLE).exists() and load_bundle(to / BUNDLE).name != divided_run(run, split="blocks", part=0).name:
        raise ConfigError(_ANOTHER.format(to))


def check_sides(run: Run) -> None:
    """Refuse a run whose tables would say something else than its bundle serves.

    Raises:
        ConfigError: it looks from several sides.
    """
    if run.export.sides > 1:
        raise ConfigError(f"the run {run.name} looks from {run.export.sides} sides: tables of trainings look at each "
                          f"frame once, so leave export.sides out here")  # fmt: skip


def _made_here(to: Path, first: Trial) -> ModelBundle:
    bundle = load_bundle(to / BUNDLE)
    if bundle.provenance.data_digest != first.origin.digest or bundle.sides is not None:
        raise ConfigError(_ANOTHER.format(to))
    return bundle


def _pooled_words(run: Run, folds: int) -> str:
    table = run.listed
    return f"{folds} of {table.parts} parts, blocks of at least {table.block}, {table.gap:g} frames left out between"


@click.command()
@click.argument("run_files", type=FILE, nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--part", type=click.IntRange(0), multiple=True, help="Parts to be judged; several times. [default: the runs']"
)
@WORK
@DEVICE
def compare(run_files: tuple[Path, ...], part: tuple[int, ...], work: Path, device: str) -> None:
    """Train several runs at an equal budget and print their figures side by side, on what was held out."""
    # A run that begins with another one's features comes after it.
    runs = sorted((read_run(path) for path in run_files), key=lambda run: bool(run.network.start))
    same_budget(runs)
    for run in runs:
        check_sides(run)
    simulated = any(row.simulated for row in read_manifest(work / runs[0].listed.manifest).rows)
    with bench_of(work, device) as bench:
        trials = [[make_trial(bench, run) for run in _parts(run, part)] for run in runs]
    click.echo(compare_table(trials, simulated))


def _parts(run: Run, parts: tuple[int, ...]) -> Iterator[Run]:
    """Give the run once for each part that shall be judged; one that begins with another follows it part by part."""
    if not parts:
        yield run
        return
    for part in parts:
        data = run.listed.model_copy(update={"part": part})
        start = f"{run.network.start}-{part}" if run.network.start else ""
        network = run.network.model_copy(update={"start": start})
        yield run.model_copy(update={"name": f"{run.name}-{part}", "data": data, "network": network})


@contextmanager
def bench_of(work: Path, device: str) -> Iterator[Bench]:
    """Give a bench that shows how far it is."""
    chosen = device_of(device)

    def said(run: Run, epoch: Epoch) -> None:
        click.echo(
            f"{run.name}, epoch {epoch.epoch} of {run.fit.epochs}: loss {epoch.loss:.4f}, "
            f"{epoch.frames / epoch.seconds:.0f} frames/s",
            err=True,
        )

    with bars("frames read", "batches of the epoch") as (read, step):
        yield Bench(work, chosen, read, said, step)
