"""The backfill with more or fewer workers, of the pool and of Dask, and into another database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from auroramon.cores import available_cores
from benchmarks.pace import Pace, run_backfill
from benchmarks.stages import DISC, write_config
from tests.store.postgres import find_program, running_server

WORKERS = (1, 2, 4)
SAFE = "-c shared_buffers=128MB"  # fsync as PostgreSQL comes: SQLite waits for the disk, too
KINDS = {"pool": "", "Dask": "local"}


class Spread:
    """Measures each way once, on one archive with one graph.

    Args:
        scratch: where databases go.
        archive: THEMIS minutes.
        precision: of the graph.
        ideal: frames a second of one core that never waits.
    """

    def __init__(self, scratch: Path, archive: Path, precision: str, ideal: float) -> None:
        self.scratch, self.archive, self.precision, self.ideal = scratch, archive, precision, ideal

    def executors(self, counts: Sequence[int] = WORKERS) -> str:
        """Give the table of the pool and of Dask by workers."""
        lines = [
            f"| {self.precision} | workers | steady frames/s | whole frames/s | core-ms | of ideal | of the pool |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        pool: dict[int, Pace] = {}
        for kind, cluster in KINDS.items():
            for workers in counts:
                pace = self._run(f"{kind}-{workers}", workers, cluster)
                pool.setdefault(workers, pace)
                ideal = self.ideal * min(workers, available_cores())
                lines.append(
                    f"| {kind} | {workers} | {pace.steady:.0f} | {pace.whole:.0f} | {pace.core_ms:.2f} | "
                    f"{pace.steady / ideal:.2f} | {pace.steady / pool[workers].steady:.2f} |"
                )
        return "\n".join(lines)

    def databases(self) -> str:
        """Give the table of SQLite and of a PostgreSQL server started for it on this machine."""
        if find_program("initdb") is None:
            return "PostgreSQL is not installed: not measured"
        import psycopg

        paces = {"SQLite": self._run("sqlite", available_cores())}
        with running_server(SAFE) as server:
            with psycopg.connect(f"{server}/postgres", autocommit=True) as db:
                db.execute("CREATE DATABASE backfill")
            paces["PostgreSQL"] = self._run("postgresql", available_cores(), url=f"{server}/backfill")
        lines = [
            "| database | steady frames/s | whole frames/s | core-ms a frame without the server's |",
            "|---|---:|---:|---:|",
        ]
        for name, pace in paces.items():
            lines.append(f"| {name} | {pace.steady:.0f} | {pace.whole:.0f} | {pace.core_ms:.2f} |")
        return "\n".join(lines)

    def _run(self, name: str, workers: int, cluster: str = "", url: str = "") -> Pace:
        disc = f"{{ x = {DISC[0]}, y = {DISC[1]}, radius = {DISC[2]} }}"
        config = write_config(self.scratch, f"spread-{name}", disc, url)
        return run_backfill(self.archive, config, self.precision, workers, cluster)
