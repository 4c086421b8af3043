"""`auroramon model compare`: what changes from one model to another."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auroramon.cli.options import config_option, settings_of
from auroramon.cli.params import counted, utc_text
from auroramon.cli.tables import console, new_table
from auroramon.cli.which import which_of, which_options

if TYPE_CHECKING:
    from auroramon.comparison import Accuracy, Agreement, Changes
    from auroramon.store.comparison import ChangedFrame
    from auroramon.store.relabel import Which
    from auroramon.store.results import ModelRow
    from auroramon.store.store import Store

CHANGED = ("path", "index", "camera", "night", "time", "a", "a_confidence", "b", "b_confidence", "human")


@click.command("compare", short_help="Show what changes from model A to model B.")
@click.argument("a")
@click.argument("b")
@which_options
@click.option("--changed", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.CSV|FILE.JSONL",
              help="Write the frames that they label differently to this file.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@config_option
def compare(
    config: Path | None,
    a: str,
    b: str,
    since: datetime | None,
    until: datetime | None,
    cameras: tuple[str, ...],
    changed: Path | None,
    as_json: bool,
) -> int:
    """Compare the labels that models A and B gave to the same frames of the database.

    Where people labelled frames, it says how often each model agrees with them.
    """
    from auroramon.cli.review import model_of
    from auroramon.comparison import changes
    from auroramon.store.store import read_store
    from auroramon.types import UNKNOWN

    settings = settings_of(config)
    with closing(read_store(settings.database_url)) as store:
        first, second = model_of(store, a), model_of(store, b)
        if first.id == second.id:
            raise click.UsageError(f"{a} and {b} are one model: where two share a name, give the digests that "
                                   f"`auroramon model list` shows")  # fmt: skip
        which = which_of(store, since, until, cameras)
        order = (*dict.fromkeys((*first.labels, *second.labels)), UNKNOWN)
        found = store.compare(first.id, second.id, which)
        told = changes(*_names(first, second), found, order, max(first.created, second.created))
        if changed:
            written = _write_changed(store, first.id, second.id, which, changed)
    if as_json:
        click.echo(json.dumps(_json(told), allow_nan=False))
    else:
        _print(told)
        if changed:
            click.echo(f"{counted(written, 'frame')} written to {changed}")
    return 0


def _names(a: ModelRow, b: ModelRow) -> tuple[str, str]:
    """Give the names of two models, with their digests where they share one."""
    return (a.name, b.name) if a.name != b.name else (f"{a.name} ({a.digest[:12]})", f"{b.name} ({b.digest[:12]})")


def _write_changed(store: Store, a: int, b: int, which: Which, path: Path) -> int:
    """Write the frames that changed, as CSV or as JSON lines by the name of the file; give their number."""
    if path.suffix not in {".csv", ".jsonl", ".json"}:
        raise click.UsageError(f"{path}: end the name in .csv or in .jsonl (JSON lines)")
    count = 0
    with path.open("w", newline="", encoding="utf-8") as out:
        table = csv.DictWriter(out, CHANGED, lineterminator="\n") if path.suffix == ".csv" else None
        if table:
            table.writeheader()
        for frame in store.changed(a, b, which):
            if table:
                table.writerow(_line(frame))
            else:
                out.write(json.dumps(_line(frame)) + "\n")
            count += 1
    return count


def _line(frame: ChangedFrame) -> dict[str, Any]:
    return {
        "path": frame.path,
        "index": frame.frame_index,
        "camera": frame.camera,
        "night": frame.night.isoformat(),
        "time": utc_text(frame.time),
        "a": frame.a,
        "a_confidence": frame.a_confidence,
        "b": frame.b,
        "b_confidence": frame.b_confidence,
        "human": frame.human,
    }


def _json(told: Changes) -> dict[str, Any]:
    said = asdict(told)
    said["transitions"] = [{"a": a, "b": b, "frames": frames} for (a, b), frames in sorted(told.transitions.items())]
    for accuracy in said["accuracy"]:
        for end in ("low", "high"):
            accuracy[end] = None if math.isnan(accuracy[end]) else accuracy[end]
    return said


def _print(told: Changes) -> None:
    both, same = told.all.frames, told.all.same
    share = f", the same label for {same / both:.1%}" if both else ""
    click.echo(f"{told.a} labelled {counted(told.labelled_a, 'frame')}, {told.b} {told.labelled_b}; both {both}{share}")
    if not both:
        return
    _print_transitions(told)
    _print_parts("camera", told.cameras, told)
    _print_parts("night", told.nights, told)
    for accuracy in told.accuracy:
        click.echo(_sentence(accuracy, told))


def _print_transitions(told: Changes) -> None:
    table = new_table(title=f"{told.a} (rows) to {told.b} (columns)", tight=True)
    table.add_column("")
    for label in (*told.labels, "all", "changed"):
        table.add_column(label, justify="right")
    for a in told.labels:
        counts = [told.transitions.get((a, b), 0) for b in told.labels]
        changed = sum(counts) - told.transitions.get((a, a), 0)
        table.add_row(a, *(str(count or "") for count in counts), str(sum(counts)), str(changed or ""))
    columns = [sum(told.transitions.get((a, b), 0) for a in told.labels) for b in told.labels]
    table.add_row("all", *map(str, columns), str(sum(columns)), str(told.all.frames - told.all.same))
    console().print(table)


def _print_parts(what: str, parts: Sequence[Agreement], told: Changes) -> None:
    table = new_table(tight=True)
    table.add_column(what)
    for name in ("frames", "same", f"aurora {told.a}", f"aurora {told.b}", "difference"):
        table.add_column(name, justify="right")
    for part in parts:
        shares = [100 * part.aurora_a / part.frames, 100 * part.aurora_b / part.frames]
        table.add_row(
            part.of, str(part.frames), f"{part.same / part.frames:.1%}", *(f"{share:.1f} %" for share in shares),
            f"{shares[1] - shares[0]:+.1f}",
        )  # fmt: skip
    console().print(table)


def _sentence(accuracy: Accuracy, told: Changes) -> str:
    n = accuracy.frames
    if n == 0:
        return f"frames {accuracy.of}: none"
    gain = 100 * (accuracy.right_b - accuracy.right_a) / n
    return (
        f"frames {accuracy.of}: n = {n} of {counted(accuracy.nights, 'night')}, {told.a} right in "
        f"{accuracy.right_a / n:.1%}, {told.b} in {accuracy.right_b / n:.1%}, difference {gain:+.1f} points "
        f"(95 % interval {100 * accuracy.low:+.1f} to {100 * accuracy.high:+.1f}, bootstrap over nights)"
    )
