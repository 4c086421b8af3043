"""Every benchmark that docs/performance.md quotes runs, and prints its table; no figure is judged here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from auroramon.backends.onnx import OnnxBackend
from auroramon.bundle import check_golden, default_bundle, load_bundle
from benchmarks.backends import Effort, Result, measured
from benchmarks.runtimes import Case
from benchmarks.sized import at_size
from tests.skies import write_png
from tests.store.conftest import postgres_server as postgres_server  # noqa: PLC0414  a fixture, by its name

ROOT = Path(__file__).resolve().parent.parent


def run(module: str, *words: str) -> str:
    """Run a benchmark from the root of the repository, on simulated frames alone."""
    environ = {name: value for name, value in os.environ.items() if name != "AURORAMON_REAL_DATA"}
    done = subprocess.run(
        (sys.executable, "-m", f"benchmarks.{module}", *words),
        capture_output=True, text=True, timeout=400, check=False, cwd=ROOT, env=environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(printed: str, starting: str) -> list[list[str]]:
    """Give the cells of the rows of a printed table whose first cell begins like this."""
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines() if "|" in line]
    return [cells for cells in found if cells[0].startswith(starting)]


def test_live_prints_latency_beside_the_network_alone_and_memory_by_frames() -> None:
    printed = run("live", "--quick")
    (live,), network = rows(printed, "close of the file"), rows(printed, "the network alone")
    assert len(network) == 2
    assert 0 < float(live[1]) <= float(live[2]) <= float(live[3])
    assert all(float(resident[1]) > 0 for resident in rows(printed, "1"))
    assert printed.startswith("machine: ")
    assert "mean ms of its stages: read" in printed


@pytest.mark.timeout(420)  # twelve small backfills, and PyTorch
def test_backfill_prints_stages_ideal_and_the_plain_loop_of_one_run() -> None:
    printed = run("backfill", "--quick")
    assert "2 minutes of 20 frames" in printed
    stages = rows(printed, "float32")[0]
    assert sum(map(float, stages[1:6])) == pytest.approx(float(stages[6]), abs=0.01)
    (plain,), (ours,) = rows(printed, "plain loop"), rows(printed, "`auroramon backfill`, float32")
    assert all(float(cells[k]) > 0 for cells in (plain, ours) for k in (2, 3, 6))
    assert float(printed.split("same label from backfill and plain loop: ")[1].split("%")[0]) > 90
    assert [float(rows(printed, kind)[0][3]) > 0 for kind in ("pool", "Dask")] == [True, True]
    assert float(rows(printed, "SQLite")[0][2]) > 0


def test_backfill_on_one_backend_prints_what_limits_it() -> None:
    printed = run("backfill", "--quick", "--backend", "onnx", "--precisions", "float32")
    assert "frames/s in batches of 32" in printed
    (row,) = rows(printed, "onnx")
    assert row[1] == "1"
    assert float(row[3]) > 0
    assert row[8] in {"decoding", "committing"}


def test_the_network_for_another_size_is_one_that_workers_take(tmp_path: Path) -> None:
    bundle = at_size(load_bundle(default_bundle()), 128, tmp_path / "larger")
    assert bundle.preprocess.size == 128
    for precision in ("float32", "int8"):
        check_golden(bundle, OnnxBackend(bundle, precision, threads=1))


def test_a_backfill_killed_twice_ends_with_every_label() -> None:
    printed = run("million", "--files", "2400", "--tiny")
    assert "2400 labels of 2400 files, none missing" in printed
    assert "ended: 0 labelled, 2400 known" in rows(printed, "once more")[0]


def test_the_cost_of_a_frame_in_the_store_is_printed() -> None:
    assert "frames, 20 a file: " in run("store_size", "--frames", "3000", "--per-file", "20")


def test_months_asks_the_same_of_a_plain_and_of_a_divided_database(postgres_server: str) -> None:
    printed = run("months", "--url", postgres_server, "--frames", "2400", "--times", "2")
    assert "months from 2011-12 to " in printed
    for what in ("commit of 1,000 new frames", "labels of one night by the view", "newest 20", "delete a month"):
        plain, divided = rows(printed, what)[0][1:3]
        assert float(plain) > 0
        assert float(divided) > 0


@pytest.mark.timeout(420)  # torch.compile calls a compiler
def test_backends_prints_what_runs_here_and_says_what_is_not_measured() -> None:
    printed = run("backends", "--quick")
    for backend in ("onnx", "torch"):
        table = [cells for cells in rows(printed, backend) if len(cells) == 12]
        assert {"1", "8"} <= {cells[3] for cells in table}
        assert all(float(cells[4]) > 0 and " GFLOP/s" in cells[7] for cells in table)
        assert {"float32"} <= {cells[1] for cells in table}
    assert rows(printed, "torch.compile") or "torch.compile on the CPU: not measured: " in printed
    for backend in ("onnx-cuda", "torch", "torch.compile"):
        assert f"{backend} on the GPU: not measured: " in printed or f"| {backend} | " in printed
    for library in ("tensorrt", "tensorrt_rtx"):
        assert f"\n{library}" in printed


def test_labels_a_second_are_printed_with_their_stages() -> None:
    printed = run("relabel", "--frames", "3000")
    assert "3000 labels committed in " in printed
    assert "us a frame: read " in printed


def test_the_worth_of_labels_is_printed_with_n_and_interval() -> None:
    small = ("--cameras", "1", "--labelled-nights", "1", "--nights", "2", "--frames", "8", "--size", "64")
    printed = run("adapt", "auroramon/models/simsky-6", *small, "--rounds", "2", "--per-class", "1")
    assert "judged on 2 others of each, 16 frames, 2 rounds" in printed
    (row,) = rows(printed, "1")
    assert row[3].count("to") == 1


def test_green_prints_what_colour_costs_beside_decoding() -> None:
    printed = run("green", "--rounds", "1")
    for size in ("720x480", "1920x1080", "2832x2832"):
        (row,) = rows(printed, size)
        assert all(float(cell) > 0 for cell in row[1:])


def test_casts_prints_what_more_green_does() -> None:
    printed = run("casts", "--cameras", "1", "--frames", "1", "--size", "64")
    assert "6 simulated frames of 1 colour cameras, 3 with aurora" in printed
    (plain,), (green,) = rows(printed, "1 : 1 : 1"), rows(printed, "1 : 2 : 1")
    assert len(plain) == len(green) == 9
    assert plain[5:] == green[5:], "without colour the factor changes nothing"


def test_int8_layers_prints_what_more_layers_in_float32_give() -> None:
    printed = run("int8_layers", "--frames", "40")
    assert rows(printed, "fp16")[0][-1] == "0%"
    lines = rows(printed, "int8, the first")
    products = [int(cells[-1].rstrip("%")) for cells in lines]
    assert products == sorted(products, reverse=True)
    assert 100 > products[0] > products[-1] > 0
    assert all(0 <= float(cells[1].rstrip("%")) <= 100 for cells in lines)


def test_second_look_prints_what_it_costs_and_gives() -> None:
    printed = run("second_look", "--frames", "60", "--near", "0.7")
    (exact,), (alone,) = rows(printed, "float32 alone"), rows(printed, "int8 alone")
    (once,) = rows(printed, "int8, float32 within 0.7 of a border")
    (served,), (quick,) = rows(printed, "float32, 4 sides within 1"), rows(printed, "int8, float32 within 1.7, 4 sides")
    assert all(float(cells[place]) > 0 for cells in (exact, alone, once, served, quick) for place in (1, 2))
    assert exact[3] == alone[3] == "0.00%"
    assert served[4] == "100.00%"
    assert 0 < float(once[3].rstrip("%")) <= float(quick[3].rstrip("%")) < 100
    assert float(quick[4].rstrip("%")) >= float(alone[4].rstrip("%"))


def test_second_look_takes_real_frames(tmp_path: Path) -> None:
    write_png(tmp_path, 0)
    (tmp_path / "MANIFEST.csv").write_text(
        "file,accept\n" + "".join(f"{f.name},clear\n" for f in tmp_path.glob("*.png"))
    )
    printed = run("second_look", "--real", str(tmp_path))
    assert "1 real frames" in printed
    assert rows(printed, "float32 alone")[0][3] == "0.00%"


def killed(*_: object) -> Result:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def found(*_: object) -> Result:
    return Result(ready_s=2.5)


@pytest.mark.timeout(60)
def test_a_runtime_that_kills_its_process_costs_the_table_one_case() -> None:
    case, effort = Case("torch", "cpu", "float32", 32, 2, 1.0, 1), Effort(0.0, (32,), (1,), (1,))
    assert measured(case, effort, (1,), killed) == Result(why_not="its process ended with code -9")
    assert measured(case, effort, (1,), found) == Result(ready_s=2.5)
