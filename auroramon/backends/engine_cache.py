"""The folder of engines: written beside and renamed, found by their keys, bounded in size.

    MODEL-sm89-fp16-tensorrt_rtx-KEY.plan      the engine as the library serialised it
    MODEL-sm89-fp16-tensorrt_rtx-KEY.json      its manifest
    MODEL-sm89-fp16-tensorrt_rtx-KEY.kernels   what the card compiled, where a library does that late
    LIBRARY-VERSION-sm89.timings               measured kernels, for the next build
    .NAME.XXXX.new                             what is being written; left over where a build was killed
    build.lock                                 held by whoever writes here

It is a cache: everything in it can be made again from the model.
"""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from auroramon.backends.engine_files import ENGINE, TIMINGS, files_of, left_over, locked, remove_file, write_file
from auroramon.backends.manifest import EngineKey, Manifest, manifest_text, read_manifest
from auroramon.errors import EngineError

log = logging.getLogger(__name__)

MOST_BYTES = 2 * 1024**3
"""Of everything in the folder; beyond it what was not used for longest is removed."""


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
    why_not: str  # where there is none: what is wrong with it, or how the nearest one differs, or "none was built yet"


class EngineCache:
    """The engines in a folder.

    Args:
        folder: made when the first engine is stored.
        most_bytes: of everything in it.
        counts_use: False for who only looks whether an engine would load.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES, counts_use: bool = True) -> None:
        self.folder = folder
        self._most = most_bytes
        self._counts_use = counts_use

    def entries(self) -> list[Entry]:
        """List the engines by name; the plans themselves are not read.

        Raises:
            EngineError: the folder is there and cannot be read.
        """
        found = []
        for path in files_of(self.folder):
            if path.suffix != ".json":
                continue
            try:
                found.append(Entry(path, self._entry(path), ""))
            except EngineError as error:
                found.append(Entry(path, None, str(error)))
        return found

    def _entry(self, path: Path) -> Manifest:
        manifest, plan = read_manifest(path), path.with_suffix(".plan")
        try:
            size = plan.stat().st_size if manifest.plan == plan.name else None
        except OSError:
            size = None
        if size is None:
            raise EngineError(f"{path} has no plan beside it: `auroramon engine clean` removes it")
        if size != manifest.size:
            raise EngineError(_broken(plan, f"{size} bytes instead of {manifest.size}"))
        return manifest

    def find(self, wanted: EngineKey) -> Found:
        """Look for an engine, and say why there is none.

        Raises:
            EngineError: the folder is there and cannot be read.
        """
        entries = self.entries()
        sound = [entry.manifest for entry in entries if entry.manifest is not None]
        serving = [manifest for manifest in sound if manifest.key.serves(wanted)]
        if serving:  # one that was built for this very card comes first
            return Found(max(serving, key=lambda m: (m.key == wanted, m.verified, m.built)), "")
        names = tuple(_short(key) for key in (wanted, wanted.ahead))
        broken = [entry.problem for entry in entries if entry.problem and entry.path.stem.endswith(names)]
        if broken:
            return Found(None, broken[0])
        alike = [manifest.key.differences(wanted) for manifest in sound if _kind(manifest.key) == _kind(wanted)]
        if not alike:
            return Found(None, f"none was built yet ({', '.join(_kind(wanted))})")
        differences = min(alike, key=len)
        return Found(None, f"the nearest one is for {', '.join(differences)}")

    def plan(self, manifest: Manifest) -> bytes:
        """Read a plan.

        Raises:
            EngineError: it is not the plan that its manifest describes.
        """
        path = self.folder / manifest.plan
        try:
            content = path.read_bytes()
        except OSError as error:
            raise EngineError(
                f"{path} cannot be read ({error.strerror}): let this user read it, or remove it"
            ) from error
        if hashlib.sha256(content).hexdigest() != manifest.sha256:
            raise EngineError(_broken(path, "sha256 differs from its manifest"))
        return content

    def used(self, manifest: Manifest) -> None:
        """Note that an engine was loaded to label just now: it is the last to be removed."""
        if self._counts_use:
            with suppress(OSError):  # a cache that this user may only read
                os.utime(self.folder / manifest.plan)

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
        """Keep an engine; the manifest comes last, so a plan without one was never finished. `building` is held.

        Raises:
            EngineError: the folder cannot be written, or the disk is full; what was there before is as it was.
        """
        for left in self.leftovers():
            log.info("%s is removed: it is left of a build that was killed", left.name)
            remove_file(left)
        write_file(self.folder, manifest.plan, plan)
        if timings:
            write_file(self.folder, self._timings(manifest.key).name, timings)
        self.record(manifest)

    def record(self, manifest: Manifest, kernels: bytes = b"") -> None:
        """Write a manifest anew, after a trial. `building` is held.

        Raises:
            EngineError: the folder cannot be written.
        """
        stem = Path(manifest.plan).stem
        if kernels:
            write_file(self.folder, f"{stem}.kernels", kernels)
        write_file(self.folder, f"{stem}.json", manifest_text(manifest).encode())
        self._bound({stem, self._timings(manifest.key).name})

    def remove(self, stem: str) -> None:
        """Remove an engine and what belongs to it.

        Raises:
            EngineError: the folder cannot be written.
        """
        for suffix in (".json", ".plan", ".kernels"):
            remove_file(self.folder / f"{stem}{suffix}")

    def leftovers(self) -> list[Path]:
        """List what builds left that were killed; `building` is held, for a build that runs has such files, too."""
        return left_over(files_of(self.folder))

    def all_timings(self) -> list[Path]:
        """List the measured kernels of every library and card."""
        return [path for path in files_of(self.folder) if TIMINGS.match(path.name)]

    def building(self) -> AbstractContextManager[None]:
        """Hold the lock under which this folder is written; wait, and say so, while another process holds it.

        Raises:
            EngineError: the folder cannot be written.
        """
        return locked(self.folder)

    def _timings(self, key: EngineKey) -> Path:
        return self.folder / f"{key.library}-{key.version}-{key.capability}.timings"

    def _bound(self, keep: set[str]) -> None:
        """Remove what is broken and then what was not used for longest, until the rest fits."""
        held: dict[str, list[Path]] = {}  # an engine's files, or measured kernels
        for path in files_of(self.folder):
            held.setdefault(path.stem if ENGINE.match(path.name) else path.name, []).append(path)
        sizes = {name: sum(path.stat().st_size for path in files) for name, files in held.items()}
        broken = {entry.path.stem for entry in self.entries() if entry.problem}
        ours = [name for name, files in held.items() if any(map(_may_go, files)) and name not in keep]
        ours.sort(key=lambda name: (name not in broken, _used(held[name])))
        total = sum(sizes.values())
        for name in ours:
            if total <= self._most:
                return
            log.info("%s is removed: the cache of engines is larger than %d MB", name, self._most // 10**6)
            for path in held[name]:
                remove_file(path)
            total -= sizes[name]


def stem_of(model_name: str, key: EngineKey) -> str:
    """Give the file name of an engine without its suffix."""
    return f"{model_name}-{key.capability}-{key.precision}-{key.library}-{_short(key)}"


def _short(key: EngineKey) -> str:
    return key.digest[:16]


def _kind(key: EngineKey) -> tuple[str, str, str]:
    """Give what a person asks for; the rest of a key is of the machine and of the model."""
    return key.capability, key.precision, key.library


def _used(files: list[Path]) -> int:
    """Give when an engine was last loaded (`used` sets the time of its plan), or measured kernels were written."""
    plans = [path for path in files if path.suffix == ".plan"]
    return max(path.stat().st_mtime_ns for path in plans or files)


def _may_go(path: Path) -> bool:
    return bool(ENGINE.match(path.name) or TIMINGS.match(path.name))


def _broken(plan: Path, how: str) -> str:
    return f"{plan} is not the engine that was built ({how}): `auroramon engine clean` removes it"
