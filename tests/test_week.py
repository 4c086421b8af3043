"""The simulated week: its clock, its rules and its judgement, and an hour and a half of it on the real programs."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from benchmarks.week.__main__ import MONDAY, SHORT, SHORT_SPEED
from benchmarks.week.clock import Clock, built, compiler
from benchmarks.week.plan import CAMERAS, Expected, Fault, short, week
from benchmarks.week.report import losses, summary
from benchmarks.week.rules import RULES, alerts, expression, scaled, scaled_rules
from benchmarks.week.run import play
from benchmarks.week.verdict import Firing, firings, growth, missing, unexplained
from tests.conftest import missing as not_here
from tests.deploy.programs import program
from tests.deploy.test_rules import ALERTS, promtool

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(BEGIN, 400, 40, tmp_path / "clock.so", tmp_path / "step", anchor_epoch=1000.0)


def test_a_duration_is_divided_by_the_speed_or_refused() -> None:
    assert [scaled(text, 400) for text in ("10s", "5m", "1h30m", "6h")] == ["25ms", "750ms", "13500ms", "54000ms"]
    with pytest.raises(ValueError, match="no whole number of milliseconds"):
        scaled("10s", 300)
    with pytest.raises(ValueError, match="is no duration"):
        scaled("soon", 400)


def test_every_duration_and_the_clock_of_an_expression_are_scaled_and_nothing_else(clock: Clock) -> None:
    said = "sum_over_time(dark[1h:10s]) * 10 > 900 and predict_linear(free[6h], 2 * 86400) < 0 or last - time() > 300"
    assert expression(said, clock) == (
        "sum_over_time(dark[9000ms:25ms]) * 10 > 900 and predict_linear(free[54000ms], (2 * 86400) / 400) < 0 "
        "or last - (1767571200.000 + (time() - 1000.000) * 400) > 300"
    )


@pytest.mark.parametrize("speed", [SHORT_SPEED, 400])
def test_the_delivered_rules_can_be_scaled_and_stay_valid(tmp_path: Path, speed: int) -> None:
    fast = Clock(BEGIN, speed, speed // 10, tmp_path / "clock.so", tmp_path / "step")
    for file in RULES.glob("*.yml"):
        (tmp_path / file.name).write_text(yaml.safe_dump(scaled_rules(file, fast)))
        promtool("check", "rules", tmp_path / file.name)
    assert sorted(alerts()) == sorted(ALERTS)


def test_the_plan_names_alerts_and_cameras_that_there_are() -> None:
    for fault in (*week(BEGIN), *short(BEGIN)):
        assert BEGIN <= fault.begin <= fault.end < BEGIN + timedelta(days=7)
        assert {expected.alert for expected in fault.expected} <= set(ALERTS)
        assert {camera for expected in fault.expected for camera in expected.cameras} <= {"", *CAMERAS}


def moments(*minutes: int) -> list[tuple[datetime, float]]:
    return [(BEGIN + timedelta(minutes=minute), 1.0) for minute in minutes]


def test_an_alert_that_pauses_for_a_moment_is_one_firing() -> None:
    series = [({"alertname": "A", "camera": "cam1"}, moments(1, 2, 6, 20, 21))]
    spans = [(one.begin.minute, one.end.minute) for one in firings(series)]
    assert spans == [(1, 6), (20, 21)]


def test_an_alert_that_is_missing_too_early_too_late_or_of_another_camera_is_told() -> None:
    def firing(begin: int, end: int, camera: str = "cam1") -> Firing:
        return Firing("A", camera, BEGIN + timedelta(minutes=begin), BEGIN + timedelta(minutes=end))

    expected = (Expected("A", ("cam1",), timedelta(minutes=5)), Expected("B", must=False))
    fault = Fault("x", "x", BEGIN + timedelta(minutes=10), BEGIN + timedelta(minutes=20), expected=expected)
    assert missing([fault], [firing(12, 24)]) == []
    assert unexplained([fault], [firing(12, 24)]) == []
    for wrong in (firing(9, 20), firing(12, 26), firing(12, 20, "cam2")):
        assert len(missing([fault], [wrong])) == 1
        assert len(unexplained([fault], [wrong])) == 1
    assert len(missing([fault], [])) == 1


def test_memory_that_grows_is_told() -> None:
    flat = [(BEGIN + timedelta(minutes=minute), 1, 120.0) for minute in range(600)]
    assert growth(flat).flat
    assert not growth([(at, life, mb + number / 5) for number, (at, life, mb) in enumerate(flat)]).flat


TELL = """
import queue, select, threading, time
began = time.time(), time.monotonic()
print("begun", flush=True)
time.sleep(4)
threading.Event().wait(4)
select.select([], [], [], 4)
try:
    queue.Queue().get(timeout=4)
except queue.Empty:
    pass
waited = time.monotonic() - began[1]
input()
print(waited, time.time() - began[0], time.monotonic() - began[1])
"""


def test_what_lives_by_the_fast_clock_waits_short_and_a_step_moves_the_wall_clock_alone(tmp_path: Path) -> None:
    if compiler() is None:
        not_here("no C compiler is installed (apt install gcc)")
    clock = Clock(datetime.now(UTC), 400, 40, built(tmp_path), tmp_path / "step")
    process = subprocess.Popen(
        (sys.executable, "-c", TELL), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clock.environment(), text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    clock.step(timedelta(days=30))
    waited, wall, steady = map(float, process.communicate("\n", timeout=60)[0].split())
    assert waited >= 16  # four times four seconds, in less than half a second of ours where the machine is idle
    assert wall == pytest.approx(10 * steady + 30 * 86400, abs=0.2 * 86400)


@pytest.mark.timeout(900)  # a minute where the machine is idle
def test_an_hour_and_a_half_with_faults_loses_no_file_and_raises_the_alerts(tmp_path: Path) -> None:
    """Not asked here, for a busy machine is slow and alerts tell of it: that no other alert fires. The week asks. Nor
    whether a restart must be told: on a quick machine it takes too little time."""
    program("prometheus", "prometheus")
    program("mosquitto", "mosquitto")
    if compiler() is None:
        not_here("no C compiler is installed (apt install gcc)")
    outcome = play(tmp_path, short, MONDAY + timedelta(hours=17), SHORT, SHORT_SPEED)
    assert losses(outcome) == []
    assert (outcome.account.pending, outcome.account.skipped) == (0, 60)  # those that were renamed
    assert {"AuroraOverhead", "AuroramonWatcherDown"} <= {one.alert for one in outcome.fired}
    assert f"| frames with a label | {outcome.frames:,} |" in summary(outcome, f"in process {os.getpid()}")
