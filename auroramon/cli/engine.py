"""`auroramon engine`: the model compiled for an NVIDIA GPU, ahead of time or on the card."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from auroramon.cli.options import config_option, settings_of, start_log
from auroramon.cli.tables import console, new_table
from auroramon.errors import ConfigError, EngineError, MissingPartError, NoCardError

if TYPE_CHECKING:
    from auroramon.backends.engine_cache import EngineCache, Entry
    from auroramon.backends.manifest import Manifest
    from auroramon.backends.runtime import Card, Runtime
    from auroramon.bundle import ModelBundle
    from auroramon.config import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

LIBRARIES = ("tensorrt", "tensorrt_rtx")


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
        "--library", type=click.Choice(LIBRARIES), help="TensorRT, or TensorRT for RTX; without it, what is installed."
    )(command)


def _settings(config: Path | None, path: Path | None, cache: Path | None) -> Settings:
    settings = settings_of(config, overrides={"model": {"path": path}, "paths": {"cache": cache}})
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
@click.option("--precision", type=click.Choice(["fp16", "int8", "float32"]), default="fp16", show_default=True)
@_library_option
@_folders
@config_option
def build(
    config: Path | None, path: Path | None, cache: Path | None, library: str | None, precision: str, target: str | None
) -> int:
    """Build the engine of a model and print the path of its plan; one that is there already is kept.

    With the GPU at hand the engine is tried on it: exit code 1 where it is refused, with the figures. Without, it is
    built ahead of time and tried when it is first loaded on its GPU.
    """
    from auroramon.assemble import bundle_of
    from auroramon.backends.cards import shop_of

    settings = _settings(config, path, cache)
    runtime = _runtime(library)
    card = _card(runtime, target)
    shop = shop_of(bundle_of(settings), precision, _cache(settings), runtime)  # type: ignore[arg-type]  # click chose it
    with _shown() as progress:
        try:
            if card is not None:
                manifest = shop.obtain(card, progress)
            else:
                manifest = shop.build(shop.key(None, str(target)), None, progress)
        except NoCardError as error:
            raise ConfigError(str(error)) from error
    click.echo(shop.cache.folder / manifest.plan)
    return 0


def _card(runtime: Runtime, target: str | None) -> Card | None:
    """Give the card to build for, or None where the target is elsewhere.

    Raises:
        ConfigError: there is neither a card nor a target.
    """
    try:
        card = runtime.card()
    except NoCardError as error:
        if target is None:
            raise ConfigError(f"{error}: name what to build for with --target, such as --target sm89") from error
        return None
    return card if target in {None, card.capability} else None


def _runtime(library: str | None) -> Runtime:
    """Load a library: the one named, else the first that is installed.

    Raises:
        ConfigError: there is none.
    """
    from auroramon.backends.tensorrt import open_runtime

    missing = []
    for name in (library,) if library else LIBRARIES:
        try:
            return open_runtime(name)  # type: ignore[arg-type]  # click chose it
        except MissingPartError as error:
            missing.append(str(error))
    raise ConfigError("; ".join(missing))


@contextmanager
def _shown() -> Iterator[Callable[[str, float], None]]:
    """Give a function that shows progress on stderr: a bar on a terminal, lines elsewhere."""
    from rich.console import Console

    from auroramon.backends.choice import Teller

    screen = Console(stderr=True)
    if not screen.is_terminal:
        yield Teller()
        return
    from rich.progress import Progress

    with Progress(console=screen) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda what, part: progress.update(task, description=what, completed=part)


@engine.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@_folders
@config_option
def list_engines(config: Path | None, path: Path | None, cache: Path | None, as_json: bool) -> int:
    """List the engines in the cache."""
    folder = _cache(_settings(config, path, cache))
    entries = folder.entries()
    if as_json:
        click.echo(json.dumps([_described(folder, entry) for entry in entries], indent=1))
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


def _verified(manifest: Manifest) -> str:
    if manifest.trial is None:
        return "not tried yet"
    return "refused" if manifest.trial.refusal else f"on {manifest.trial.card}"


def _described(cache: EngineCache, entry: Entry) -> dict[str, Any]:
    if (m := entry.manifest) is None:
        return {"manifest": str(entry.path), "problem": entry.problem}
    return {
        "model": m.model_name,
        "target": m.key.capability,
        "precision": m.key.precision,
        "plan": str(cache.folder / m.plan),
        "verified": m.verified,
        "key": asdict(m.key),
        "bytes": m.size,
        "sha256": m.sha256,
        "built": m.built,
        "seconds": m.seconds,
        "trial": None if m.trial is None else asdict(m.trial),
        "problem": "",
    }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found of one engine."""

    engine: str
    sound: bool
    said: str


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
    verdicts = [_verdict(folder, entry, bundle) for entry in folder.entries()]
    if as_json:
        click.echo(json.dumps([asdict(verdict) for verdict in verdicts], indent=1))
    else:
        for verdict in verdicts:
            click.echo(f"{verdict.engine}: {verdict.said}")
        if not verdicts:
            click.echo(f"no engine in {folder.folder}", err=True)
    return 0 if all(verdict.sound for verdict in verdicts) else 1


def _verdict(cache: EngineCache, entry: Entry, bundle: ModelBundle) -> Verdict:
    if entry.manifest is None:
        return Verdict(entry.path.stem, False, entry.problem)
    try:
        cache.plan(entry.manifest)
        return Verdict(entry.path.stem, True, f"as it was built; {_tried(cache, entry.manifest, bundle)}")
    except EngineError as error:
        return Verdict(entry.path.stem, False, str(error))


def _tried(cache: EngineCache, manifest: Manifest, bundle: ModelBundle) -> str:
    """Try an engine on the card that is here, and say how it did, or why it was not tried.

    Raises:
        EngineError: it is refused, with the figures.
    """
    from auroramon.backends.cards import shop_of

    if manifest.key.model != bundle.digest:
        return f"not tried: it is of another model than {bundle.name} in {bundle.folder}"
    try:
        runtime = _runtime(manifest.key.library)
        card = runtime.card()
    except (ConfigError, NoCardError) as error:
        return f"not tried: {error}"
    shop = shop_of(bundle, manifest.key.precision, cache, runtime)  # type: ignore[arg-type]  # of a key that we wrote
    if wrong := manifest.key.differences(shop.key(card)):
        return f"not tried: it is for {', '.join(wrong)}"
    with _shown() as progress:
        trial = shop.prove(manifest, card, progress).trial
    if trial is None or trial.refusal:
        raise EngineError(f"refused on {card.name}: {trial.refusal if trial else 'it was not tried'}")
    found = trial.figures
    return (
        f"agrees on {card.name}: {found.golden} golden frames, {found.trial_labels:.2%} of {found.trial} simulated "
        f"labels, least cosine {found.cosine:.5f}"
    )


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
            why = "asked for" if everything else _useless(folder, entry, bundle)
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


def _useless(cache: EngineCache, entry: Entry, bundle: ModelBundle) -> str:
    """Say why an engine can be of no use here, or ""."""
    if entry.manifest is None:
        return entry.problem
    try:
        cache.plan(entry.manifest)
    except EngineError as error:
        return str(error)
    key = entry.manifest.key
    if key.model != bundle.digest:
        return f"of another model than {bundle.name}"
    try:
        version = _runtime(key.library).version
    except ConfigError:
        return f"{key.library} is not installed"
    return "" if version == key.version else f"for {key.library} {key.version}, and {version} is installed"
