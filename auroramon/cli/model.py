"""`auroramon model`: which models there are, what is in them, and which one speaks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auroramon.cli.compare import compare
from auroramon.cli.options import config_option, settings_of
from auroramon.cli.params import utc_text
from auroramon.cli.tables import console, new_table
from auroramon.errors import BundleError, NoDatabaseError

if TYPE_CHECKING:
    from auroramon.bundle import ModelBundle
    from auroramon.config import Settings
    from auroramon.store.results import ModelRow

CARD_LINES = 12


@click.group(short_help="List, show, compare and promote models.")
def model() -> None:
    """Models: a bundle is a folder with the network and all that goes with it; the database knows those that ran."""


model.add_command(compare)


@model.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@config_option
def list_models(config: Path | None, as_json: bool) -> int:
    """List the shipped model, the configured one, and those whose labels are in the database."""
    settings = settings_of(config)
    entries = _entries(settings)
    if as_json:
        click.echo(json.dumps([asdict(entry) for entry in entries], indent=1))
        return 0
    table = new_table(caption="speaks: its labels are shown where several models labelled a frame")
    for name in ("model", "", "made", "in the database", "labels", "folder"):
        table.add_column(
            name, no_wrap=name != "folder", overflow="fold", justify="right" if name == "labels" else "left"
        )
    for entry in entries:
        role = ", ".join(word for word, holds in (("shipped", entry.shipped), ("used", entry.used)) if holds)
        known = "" if not entry.in_database else "speaks" if entry.speaks else "yes"
        known += f", promoted {entry.promoted[:10]}" if entry.promoted else ""
        folder = entry.problem or entry.folder or ""
        shared = [other.name for other in entries].count(entry.name) > 1
        name = f"{entry.name} ({entry.digest[:12]})" if shared and entry.digest else entry.name
        table.add_row(name, role, (entry.created or "")[:10], known, str(entry.labels or ""), folder)
    console().print(table)
    return 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of `model list`."""

    name: str
    digest: str | None
    created: str | None  # ISO 8601, UTC
    folder: str | None  # None where only the database knows the model
    shipped: bool
    used: bool  # what `run`, `backfill` and `classify` take
    in_database: bool
    speaks: bool
    promoted: str | None  # ISO 8601, UTC
    labels: int = 0  # frames that it labelled
    problem: str = ""  # why its bundle cannot be used


def _entries(settings: Settings) -> list[Entry]:
    from auroramon.bundle import default_bundle, load_bundle
    from auroramon.shelf import bundle_folders

    rows, counts = _known(settings)
    shipped = default_bundle()
    used = settings.model.path or shipped
    entries, told = [], set()
    for folder in bundle_folders(settings):
        entry = Entry(folder.name, None, None, str(folder), folder == shipped, folder == used, False, False, None)
        try:
            bundle = load_bundle(folder)
        except BundleError as error:
            entries.append(replace(entry, problem=str(error)))
            continue
        told.add(bundle.digest)
        entry = replace(entry, name=bundle.name, digest=bundle.digest, created=bundle.provenance.created)
        entries.append(_in_database(entry, rows, counts))
    for row in rows:
        if row.digest not in told:
            entry = Entry(row.name, row.digest, utc_text(row.created), None, False, False, False, False, None)
            entries.append(_in_database(entry, rows, counts))
    return entries


def _in_database(entry: Entry, rows: Sequence[ModelRow], counts: Mapping[int, int]) -> Entry:
    """Add what the database knows of a model; the first of its rows is the one that speaks."""
    row = next((row for row in rows if row.digest == entry.digest), None)
    if row is None:
        return entry
    promoted = None if row.promoted_at is None else utc_text(row.promoted_at)
    labels = counts.get(row.id, 0)
    return replace(entry, in_database=True, speaks=row is rows[0], promoted=promoted, labels=labels)


def _known(settings: Settings) -> tuple[list[ModelRow], dict[int, int]]:
    """Give the models of the database, the one that speaks first, and how many frames each labelled."""
    from auroramon.store.store import read_store

    try:
        with closing(read_store(settings.database_url)) as store:
            return store.models(), store.label_counts()
    except NoDatabaseError:
        return [], {}


@model.command("show")
@click.argument("which", required=False, metavar="[PATH|NAME]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@config_option
def show(config: Path | None, which: str | None, as_json: bool) -> int:
    """Show a model: what it was made from, what it sees, which graph of it would run here, and whether it is sound.

    Without PATH or NAME, the model that `run` would take.
    """
    settings = settings_of(config)
    bundle = _find(settings, which)
    told = _described(settings, bundle)
    if as_json:
        click.echo(json.dumps(told, indent=1))
    else:
        _print(told)
    return 0 if told["golden"]["repeated"] else 1


def _find(settings: Settings, which: str | None) -> ModelBundle:
    """Give the bundle in a folder, or of a name.

    Raises:
        BundleError: there is none, or it is damaged.
    """
    from auroramon.shelf import find_bundle

    try:
        return find_bundle(settings, which)
    except BundleError:
        if which is not None and any(row.name == which for row in _known(settings)[0]):
            raise BundleError(f"only the database knows {which}: give the folder of its bundle to see more") from None
        raise


def _described(settings: Settings, bundle: ModelBundle) -> dict[str, Any]:
    from auroramon.bundle import CARD, choose_precision
    from auroramon.heads import RidgeHead

    precision = choose_precision(bundle, settings.model.precision)
    head = bundle.head
    card = (bundle.folder / CARD).read_text(encoding="utf-8").strip().splitlines()
    return {
        "name": bundle.name,
        "folder": str(bundle.folder),
        "labels": list(bundle.labels),
        "card": "\n".join(card[:CARD_LINES]),
        "preprocess": bundle.preprocess.to_json(),
        "embedding_width": bundle.width,
        "head": {
            "kind": "ridge" if isinstance(head, RidgeHead) else "mahalanobis",
            "temperature": head.temperature,
            "threshold": head.threshold,
        },
        "agreement": None if bundle.agreement is None else asdict(bundle.agreement),
        "sides": None if bundle.sides is None else asdict(bundle.sides),
        "precision": precision,
        "why": _why(settings.model.precision, bundle),
        "graph": bundle.graph(precision).name,
        "golden": _golden(settings, bundle),
        "provenance": asdict(bundle.provenance),
        "digest": bundle.digest,
        "files": dict(bundle.files),
    }


def _why(wanted: str, bundle: ModelBundle) -> str:
    from auroramon.bundle import AGREEMENT

    if wanted != "auto":
        return f"model.precision asks for {wanted}"
    agreed = bundle.agreement
    if agreed is None:
        return "the bundle has no int8 graph"
    share = f"on {agreed.labels:.2%} of {agreed.frames} frames ({agreed.on})"
    second = "" if agreed.twice is None else f"; near a border, at {agreed.twice:.1%} of them, float32 looks again"
    if agreed.labels >= AGREEMENT:
        return f"the labels of int8 agree with float32 {share}{second}"
    return f"the labels of int8 agree with float32 only {share}, and {AGREEMENT:.0%} are asked for{second}"


def _golden(settings: Settings, bundle: ModelBundle) -> dict[str, Any]:
    """Run the golden frames here, with the graphs that would run."""
    from auroramon.assemble import live_threads
    from auroramon.backends.second_look import open_on_processor, prove
    from auroramon.bundle import choose_precision

    frames = len(bundle.golden.inputs)
    try:
        precision = choose_precision(bundle, settings.model.precision)
        backend = open_on_processor(bundle, precision, live_threads(settings))
        prove(bundle, backend)
    except BundleError as error:
        return {"repeated": False, "frames": frames, "said": str(error)}
    return {"repeated": True, "frames": frames, "said": f"repeated by {backend.name} on {backend.device}"}


def _print(told: dict[str, Any]) -> None:
    head, origin = told["head"], told["provenance"]
    lines = {
        "model": f"{told['name']}, in {told['folder']}",
        "labels": ", ".join(told["labels"]),
        "sees": ", ".join(f"{key} {value}" for key, value in told["preprocess"].items()),
        "head": f"{head['kind']} on {told['embedding_width']} dimensions, temperature {head['temperature']:.4g}",
        "unknown": f"beyond a distance of {head['threshold']:.4g}",
        "runs": f"{told['precision']} ({told['graph']}): {told['why']}",
        "looks": _looks(told["sides"], origin["adapted"]),
        "golden": f"{told['golden']['frames']} frames {told['golden']['said']}",
        "made": f"{origin['created']} by auroramon {origin['code_version']} from {origin['data']}",
        "measured": ", ".join(f"{key} {value:.4g}" for key, value in origin["metrics"].items()),
        "digest": told["digest"],
    }
    for name, text in lines.items():
        click.echo(f"{name:<10} {text}")
    for name, digest in told["files"].items():
        click.echo(f"{'':<10} {digest}  {name}")
    click.echo(f"\n{told['card']}")


def _looks(sides: dict[str, Any] | None, adapted: dict[str, Any] | None) -> str:
    """Say from how many sides a model looks; what a moved one tells of it was measured with the head of its parent."""
    if sides is None:
        return "from one side"
    whose = "its evaluation set" if adapted is None else f"the evaluation set of {adapted['parent']}"
    return (
        f"from {sides['count']} sides within {sides['near']:.3g} of a border of the head, where {sides['part']:.1%} of "
        f"{whose} lie, from one elsewhere"
    )


@model.command("promote")
@click.argument("name")
@config_option
def promote(config: Path | None, name: str) -> int:
    """Let the labels of model NAME be shown where several models labelled a frame. No label is lost by it."""
    from auroramon.cli.opening import open_to_change

    settings = settings_of(config)
    with closing(open_to_change(settings)) as store:
        store.promote_model(name, datetime.now(UTC))
        click.echo(f"{name} speaks from now on, in {store.place}")
        store.count_hours()  # of what it says; the occurrence is right before, but slow
    return 0
