"""What each stage of labelling costs when nothing runs beside it: the ideal that a backfill is measured against."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from auroramon.assemble import make_labeller
from auroramon.backfill import COMMIT_FRAMES, cut
from auroramon.cli.job import begin
from auroramon.config import Settings, load_settings
from auroramon.coordinator import Coordinator, utc_now
from auroramon.drafts import STAGES
from auroramon.labeller import Labeller
from auroramon.types import FileOutcome, FileStat

NAMES = (*STAGES, "commit")
DISC = (128.0, 128.0, 124.0)  # of the cameras: x, y, radius; a station configures it, the plain loop knows it


def write_config(folder: Path, database: str, disc: str, url: str = "") -> Path:
    """Write the configuration of the two stations of the archive; its database is that file in the folder, or `url`."""
    file = folder / f"{database}.toml"
    cameras = "".join(
        f'[[camera]]\nname = "{site}"\nsite = "{site}"\nlatitude = {north}\nlongitude = {east}\ndisc = {disc}\n'
        for site, north, east in (("gill", 56.35, -94.66), ("simu", 64.0, -94.66))
    )
    url = url or f"sqlite:///{folder / database}.sqlite"
    file.write_text(f'{cameras}[database]\nurl = "{url}"\n[log]\nlevel = "warning"\n')
    return file


def stage_costs(config: Path, precision: str, files: Sequence[FileStat], backend: str = "auto") -> dict[str, float]:
    """Give the core-milliseconds of each stage for a frame, in this process and on one thread.

    The labeller's own clocks tell the stages apart, the processor time of the whole gives their scale: what a busy
    machine makes it wait is not counted.
    """
    settings = load_settings(config, {"model": {"precision": precision, "backend": backend}})
    labeller = make_labeller(settings, 1, patience="wait")
    labeller(files[:1])  # the first calls of libraries are no part of a frame
    began, ran = time.perf_counter(), time.process_time()
    outcomes = [outcome for batch in cut(files) for outcome in labeller(batch)]
    share = (time.process_time() - ran) / (time.perf_counter() - began)
    frames = sum(len(outcome.records) for outcome in outcomes)
    costs = {stage: 1e3 * share * sum(one.seconds[stage] for one in outcomes) / frames for stage in STAGES}
    return costs | {"commit": 1e3 * _commit_s(settings, labeller, files, outcomes) / frames}


def _commit_s(
    settings: Settings, labeller: Labeller, files: Sequence[FileStat], outcomes: Sequence[FileOutcome]
) -> float:
    """Claim the files and commit their outcomes as a backfill does, and give the core-seconds of it."""
    store, job = begin(settings, labeller, "backfill", settle_s=0.0)
    coordinator = Coordinator(store, job, None)
    by_path = {outcome.file.path: outcome for outcome in outcomes}
    waiting: list[FileOutcome] = []
    ran = time.process_time()
    for batch in cut(files):
        claimed = store.claim_files(job.run, batch, utc_now(), model=job.model)
        waiting += [by_path[file.path] for file in claimed.fresh]
        if sum(len(outcome.records) for outcome in waiting) >= COMMIT_FRAMES:
            coordinator.commit(waiting)
            waiting = []
    coordinator.commit(waiting)
    seconds = time.process_time() - ran
    store.end_run(job.run, utc_now())
    store.close()
    return seconds
