"""Joins the parts into a labeller: in the command line, in a worker process, wherever frames are labelled."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from auroramon.backends.choice import Patience, Wish, choose_backend
from auroramon.backends.engine import EngineBackend
from auroramon.backends.runtime import USUAL
from auroramon.backends.tensorrt import open_runtime
from auroramon.bundle import DESCRIPTION, ModelBundle, default_bundle, load_bundle
from auroramon.cameras import Cameras
from auroramon.config import Settings
from auroramon.cores import available_cores
from auroramon.errors import BundleError
from auroramon.labeller import Labeller
from auroramon.ports import StopFlag

BATCH = 32
"""Frames given to the network at once, where so many wait. More gains nothing on a CPU and costs memory."""

LIVE_THREADS = 2
"""One frame is labelled sooner on two threads; more threads of so small a network only wait for each other."""


@dataclass(frozen=True)
class LabellerRecipe:
    """How to make a labeller; small enough to be sent to a worker process.

    Calling it raises ConfigError or BundleError where the parts do not fit, before any file is touched.
    """

    settings: Settings
    threads: int  # of one network

    def __call__(self) -> Labeller:
        return make_labeller(self.settings, self.threads)


@dataclass(frozen=True)
class SentRecipe:
    """A recipe that carries its model, for workers on machines that may not have it.

    Calling it raises BundleError where what arrived is not what was sent.
    """

    recipe: LabellerRecipe
    files: Mapping[str, bytes]  # of the bundle, by name
    digest: str  # of the bundle

    def __call__(self) -> Labeller:
        folder = Path(tempfile.mkdtemp(prefix="auroramon-model-"))
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        settings = self.recipe.settings
        model = settings.model.model_copy(update={"path": folder})
        try:
            labeller = make_labeller(settings.model_copy(update={"model": model}), self.recipe.threads)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        weakref.finalize(labeller, shutil.rmtree, folder, ignore_errors=True)
        if labeller.bundle.digest != self.digest:
            raise BundleError(f"the model that arrived here is {labeller.bundle.digest[:12]}, not {self.digest[:12]}")
        return labeller


def send(recipe: LabellerRecipe) -> SentRecipe:
    """Give the recipe together with its model, and without what is none of the workers' business: passwords."""
    bundle = bundle_of(recipe.settings)
    files = {name: (bundle.folder / name).read_bytes() for name in (DESCRIPTION, *bundle.files)}
    needed = {name: getattr(recipe.settings, name) for name in ("camera", "model", "paths")}
    settings = Settings.model_construct(**needed)  # not by its name: that would read this machine's environment
    return SentRecipe(LabellerRecipe(settings, recipe.threads), files, bundle.digest)


def make_labeller(
    settings: Settings, threads: int, patience: Patience = "never", stop: StopFlag | None = None
) -> Labeller:
    """Load the model, prove it on its golden frames, and join it with the cameras.

    Args:
        settings: name the model and what runs it.
        threads: of one network on the processor.
        patience: where `auto` finds a GPU whose engine must be built first: wait for it, label on the processor
            beside it, or do without it.
        stop: ends the wait.

    Raises:
        BundleError: the model is damaged, or does not repeat its golden frames on this machine.
        ConfigError: a camera's settings cannot work, or the backend that was asked for cannot run here.
        EngineError: the engine asked for by name cannot be built, or is refused.
        StoppedError: the stop was set while an engine was waited for.
    """
    cameras = Cameras(settings.camera)
    bundle = bundle_of(settings)
    backend = choose_backend(bundle, replace(wish_of(settings, threads, patience), stop=stop), open_runtime)
    return Labeller(bundle, backend, cameras, USUAL if backend.name == EngineBackend.name else BATCH)


def wish_of(settings: Settings, threads: int, patience: Patience = "never") -> Wish:
    """Give what the settings ask for; see `make_labeller`."""
    return Wish(settings.model.backend, settings.model.precision, threads, settings.cache_folder, patience)


def bundle_of(settings: Settings) -> ModelBundle:
    """Read the model that the settings name, or the one shipped with auroramon."""
    return load_bundle(settings.model.path or default_bundle())


def live_threads(settings: Settings) -> int:
    return settings.model.threads or min(LIVE_THREADS, available_cores())
