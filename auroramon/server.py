"""The daemon's window: /metrics for Prometheus and /healthz for whoever asks whether it is alive."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from auroramon.errors import ConfigError
from auroramon.types import Health

INDEX = b'<!doctype html><title>auroramon</title><a href="/metrics">metrics</a> <a href="/healthz">health</a>\n'


class StatusServer:
    """Serves two pages from a thread of its own; it reads, and never touches the line of frames.

    Args:
        listen: "host:port"; port 0 takes a free one.
        metrics: gives the text of /metrics.
        health: gives the state of the daemon.

    Raises:
        ConfigError: the address cannot be used.
    """

    def __init__(self, listen: str, metrics: Callable[[], bytes], health: Callable[[], Health]) -> None:
        host, _, port = listen.rpartition(":")

        class Pages(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._answer(HTTPStatus.OK, CONTENT_TYPE_PLAIN_0_0_4, metrics())
                elif self.path == "/healthz":
                    state = health()
                    status = HTTPStatus.OK if state.ok else HTTPStatus.SERVICE_UNAVAILABLE
                    body = json.dumps({"ok": state.ok, "problems": list(state.problems)}) + "\n"
                    self._answer(status, "application/json", body.encode())
                elif self.path == "/":
                    self._answer(HTTPStatus.OK, "text/html; charset=utf-8", INDEX)
                else:
                    self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"/metrics or /healthz\n")

            def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                # Whoever asked may have given up meanwhile (a scrape has its timeout): no fault of ours, and no news.
                with suppress(ConnectionError):
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's name
                """Say nothing: a scrape every few seconds is no news."""

        try:
            self._server = ThreadingHTTPServer((host.strip("[]"), int(port)), Pages)
        except OSError as error:
            raise ConfigError(
                f"server.listen = {listen!r}: cannot listen there: {error.strerror}; is another auroramon running?"
            ) from None
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="status-server", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Give the address in use, such as "127.0.0.1:9750"."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
