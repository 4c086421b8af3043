"""`paper`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from train.commands.options import DEVICE, WORK
from train.commands.trials import FILE, RUNS, bench_of
from train.manifest import read_manifest, write_manifest
from train.oath_layout import oath_rows
from train.paper import PaperSplit, Recipes, Reduced, chosen_models, run_paper
from train.paper_table import paper_table
from train.runfile import read_run

MANIFEST = "oath.csv"
SPLITS: dict[str, tuple[PaperSplit, ...]] = {
    "both": ("paper-blocks", "paper-random"),
    "blocks": ("paper-blocks",),
    "random": ("paper-random",),
}


def _numbers(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    """Read numbers and ranges of them: 2-11 or 2,4,5."""
    found: list[int] = []
    for part in value.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if match is None:
            raise click.BadParameter(f"'{value}' is not of the form 2-11 or 2,4,5", ctx, param)
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return tuple(found)


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option("--models", callback=_numbers, default="2-11", show_default=True, help="Of the paper, such as 1,4-7.")
@click.option("--folds", type=click.IntRange(1, 4), default=4, show_default=True, help="How many of the four.")
@click.option("--split", type=click.Choice(list(SPLITS)), default="both", show_default=True,
              help="By whole blocks, at random as the paper did, or both.")  # fmt: skip
@click.option("--size", type=click.IntRange(16, 1024), help="Pixels of the input, instead of the run files' 224.")
@click.option("--epochs", type=click.IntRange(1), help="Instead of the paper's.")
@click.option("--inception", type=FILE, help="ONNX file with the features of Inception-v4, for model 1.")
@click.option(
    "--to", type=click.Path(path_type=Path, dir_okay=False), help="File of the table; else it is printed only."
)
@WORK
@DEVICE
def paper(
    path: Path,
    models: tuple[int, ...],
    folds: int,
    split: str,
    size: int | None,
    epochs: int | None,
    inception: Path | None,
    to: Path | None,
    work: Path,
    device: str,
) -> None:
    """Train the models of Endo & Matsumoto 2022 on PATH (a copy of OATH v1.1, or a manifest), and print both tables."""
    chosen = chosen_models(models, inception)
    if to is not None:  # a place that cannot be written to is told before hours of training
        to.parent.mkdir(parents=True, exist_ok=True)
    rows = oath_rows(path) if path.is_dir() else read_manifest(path).rows
    manifest = path.resolve()
    if path.is_dir():
        manifest = write_manifest((work / MANIFEST).resolve(), rows).path
    reduced = Reduced(size, epochs)
    with bench_of(work, device) as bench:
        results = [
            result
            for way in SPLITS[split]
            for result in run_paper(bench, Recipes(RUNS, manifest, reduced, inception), chosen, way, folds)
        ]
    first = next((model for model in chosen if model.run), None)
    run = reduced.applied(read_run(RUNS / f"{first.run}.toml")) if first else None
    pixels = f"{run.preprocess.size} x {run.preprocess.size} pixels" if run else "Features of a file"
    length = f"{epochs} epochs instead of the paper's" if epochs else "epochs as in the paper"
    budget = f"{pixels}; {length}; on {bench.device}."
    text = paper_table(results, any(row.simulated for row in rows), budget)
    click.echo(text)
    if to is not None:
        to.write_text(text, encoding="utf-8")
