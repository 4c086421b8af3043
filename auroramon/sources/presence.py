"""Whether a folder is there, and how it is heard: by inotify or by polling."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable
from typing import Literal

from auroramon.sources.arrivals import printable
from auroramon.sources.inotify import Listener
from auroramon.sources.mounts import attribute_cache_s, filesystem_here, needs_polling

log = logging.getLogger(__name__)

Mode = Literal["inotify", "polling"]

_LIMITS = {
    errno.ENOSPC: "fs.inotify.max_user_watches",
    errno.EMFILE: "fs.inotify.max_user_instances",
    errno.ENFILE: "fs.file-max",
    errno.ENOMEM: "fs.inotify.max_user_watches",
}


class Presence:
    """Keeps an eye on one root folder. Belongs to one thread."""

    def __init__(self, root: str, poll: bool | None, listen: Callable[[str], Listener]) -> None:
        self.listener: Listener | None = None  # None while the folder is polled or away
        self.up = False
        self.mode: Mode = "inotify"
        self.reason = "not looked at yet"
        self.stale_s = 0.0  # for how long size and mtime may be shown as they were
        self._root = root
        self._poll = poll
        self._listen = listen
        self._identity: tuple[int, int] | None = None  # device and inode of the folder that is being watched
        self._past_overflows = 0  # of listeners that are gone
        self._told_overflows = 0
        self._limited = False
        self._doubted = False

    @property
    def overflows(self) -> int:
        """How often the kernel threw events away."""
        return self._past_overflows + (self.listener.overflows if self.listener is not None else 0)

    def check(self) -> bool:
        """Look after the folder, and say whether files may have come unheard, so that it must be listed."""
        identity = self._identity_now()
        if identity is None:
            return False
        doubted, self._doubted = self._doubted, False
        if self.up and identity == self._identity and self._hears() and not doubted:
            return self._overflowed()
        if self.up and not doubted:
            log.warning("%s was exchanged, or its watch died: watching it anew", printable(self._root))
        away = not self.up and self.reason
        self._unlisten()
        self._open(identity)
        if away and self.up:
            log.info("%s is there now, and is watched", printable(self._root))
        return self.up

    def doubt(self) -> None:
        """Have the next check listen anew, because a folder below may have escaped."""
        self._doubted = self.mode == "inotify"

    def retry_limit(self) -> bool:
        """Where a limit of the kernel forced polling, try inotify again, and say whether that worked."""
        if not (self.up and self._limited):
            return False
        self._listen_or_poll()
        return not self._limited

    def close(self) -> None:
        """Stop listening."""
        self._unlisten()
        self.up = False

    def _identity_now(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._root)  # noqa: PTH116 - the root may be no UTF-8
        except OSError as error:
            self._away(error.strerror or str(error))
            return None
        if not stat.S_ISDIR(found.st_mode):
            self._away("it is no folder")
            return None
        if not os.access(self._root, os.R_OK | os.X_OK):  # inotify would go on telling of files that nobody can read
            self._away(os.strerror(errno.EACCES))
            return None
        return found.st_dev, found.st_ino

    def _away(self, why: str) -> None:
        reason = f"{printable(self._root)} cannot be watched: {why}; waiting for it"
        if reason != self.reason:
            log.error("%s", reason)
        self._unlisten()
        self.up, self.reason = False, reason

    def _hears(self) -> bool:
        if self.mode == "polling":
            return True
        return self.listener is not None and self.listener.alive and self.listener.refused is None

    def _overflowed(self) -> bool:
        if self.overflows == self._told_overflows:
            return False
        self._told_overflows = self.overflows
        log.warning(
            "%s: more happened than the kernel keeps (fs.inotify.max_queued_events); listing the folder",
            printable(self._root),
        )
        return True

    def _open(self, identity: tuple[int, int]) -> None:
        self._identity = identity
        self.up, self.mode, self.reason, self._limited = True, "inotify", "", False
        self.stale_s = 0.0
        filesystem = filesystem_here(self._root)
        if self._poll is True or (self._poll is None and needs_polling(filesystem)):
            self.mode, self.stale_s = "polling", attribute_cache_s(filesystem)
            log.info("%s is polled (%s)", printable(self._root), filesystem or "as configured")
            return
        self._listen_or_poll()

    def _listen_or_poll(self) -> None:
        """Listen; where a limit forbids that, poll and say so; where the folder forbids it, wait for it."""
        try:
            self.listener = self._listen(self._root)
            if self.listener.refused is not None:
                raise self.listener.refused
        except OSError as error:
            self._unlisten()
            if error.errno in _LIMITS:
                self._poll_for_now(error)
            else:
                self._away(error.strerror or str(error))
            return
        if self._limited:
            log.info("%s is watched by inotify again", printable(self._root))
        self.mode, self.reason, self._limited = "inotify", "", False

    def _poll_for_now(self, error: OSError) -> None:
        limit = _LIMITS[error.errno or errno.ENOSPC]
        self.mode, self._limited = "polling", True
        self.reason = (
            f"{printable(self._root)} is polled, because the kernel's limit {limit} is reached; "
            f"raise it: sysctl {limit}={_suggestion(limit)}"
        )
        log.error("%s", self.reason)

    def _unlisten(self) -> None:
        if self.listener is not None:
            listener, self.listener = self.listener, None
            self._past_overflows += listener.overflows
            listener.close()


def _suggestion(limit: str) -> int:
    """Give four times what the limit is now, or a common value where it cannot be read."""
    try:
        with open(f"/proc/sys/{limit.replace('.', '/')}") as setting:
            return int(setting.read()) * 4
    except (OSError, ValueError):
        return 524_288
