"""Workers of a Dask cluster as jobs of SLURM, by dask-jobqueue."""

from __future__ import annotations

import logging
import shutil
import time
from typing import Any

from dask.utils import parse_bytes
from dask_jobqueue.slurm import SLURMCluster, SLURMJob
from distributed.deploy.cluster import Cluster
from distributed.deploy.spec import ProcessInterface

from auroramon.config import SlurmSettings
from auroramon.errors import ConfigError

log = logging.getLogger(__name__)

SUBMIT_S = 60.0  # as long as jobs may take to be submitted
LOOK_S = 0.1  # between looks at whether they are


def submitted(settings: SlurmSettings) -> Cluster:
    """Submit the jobs, and give the cluster that their workers will join.

    Raises:
        ConfigError: this machine submits no jobs, the settings fit no job, or SLURM refuses it.
    """
    if settings.jobs < 1:
        raise ConfigError("[cluster.slurm] jobs must be at least 1: write there how many jobs to submit")
    if shutil.which("sbatch") is None:
        raise ConfigError(
            "--cluster slurm: there is no sbatch on this machine; call it where jobs are submitted, or start a "
            "scheduler and workers yourself and give --cluster tcp://HOST:8786"
        )
    taken: list[str] = []
    refused: list[str] = []

    class Job(SLURMJob):
        """One whose refusal is seen here: else it would end in Dask's log, and we would wait for its workers."""

        async def start(self) -> None:
            try:
                await super().start()
                taken.append(str(self.job_id))
            except (RuntimeError, OSError) as error:
                refused.append(str(error).rpartition("stderr:")[2].strip().replace("\n", "; "))
                await ProcessInterface.start(self)  # in order, for the end that follows

    try:
        parse_bytes(settings.memory)  # first: a cluster that is half made complains when it goes
        jobs = SLURMCluster(job_cls=Job, **job_options(settings))  # type: ignore[arg-type]  # its default is None
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        raise ConfigError(f"[cluster.slurm] cannot be used: {error}") from error
    jobs.scale(jobs=settings.jobs)
    end = time.monotonic() + SUBMIT_S
    while len(taken) < settings.jobs and not refused and time.monotonic() < end:
        time.sleep(LOOK_S)
    if refused:
        jobs.close()
        raise ConfigError(f"sbatch refuses the job that [cluster.slurm] describes: {refused[0]}")
    log.info("%d jobs submitted to SLURM", len(taken))
    return jobs


def job_options(settings: SlurmSettings) -> dict[str, Any]:
    """Give dask-jobqueue's arguments: one process for each core of a job."""
    options: dict[str, Any] = {
        "cores": settings.cores,
        "processes": settings.cores,
        "memory": settings.memory,
        "walltime": settings.walltime,
        "job_extra_directives": list(settings.directives),
        "job_script_prologue": list(settings.prologue),
        "scheduler_options": {"dashboard_address": "127.0.0.1:0"},
    }
    for name in ("queue", "account", "interface"):
        if value := getattr(settings, name):
            options[name] = value
    return options
