"""Writes deploy/grafana/dashboards/*.json: `python -m deploy.grafana`."""

from __future__ import annotations

import json
from pathlib import Path

from deploy.grafana.occurrence import occurrence
from deploy.grafana.station import STATION

FOLDER = Path(__file__).parent / "dashboards"
DASHBOARDS = {
    "station.json": STATION,
    "occurrence-sqlite.json": occurrence("sqlite"),
    "occurrence-postgresql.json": occurrence("postgresql"),
}


def written(name: str) -> str:
    """Give the text of a file."""
    return json.dumps(DASHBOARDS[name].json(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in DASHBOARDS:
        (FOLDER / name).write_text(written(name), encoding="utf-8")


if __name__ == "__main__":
    main()
