"""What is said of a simulated week: on the screen, and in docs/week.md."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path

from benchmarks.week.plan import CAMERAS
from benchmarks.week.rules import alerts
from benchmarks.week.run import Outcome
from benchmarks.week.verdict import Firing, explains, missing, unexplained

DOCS = Path(__file__).parents[2] / "docs"


def failures(outcome: Outcome) -> list[str]:
    """Give a sentence for everything that was promised and not kept."""
    return [
        *losses(outcome),
        *missing(outcome.faults, outcome.fired),
        *unexplained(outcome.faults, outcome.fired),
    ]


def losses(outcome: Outcome) -> list[str]:
    """Give a sentence for everything but alerts that was promised and not kept: no machine is too slow for these."""
    account = outcome.account
    found = [*(f"the database does not know {name}" for name in outcome.unknown_names[:20]), *outcome.surprises]
    if not account.adds_up or account.pending:
        found.append(f"the account does not close, or files wait: {account}")
    if account.seen != outcome.written:
        found.append(f"the cameras wrote {outcome.written} names, the database has seen {account.seen}")
    if outcome.labels != outcome.frames:
        found.append(f"the cameras wrote {outcome.frames} frames, {outcome.labels} have a label")
    if not outcome.growth.flat:
        found.append(f"memory grew: {outcome.growth}")
    if outcome.exit_code:
        found.append(f"the daemon ended with {outcome.exit_code}")
    if "Traceback" in outcome.log:
        found.append("a traceback in the log: " + outcome.log[outcome.log.index("Traceback") :][:2000])
    return found


def summary(outcome: Outcome, about: str) -> str:
    """Give the tables, as Markdown."""
    hours = (outcome.end - outcome.begin).total_seconds() / 3600
    late = outcome.late.total_seconds()
    story = (
        f"{hours:.0f} simulated hours of {len(CAMERAS)} cameras in {outcome.took_s / 60:.1f} minutes: {outcome.speed} "
        f"times the speed of life, and {outcome.wait_speed} times for what the daemon waits for. {len(outcome.starts)} "
        f"starts of the daemon. No frame was written more than {late:.0f} simulated seconds after its minute."
    )
    account = "\n".join(f"| {name} | {value} |" for name, value in _account(outcome))
    done = "\n".join(f"- {line}" for line in outcome.said)
    faults = "\n".join(_rows(outcome))
    head = "| what happened | when | must raise | raised |\n|---|---|---|---|"
    parts = (f"```\n{about}\n```", story, f"| | |\n|---|---:|\n{account}", done, f"{head}\n{faults}", _silent(outcome))
    return "\n\n".join(parts)


def _account(outcome: Outcome) -> list[tuple[str, str]]:
    account, grown = outcome.account, outcome.growth
    memory = f"{grown.early:.0f}, {grown.late:.0f}, {grown.most:.0f} MB"
    return [
        ("file names that the cameras wrote", f"{outcome.written:,}"),
        ("seen by the daemon", f"{account.seen:,}"),
        ("labelled", f"{account.labelled:,}"),
        ("skipped", f"{account.skipped:,}"),
        ("quarantined", f"{account.quarantined:,}"),
        ("pending at the end", f"{account.pending:,}"),
        ("frames that the cameras wrote whole", f"{outcome.frames:,}"),
        ("frames with a label", f"{outcome.labels:,}"),
        (f"resident memory of the longest life ({grown.hours:.0f} h): early, late, most", memory),
        ("news of aurora that a subscriber of the broker heard", f"{len(outcome.heard):,}"),
    ]


def _rows(outcome: Outcome) -> list[str]:
    rows = []
    for fault in outcome.faults:
        when = f"{fault.begin:%a %H:%M}" + (f"-{fault.end:%H:%M}" if fault.end > fault.begin else "")
        must = ", ".join(_named(e.alert, len(e.cameras)) for e in fault.expected if e.must)
        found: dict[str, list[Firing]] = defaultdict(list)
        for firing in outcome.fired:
            if any(explains(fault, expected, firing) for expected in fault.expected):
                found[firing.alert].append(firing)
        raised = ", ".join(
            f"{_named(alert, len(many))} {min(f.begin for f in many):%H:%M}-{max(f.end for f in many):%H:%M}"
            for alert, many in found.items()
        )
        where = f" ({fault.cameras[0]})" if len(fault.cameras) == 1 else ""
        rows.append(f"| {fault.what}{where} | {when} | {must} | {raised} |")
    return rows


def _named(alert: str, number: int) -> str:
    return f"{alert} x {number}" if number > 1 else alert


def _silent(outcome: Outcome) -> str:
    fired = Counter(firing.alert for firing in outcome.fired)
    silent = ", ".join(alert for alert in alerts() if alert not in fired)
    return (
        f"{len(outcome.fired)} firings of {len(fired)} alerts. These did not fire, and nothing was done that should "
        f"have raised them: {silent}."
    )


def write_report(outcome: Outcome, about: str) -> None:
    """Write the measured part of docs/week.md, and the picture."""
    from benchmarks.week.picture import draw

    draw(outcome, DOCS / "images" / "week.png")
    file = DOCS / "week.md"
    begin, end = "<!-- measured: begin -->", "<!-- measured: end -->"
    text = file.read_text(encoding="utf-8")
    measured = re.sub(r"0x[0-9a-f]+", "", summary(outcome, about))
    file.write_text(re.sub(f"{begin}.*{end}", lambda _: f"{begin}\n\n{measured}\n\n{end}", text, flags=re.DOTALL))
