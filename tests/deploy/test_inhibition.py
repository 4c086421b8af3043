"""What a real Alertmanager keeps silent by the delivered example: what follows from a fault, and no other fault."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from tests.conftest import ROOT
from tests.daemon import wait_until
from tests.deploy.programs import free_port, program

EXAMPLE = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
STATION = {"job": "auroramon", "instance": "kiruna:9750"}
ELSEWHERE = {"job": "auroramon", "instance": "abisko:9750"}


def alert(name: str, where: dict[str, str] = STATION, **labels: str) -> dict[str, str]:
    return {"alertname": f"Auroramon{name}", **where, **labels}


def suppressed(tmp_path: Path, *alerts: dict[str, str]) -> set[str]:
    """Give the alerts that nobody hears of while all of these last, as name and what tells it from its sisters."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    manager = subprocess.Popen(
        [
            program("prometheus-alertmanager", "prometheus-alertmanager"),
            f"--config.file={EXAMPLE}",
            f"--storage.path={tmp_path}",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _asked(address, "/-/ready") is not None, "Alertmanager is ready")
        _asked(address, "/api/v2/alerts", [{"labels": labels} for labels in alerts])
        # This one is hidden by every station that is down: when it is, all have been judged.
        wait_until(lambda: "Unhealthy abisko:9750" in _hidden(address), "the alerts are judged")
        return _hidden(address) - {"Unhealthy abisko:9750"}
    finally:
        manager.kill()
        manager.wait()


def _hidden(address: str) -> set[str]:
    found = json.loads(_asked(address, "/api/v2/alerts") or "[]")
    return {
        f"{one['labels']['alertname'].removeprefix('Auroramon')} "
        f"{one['labels'].get('camera') or one['labels'].get('folder') or one['labels']['instance']}"
        for one in found
        if one["status"]["state"] == "suppressed"
    }


def _asked(address: str, page: str, body: object = None) -> str | None:
    request = urllib.request.Request(f"http://{address}{page}", headers={"Content-Type": "application/json"})
    if body is not None:
        request.data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return str(answer.read().decode())
    except urllib.error.URLError:
        return None


# The last to be sent, so that all others have been taken before it is judged.
JUDGED = (alert("TargetDown", ELSEWHERE), alert("Unhealthy", ELSEWHERE))


def test_a_full_disk_or_an_absent_folder_hides_no_other_camera_and_no_loop_that_hangs(tmp_path: Path) -> None:
    assert suppressed(
        tmp_path,
        alert("DiskLow", folder="/data/cam1"),
        alert("DiskFilling", folder="/data/cam1"),
        alert("DiskFilling", folder="/var/lib/auroramon"),
        alert("WatcherDown", camera="cam1", folder="/data/cam1"),
        alert("NoNewFrames", camera="cam1"),
        alert("NoNewFrames", camera="cam2"),
        alert("Unhealthy"),
        *JUDGED,
    ) == {"DiskFilling /data/cam1", "NoNewFrames cam1"}


def test_what_a_database_that_fails_brings_along_stays_silent(tmp_path: Path) -> None:
    assert suppressed(
        tmp_path,
        alert("DatabaseFailing"),
        alert("NoNewFrames", camera="cam1"),
        alert("FramesMissing", camera="cam2"),
        alert("Unhealthy"),
        alert("DiskLow", folder="/data"),
        *JUDGED,
    ) == {"NoNewFrames cam1", "FramesMissing cam2", "Unhealthy kiruna:9750"}
