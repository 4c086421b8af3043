"""Cameras, models and runs: the few rows that the many refer to."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from datetime import datetime

from auroramon.events import EventRules
from auroramon.store import events, registry, tally
from auroramon.store.encoding import epoch
from auroramon.store.methods.opened import Opened
from auroramon.store.registry import process_is_alive
from auroramon.store.results import CameraPlace, ModelRow


class Runs(Opened):
    """Cameras, models and runs."""

    def register_cameras(self, places: Sequence[CameraPlace]) -> None:
        """Enter cameras, or bring what is known of them up to date. Cameras of headers enter by themselves."""
        with self._db.writing() as conn:
            registry.register_cameras(conn, self._db.codes, places)

    def register_model(self, model: ModelRow) -> int:
        """Give the number of a model, entered if its digest is new (one digest is one model, whatever its name)."""
        with self._db.writing(durable=True) as conn:
            return registry.register_model(conn, self._db.codes, model)

    def promote_model(self, name: str, now: datetime) -> int:
        """Make the newest model of this name the one whose labels are shown; StoreError if there is none."""
        with self._db.writing(durable=True) as conn:
            return registry.promote_model(conn, name, epoch(now))

    def models(self) -> list[ModelRow]:
        """Give every model, the one whose labels are shown first."""
        with self._db.reading() as conn:
            return registry.all_models(conn)

    def label_counts(self) -> dict[int, int]:
        """Give the number of frames that each model labelled, by the number of the model."""
        with self._db.reading() as conn:
            return tally.label_counts(conn)

    def keep_speaking(self, now: datetime) -> str | None:
        """Promote the model that speaks if none was ever promoted, so that no newer one takes its place by itself.

        Gives its name, None where nothing had to be done.
        """
        with self._db.writing(durable=True) as conn:
            return registry.keep_speaking(conn, epoch(now))

    def start_run(
        self,
        command: str,
        now: datetime,
        *,
        code_version: str = "",
        backend: str = "",
        precision: str = "",
        settings_digest: str = "",
        rules: EventRules | None = None,
        host: str | None = None,
        pid: int | None = None,
    ) -> int:
        """Give the number of a new run of this process; the host and process can be named for tests.

        `rules` are the thresholds in force: by its run each label is known to have been written under them.
        """
        row: dict[str, str | int] = {
            "command": command,
            "host": socket.gethostname() if host is None else host,
            "pid": os.getpid() if pid is None else pid,
            "code_version": code_version,
            "backend": backend,
            "precision": precision,
            "settings_digest": settings_digest,
        }
        with self._db.writing() as conn:
            if rules is not None:
                row["rules_id"] = events.rules_number(conn, rules)
            return registry.start_run(conn, row, epoch(now))

    def heartbeat(self, run: int, now: datetime) -> None:
        """Say that this run lives. Ten minutes of silence count as death (see `recover`)."""
        with self._db.writing() as conn:
            registry.heartbeat(conn, run, epoch(now))

    def end_run(self, run: int, now: datetime) -> int:
        """End a run in order; what it still has in hand is released. Give the number of files released."""
        with self._db.writing() as conn:
            return registry.end_run(conn, run, epoch(now))

    def recover(self, run: int, now: datetime, is_alive: Callable[[int], bool] = process_is_alive) -> int:
        """Free the files that dead runs had in hand; they become suspects. Give their number.

        Dead is: of this host and the process is gone; or silent for ten minutes, anywhere.
        """
        with self._db.writing() as conn:
            return registry.recover(conn, run, epoch(now), is_alive)
