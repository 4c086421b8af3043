"""labels, status, quarantine: what a person and a program learn from the database."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from auroramon.server import StatusServer
from auroramon.types import LABELS, Health
from tests.cli.conftest import Command, Winter


def test_labels_come_as_csv_with_the_model_and_every_score_in_each_row(auroramon: Command, winter: Winter) -> None:
    said = auroramon("labels", "-c", winter.config, "--csv")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert said.code == 0
    assert len(rows) == winter.frames
    assert list(rows[0])[:7] == ["path", "index", "time", "camera", "label", "confidence", "distance"]
    assert list(rows[0])[-6:] == [f"score_{label}" for label in LABELS]
    assert {row["model"] for row in rows} == {"first"}
    assert rows[0]["time"] == "2025-12-21T16:00:00.000Z"
    assert float(rows[0]["score_arc"]) == pytest.approx(0.9, abs=1e-3)
    refused = next(row for row in rows if row["label"] == "unknown")
    assert (refused["confidence"], refused["score_arc"]) == ("", "")
    assert refused["reason"].startswith("daylight")


def test_labels_come_as_json_lines(auroramon: Command, winter: Winter) -> None:
    lines = auroramon("labels", "-c", winter.config, "--json").out.splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == winter.frames
    assert rows[0]["night"] == "2025-12-21"
    assert rows[0]["scores"].keys() == set(LABELS)
    assert rows[6] | {"reason": ""} == rows[6] | {"reason": "", "label": "unknown", "confidence": None, "scores": None}


@pytest.mark.parametrize("flags", [["--camera", "nobody"], ["--label", "aurora"], ["--model", "oracle"]])
def test_a_name_that_nothing_has_is_refused_with_those_there_are(
    auroramon: Command, winter: Winter, flags: list[str]
) -> None:
    said = auroramon("labels", "-c", winter.config, *flags)
    assert (said.code, said.out) == (2, "")
    assert flags[1] in said.err
    assert "there are" in said.err


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (["--label", "arc"], {"arc": 52}),
        (["--label", "arc", "--label", "moon"], {"arc": 52, "moon": 51}),
        (["--since", "2025-12-21T21:53"], {"unknown": 1, **dict.fromkeys(LABELS, 1)}),
        (["--until", "2025-12-21T18:01+02:00"], {"arc": 1}),
        (["--reason", "_aylight"], {}),
        (["--min-confidence", "0.9", "--max-confidence", "0.9", "--label", "arc"], {"arc": 52}),
        (["--night", "2025-12-20"], {}),
        (["--max-confidence", "0.5"], {}),
        (["--min-confidence", "0.5", "--limit", "2"], {"arc": 1, "diffuse": 1}),
        (["--reason", "DAYLIGHT"], {"unknown": 51}),
        (["--model", "human"], {}),
        (["--newest-first", "--limit", "1"], {"discrete": 1}),
    ],
)
def test_labels_are_filtered(auroramon: Command, winter: Winter, flags: list[str], wanted: dict[str, int]) -> None:
    said = auroramon("labels", "-c", winter.config, "--json", *flags)
    assert said.code == 0
    assert Counter(json.loads(line)["label"] for line in said.out.splitlines()) == wanted


def test_labels_for_people_name_time_label_confidence_and_frame(auroramon: Command, winter: Winter) -> None:
    lines = auroramon("labels", "-c", winter.config, "--limit", "7").out.splitlines()
    assert len(lines) == 8
    assert lines[1].split() == [
        "2025-12-21T16:00:00.000Z",
        "kiruna",
        "arc",
        "90.0%",
        "2.5",
        "first",
        "/data/0000.png[0]",
    ]
    assert "daylight" in lines[7]


@pytest.mark.parametrize("command", ["labels", "occurrence"])
def test_a_span_that_ends_before_it_begins_is_wrong_usage(auroramon: Command, winter: Winter, command: str) -> None:
    said = auroramon(command, "-c", winter.config, "--since", "2025-12-22", "--until", "2025-12-21")
    assert (said.code, said.out) == (2, "")
    assert "--since must be before --until" in said.err


def test_a_time_that_is_none_is_wrong_usage(auroramon: Command, winter: Winter) -> None:
    said = auroramon("labels", "-c", winter.config, "--since", "yesterday")
    assert said.code == 2
    assert "yesterday" in said.err
    assert auroramon("labels", "-c", winter.config, "--night", "2025-13-01").code == 2
    assert auroramon("labels", "-c", winter.config, "--csv", "--json").code == 2


def test_status_accounts_for_every_file(auroramon: Command, winter: Winter) -> None:
    said = auroramon("status", "-c", winter.config, "--json")
    told = json.loads(said.out)
    assert said.code == 0
    assert told["files"] == {"seen": 363, "labelled": 360, "skipped": 1, "quarantined": 1, "pending": 1}
    kiruna, abisko = told["cameras"]
    assert kiruna["last_frame"] == "2025-12-21T21:59:00.000Z"
    assert kiruna["age_s"] > 0
    assert kiruna["pending"] == 1
    assert abisko == {"camera": "abisko", "last_frame": None, "age_s": None, "pending": 0}
    assert told["model"] == "first"
    assert told["database"].endswith("labels.sqlite")


def test_status_for_people_says_it_in_lines(auroramon: Command, winter: Winter) -> None:
    said = auroramon("status", "-c", winter.config)
    assert said.code == 0
    assert "363 seen = 360 labelled + 1 skipped + 1 quarantined + 1 pending" in said.out
    assert "2025-12-21 21:59:00" in said.out
    assert "never" in said.out
    assert "quarantine list" in said.out


def test_status_without_a_database_says_so(auroramon: Command) -> None:
    said = auroramon("status")
    assert (said.code, said.out) == (1, "")
    assert "there is no database at" in said.err


def test_status_reports_what_the_daemon_says(
    auroramon: Command, winter: Winter, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = ("kiruna: the folder is away",)
    server = StatusServer("127.0.0.1:0", lambda: b"", lambda: Health(problems))
    monkeypatch.setenv("AURORAMON_SERVER__LISTEN", server.address)
    try:
        told = json.loads(auroramon("status", "-c", winter.config, "--json").out)
        shown = auroramon("status", "-c", winter.config).out
    finally:
        server.close()
    assert told["daemon"] == {"address": server.address, "answers": True, "ok": False, "problems": list(problems)}
    assert "the folder is away" in shown
    gone = auroramon("status", "-c", winter.config).out
    assert f"no daemon answers at {server.address}" in gone


def test_status_is_not_taken_in_by_another_server(
    auroramon: Command, winter: Winter, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("AURORAMON_SERVER__LISTEN", f"0.0.0.0:{server.server_port}")
        try:
            said = auroramon("status", "-c", winter.config)
        finally:
            server.shutdown()
            thread.join()
    assert "no auroramon" in said.out


def test_quarantine_names_file_and_reason_and_can_be_retried(auroramon: Command, winter: Winter) -> None:
    (held,) = json.loads(auroramon("quarantine", "list", "-c", winter.config, "--json").out)
    assert held["path"] == "/data/bad.png"
    assert held["reason"] == "bad.png: holds no image"
    assert "holds no image" in auroramon("quarantine", "list", "-c", winter.config).out
    assert auroramon("quarantine", "retry", "-c", winter.config).code == 2
    wrong = auroramon("quarantine", "retry", "-c", winter.config, "elsewhere.png")
    assert wrong.code == 1
    assert "elsewhere.png is not in quarantine" in wrong.err
    said = auroramon("quarantine", "retry", "-c", winter.config, "--all")
    assert (said.code, said.out) == (0, "1 file will be tried again\n")
    assert json.loads(auroramon("quarantine", "list", "-c", winter.config, "--json").out) == []
    assert json.loads(auroramon("status", "-c", winter.config, "--json").out)["files"]["pending"] == 2


def test_one_file_is_retried_by_its_path(auroramon: Command, winter: Winter) -> None:
    said = auroramon("quarantine", "retry", "-c", winter.config, "/data/bad.png")
    assert (said.code, said.out) == (0, "1 file will be tried again\n")
