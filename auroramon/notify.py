"""Tells the service manager how the daemon does, by the protocol of sd_notify(3): lines in a datagram."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol

log = logging.getLogger(__name__)

BEAT_S = 10.0  # between words of status where no watchdog asks for more
BEATS = 4  # signs of life in one WatchdogSec: three may come late
LOOK_S = 0.1  # between looks whether the watches are up
EXTEND_S = 60.0  # more time asked for at once while starting
LONGEST_START_S = 1800.0  # a start that takes longer is stuck, and systemd shall end it
SEND_S = 1.0  # a manager that takes nothing must not hold up the daemon
LONGEST_STATUS = 400  # characters


class Notifier:
    """The line to the service manager; silent where there is none.

    Args:
        environ: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID as systemd sets them.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self.listening = address.startswith(("/", "@"))
        self._address = "\0" + address[1:] if address.startswith("@") else address  # @: a name and no file
        self._failed = False
        usec = environ.get("WATCHDOG_USEC", "")
        ours = environ.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
        self.watchdog_s = int(usec) / 1e6 if self.listening and ours and usec.isdigit() and int(usec) else None

    def say(self, *lines: str) -> None:
        """Send assignments such as "READY=1"; a manager that cannot be reached is told once in the log."""
        if not self.listening:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.settimeout(SEND_S)
                line.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            if not self._failed:
                log.warning("the service manager cannot be told anything: %s", error)
            self._failed = True


class Living(Protocol):
    """What is kept alive."""

    def started(self) -> bool:
        """Say whether every watch is up, or has said why it must wait."""
        ...

    def stuck(self, patience_s: float) -> str:
        """Say what has hung for longer than that; "" while everything moves."""
        ...

    def sentence(self) -> str:
        """Say in a line how it goes."""
        ...


class Lifeline:
    """Gives signs of life from a thread of its own, and withholds them from what has hung.

    A context: at its begin the start of the daemon begins, at its end the thread is gone.
    """

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._doing = "starting"
        self._living: Living | None = None
        self._ready = self._stopping = self._stuck = False
        self._begun = time.monotonic()
        self._wake = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="lifeline", daemon=True)

    def __enter__(self) -> Lifeline:
        if self._notifier.listening:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping()
        self._over = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def starting(self, doing: str) -> None:
        """Say what the start is busy with: "loading the model"."""
        self._doing = doing
        self._wake.set()

    def serving(self, living: Living) -> None:
        """Watch over this from now on; READY goes out as soon as it has started."""
        self._living = living
        self.starting("looking at the folders")

    def reloading(self) -> None:
        """Say that a new configuration is being read. `reloaded` must follow, whatever comes of it."""
        self._notifier.say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=reading settings")

    def reloaded(self) -> None:
        """Say that the daemon works on, by the new configuration or by the old."""
        if self._ready:
            self._notifier.say("READY=1")
        self._wake.set()

    def stopping(self) -> None:
        """Say that the end has begun; may be called from a signal handler, and twice."""
        if not self._stopping:
            self._stopping = True
            self._notifier.say("STOPPING=1", "STATUS=finishing the files in hand")

    def _run(self) -> None:
        while not self._over:
            self._wake.clear()
            if not self._stopping:
                self._beat()
            self._wake.wait(self._pause())

    def _pause(self) -> float:
        if self._living is not None and not self._ready:
            return LOOK_S
        watchdog_s = self._notifier.watchdog_s
        return BEAT_S if watchdog_s is None else min(BEAT_S, watchdog_s / BEATS)

    def _beat(self) -> None:
        living = self._living
        if living is None or not (self._ready or living.started()):
            self._extend()
            return
        first = [] if self._ready else ["READY=1"]
        self._ready = True
        stuck = living.stuck(self._notifier.watchdog_s or float("inf"))
        if stuck and not self._stuck:
            log.error("no sign of life for the service manager any more: %s", stuck)
        elif self._stuck and not stuck:
            log.info("everything moves again")
        self._stuck = bool(stuck)
        alive = [] if stuck or self._notifier.watchdog_s is None else ["WATCHDOG=1"]
        self._notifier.say(*first, *alive, f"STATUS={one_line(stuck or living.sentence())}")

    def _extend(self) -> None:
        """Ask for more time, again and again, but not for ever."""
        if time.monotonic() - self._begun < LONGEST_START_S:
            self._notifier.say(f"EXTEND_TIMEOUT_USEC={int(EXTEND_S * 1e6)}", f"STATUS={one_line(self._doing)}")


def one_line(text: str) -> str:
    """Give a text as a status may be: one line, not too long."""
    return " ".join(text.split())[:LONGEST_STATUS]
