"""Tells others of events by MQTT or a webhook, and never holds up whoever has the news.

Each address has a thread of its own with a short queue. What the address does not take in time is tried again; what the
queue cannot hold is dropped; both are counted.
"""

from __future__ import annotations

import json
import logging
import ssl
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from queue import Empty, Full, Queue
from typing import Literal, Protocol
from urllib.parse import unquote, urlsplit

from auroramon.errors import AuroramonError, MissingPartError
from auroramon.store.results import AuroraEvent

log = logging.getLogger(__name__)

TRIES = 3
PAUSE_S = 2.0  # before the second try; twice as long before the third
WAITING = 100  # news that one address may owe
LEAVE_S = 10.0  # for what still waits when the daemon ends
Result = Literal["sent", "failed", "dropped"]


class PublishError(AuroramonError):
    """An address did not take the news."""


@dataclass(frozen=True, slots=True)
class News:
    """That aurora began or ended at a camera."""

    state: Literal["on", "off"]
    event: AuroraEvent

    def as_json(self) -> str:
        """Give the message that goes out."""
        event = self.event
        return json.dumps(
            {
                "state": self.state,
                "camera": event.camera,
                "night": event.night.isoformat(),
                "begun": _utc(event.begun),
                "last": _utc(event.ended),
                "label": event.label,
                "confidence": round(event.confidence, 4),
                "frames": event.frames,
                "threshold": event.rules.thresholds.get(event.label),
            }
        )


class Publisher(Protocol):
    """One way out."""

    name: str  # for the metric: "mqtt", "webhook"
    retains: bool  # the last word stays there, for whoever asks later

    def send(self, news: News) -> None:
        """Deliver, or raise PublishError; never longer than its timeout by much."""
        ...

    def close(self) -> None: ...


class Webhook:
    """POSTs JSON to an address; certificates are checked, and redirects are not followed.

    A user and password in the address go out as HTTP asks for them (Basic, RFC 7617), and never into a message.
    """

    name = "webhook"
    retains = False

    def __init__(self, address: str, timeout_s: float, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(address)
        self._address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self._headers = {"Content-Type": "application/json", "User-Agent": "auroramon"}
        if parts.username is not None:
            words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {b64encode(words.encode()).decode()}"
        self._timeout_s = timeout_s
        tls = tls or ssl.create_default_context()
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=tls), _NoRedirect())

    def send(self, news: News) -> None:
        request = urllib.request.Request(  # noqa: S310 - the settings let only http and https through
            self._address, news.as_json().encode(), self._headers
        )
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                answer.read(1024)
        except urllib.error.HTTPError as error:
            error.close()
            raise PublishError(f"the webhook at {place(self._address)} answers {error.code}") from error
        except (OSError, HTTPException, ValueError) as error:
            raise PublishError(f"the webhook at {place(self._address)} cannot be reached: {error}") from error

    def close(self) -> None:
        pass


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Whoever was named gets the news, nobody else."""

    def redirect_request(self, *_: object) -> None:
        return None


class Mqtt:
    """Publishes to topic/CAMERA at least once (QoS 1), and retained: who subscribes later sees the present state."""

    name = "mqtt"
    retains = True

    def __init__(self, address: str, timeout_s: float, tls: ssl.SSLContext | None = None) -> None:
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise MissingPartError("MQTT needs its library: pip install 'auroramon[mqtt]'") from error
        parts = urlsplit(address)
        self._place = place(address)
        self._host, self._port = str(parts.hostname), parts.port or (8883 if parts.scheme == "mqtts" else 1883)
        self._topic = unquote(parts.path).strip("/") or "auroramon"
        self._timeout_s = timeout_s
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.connect_timeout = timeout_s
        if parts.username:
            self._client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            self._client.tls_set_context(tls or ssl.create_default_context())

    def send(self, news: News) -> None:
        """Connect, publish, wait for the broker's word, and leave: events are rare, and a connection is not."""
        answered = threading.Event()
        refused: list[str] = []

        def connected(_client: object, _data: object, _flags: object, reason: object, _properties: object) -> None:
            if getattr(reason, "is_failure", False):
                refused.append(str(reason))
            answered.set()

        self._client.on_connect = connected
        try:
            self._client.connect(self._host, self._port, keepalive=max(5, round(self._timeout_s)))
            self._client.loop_start()
            if not answered.wait(self._timeout_s) or refused:
                raise PublishError(f"the broker {self._place} refuses: {refused[0] if refused else 'no answer'}")
            told = self._client.publish(f"{self._topic}/{news.event.camera}", news.as_json(), qos=1, retain=True)
            told.wait_for_publish(self._timeout_s)
            if not told.is_published():
                raise PublishError(f"the broker {self._place} did not confirm within {self._timeout_s:.0f} s")
        except (OSError, ValueError, RuntimeError) as error:
            raise PublishError(f"the broker {self._place} cannot be reached: {error}") from error
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    def close(self) -> None:
        pass


class Courier:
    """Brings news to one address from a thread of its own.

    A context: at its end what still waits is tried once more, for `leave_s` seconds in all, and what was not told then
    is counted as dropped.

    Args:
        publisher: the way out.
        count: told what became of each news, for the metric.
        pause_s: before the second try.
        leave_s: how long the end may take.
    """

    def __init__(
        self,
        publisher: Publisher,
        count: Callable[[str, Result], None],
        pause_s: float = PAUSE_S,
        leave_s: float = LEAVE_S,
    ) -> None:
        self._publisher = publisher
        self.retains = publisher.retains
        self._count = count
        self._pause_s = pause_s
        self._leave_s = leave_s
        self._waiting: Queue[News] = Queue(WAITING)
        self._in_hand: News | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"courier {publisher.name}", daemon=True)

    def __enter__(self) -> Courier:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(self._leave_s)
        if not self._thread.is_alive():
            self._publisher.close()
            return
        # Whoever hangs longer than systemd waits would have the whole daemon killed: its thread dies with the process.
        if self._in_hand is not None:
            self._drop(self._in_hand, "the daemon ends")
        with suppress(Empty):
            while True:
                self._drop(self._waiting.get_nowait(), "the daemon ends")

    def offer(self, news: News) -> None:
        """Take news, or drop it; never waits."""
        try:
            self._waiting.put_nowait(news)
        except Full:
            self._drop(news, "too much news waits")

    def _drop(self, news: News, why: str) -> None:
        self._count(self._publisher.name, "dropped")
        camera, name = news.event.camera, self._publisher.name
        log.warning("aurora %s at %s was not told by %s: %s", news.state, camera, name, why)

    def _run(self) -> None:
        while True:
            try:
                news = self._in_hand = self._waiting.get(timeout=0.2)
            except Empty:
                if self._stop.is_set():
                    return
                continue
            self._count(self._publisher.name, "sent" if self._deliver(news) else "failed")
            self._in_hand = None

    def _deliver(self, news: News) -> bool:
        for attempt in range(TRIES):
            if attempt and self._stop.wait(self._pause_s * attempt):
                break
            try:
                self._publisher.send(news)
            except PublishError as error:
                log.warning("aurora %s at %s was not told: %s", news.state, news.event.camera, error)
            else:
                log.info("aurora %s at %s was told by %s", news.state, news.event.camera, self._publisher.name)
                return True
        return False


def place(address: str) -> str:
    """Give an address as it may be logged: without user, password, path and query."""
    parts = urlsplit(address)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
