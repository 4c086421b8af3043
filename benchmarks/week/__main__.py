"""A week of a station in minutes: ten cameras, real programs, faults, and an account of every file and every alert.

    python -m benchmarks.week              seven days at 400 times the speed of life: 26 minutes
    python -m benchmarks.week --short      an hour and a half at 125 times: a minute; the test suite runs its like
    python -m benchmarks.week --report     writes docs/week.md and its picture as well

Ends with 1 where a file is not accounted for, memory grew, or an alert was missing or out of place. Needs Linux, a C
compiler, Prometheus and mosquitto; and root for a disk that is really full.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.machine import load, machine
from benchmarks.week.plan import Fault, short, week
from benchmarks.week.report import failures, summary, write_report
from benchmarks.week.run import play

SHORT, SHORT_SPEED = timedelta(minutes=95), 125
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="two hours instead of a week")
    parser.add_argument("--days", type=int, default=7, help="stop after so many days")
    parser.add_argument("--from-day", type=int, default=0, help="begin so many days after Monday")
    parser.add_argument("--speed", type=int, help="times as fast as life; a divisor of 10000")
    parser.add_argument("--report", action="store_true", help="write docs/week.md and docs/images/week.png")
    parser.add_argument("--keep", type=Path, help="leave logs and configurations in this folder, which must not exist")
    wanted = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    if wanted.short:
        begin, lasts, speed, plan = MONDAY + timedelta(hours=17), SHORT, wanted.speed or SHORT_SPEED, short
    else:
        begin, lasts = MONDAY + timedelta(days=wanted.from_day), timedelta(days=wanted.days - wanted.from_day)
        speed = wanted.speed or 400

        def plan(_: datetime) -> list[Fault]:
            return [fault for fault in week(MONDAY) if fault.begin >= begin]

    before = load()
    with tempfile.TemporaryDirectory() as name:
        folder = wanted.keep or Path(name)
        folder.mkdir(exist_ok=not wanted.keep)
        outcome = play(folder.absolute(), plan, begin, lasts, speed)
    about = f"{machine()}\nbefore: {before}\nafter: {load()}"
    print(summary(outcome, about))
    if wanted.report:
        write_report(outcome, about)
    wrong = failures(outcome)
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
