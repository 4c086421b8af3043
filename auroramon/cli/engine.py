"""`auroramon engine`: the model compiled for an NVIDIA GPU, ahead of time or on the card."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from auroramon.cli.engine_parts import LIBRARIES, builder_for, described, shown, useless, verdict_of
from auroramon.cli.options import config_option, settings_of, start_log
from auroramon.cli.tables import console, new_table

if TYPE_CHECKING:
    from auroramon.backends.engine_cache import EngineCache
    from auroramon.backends.manifest import Manifest
    from auroramon.config import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group(short_help="Compile the model for an NVIDIA GPU.")
def engine() -> None:
    """Engines: the model compiled for one kind of NVIDIA GPU, kept in the cache, tried before the first label."""


def _folders(command: Command) -> Command:
    """Add --model and --cache."""
    for option in (
        click.option("--cache", type=click.Path(path_type=Path, file_okay=False), help="Cache folder (paths.cache)."),
        click.option("--model", "path", type=click.Path(path_type=Path, file_okay=False), help="Model bundle folder."),
    ):
        command = option(command)
    return command


def _library_option(command: Command) -> Command:
    return click.option(
        "--library", type=click.Choice(LIBRARIES), help="TensorRT, or TensorRT for RTX; default: the first that can."
    )(command)


def _settings(config: Path | None, path: Path | None, cache: Path | None, precision: str | None = None) -> Settings:
    overrides: dict[str, dict[str, Any]] = {"model": {"path": path, "precision": precision}, "paths": {"cache": cache}}
    settings = settings_of(config, overrides=overrides)
    start_log(settings.log.level)
    return settings


def _cache(settings: Settings) -> EngineCache:
    from auroramon.backends.choice import ENGINES
    from auroramon.backends.engine_cache import EngineCache

    return EngineCache(settings.cache_folder / ENGINES)


@engine.command("build")
@click.option(
    "--target", metavar="smNN", callback=lambda _context, _option, value: value and value.lower(),
    help="Compute capability to build for, such as sm89; default: this GPU's.",
)  # fmt: skip
@click.option(
    "--precision", type=click.Choice(["fp16", "int8", "float32"]), help="default: model.precision; its auto is fp16."
)
@_library_option
@_folders
@config_option
def build(
    config: Path | None,
    path: Path | None,
    cache: Path | None,
    library: str | None,
    precision: str | None,
    target: str | None,
) -> int:
    """Build the engine of a model and print the path of its plan; one that is there already is kept.

    With the GPU at hand the engine is tried on it: exit code 1 where it is refused, with the figures. Without, it is
    built ahead of time and tried when it is first loaded on its GPU.
    """
    from auroramon.assemble import bundle_of
    from auroramon.backends.cards import shop_of

    settings = _settings(config, path, cache, precision)
    bundle = bundle_of(settings)
    runtime, card = builder_for(library, target)
    shop = shop_of(bundle, settings.model.precision, _cache(settings), runtime)
    with shown() as progress:
        if card is not None:
            manifest = shop.obtain(card, progress)
        else:
            manifest = shop.build(shop.key(None, str(target)), None, progress)
    click.echo(shop.cache.folder / manifest.plan)
    return 0


@engine.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@_folders
@config_option
def list_engines(config: Path | None, path: Path | None, cache: Path | None, as_json: bool) -> int:
    """List the engines in the cache."""
    folder = _cache(_settings(config, path, cache))
    entries = folder.entries()
    if as_json:
        click.echo(json.dumps([described(folder, entry) for entry in entries], indent=1))
        return 0
    if not entries:
        click.echo(_none_in(folder), err=True)
        return 0
    table = new_table()
    for name in ("model", "target", "precision", "library", "MB", "built", "verified", "plan"):
        table.add_column(name, no_wrap=name != "plan", overflow="fold")
    for entry in entries:
        if (m := entry.manifest) is None:
            table.add_row("", "", "", "", "", "", "unusable", entry.problem)
            continue
        table.add_row(
            m.model_name, m.key.capability, m.key.precision, f"{m.key.library} {m.key.version}",
            f"{m.size / 1e6:.1f}", m.built[:10], _verified(m), m.plan,
        )  # fmt: skip
    console().print(table)
    return 0


def _none_in(cache: EngineCache) -> str:
    return f"no engine in {cache.folder}"


def _verified(manifest: Manifest) -> str:
    if manifest.trial is None:
        return "not tried yet"
    return "refused" if manifest.trial.refusal else f"on {manifest.trial.card}"


@engine.command("verify")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@_folders
@config_option
def verify(config: Path | None, path: Path | None, cache: Path | None, as_json: bool) -> int:
    """Check that every engine is the one that was built, and try those of the model again on the GPU that is here.

    Exit code 1 where one is damaged or refused.
    """
    from auroramon.assemble import bundle_of

    settings = _settings(config, path, cache)
    folder, bundle = _cache(settings), bundle_of(settings)
    verdicts = [verdict_of(folder, entry, bundle) for entry in folder.entries()]
    if as_json:
        click.echo(json.dumps([asdict(verdict) for verdict in verdicts], indent=1))
    else:
        for verdict in verdicts:
            click.echo(f"{verdict.engine}: {verdict.said}")
        if not verdicts:
            click.echo(_none_in(folder), err=True)
    return 0 if all(verdict.sound for verdict in verdicts) else 1


@engine.command("clean")
@click.option("--all", "everything", is_flag=True, help="Every engine, not only those that are of no use here.")
@_folders
@config_option
def clean(config: Path | None, path: Path | None, cache: Path | None, everything: bool) -> int:
    """Remove damaged engines, those of other models or library versions than are in use, and what is left of builds.

    They can be built again at any time.
    """
    from auroramon.assemble import bundle_of
    from auroramon.backends.engine_files import remove_file

    settings = _settings(config, path, cache)
    folder, bundle = _cache(settings), bundle_of(settings)
    removed = 0
    if not folder.folder.exists():
        click.echo(f"there is no {folder.folder}", err=True)
        return 0
    with folder.building():
        for entry in folder.entries():
            why = "asked for" if everything else useless(folder, entry, bundle)
            if why:
                folder.remove(entry.path.stem)
                click.echo(f"{entry.path.stem}: {why}")
                removed += 1
        for left in folder.leftovers() + (folder.all_timings() if everything else []):
            remove_file(left)
            click.echo(f"{left.name}: belongs to no engine")
            removed += 1
    click.echo(f"{removed} removed from {folder.folder}", err=True)
    return 0
