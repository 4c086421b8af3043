"""Jobs of SLURM, by stand-ins for `sbatch` and `scancel` that run each job on this machine."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from auroramon.config import SlurmSettings
from auroramon.errors import ConfigError
from auroramon.store.registry import process_is_alive
from auroramon.types import Outcome
from tests.conftest import ROOT
from tests.daemon import wait_until
from tests.executors.test_dask import batches, done_by, make_slow

SBATCH = """#!/bin/sh
[ -z "$REFUSE" ] || { echo "sbatch: error: $REFUSE" >&2; exit 1; }
cp "$1" "job.$$"
setsid sh "job.$$" >"log.$$" 2>&1 &
echo "Submitted batch job $!"
"""


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What SLURM looks like from outside: jobs run at once, on this machine."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {"sbatch": SBATCH, "scancel": '#!/bin/sh\nkill -- -"$1"\n'}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)  # Dask's jobs write there
    return programs


def test_jobs_of_slurm_label_and_are_cancelled_at_the_end(sbatch: Path) -> None:
    from auroramon.executors.dask import DaskExecutor

    settings = SlurmSettings(jobs=2, cores=1, memory="1GB", interface="lo")
    executor = DaskExecutor("slurm", make_slow, 1, settings)
    try:
        done = done_by(executor.run(batches(100), threading.Event()))
    finally:
        executor.close()
    assert len(done) == 100
    assert {word for word, _ in done.values()} == {Outcome.LABELLED}
    workers = {int(pid) for _, pid in done.values()}
    wait_until(lambda: not any(process_is_alive(pid) for pid in workers), "no worker is left")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, r"\[cluster.slurm\] jobs must be at least 1"),
        ({"jobs": 2, "interface": "lo"}, "sbatch refuses .*: sbatch: error: no such partition"),
        ({"jobs": 1, "memory": "much"}, r"\[cluster.slurm\] cannot be used: .*much"),
        ({"jobs": 1, "interface": "ib9"}, r"\[cluster.slurm\] cannot be used: .*ib9"),
    ],
)
def test_jobs_that_slurm_cannot_take_are_one_sentence(
    settings: dict[str, object], said: str, sbatch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auroramon.executors.dask import DaskExecutor

    monkeypatch.setenv("REFUSE", "no such partition")
    with pytest.raises(ConfigError, match=said):
        DaskExecutor("slurm", make_slow, 1, SlurmSettings.model_validate(settings))


def test_a_machine_without_slurm_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from auroramon.executors.dask import DaskExecutor

    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="there is no sbatch on this machine"):
        DaskExecutor("slurm", make_slow, 1, SlurmSettings(jobs=1))


def test_slurm_gets_the_job_that_the_configuration_describes() -> None:
    from dask_jobqueue.slurm import SLURMCluster

    from auroramon.executors.slurm import job_options

    settings = SlurmSettings(
        jobs=3, interface="lo", queue="short", account="aurora", cores=8, memory="16GB", walltime="01:30:00",
        directives=("--constraint=avx2",), prologue=("module load python",),
    )  # fmt: skip
    with SLURMCluster(**job_options(settings)) as jobs:
        script = jobs.job_script()
    for line in ("#SBATCH -p short", "#SBATCH -A aurora", "#SBATCH --cpus-per-task=8", "#SBATCH --mem=15G",
                 "#SBATCH -t 01:30:00", "#SBATCH --constraint=avx2", "module load python"):  # fmt: skip
        assert line in script.splitlines()
    assert "--nthreads 1" in script
    assert "--nworkers 8" in script
