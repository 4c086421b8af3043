"""Opens the database for a run, and enters who works there with which model."""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime
from typing import TYPE_CHECKING

from auroramon import __version__
from auroramon.cli.events import rules_of
from auroramon.coordinator import Job, utc_now
from auroramon.store.results import CameraPlace, ModelRow
from auroramon.store.store import open_store

if TYPE_CHECKING:
    from auroramon.bundle import ModelBundle
    from auroramon.config import CameraSettings, Settings
    from auroramon.labeller import Labeller
    from auroramon.store.results import Source
    from auroramon.store.store import Store

log = logging.getLogger(__name__)


def begin(
    settings: Settings, labeller: Labeller, source: Source, settle_s: float, patience_s: float | None = None
) -> tuple[Store, Job]:
    """Open the database, upgrade it if need be, and start a run in it.

    With `patience_s` the store given back waits no longer than that for another writer; the start itself is patient.

    Raises:
        StoreError: the database cannot be used; nothing was read yet.
    """
    store = open_store(settings.database_url)
    try:
        job = enter(store, settings, labeller, source, settle_s)
    except BaseException:
        store.close()
        raise
    if patience_s is None:
        return store, job
    store.close()
    return open_store(settings.database_url, create=False, busy_timeout_s=patience_s), job


def enter(store: Store, settings: Settings, labeller: Labeller, source: Source, settle_s: float) -> Job:
    """Start a run in an open database: the cameras, the model and the settings that its labels are made with.

    Raises:
        StoreError: the database cannot be used.
    """
    now = utc_now()
    store.register_cameras([place_of(camera) for camera in settings.camera])
    model = store.register_model(row_of(labeller.bundle))
    run = store.start_run(
        "run" if source == "live" else source,
        now=now,
        code_version=__version__,
        backend=labeller.backend.name,
        precision=labeller.backend.precision,
        rules=rules_of(settings),
        settings_digest=hashlib.sha256(settings.model_dump_json().encode()).hexdigest(),
    )
    store.recover(run, now)
    store.make_due()
    if hours := store.touch_miscounted():
        log.warning("%d hours were counted by something else than this version: they are counted again", hours)
    return Job(run, model, source, settle_s)


def row_of(bundle: ModelBundle) -> ModelRow:
    """Give what the store must know of a model."""
    return ModelRow(
        name=bundle.name,
        digest=bundle.digest,
        embedder_digest=bundle.embedder_digest,
        labels=bundle.labels,
        threshold=bundle.head.threshold,
        created=datetime.fromisoformat(bundle.provenance.created),
    )


def place_of(camera: CameraSettings) -> CameraPlace:
    """Give what the store must know of a camera; there the Sun's limit is an altitude, so below is negative."""
    return CameraPlace(
        camera.name, camera.site, camera.latitude, camera.longitude, camera.cadence_s, -camera.sun_below_deg
    )
