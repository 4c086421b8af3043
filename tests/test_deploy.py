"""The containers, as far as they can be judged without building them: no Docker is needed here.

What a build would do is done by hand where it can be: the command of the health check runs, the files that are copied
are there and not ignored, the extras exist. docs/install.md says what was not tried.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from auroramon.server import StatusServer
from auroramon.types import Health
from tests.conftest import ROOT

DEPLOY = ROOT / "deploy"
INSTRUCTIONS = {
    "ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "VOLUME", "USER", "ENTRYPOINT", "CMD", "HEALTHCHECK",
}  # fmt: skip


def instructions() -> list[tuple[str, str]]:
    """Give the instructions of the Dockerfile, joined where they go over several lines."""
    lines = (line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def stages() -> dict[str, list[tuple[str, str]]]:
    """Give the instructions of each stage by its name, those of the stage it builds on first."""
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for word, rest in instructions():
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = list(found.get(base, ()))
        elif name:
            found[name].append((word, rest))
    return found


def test_the_dockerfile_is_made_of_known_instructions_and_named_stages() -> None:
    assert {word for word, _ in instructions()} <= INSTRUCTIONS
    bases = [rest.split(" AS ") for word, rest in instructions() if word == "FROM"]
    assert all(len(parts) == 2 for parts in bases), "every stage has a name"
    known = {"${BASE}"}
    for base, name in bases:
        assert base in known
        known.add(name)
    (base,) = (rest for word, rest in instructions() if word == "ARG")
    assert re.fullmatch(r"BASE=python:\d+\.\d+\.\d+-slim-bookworm(@sha256:[0-9a-f]{64})?", base), "the base is pinned"


def ignored(path: str) -> bool:
    """Say whether the build would not see a file: the last pattern that matches decides."""
    verdict = False
    for pattern in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines():
        if pattern and not pattern.startswith("#"):
            wanted = pattern.lstrip("!")
            parts = [path, *(str(parent) for parent in Path(path).parents)]
            if any(fnmatch(part, wanted) for part in parts):
                verdict = not pattern.startswith("!")
    return verdict


def test_what_is_copied_is_there_and_seen_by_the_build() -> None:
    copied = [shlex.split(rest) for word, rest in instructions() if word == "COPY"]
    for words in copied:
        if words[0].startswith("--from="):
            assert words[0].removeprefix("--from=") in stages()
            assert "/opt/auroramon" in dict(stages())[words[0].removeprefix("--from=")][-1][1]
            continue
        for source in words[:-1]:
            assert (ROOT / source).exists()
            assert not ignored(source)
    assert not ignored("auroramon/models/simsky-6/embedder.onnx")
    assert ignored("train/data/frame.png")
    assert ignored(".git/config")
    assert ignored("auroramon/__pycache__/config.pyc")


@pytest.mark.parametrize("stage", ["cpu", "gpu"])
def test_an_image_runs_without_rights_and_says_how_it_is(stage: str) -> None:
    last = dict(stages()[stage])  # of each instruction the last one
    assert last["USER"] == "990:990"
    assert json.loads(last["ENTRYPOINT"]) == ["auroramon"]
    assert json.loads(last["CMD"]) == ["run"]
    assert "STATE_DIRECTORY=/var/lib/auroramon" in last["ENV"] or stage == "gpu"
    assert last["COPY"] == f"--from=build-{stage} /opt/auroramon /opt/auroramon"


def test_the_extras_that_are_installed_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    installs = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    assert len(installs) == 2
    for line in installs:
        found = re.search(r"'\.\[([a-z0-9,-]+)\]'", line)
        assert found is not None
        assert set(found[1].split(",")) <= set(extras)
        assert "--constraint requirements.lock" in line
        assert "--no-cache-dir" in line


@pytest.mark.parametrize(("health", "code"), [(Health(()), 0), (Health(("the loop hangs",)), 1)])
def test_the_health_check_says_what_the_health_page_says(health: Health, code: int) -> None:
    command = json.loads(dict(stages()["cpu"])["HEALTHCHECK"].partition("CMD ")[2])
    server = StatusServer("127.0.0.1:0", lambda: b"", lambda: health)
    try:
        words = [sys.executable, *(word.replace("127.0.0.1:9750", server.address) for word in command[1:])]
        assert subprocess.run(words, capture_output=True, check=False).returncode == code
    finally:
        server.close()


def composed() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


@pytest.mark.parametrize("name", ["auroramon", "prometheus", "grafana"])
def test_a_service_can_change_nothing_but_its_volumes(name: str) -> None:
    service = composed()["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "build" in service or re.search(r":v?\d+\.\d+\.\d+$", service["image"]), "the image is pinned"


def test_everything_listens_on_loopback() -> None:
    services = composed()["services"]
    assert all(service["network_mode"] == "host" and "ports" not in service for service in services.values())
    assert "--web.listen-address=127.0.0.1:9090" in services["prometheus"]["command"]
    assert services["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert re.search(r"127\.0\.0\.1:9750", (DEPLOY / "prometheus/prometheus.yml").read_text())


def test_what_is_mounted_is_there() -> None:
    whole = composed()
    for service in whole["services"].values():
        for volume in service["volumes"]:
            if isinstance(volume, dict):
                assert volume["read_only"] is True
                continue
            source, _, target = volume.partition(":")
            if source.startswith("./"):
                assert (DEPLOY / source).exists(), source
                assert target.endswith(":ro")
            elif not source.startswith("${"):
                assert source in whole["volumes"]


def test_the_dashboards_lie_where_grafana_is_told_to_look() -> None:
    mounts = {v.split(":")[1]: v.split(":")[0] for v in composed()["services"]["grafana"]["volumes"]}
    (provider,) = (DEPLOY / mounts["/etc/grafana/provisioning"] / "dashboards").glob("*.yaml")
    path = yaml.safe_load(provider.read_text())["providers"][0]["options"]["path"]
    assert list((DEPLOY / mounts[path]).glob("*.json"))


def test_the_gpu_variant_changes_a_service_that_exists_and_a_stage_that_exists() -> None:
    changed = yaml.safe_load((DEPLOY / "compose.gpu.yaml").read_text())["services"]
    assert set(changed) == {"auroramon"}
    assert changed["auroramon"]["build"]["target"] in stages()
    assert composed()["services"]["auroramon"]["build"]["target"] in stages()
    (device,) = changed["auroramon"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
