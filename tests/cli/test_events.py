"""`auroramon events` as a table, for spreadsheets and for programs."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.cli.conftest import Command, Winter
from tests.daemon import run, write_config
from tests.skies import write_png
from tests.tiny import write_tiny_bundle


def configure(winter: Winter, events: str) -> None:
    winter.config.write_text(winter.config.read_text().replace("[server]", f"[events]\n{events}\n[server]"))


def test_events_of_a_night_come_in_three_forms(auroramon: Command, winter: Winter) -> None:
    """The night shows arc, diffuse, discrete, cloudy, moon, clear, unknown, again and again, a frame a minute."""
    table = auroramon("events", "-c", winter.config)
    assert table.code == 0, table.err
    assert "kiruna" in table.out
    rows = json.loads(auroramon("events", "--json", "-c", winter.config).out)
    assert len(rows) == 360 // 7 + 1
    assert rows[0] == {
        "camera": "kiruna", "night": "2025-12-21", "begun": "2025-12-21T16:00:00.000Z",
        "ended": "2025-12-21T16:02:00.000Z", "minutes": 2.0, "label": "arc", "confidence": 0.9, "frames": 3,
        "goes_on": False, "threshold": 0.5,
    }  # fmt: skip
    lines = auroramon("events", "--csv", "-c", winter.config).out.splitlines()
    assert lines[0].startswith("camera,night,begun,ended")
    assert len(lines) == len(rows) + 1


def test_rules_and_filters_are_in_force(auroramon: Command, winter: Winter) -> None:
    words = ("events", "--json", "-c", winter.config)
    assert json.loads(auroramon(*words, "--camera", "abisko").out) == []
    assert len(json.loads(auroramon(*words, "--since", "2025-12-21T21:00").out)) == 9
    configure(winter, "arc = 0.95")
    assert json.loads(auroramon(*words).out) == []
    assert auroramon("events", "-c", winter.config).out == "no event\n"


def test_an_address_that_nobody_can_be_reached_at_is_refused(auroramon: Command, winter: Winter) -> None:
    configure(winter, 'mqtt = "broker:1883"')
    said = auroramon("events", "-c", winter.config)
    assert said.code == 2
    assert "must look like mqtt://broker:1883/topic" in said.err


def test_the_password_of_a_broker_is_not_shown(auroramon: Command, winter: Winter) -> None:
    configure(winter, 'mqtt = "mqtts://station:geheim@broker.example:8883/sky"')
    for words in (("config", "show"), ("config", "show", "--json")):
        said = auroramon(*words, "-c", winter.config)
        assert said.code == 0
        assert "broker.example" in said.out
        assert "geheim" not in said.out


def test_a_label_knows_the_thresholds_of_the_run_that_wrote_it(tmp_path: Path) -> None:
    model = write_tiny_bundle(tmp_path / "model" / "tiny").folder
    config = write_config(tmp_path, model)
    for seed, arc in ((1, 0.5), (2, 0.75)):
        write_png(tmp_path / "in", seed)
        config.write_text(config.read_text().partition("[events]")[0] + f"[events]\narc = {arc}\n")
        run("backfill", tmp_path / "in", "-c", config)
    with closing(sqlite3.connect(tmp_path / "labels.db")) as db:
        query = (
            "SELECT json_extract(r.rules, '$.thresholds.arc') FROM labels_current AS l "
            "JOIN label_runs AS r ON r.run = l.run ORDER BY l.time_utc"
        )
        assert [arc for (arc,) in db.execute(query)] == [0.5, 0.75]
