"""Measures `auroramon backfill` on THEMIS minutes against its own stages and against the loop that a user would write.

    AURORAMON_REAL_DATA=... python -m benchmarks.backfill --minutes 200 --rounds 3

Each round measures, one after the other: the core time of each stage alone in one process, the plain loop, and the
backfill by each graph. Figures are medians over the rounds. The archive has just been written, so it is read from
memory: storage is not part of the figure.

Then once each: the paper's own network in the plain loop, the backfill with 1, 2 and 4 workers of the pool and of Dask,
and into PostgreSQL.

    python -m benchmarks.backfill --size 224

measures the same network on larger inputs instead: what it would cost, not how it would label.

    python -m benchmarks.backfill --backend tensorrt --precisions fp16

measures one backend alone instead, by the number of workers that decode, and says what limits it.

ideal    cores / core time of all stages of a frame: what workers would do that never wait for anything
steady   from the first commit to the last, the tail included in which workers run out of work
whole    from the start of the command to its end: start-up, loading of the model, and everything
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from auroramon.assemble import available_cores
from auroramon.bundle import ModelBundle, choose_precision, default_bundle, load_bundle
from auroramon.config import load_settings
from auroramon.sources.arrivals import look
from auroramon.types import FileStat
from benchmarks.feeding import Feeding
from benchmarks.machine import load, machine
from benchmarks.minutes import FRAMES, real_folder, write_archive
from benchmarks.pace import Pace, children_s, run_backfill
from benchmarks.sized import at_size
from benchmarks.spread import WORKERS, Spread
from benchmarks.stages import DISC, NAMES, stage_costs, write_config

MODEL = "AURORAMON_MODEL__PATH"  # read by every command that is measured
ALONE = 40  # minutes whose stages are measured alone


def run_plain(archive: Path, database: Path, *more: str) -> Pace:
    """Run the loop that a user would write; `more` are further words of its command."""
    command = [
        sys.executable, "-m", "benchmarks.plain_loop", str(archive), "--model", str(model().folder),
        "--database", str(database), "--disc", *map(str, DISC), *more,
    ]  # fmt: skip
    used, began = children_s(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    return Pace(said["frames"], said["steady"], said["frames"] / seconds, 1e3 * (children_s() - used) / said["frames"])


def same_labels(config: Path, plain: Path) -> float:
    """Give the share of frames to which the backfill and the plain loop gave the same label."""
    ours = load_settings(config).database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(ours)) as db:
        db.execute("ATTACH ? AS plain", (str(plain),))
        (share,) = db.execute(
            "SELECT AVG(a.label = b.label) FROM labels_current a JOIN plain.labels b"
            " ON a.path = b.path AND a.frame_index = b.frame"
        ).fetchone()
    return float(share)


class Rounds:
    """What was measured, round by round."""

    def __init__(self, scratch: Path, archive: Path, precisions: Sequence[str]) -> None:
        self.scratch, self.archive, self.precisions = scratch, archive, precisions
        self.files = some_files(archive)
        self.costs: dict[str, list[dict[str, float]]] = {f"{name}": [] for name in (*precisions, "disc found")}
        self.paces: dict[str, list[Pace]] = {name: [] for name in ("plain", *precisions)}
        self.agreement = float("nan")

    def go(self, number: int) -> None:
        """Measure everything once."""
        some = self.files
        disc = f"{{ x = {DISC[0]}, y = {DISC[1]}, radius = {DISC[2]} }}"
        for name in self.precisions:
            alone = write_config(self.scratch, f"alone-{name}-{number}", disc)
            self.costs[name].append(stage_costs(alone, name, some))
        found = write_config(self.scratch, f"found-{number}", '"auto"')
        self.costs["disc found"].append(stage_costs(found, self.precisions[0], some))
        plain = self.scratch / f"plain-{number}.sqlite"
        self.paces["plain"].append(run_plain(self.archive, plain))
        for name in self.precisions:
            config = write_config(self.scratch, f"{name}-{number}", disc)
            self.paces[name].append(run_backfill(self.archive, config, name, available_cores()))
            if name == "float32":
                self.agreement = same_labels(config, plain)

    def stage_table(self) -> str:
        lines = [
            "| core-ms a frame, each stage alone | " + " | ".join(NAMES) + " | all | ideal frames/s |",
            "|---|" + "---:|" * (len(NAMES) + 2),
        ]
        for kind in self.costs:
            title = f"{self.precisions[0]}, disc found in each file" if kind == "disc found" else kind
            cells = " | ".join(f"{cost:.3f}" for cost in self._costs(kind))
            lines.append(f"| {title} | {cells} | {sum(self._costs(kind)):.3f} | {self.ideal(kind):.0f} |")
        return "\n".join(lines)

    def pace_table(self) -> str:
        plain = self._median("plain")
        lines = [
            "| | steady frames/s | whole frames/s | core-ms a frame | of ideal | of plain loop | whole of whole |",
            "|---|---:|---:|---:|---:|---:|---:|",
            f"| plain loop (torch eager, float32) | {_cells(plain)} | | 1.00 | 1.00 |",
        ]
        for name in self.precisions:
            pace = self._median(name)
            lines.append(
                f"| `auroramon backfill`, {name} | {_cells(pace)} | {pace.steady / self.ideal(name):.2f} | "
                f"{pace.steady / plain.steady:.2f} | {pace.whole / plain.whole:.2f} |"
            )
        return "\n".join(lines)

    def _costs(self, kind: str) -> list[float]:
        return [statistics.median(one[name] for one in self.costs[kind]) for name in NAMES]

    def ideal(self, kind: str) -> float:
        """Give the frames a second of all cores that never wait."""
        return available_cores() * 1e3 / sum(self._costs(kind))

    def _median(self, name: str) -> Pace:
        rounds = self.paces[name]
        return Pace(
            rounds[0].frames,
            statistics.median(one.steady for one in rounds),
            statistics.median(one.whole for one in rounds),
            statistics.median(one.core_ms for one in rounds),
        )

    def spread(self) -> str:
        """Give each round's steady pace, so that nobody takes a median for more than it is."""
        return "; ".join(
            f"{name} {', '.join(f'{one.steady:.0f}' for one in rounds)}" for name, rounds in self.paces.items()
        )


def _cells(pace: Pace) -> str:
    return f"{pace.steady:.0f} | {pace.whole:.0f} | {pace.core_ms:.2f}"


def some_files(archive: Path) -> list[FileStat]:
    """Give the files whose stages are measured alone, spread over the archive."""
    files = [found for path in sorted(archive.rglob("*.pgm.gz")) if (found := look(str(path)))]
    return files[:: max(1, len(files) // ALONE)]


def model() -> ModelBundle:
    """Give the model that is measured: the shipped one, or that for another size."""
    return load_bundle(Path(os.environ.get(MODEL) or default_bundle()))


def in_use() -> str:
    """Say which graph the model runs by default, and why, and how often it looks again."""
    bundle = model()
    if bundle.agreement is None:
        agreed = ", no int8 graph"
    else:
        twice = bundle.agreement.twice
        second = "alone" if twice is None else f"with float32 at {twice:.1%} of frames"
        agreed = f", int8 {second} agrees on {bundle.agreement.labels:.1%} of labels"
    sides = "" if bundle.sides is None else f", {bundle.sides.count} sides at {bundle.sides.part:.1%} of frames"
    return f"model: {bundle.name}, {choose_precision(bundle, 'auto')} in use{agreed}{sides}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--precisions", nargs="+", choices=["float32", "fp16", "int8"], help="default: all the model has"
    )
    parser.add_argument("--backend", choices=["onnx", "onnx-cuda", "tensorrt"], help="measure this one, by workers")
    parser.add_argument(
        "--size", type=int, help="the same network for inputs of so many pixels: its labels mean nothing"
    )
    parser.add_argument("--quick", action="store_true", help="a few minutes in one round: only to see that it runs")
    wanted = parser.parse_args()
    minutes, rounds = (2, 1) if wanted.quick else (wanted.minutes, wanted.rounds)
    with tempfile.TemporaryDirectory() as name:
        scratch, archive = Path(name), Path(name) / "archive"
        if wanted.size:
            os.environ[MODEL] = str(at_size(model(), wanted.size, scratch / "model").folder)
        graphs = ["float32", "int8"] if model().agreement else ["float32"]
        precisions = wanted.precisions or (graphs[:1] if wanted.quick else graphs)
        print(machine(), in_use(), f"before: {load()}", sep="\n")
        from_real = write_archive(archive, minutes, real_folder(), *([["arc"]] if wanted.quick else []))
        print(f"archive: {minutes} minutes of {FRAMES} frames, {from_real} vary real ones; {rounds} rounds, medians")
        if wanted.backend:
            feeding = Feeding(scratch, archive, wanted.backend, (wanted.precisions or ["auto"])[0])
            cores = available_cores()
            counts = [1] if wanted.quick else [count for count in (1, 2, 4, 8, 16, 32) if count <= max(2, cores)]
            print(f"\n{feeding.table(some_files(archive), counts, cores)}\n\nafter: {load()}")
            return
        measured = Rounds(scratch, archive, precisions)
        for number in range(rounds):
            measured.go(number)
        print(f"\n{measured.stage_table()}\n\n{measured.pace_table()}\n")
        print(f"steady frames/s by round: {measured.spread()}")
        print(f"same label from backfill and plain loop: {measured.agreement:.1%} of frames")
        paper = run_plain(archive, scratch / "paper.sqlite", "--paper", "--files", str(max(1, minutes // 10)))
        print(f"another model, the paper's ResNet18 at 224 in the plain loop: {paper.steady:.0f} frames/s\n")
        spread = Spread(scratch, archive, precisions[-1], measured.ideal(precisions[-1]) / available_cores())
        print(f"{spread.executors(WORKERS[:1] if wanted.quick else WORKERS)}\n\n{spread.databases()}\n")
    print(f"after: {load()}")


if __name__ == "__main__":
    main()
