"""The page of a report, from its figures: plain HTML, no script, nothing from the network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from auroramon.types import LABELS, UNKNOWN
from train.evaluate import Figure
from train.judged import Judged
from train.report import charts
from train.report.numbers import Numbers, Part, Wrong
from train.report.style import STYLE
from train.report.thumbnails import thumbnail
from train.unknown import Cell, UnknownReport, sun_words

MOST_PARTS = 40
"""Cameras in a chart; a report of more shows the best and the worst of them."""


def page(judged: Judged, numbers: Numbers) -> str:
    """Give the whole page."""
    sections = [
        _summary(numbers),
        _classes(numbers),
        _calibration(numbers),
        _coverage(judged, numbers),
        _conditions(numbers),
        _cameras(numbers),
        _unknown(judged, numbers),
        _embedding(judged, numbers),
        _errors(judged, numbers),
    ]
    title = f"Evaluation of {escape(numbers.bundle)}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n'
        f"<body>\n<main>\n<h1>{title}</h1>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def _percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f}&nbsp;%" if np.isfinite(value) else "–"


def _with_interval(figure: Figure) -> str:
    if not np.isfinite(figure.low):
        return _percent(figure.value)
    return f"{_percent(figure.value)} <small>({100 * figure.low:.1f}–{100 * figure.high:.1f})</small>"


def _plural(word: str, count: int) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """Give a table; its first column names the rows. Cells are HTML."""
    cells = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = ""
    for name, *others in rows:
        cells_of = "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in others)
        body += f'<tr><th scope="row">{name}</th>{cells_of}</tr>'
    return f'<div class="wide"><table class="{kind}"><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>'


def _figure(drawing: str, caption: str) -> str:
    return f"<figure>{drawing}<figcaption>{caption}</figcaption></figure>"


def _section(title: str, *parts: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{''.join(parts)}</section>\n"


def _summary(numbers: Numbers) -> str:
    head = numbers.head
    what = "simulated frames" if numbers.simulated else "frames"
    lead = (
        f'<p class="lead">{escape(numbers.split)}: <b>{head.frames:,} {what}</b> of '
        f"{_plural('camera', numbers.cameras)}. Graph: {numbers.precision}. {_interval_words(numbers)} "
        "A frame of a class that is labelled <i>unknown</i>, by a gate or by the distance, counts as wrong.</p>"
    )
    tiles = "".join(
        f'<div class="tile"><span>{name}</span><b>{_percent(f.value)}</b>'
        f"<small>{'' if not np.isfinite(f.low) else f'{100 * f.low:.1f}–{100 * f.high:.1f}'}</small></div>"
        for name, f in (
            ("accuracy", head.accuracy),
            ("balanced accuracy", head.balanced_accuracy),
            ("aurora found", head.aurora_recall),
            ("false alarms", head.false_alarms),
        )
    )
    notes = (
        f"<p>Aurora found: frames with aurora that got one of its three labels. False alarms: frames without that got "
        f"one. Without the threshold, the best class is right for {_percent(head.closed_accuracy)}. Rejected as "
        f"<i>unknown</i>: {_percent(head.refused_known)} of the frames with a class ({_percent(numbers.gated, 2)} by a "
        f"gate){_strange_words(numbers)}. {sun_words(numbers.without_sun, numbers.frames)}</p>"
    )
    return _leak_words(numbers) + lead + f'<div class="tiles">{tiles}</div>' + notes + _provenance(numbers)


def _interval_words(numbers: Numbers) -> str:
    alike = f"frames of one {numbers.unit} are alike and do not count as independent."
    if numbers.units < 2:
        return f"There are no intervals: all frames are of one {numbers.unit}, and {alike}"
    return f"Intervals are 95 %, bootstrap over {_plural(numbers.unit, numbers.units)}: {alike}"


def _strange_words(numbers: Numbers) -> str:
    if numbers.unknown is None:
        return ""
    last = numbers.unknown.refusals[-1]
    return f", {_percent(last.refused)} of {last.frames:,} that are no sky"


def _leak_words(numbers: Numbers) -> str:
    if numbers.apart:
        return ""
    near = "" if numbers.neighbours is None else f" ({numbers.copies:,} copies, {numbers.neighbours:,} neighbours)"
    return (
        f'<p class="warning"><b>This split leaks.</b> Neighbours of training frames are judged{near}; the figures '
        "below say how well the model remembers, not how well it will do on other nights. Quote them only beside "
        "those of a split by blocks, nights or cameras.</p>"
    )


def _provenance(numbers: Numbers) -> str:
    checked = (
        "not done, that nothing was learnt from these frames is the word of whoever listed them"
        if numbers.copies is None
        else f"copies of learnt frames: {numbers.copies}, neighbours: {numbers.neighbours}"
    )
    simulated = "<b>No camera took these frames: they are simulated.</b> " if numbers.simulated else ""
    return f'<p class="fine">{simulated}Checked for leaks: {checked}. Bundle {numbers.bundle_digest[:12]}.</p>'


def _classes(numbers: Numbers) -> str:
    head = numbers.head
    rows = [
        [c.label, f"{c.frames:,}", f"{c.precision:.3f}", f"{c.recall:.3f}", f"{c.f1:.3f}"]
        for c in head.classes
        if c.frames
    ]
    scores = _table(["class", "n", "precision", "recall", "F1"], rows, "numbers")
    names = (*LABELS, UNKNOWN)
    matrix = []
    for label, counts in zip(LABELS, head.confusion, strict=True):
        total = max(sum(counts), 1)
        cells = [
            f'<td class="heat{" right" if names[k] == label else ""}" style="--part:{count / total:.3f}">'
            f"{count:,}<small>{100 * count / total:.0f}&nbsp;%</small></td>"
            for k, count in enumerate(counts)
        ]
        matrix.append([label, *cells])
    confusion = _table(["truth ↓ &nbsp; label →", *names], matrix, "matrix")
    caption = "<p class='fine'>Rows: the truth. Columns: the label given. Percentages are of the row.</p>"
    return _section("Classes", scores, "<h3>Confusion</h3>", confusion, caption)


def _calibration(numbers: Numbers) -> str:
    caption = (
        "Reliability of the confidence (of the best class), 15 bins of equal width; bars along the floor show the part "
        "of the frames in each bin, lines the gap to a confidence that means what it says."
    )
    return _section("Confidence", _figure(charts.reliability(numbers.calibration), caption))


def _coverage(judged: Judged, numbers: Numbers) -> str:
    rows = [
        [
            f"{100 * c.coverage:.0f}&nbsp;%",
            f"{c.confidence:.2f}" if c.confidence > 0 else "–",
            _with_interval(c.accuracy),
        ]
        for c in numbers.coverage
    ]
    table = _table(["coverage", "least confidence", "accuracy"], rows, "numbers")
    caption = (
        f"Accuracy of the surest part of the frames; mean error over all coverages {_percent(numbers.risk_area)}. "
        "Refused frames come last."
    )
    drawing = _figure(charts.risk_coverage(judged, numbers.coverage), caption)
    return _section("Accuracy at a given coverage", f'<div class="pair">{drawing}{table}</div>')


def _part_rows(parts: Sequence[Part]) -> list[list[str]]:
    return [
        [escape(p.name), f"{p.frames:,}", str(p.units), _with_interval(p.accuracy), _percent(p.aurora_recall),
         _percent(p.false_alarms), _percent(p.refused)]
        for p in parts
    ]  # fmt: skip


def _conditions(numbers: Numbers) -> str:
    if not numbers.by_sun:
        return _section("Sun and Moon", "<p>Where Sun and Moon stood is not known for these frames.</p>")
    rest = numbers.without_conditions
    missing = f"<p class='fine'>Not known for {rest:,} of {numbers.head.frames:,} frames.</p>" if rest else ""
    parts = [
        _figure(
            charts.parts_chart(
                name, found, numbers.head.accuracy.value, "accuracy (line: its interval; dashes: all frames)"
            ),
            f"By altitude of the {body}.",
        )
        + _table(
            [f"{body}", "n", f"{numbers.unit}s", "accuracy", "aurora found", "false alarms", "unknown"],
            _part_rows(found),
            "numbers",
        )
        for name, body, found in (("sun", "Sun", numbers.by_sun), ("moon", "Moon", numbers.by_moon))
        if found
    ]
    return _section("Sun and Moon", *parts, missing)


def _cameras(numbers: Numbers) -> str:
    order = sorted(numbers.by_camera, key=lambda p: -p.accuracy.value)
    shown = order if len(order) <= MOST_PARTS else [*order[: MOST_PARTS // 2], *order[-MOST_PARTS // 2 :]]
    left = "" if len(shown) == len(order) else f" The best and worst {MOST_PARTS // 2} of {len(order)}."
    values = np.array([p.accuracy.value for p in order])
    drawn = any(np.isfinite(part.accuracy.low) for part in shown)
    intervals = "Lines: 95 %, by bootstrap." if drawn else "No intervals: the frames of one camera are alike."
    caption = (
        f"Accuracy by camera, best first; mean over cameras {_percent(float(values.mean()))}, worst "
        f"{_percent(float(values.min()))}.{left} {intervals}"
    )
    drawing = charts.parts_chart("cameras", shown, numbers.head.accuracy.value, "accuracy (dashes: all frames)")
    return _section("Cameras", _figure(drawing, caption))


def _unknown(judged: Judged, numbers: Numbers) -> str:
    report = numbers.unknown
    distance = _figure(
        charts.distances(judged), "Distance to the nearest class; beyond the threshold a frame is <i>unknown</i>."
    )
    if report is None:
        return _section("What is no sky", "<p>There are no frames here that are no sky.</p>", distance)
    rows = [
        [_kind(r.kind), f"{r.frames:,}", _percent(r.gated), _percent(r.refused),
         escape(", ".join(f"{w} {n}" for w, n in r.reasons))]
        for r in report.refusals
    ]  # fmt: skip
    refusals = _table(["frames", "n", "refused by a gate", "by a gate or the distance", "what the gates said"], rows,
                      "numbers last-left")  # fmt: skip
    words = (
        "<p>Refused as <i>unknown</i> in serving, by day also by the Sun's altitude. "
        f"{sun_words(report.without_sun, report.known + report.strange)}</p>"
    )
    return _section("What is no sky", words, refusals, distance, _detectors(report))


def _detectors(report: UnknownReport) -> str:
    kinds = [f"{_kind(c.kind)}<br><small>n&nbsp;=&nbsp;{c.frames:,}</small>" for c in report.detections[0].cells]
    rows = [
        [escape(d.detector), *(_cell(c) for c in d.cells), f"<small>{d.low:.3f}–{d.high:.3f}</small>"]
        for d in report.detections
    ]
    table = _table(["detector", *kinds, "interval of all"], rows, "matrix")
    words = (
        f"<p class='fine'>Against {report.known:,} skies, no gates. Upper number: AUROC, the probability that a frame "
        "which is no sky is found stranger than a sky; lower: the part of them accepted where 95 % of the skies are. "
        f"Intervals: bootstrap over {report.units} units.</p>"
    )
    return f"<h3>Detectors on the embedding</h3>{table}{words}"


def _kind(name: str) -> str:
    return escape(name.replace("_", " "))


def _cell(cell: Cell) -> str:
    good = max(0.0, 2 * cell.auroc - 1)
    return (
        f'<td class="heat" style="--part:{good:.3f}">{cell.auroc:.3f}<small>{100 * cell.fpr95:.0f}&nbsp;%</small></td>'
    )


def _embedding(judged: Judged, numbers: Numbers) -> str:
    recall = ""
    if numbers.retrieval:
        values = ", ".join(f"{_percent(r.recall)} at k = {r.k}" for r in numbers.retrieval)
        recall = (
            f"<p>Recall@k, the part of the frames with one of their own class among the k nearest frames of other "
            f"{numbers.unit}s: {values}.</p>"
        )
    caption = "Principal components of the embedding of frames with a class; at most 400 frames of each are shown."
    return _section("The embedding", recall, _figure(charts.embedding_chart(judged), caption))


def _errors(judged: Judged, numbers: Numbers) -> str:
    parts = [
        f"<p>The {len(numbers.wrong)} surest of {numbers.errors:,} wrong labels, as the network saw the frames.</p>",
        _cards(judged, numbers.wrong),
    ]
    if numbers.mistaken:
        parts += [
            f"<h3>No sky, but labelled as one</h3><p>The {len(numbers.mistaken)} surest of {numbers.mistakes:,}.</p>",
            _cards(judged, numbers.mistaken),
        ]
    return _section("Worst errors", *parts)


def _cards(judged: Judged, some: Sequence[Wrong]) -> str:
    return f'<div class="cards">{"".join(_card(judged, wrong) for wrong in some)}</div>'


def _card(judged: Judged, wrong: Wrong) -> str:
    source = thumbnail(judged.subject.frames, wrong.number, judged.bundle.preprocess)
    place = [wrong.time] if wrong.time else []
    if wrong.sun is not None:
        place.append(f"Sun {wrong.sun:.0f}°".replace("-", "−"))
    if wrong.moon is not None and wrong.moon > -90:
        place.append(f"Moon {wrong.moon:.0f}°".replace("-", "−"))
    truth = _kind(wrong.kind) if wrong.kind else wrong.truth
    return (
        f'<div class="card"><img src="{source}" alt="{truth} called {wrong.said}" width="160" height="160">'
        f"<p><b>{truth}</b><br>called <b>{wrong.said}</b> at {wrong.confidence:.2f}<br>"
        f"<small>{escape(wrong.camera)}{'<br>' if place else ''}{escape(', '.join(place))}</small></p></div>"
    )
