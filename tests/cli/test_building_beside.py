"""The daemon and the backfill where a GPU is whose engine must be built first: real processes, a pretended GPU."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from auroramon.bundle_writing import write_bundle
from tests.backends.tiny_model import make_parts
from tests.daemon import AURORAMON, daemon, get, started, stop, wait_until, write_config
from tests.on_a_card import PretendedGpu


@pytest.fixture
def gpu(tmp_path: Path) -> Iterator[PretendedGpu]:
    (tmp_path / "gpu").mkdir()
    made = PretendedGpu(tmp_path / "gpu")
    yield made
    made.let_builds_end()  # also one whose daemon was killed because a test failed


@pytest.fixture
def config(tmp_path: Path) -> Path:
    model = write_bundle(tmp_path / "tiny-1", make_parts(tmp_path / "parts"))
    return write_config(tmp_path, model.folder, listen="127.0.0.1:0")


def ask_for(config: Path, backend: str) -> None:
    head, _, tail = config.read_text().partition("[model]\n")
    path = next(line for line in tail.splitlines() if line.startswith("path"))
    config.write_text(f'{head}[model]\nbackend = "{backend}"\n{tail[tail.index(path) :]}')


def labels_with(pages: str, backend: str) -> bool:
    return f'auroramon_backend_info{{backend="{backend}"' in get(pages, "/metrics")[1]


def gone(pid: int | None) -> bool:
    assert pid is not None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("reloaded", [False, True])
def test_the_daemon_takes_the_engine_that_was_built_beside_it_while_no_frame_comes(
    config: Path, gpu: PretendedGpu, reloaded: bool
) -> None:
    ask_for(config, "onnx" if reloaded else "auto")
    with daemon(config, gpu.environ()) as process:
        pages = started(process)
        if reloaded:
            ask_for(config, "auto")
            process.send_signal(signal.SIGHUP)
        wait_until(lambda: gpu.builder() is not None, "the build has begun")
        assert labels_with(pages, "onnx")
        gpu.let_builds_end()
        wait_until(lambda: labels_with(pages, "tensorrt"), "the engine labels")
        assert 'auroramon_backend_switches_total{to="tensorrt"} 1.0' in get(pages, "/metrics")[1]
        stop(process)
    assert gone(gpu.builder())


@pytest.mark.parametrize("reloaded", [False, True])
@pytest.mark.parametrize("backend", ["auto", "tensorrt"])
def test_sigterm_ends_the_daemon_and_the_build_that_goes_on(
    config: Path, gpu: PretendedGpu, backend: str, reloaded: bool
) -> None:
    """Beside the work, at the start that waits for it, and for a new configuration."""
    ask_for(config, "onnx" if reloaded else backend)
    with daemon(config, gpu.environ()) as process:
        if reloaded:
            started(process)
            ask_for(config, backend)
            process.send_signal(signal.SIGHUP)
        wait_until(lambda: gpu.builder() is not None, "the build has begun")
        stop(process)
    assert gone(gpu.builder())


@pytest.mark.parametrize("backend", ["auto", "tensorrt"])
def test_sigterm_ends_a_backfill_that_waits_for_its_engine(config: Path, gpu: PretendedGpu, backend: str) -> None:
    ask_for(config, backend)
    command = (*AURORAMON, "backfill", "-c", str(config), str(config.parent / "in"))
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=gpu.environ()) as process:
        try:
            wait_until(lambda: gpu.builder() is not None, "the build has begun")
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 1
    assert b"auroramon: stopped while its engine was built: call the same command again" in said
    assert gone(gpu.builder())
