"""Reports and model cards as text."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from auroramon.bundle import Agreement, Sides
from auroramon.types import LABELS, UNKNOWN
from train.evaluate import Report
from train.origin import Origin
from train.runfile import ArcFaceTable, ManifestTable, Run, SupConTable, TripletTable

SIMULATED = " (simulated skies)"
LEAKS = (
    "**This split leaks: neighbours of learnt frames are judged.** The figures say how well the model remembers; quote "
    "them only beside those of a split by blocks, nights or cameras."
)


def as_json(values: Any) -> str:
    """Give dataclasses as JSON; what cannot be worked out is null."""
    given = [asdict(value) for value in values] if isinstance(values, list) else asdict(values)
    return json.dumps(_without_nan(given), indent=1) + "\n"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def report_tables(report: Report, unit: str, apart: bool, simulated: bool) -> str:
    """Give a report as Markdown.

    Args:
        report: the figures.
        unit: what intervals draw.
        apart: whether no copy and no neighbour of a learnt frame is judged.
        simulated: whether no camera took the frames.
    """
    units = f"{report.cameras} {unit}{'' if report.cameras == 1 else 's'}"
    intervals = f"Intervals: 95 %, bootstrap over {unit}s" + ("" if report.cameras > 1 else ": none of one alone")
    strange = (
        f"{100 * report.refused_strange:.1f} % of {report.strange}, AUROC of the distance {report.strange_auroc:.3f}"
        if report.strange
        else "none was judged"
    )
    lines = [
        *([] if apart else [LEAKS, ""]),
        f"{report.split}{SIMULATED if simulated else ''}: {report.frames} frames of {units}.",
        f"{intervals}. `unknown` counts as wrong.",
        "",
        "| figure | value |",
        "|---|---|",
        f"| accuracy | {report.accuracy} |",
        f"| balanced accuracy | {report.balanced_accuracy} |",
        f"| aurora recall (any of its three labels) | {report.aurora_recall} |",
        f"| false alarms (aurora said where there is none) | {report.false_alarms} |",
        f"| accuracy of the best class, threshold ignored | {100 * report.closed_accuracy:.1f} % |",
        f"| calibration error of the confidence | {100 * report.calibration_error:.1f} points |",
        f"| known frames refused as `unknown` | {100 * report.refused_known:.1f} % |",
        f"| frames that are no sky, refused | {strange} |",
        "",
        "| class | frames | precision | recall | F1 |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {c.label} | {c.frames} | {c.precision:.3f} | {c.recall:.3f} | {c.f1:.3f} |" for c in report.classes]
    lines += ["", f"| true \\ said | {' | '.join((*LABELS, UNKNOWN))} |", "|---" * (len(LABELS) + 2) + "|"]
    lines += [f"| {label} | {' | '.join(map(str, row))} |" for label, row in zip(LABELS, report.confusion, strict=True)]
    lines += ["", f"| {unit} | frames | accuracy |", "|---|---|---|"]
    lines += [f"| {c.camera} | {c.frames} | {c.accuracy:.3f} |" for c in report.by_camera]
    return "\n".join(lines) + "\n"


def _start_words(run: Run) -> str:
    return f"the features of {run.network.start}" if run.network.start else "random weights"


def int8_words(agreement: Agreement, asked: float, alone: float) -> str:
    """Say how often int8 gives the label of float32, as both are served and alone.

    Args:
        agreement: as they are served; with `twice`.
        asked: within this distance of a border float32 looks again.
        alone: part of the same frames on which both graphs alone give the same label.
    """
    return (
        f"Alone, the int8 graph gives the label of the float32 graph (`unknown` included) on {100 * alone:.2f} % of "
        f"{agreement.frames} frames ({agreement.on}). On processors float32 looks again within a distance of "
        f"{asked:.3g} of a border of the head, at {100 * (agreement.twice or 0):.1f} % of these frames: then "
        f"{100 * agreement.labels:.2f} % have the label that float32 serves. Its weights have seven bits, so that "
        "processors with and without VNNI give the same labels."
    )


def sides_words(sides: Sides, once: Report) -> str:
    """Say which frames are looked at from several sides, and what the figures would be without.

    Args:
        sides: as the bundle has them.
        once: the figures of the float32 graph that looks at each frame as it is.
    """
    return (
        f"Within a distance of {sides.near:.3g} of a border of the head, at {100 * sides.part:.1f} % of the evaluation "
        f"frames, it looks from {sides.count} sides (the frame as it is, turned and mirrored), and the mean counts. "
        f"Without that it would have an accuracy of {once.accuracy}, an aurora recall of {once.aurora_recall} and "
        f"false alarms of {once.false_alarms} (float32)."
    )


def model_card(run: Run, report: Report, graphs: Sequence[str], trained_frames: int, origin: Origin) -> str:
    """Give the text of MODEL_CARD.md; `graphs` are sentences about int8 and sides."""
    fit = run.fit
    worst = min(report.classes, key=lambda c: c.recall)
    poor = min(report.by_camera, key=lambda c: c.accuracy)
    items = "\n".join(textwrap.fill(f"- {line}", 118, subsequent_indent="  ") for line in graphs)
    return f"""# {run.name}

{_origin_words(origin)}

It sorts all-sky frames into {", ".join(LABELS)}; what lies far from all of them is `unknown`.

## What it is
- Network: `{run.network.backbone}`, begun with {_start_words(run)}, {run.preprocess.size} x {run.preprocess.size}
  pixels, planes {", ".join(run.preprocess.channels)}; {run.network.width} dimensions, unit norm.
- Loss: {_loss_words(run)};
  {fit.last} epochs over {trained_frames} frames in {_batch_words(run)} of {fit.batch}; {fit.optimiser} at {fit.lr:g}
  ({fit.schedule}), seed {fit.seed}.
- Head: {_head_words(run)}.
  Temperature and threshold come from {origin.unit}s that neither the network nor the head has seen; the threshold
  accepts 99 % of their frames.
{items}

## Data
{_data_words(run)}

## Figures
{report_tables(report, origin.unit, origin.apart, origin.simulated)}
## Where it fails
- {_warning(origin)}
- The class most often missed is `{worst.label}` (recall {worst.recall:.2f}); the worst {origin.unit} of the
  evaluation set is {poor.camera} with {poor.accuracy:.2f}.
- {_strange_words(report)}: keep the gates on (flat, saturated, daylight by
  the Sun's altitude), and do not read the confidence as a sign that a frame is a sky.
- Forms fade into each other: arc against diffuse and arc against discrete are borders by convention.
"""


def _origin_words(origin: Origin) -> str:
    if origin.simulated:
        return "**Trained on simulated skies.** No real frame was used to train, to calibrate or to choose this model."
    return "Trained on labelled frames of files."


def _strange_words(report: Report) -> str:
    if not report.strange:
        return "What it does with frames that are no sky at all was not judged"
    return f"Of frames that are no sky at all, the distance refuses {100 * report.refused_strange:.0f} %"


def _warning(origin: Origin) -> str:
    if origin.simulated:
        return "These are figures on simulated skies. On real cameras expect clearly less."
    if origin.apart:
        return "These are figures on the cameras it was trained with. On others expect less."
    return "These figures leak: neighbours of the judged frames were trained on. Expect clearly less."


def _loss_words(run: Run) -> str:
    loss = run.loss
    if isinstance(loss, TripletTable):
        return (
            f"triplet margin {loss.margin} over the triplets that a miner finds in a batch\n"
            f"  (`{loss.miner}`, margin {loss.miner_margin})"
        )
    if isinstance(loss, ArcFaceTable):
        return f"ArcFace, margin {loss.margin_deg:g} degrees, scale {loss.scale:g}"
    if isinstance(loss, SupConTable):
        return f"supervised contrastive, temperature {loss.temperature:g}"
    return "softmax cross entropy"


def _batch_words(run: Run) -> str:
    return "class-balanced batches" if run.fit.sampling == "balanced" else "shuffled batches"


def _data_words(run: Run) -> str:
    if isinstance(run.data, ManifestTable):
        return (
            f"The frames that a manifest lists, divided by {run.data.split} (part {run.data.part}, seed\n"
            f"{run.data.seed}). The digest in `bundle.json` is that of its lines and pixels."
        )
    cameras = run.data.cameras
    return f"""`auroramon.sim`, seed {run.data.seed}: {cameras["train"]} random cameras to train,
{cameras["heads"]} others for the head, {cameras["calibrate"]} others for temperature and threshold,
{cameras["evaluate"]} others for the figures below; {run.data.frames} frames each.
No camera is in two of these groups."""


def _head_words(run: Run) -> str:
    things = "frames" if isinstance(run.data, ManifestTable) else "cameras"
    cameras = f"the training {things}" if run.head.fit_on == "train" else f"{things} of their own"
    if run.head.kind == "ridge":
        return f"ridge (alpha {run.head.alpha:g}), fitted on {cameras}"
    kind = "one covariance for all classes" if run.head.covariance == "tied" else "one covariance per class"
    return f"Mahalanobis, {kind}, Ledoit-Wolf shrinkage, fitted on {cameras}"
