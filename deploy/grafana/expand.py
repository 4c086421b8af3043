"""Puts into a question what Grafana puts in: the chosen variables, the time range, the width of an interval."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """What a person has chosen on a dashboard."""

    cameras: Sequence[str]
    start: int  # seconds since 1970
    end: int
    interval_s: int = 300  # $__interval
    rate_interval_s: int = 300  # $__rate_interval

    def promql(self, text: str) -> str:
        """Give an expression as Prometheus gets it, of all instances."""
        text = text.replace("$__rate_interval", f"{self.rate_interval_s}s")
        text = text.replace("$__interval", f"{self.interval_s}s")
        return _none_left(text.replace("$instance", ".*").replace("$camera", "|".join(map(re.escape, self.cameras))))

    def sql(self, text: str) -> str:
        """Give a statement as the database gets it."""
        quoted = ",".join("'" + name.replace("'", "''") + "'" for name in self.cameras)
        text = text.replace("${camera:sqlstring}", quoted)
        text = text.replace("${__from:date:seconds}", str(self.start)).replace("${__to:date:seconds}", str(self.end))
        return _none_left(text)


def _none_left(text: str) -> str:
    if "$" in text:
        raise ValueError(f"a variable is unknown here: {text}")
    return text
