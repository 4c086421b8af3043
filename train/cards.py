"""Reports and model cards as text."""

from __future__ import annotations

from auroramon.bundle import Agreement
from auroramon.types import LABELS, UNKNOWN
from train.evaluate import Report
from train.runfile import Run


def report_tables(report: Report) -> str:
    """Give a report as Markdown."""
    lines = [
        f"{report.split}: {report.frames} frames of {report.cameras} cameras.",
        "Intervals: 95 %, bootstrap over cameras. `unknown` counts as wrong.",
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
        f"| frames that are no sky, refused | {100 * report.refused_strange:.1f} % of {report.strange} |",
        f"| AUROC of the distance, no sky against sky | {report.strange_auroc:.3f} |",
        "",
        "| class | frames | precision | recall | F1 |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {c.label} | {c.frames} | {c.precision:.3f} | {c.recall:.3f} | {c.f1:.3f} |" for c in report.classes]
    lines += ["", f"| true \\ said | {' | '.join((*LABELS, UNKNOWN))} |", "|---" * (len(LABELS) + 2) + "|"]
    lines += [f"| {label} | {' | '.join(map(str, row))} |" for label, row in zip(LABELS, report.confusion, strict=True)]
    lines += ["", "| camera | frames | accuracy |", "|---|---|---|"]
    lines += [f"| {c.camera} | {c.frames} | {c.accuracy:.3f} |" for c in report.by_camera]
    return "\n".join(lines) + "\n"


def model_card(run: Run, report: Report, agreement: Agreement | None, trained_frames: int) -> str:
    """Give the text of MODEL_CARD.md."""
    fit, cameras = run.fit, run.data.cameras
    worst = min(report.classes, key=lambda c: c.recall)
    poor = min(report.by_camera, key=lambda c: c.accuracy)
    int8 = (
        "There is no int8 graph."
        if agreement is None
        else f"The int8 graph gives the label of the float32 graph (`unknown` included) on\n"
        f"  {100 * agreement.labels:.2f} % of {agreement.frames} frames ({agreement.on}).\n"
        "  Its weights have seven bits, so that processors with and without VNNI give the same labels."
    )
    return f"""# {run.name}

**Trained on simulated skies.** No real frame was used to train, to calibrate or to choose this model.

It sorts all-sky frames into {", ".join(LABELS)}; what lies far from all of them is `unknown`.

## What it is
- Network: `{run.network.backbone}` from random weights, {run.preprocess.size} x {run.preprocess.size} pixels, planes
  {" and ".join(run.preprocess.channels)}; {run.network.width} dimensions, unit norm.
- Loss: triplet margin {run.loss.margin} over the triplets that a miner finds in a batch
  (`{run.loss.miner}`, margin {run.loss.miner_margin});
  {fit.epochs} epochs over {trained_frames} frames in class-balanced batches of {fit.batch}; AdamW at {fit.lr:g}
  ({fit.schedule}), seed {fit.seed}.
- Head: {_head_words(run)}.
  Temperature and threshold come from cameras that neither the network nor the head has seen; the threshold accepts
  99 % of their frames.
- {int8}

## Data
`auroramon.sim`, seed {run.data.seed}: {cameras["train"]} random cameras to train, {cameras["heads"]} others for the
head, {cameras["calibrate"]} others for temperature and threshold, {cameras["evaluate"]} others for the figures below;
{run.data.frames} frames each. No camera is in two of these groups.

## Figures
{report_tables(report)}
## Where it fails
- These are figures on simulated cameras. On real cameras expect clearly less; `docs/model.md` says what was seen.
- The class most often missed is `{worst.label}` (recall {worst.recall:.2f}); the worst camera of the
  evaluation set is {poor.camera} with {poor.accuracy:.2f}.
- Of frames that are no sky at all, the distance refuses {100 * report.refused_strange:.0f} %: keep the gates on
  (flat, saturated, daylight by the Sun's altitude), and do not read the confidence as a sign that a frame is a sky.
- Forms fade into each other: arc against diffuse and arc against discrete are borders by convention.
"""


def _head_words(run: Run) -> str:
    cameras = "the training cameras" if run.head.fit_on == "train" else "cameras of their own"
    if run.head.kind == "ridge":
        return f"ridge (alpha {run.head.alpha:g}), fitted on {cameras}"
    kind = "one covariance for all classes" if run.head.covariance == "tied" else "one covariance per class"
    return f"Mahalanobis, {kind}, Ledoit-Wolf shrinkage, fitted on {cameras}"
