"""Makes the parts of the daemon: at its start, and again whenever the configuration is read anew."""

from __future__ import annotations

import logging
from collections.abc import Callable
from queue import SimpleQueue
from threading import Event, Thread
from types import TracebackType

from auroramon import __version__
from auroramon.archive import watched_folders
from auroramon.assemble import LabellerRecipe, live_threads, make_labeller
from auroramon.backends.switching import SwitchingBackend
from auroramon.cameras import Cameras
from auroramon.cli.job import enter, place_of
from auroramon.config import Settings
from auroramon.coordinator import utc_now
from auroramon.errors import AuroramonError, ConfigError, StoppedError
from auroramon.executors.inline import InlineExecutor
from auroramon.executors.pool import PoolExecutor
from auroramon.labeller import Labeller
from auroramon.metrics import Metrics
from auroramon.notify import Lifeline
from auroramon.ports import Backend
from auroramon.service import Change, Service, nothing
from auroramon.sources.watch import WatchedFolder

log = logging.getLogger(__name__)

CHANGEABLE = frozenset({"camera", "model", "log"})
"""Tables of the configuration that a running daemon takes over. The others belong to what is open already."""

BUSY_S = 5.0
"""The daemon waits so long for another writer; then it says that the database is away and works on in memory."""

SUSPECT_S = 90.0
"""A file that hung or killed a worker gets so long when it is tried apart; less than the WatchdogSec of the unit."""


def folders_of(settings: Settings) -> list[WatchedFolder]:
    """Give what is to be watched.

    Raises:
        ConfigError: nothing is, or a camera has no folder.
    """
    if not settings.camera:
        raise ConfigError("no [[camera]] is configured, so there is no folder to watch; `auroramon init FOLDER` helps")
    for camera in settings.camera:
        if camera.folder is None:
            raise ConfigError(f"camera {camera.name}: `run` needs its folder")
    poll = {"always": True, "never": False, "auto": None}[settings.watch.poll]
    return watched_folders(Cameras(settings.camera), poll)


def isolated(settings: Settings) -> PoolExecutor:
    """Give the process in which suspects are tried; it starts when the first one comes."""
    recipe = LabellerRecipe(settings, live_threads(settings))
    return PoolExecutor(recipe, workers=1, in_hand=1, limit_s=SUSPECT_S)


def show(metrics: Metrics, settings: Settings, labeller: Labeller) -> None:
    """Show on /metrics what works here, on which cameras."""
    metrics.begin_counting([camera.name for camera in settings.camera], labeller.bundle.labels)
    metrics.show_cameras(map(place_of, settings.camera), utc_now)
    metrics.build.info({"version": __version__})
    metrics.model.info({"name": labeller.bundle.name, "digest": labeller.bundle.digest})
    follow_backend(metrics, labeller.backend)


def follow_backend(metrics: Metrics, backend: Backend) -> None:
    """Show on /metrics what runs the network, now and whenever another takes over."""

    def switched() -> None:
        metrics.switches.labels(backend.name).inc()
        metrics.show_backend(backend)

    metrics.show_backend(backend)
    if isinstance(backend, SwitchingBackend):
        backend.told = switched


def tending(backend: Backend) -> Callable[[], None]:
    """Give what looks after a build beside the work, for the loop to call also while no frame comes."""
    return backend.tend if isinstance(backend, SwitchingBackend) else nothing


def say_what_is_watched(settings: Settings, labeller: Labeller, pages: str = "") -> None:
    """Log what is watched, and with what."""
    log.info(
        "watching %s with model %s (%s, %s)%s",
        ", ".join(f"{camera.name}: {camera.folder}" for camera in settings.camera),
        labeller.bundle.name,
        labeller.backend.precision,
        labeller.backend.device,
        f"; metrics on http://{pages}/metrics" if pages else "",
    )


class Reloader:
    """Reads the configuration anew when asked, beside the loop, and hands it over whole or not at all.

    A context: at its end the thread is gone.

    Args:
        read: gives the settings as they are now; raises ConfigError.
        settings: those in force.
        service: gets the change between two of its batches.
        metrics: show it afterwards.
        life: tells the service manager.
    """

    def __init__(
        self, read: Callable[[], Settings], settings: Settings, service: Service, metrics: Metrics, life: Lifeline
    ) -> None:
        self._read = read
        self._settings = settings
        self._service = service
        self._metrics = metrics
        self._life = life
        self._asked: SimpleQueue[bool] = SimpleQueue()  # may be filled from a signal handler
        self._stop = Event()  # an engine that is built for a new configuration is not waited for
        self._thread = Thread(target=self._run, name="reloader", daemon=True)

    def __enter__(self) -> Reloader:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._asked.put(False)
        self._thread.join()

    def ask(self) -> None:
        """Have the configuration read; may be called from a signal handler."""
        self._asked.put(True)

    def _run(self) -> None:
        while self._asked.get():
            self._life.reloading()
            try:
                self._service.change(self._prepared())
            except StoppedError:
                return
            except (AuroramonError, OSError) as error:
                log.error("the new configuration is refused, and the old one stays in force: %s", error)
                self._life.reloaded()

    def _prepared(self) -> Change:
        """Make everything that the new configuration needs, so that the loop has only to exchange it."""
        settings = self._read()
        fixed = [
            name
            for name in Settings.model_fields
            if name not in CHANGEABLE and getattr(settings, name) != getattr(self._settings, name)
        ]
        if fixed:
            raise ConfigError(f"a change of [{'], ['.join(fixed)}] takes a restart: systemctl restart auroramon")
        folders = folders_of(settings)
        labeller = make_labeller(settings, live_threads(settings), "beside", self._stop)

        def done() -> None:
            self._settings = settings
            show(self._metrics, settings, labeller)
            logging.getLogger().setLevel(settings.log.level.upper())
            say_what_is_watched(settings, labeller)
            self._life.reloaded()

        return Change(
            folders,
            InlineExecutor(labeller, labeller.backend.close),
            isolated(settings),
            enter=lambda store: enter(store, settings, labeller, "live", settings.watch.settle_s),
            done=done,
            tend=tending(labeller.backend),
        )
