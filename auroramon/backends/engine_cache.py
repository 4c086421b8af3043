"""The folder of engines: written beside and renamed, found by their keys, bounded in size.

    MODEL-sm89-fp16-tensorrt_rtx-KEY.plan      the engine as the library serialised it
    MODEL-sm89-fp16-tensorrt_rtx-KEY.json      its manifest
    MODEL-sm89-fp16-tensorrt_rtx-KEY.kernels   what the card compiled, where a library does that late
    LIBRARY-VERSION-sm89.timings               measured kernels, for the next build
    build.lock                                 held while an engine is built

It is a cache: everything in it can be made again from the model.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from auroramon.backends.manifest import EngineKey, Manifest, manifest_text, read_manifest
from auroramon.errors import EngineError

log = logging.getLogger(__name__)

MOST_BYTES = 2 * 1024**3
"""Of all engines together; beyond it those that were not used for longest are removed."""

OURS = re.compile(r".*\.(plan|json|kernels|timings|new)$")


@dataclass(frozen=True, slots=True)
class Entry:
    """One engine of the folder, sound or not."""

    path: Path  # of the manifest
    manifest: Manifest | None
    problem: str  # why it cannot be used, or ""


@dataclass(frozen=True, slots=True)
class Found:
    """What the cache has for a key."""

    manifest: Manifest | None
    why_not: str  # where there is none: why the nearest one does not serve, or "there is none yet"


class EngineCache:
    """The engines in a folder.

    Args:
        folder: made when the first engine is stored.
        most_bytes: of all engines together.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self._most = most_bytes

    def entries(self) -> list[Entry]:
        """List the engines by name; the plans themselves are not read."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                manifest = read_manifest(path)
                plan = self.folder / manifest.plan
                if plan.name != f"{path.stem}.plan" or not plan.is_file():
                    raise EngineError(f"{path} has no plan beside it: `auroramon engine clean` removes it")
                if plan.stat().st_size != manifest.size:
                    raise EngineError(_broken(plan, f"{plan.stat().st_size} bytes instead of {manifest.size}"))
                found.append(Entry(path, manifest, ""))
            except EngineError as error:
                found.append(Entry(path, None, str(error)))
        return found

    def find(self, wanted: EngineKey) -> Found:
        """Look for an engine, and say why there is none."""
        entries = self.entries()
        sound = [entry.manifest for entry in entries if entry.manifest is not None]
        serving = [manifest for manifest in sound if manifest.key.serves(wanted)]
        if serving:  # one that was built for this very card comes first
            return Found(max(serving, key=lambda m: (m.key == wanted, m.verified, m.built)), "")
        problem = next((entry.problem for entry in entries if entry.problem), "")
        if not sound:
            return Found(None, problem or "there is none yet")
        differences = min((manifest.key.differences(wanted) for manifest in sound), key=len)
        return Found(None, f"the nearest one is for {', '.join(differences)}" + (f"; {problem}" if problem else ""))

    def plan(self, manifest: Manifest) -> bytes:
        """Read a plan.

        Raises:
            EngineError: it is not the plan that its manifest describes.
        """
        path = self.folder / manifest.plan
        try:
            content = path.read_bytes()
        except OSError as error:
            raise EngineError(f"{path} cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != manifest.sha256:
            raise EngineError(_broken(path, "sha256 differs from its manifest"))
        with suppress(OSError):  # a cache that this user may only read
            os.utime(path)  # used just now: the last to be removed
        return content

    def kernels(self, manifest: Manifest) -> bytes:
        """Give what the card compiled for a plan; b"" where nothing sound is there: it is compiled again."""
        try:
            content = (self.folder / manifest.plan).with_suffix(".kernels").read_bytes()
        except OSError:
            return b""
        return content if hashlib.sha256(content).hexdigest() == manifest.kernels_sha256 else b""

    def timings(self, key: EngineKey) -> bytes:
        """Give what earlier builds measured with this library on this kind of card."""
        try:
            return self._timings(key).read_bytes()
        except OSError:
            return b""

    def store(self, manifest: Manifest, plan: bytes, timings: bytes = b"") -> None:
        """Keep an engine; the manifest comes last, so a plan without one was never finished.

        Raises:
            EngineError: the folder cannot be written, or the disk is full; what was there before is as it was.
        """
        self._write(manifest.plan, plan)
        if timings:
            self._write(self._timings(manifest.key).name, timings)
        self.record(manifest)
        self._bound(keep=manifest.plan)

    def record(self, manifest: Manifest, kernels: bytes = b"") -> None:
        """Write a manifest anew, after a trial.

        Raises:
            EngineError: the folder cannot be written.
        """
        stem = Path(manifest.plan).stem
        if kernels:
            self._write(f"{stem}.kernels", kernels)
        self._write(f"{stem}.json", manifest_text(manifest).encode())

    def remove(self, stem: str) -> None:
        """Remove an engine and what belongs to it."""
        for suffix in (".json", ".plan", ".kernels"):
            (self.folder / f"{stem}{suffix}").unlink(missing_ok=True)

    def leftovers(self) -> list[Path]:
        """List files of ours that belong to no engine: builds that were killed, timings of old libraries."""
        stems = {entry.path.stem for entry in self.entries() if entry.manifest}
        ours = [path for path in sorted(self.folder.glob("*")) if path.is_file() and OURS.match(path.name)]
        return [path for path in ours if path.suffix != ".json" and path.stem not in stems]

    @contextmanager
    def building(self) -> Iterator[None]:
        """Hold the lock under which engines are built; wait, and say so, while another process holds it.

        Raises:
            EngineError: the folder cannot be written.
        """
        import fcntl

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / "build.lock").open("a+b")
        except OSError as error:
            raise EngineError(f"{self.folder} cannot be written: {error.strerror}") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("another process builds an engine in %s: waiting for it", self.folder)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _timings(self, key: EngineKey) -> Path:
        return self.folder / f"{key.library}-{key.version}-{key.capability}.timings"

    def _write(self, name: str, content: bytes) -> None:
        """Write beside and rename, so that nobody ever reads half a file."""
        new = ""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, new = tempfile.mkstemp(suffix=".new", prefix=f".{name}.", dir=self.folder)
            os.fchmod(handle, 0o644)  # built by one user, run by another
            with open(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(new).replace(self.folder / name)
        except OSError as error:
            if new:
                Path(new).unlink(missing_ok=True)
            raise EngineError(
                f"{self.folder / name} ({len(content) / 1e6:.1f} MB) cannot be written: {error.strerror}; "
                f"free some space, or name another folder in paths.cache"
            ) from error

    def _bound(self, keep: str) -> None:
        """Remove the engines that were not used for longest, until the rest fits."""
        sound = [entry.manifest for entry in self.entries() if entry.manifest is not None]
        sound.sort(key=lambda m: (m.plan == keep, (self.folder / m.plan).stat().st_mtime_ns))
        total = sum(manifest.size for manifest in sound)
        for manifest in sound:
            if total <= self._most or manifest.plan == keep:
                return
            log.info("%s is removed: the engines together are larger than %d MB", manifest.plan, self._most // 10**6)
            self.remove(Path(manifest.plan).stem)
            total -= manifest.size


def stem_of(model_name: str, key: EngineKey) -> str:
    """Give the file name of an engine without its suffix."""
    return f"{model_name}-{key.capability}-{key.precision}-{key.library}-{key.digest[:16]}"


def _broken(plan: Path, how: str) -> str:
    return f"{plan} is not the engine that was built ({how}): `auroramon engine clean` removes it"
